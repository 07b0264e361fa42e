"""The vault: stable random pseudonyms, values sealed per person, forgetting that leaves nothing, one key to open it."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.errors import Damaged, KohortError, NotFound, WrongUsage
from kohort.store import create_store, open_store
from kohort.store.keys import ENV_KEY, ENV_KEY_FILE, seal, unseal
from kohort.store.vault import normalised


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        yield opened


def test_a_workspace_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        create_store(tmp_path / "new", buckets=2).close()
        with create_store(folder, buckets=2) as made:
            made.vault.customers(["a"])
            made.artefacts.save("kind", "one", {"a.bin": b"a"}, {})
            inside = list(folder.iterdir())
            loose = [p.name for p in (*inside, *folder.rglob("*.bin")) if p.stat().st_mode & 0o077]
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert {p.name for p in inside} >= {"events", "ids", "models", "keys", "state.db", "vault.db", "vault.db-wal"}
    assert loose == []


def test_known_numbers_are_found_and_unknown_ones_are_not_made(store) -> None:
    first, second = store.vault.customers(["7", "8"])
    assert store.vault.known(["8", "9", "7"]).tolist() == [second, 0, first]
    (third,) = store.vault.customers(["9"])
    assert store.vault.known(["9", "8"]).tolist() == [third, second]
    assert store.vault.known(["nobody", "", "\udce4"]).tolist() == [0, 0, 0]
    assert third not in (first, second)
