"""Lines of the ledger in a change: read once, written together, forgotten with the change."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from kohort.store import create_store
from kohort.store.sealed import Ledger
from kohort.store.state import State
from kohort.store.store import Store


class Interrupted(Exception):
    """What somebody else's code may raise in the middle of a change."""


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "w", buckets=2) as store:
        yield store


def database(store: Store):
    state: State = store.state
    return state._database


def stored(store: Store, name: str) -> tuple[int, int]:
    with database(store).read() as con:
        return Ledger(con).get(name)


def test_a_change_is_seen_in_it_and_stored_with_it(store: Store) -> None:
    with database(store).write() as con:
        Ledger(con).add("apples", 2, 7)
        Ledger(con).add("apples", 1, -1)
        assert Ledger(con).get("apples") == (3, 6)
        assert Ledger(con).get_all("pears", "apples") == [(0, 0), (3, 6)]
        assert Ledger(con).take("pear", 2) == 1
        assert con.execute(sa.text("select count(*) from ledger where name = 'apples'")).scalar() == 0
    assert stored(store, "apples") == (3, 6)
    with database(store).write() as con:
        Ledger(con).add("apples", -3, -6)
        assert Ledger(con).take("pear") == 3
    assert stored(store, "apples") == (0, 0)


def test_a_change_that_fails_leaves_nothing_behind(store: Store) -> None:
    def change() -> None:
        with database(store).write() as con:
            Ledger(con).add("apples", 2, 7)
            raise Interrupted

    with pytest.raises(Interrupted):
        change()
    assert stored(store, "apples") == (0, 0)
    with database(store).write() as con:
        assert Ledger(con).get("apples") == (0, 0)


def test_a_change_of_very_many_lines_is_followed_by_others(store: Store) -> None:
    with database(store).write() as con:
        # The least that SQLite may have been built with is 999; this connection is used again below.
        con.connection.driver_connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        for n in range(2_000):
            Ledger(con).put(f"line {n}", n, n)
    with database(store).write() as con:
        assert con.connection.driver_connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) == 999
        Ledger(con).add("line 1999", 1, 0)
    assert stored(store, "line 1999") == (2_000, 1_999)
