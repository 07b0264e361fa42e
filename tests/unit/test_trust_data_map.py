"""The data map names every table and folder: whoever adds one has to say what an erasure does there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from kohort.store import create_store, schema
from kohort.trust.data_map import FOLDERS, STATE, VAULT

HOLDING = {"customer", "customers", "root", "body", "raw", "sealed", "ref", "wrapped", "keep"}
"""Columns that hold pseudonyms or what was said about somebody."""


def test_every_table_of_the_state_is_in_it() -> None:
    assert STATE.keys() == schema.metadata.tables.keys()


def test_what_holds_somebody_is_not_called_empty() -> None:
    named = {name for name, table in schema.metadata.tables.items() if HOLDING & set(table.columns.keys())}
    assert {name for name in named if STATE[name].startswith("holds nothing")} == set()
    known = {"hot_event", "rejected_row", "member_body", "by_hand", "link", "delivery", "privacy_request"}
    assert named >= known | {"identity_decision", "identity_question"}


def test_every_table_of_the_vault_and_every_folder_is_in_it(tmp_path: Path) -> None:
    with create_store(tmp_path / "ws") as store:
        store.vault.customers(["a"])
        store.journal().close()
        with closing(sqlite3.connect(store.root / "vault.db")) as con:
            tables = {row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        folders = {path.name for path in store.root.iterdir() if path.is_dir()}
    assert {name for name in tables if not name.startswith("sqlite_")} == VAULT.keys()
    assert folders <= FOLDERS.keys()
