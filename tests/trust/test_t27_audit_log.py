"""T27: whatever is done to the audit log behind our back is found; erasing a customer is not."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kohort.errors import WrongUsage
from kohort.store import create_store, open_store
from kohort.store.store import Store

N = 60
ROUNDS = 1_000 if os.environ.get("KOHORT_NIGHTLY") == "true" else 25


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with create_store(tmp_path / "ws", buckets=2) as made:
        for n in range(N):
            whom = [n + 1] if n % 3 == 0 else []
            made.audit_log.note("looked_at_customer", by=f"user {n % 4}", about=f"page {n}", customers=whom, now=n)
        yield made


@pytest.fixture
def behind(store: Store) -> Iterator[sqlite3.Connection]:
    """Somebody who can write in the file, and knows nothing of keys and digests."""
    with closing(sqlite3.connect(store.root / "state.db", isolation_level=None)) as con:
        yield con


def edit(con: sqlite3.Connection, k: int, draw: random.Random) -> None:
    column = draw.choice(["at_us", "by", "act", "about", "customer", "salt", "stands_for", "chain"])
    value = {"at_us": -7, "customer": 4711, "salt": b"x" * 16}.get(column, "somebody else")
    con.execute(f'UPDATE audit_entry SET "{column}" = ? WHERE number = ?', (value, k))


def delete(con: sqlite3.Connection, k: int, draw: random.Random) -> None:
    con.execute("DELETE FROM audit_entry WHERE number = ?", (k,))


def swap(con: sqlite3.Connection, k: int, draw: random.Random) -> None:
    other = k % N + 1
    con.execute("UPDATE audit_entry SET number = -number WHERE number IN (?, ?)", (k, other))
    con.execute(f"UPDATE audit_entry SET number = CASE number WHEN {-k} THEN {other} ELSE {k} END WHERE number < 0")


def double(con: sqlite3.Connection, k: int, draw: random.Random) -> None:
    place = draw.choice([-5, 0, N + 1])
    con.execute(
        "INSERT INTO audit_entry SELECT ?, at_us, by, act, about, customer, salt, stands_for, chain, digest"
        " FROM audit_entry WHERE number = ?",
        (place, k),
    )


def cut(con: sqlite3.Connection, k: int, draw: random.Random) -> None:
    con.execute("DELETE FROM audit_entry WHERE number >= ?", (k,))


@pytest.mark.parametrize("harm", [edit, delete, swap, double, cut])
def test_every_kind_of_harm_is_found(store: Store, behind: sqlite3.Connection, harm: Callable[..., None]) -> None:
    draw = random.Random(harm.__name__)
    for _ in range(ROUNDS):
        behind.execute("BEGIN")
        harm(behind, draw.randrange(1, N + 1), draw)
        behind.execute("COMMIT")
        assert store.audit_log.verify().broken, harm.__name__
        repair(store, behind)
    assert store.audit_log.verify().broken == ()


KEPT: dict[str, list[tuple[object, ...]]] = {}


def repair(store: Store, con: sqlite3.Connection) -> None:
    """As it was written."""
    con.execute("BEGIN")
    con.execute("DELETE FROM audit_entry")
    marks = ",".join("?" * len(KEPT["rows"][0]))
    con.executemany(f"INSERT INTO audit_entry VALUES ({marks})", KEPT["rows"])
    con.execute("COMMIT")


@pytest.fixture(autouse=True)
def kept(store: Store, behind: sqlite3.Connection) -> None:
    KEPT["rows"] = behind.execute("SELECT * FROM audit_entry ORDER BY number").fetchall()


def test_a_sound_log_says_so_and_what_is_in_it_is_read_from_its_end(store: Store) -> None:
    found = store.audit_log.verify()
    assert (found.entries, found.erased, found.broken, found.head.number) == (N, 0, (), N)
    assert [entry.number for entry in store.audit_log.latest(3)] == [N, N - 1, N - 2]
    assert [entry.number for entry in store.audit_log.latest(2, before=10, by="user 1")] == [6, 2]
    assert store.audit_log.latest(5, act="split") == []
    assert store.verify() == []


def test_one_change_is_told_once_and_at_its_place(store: Store, behind: sqlite3.Connection) -> None:
    behind.execute("UPDATE audit_entry SET act = 'split' WHERE number = 17")
    behind.execute("DELETE FROM audit_entry WHERE number IN (30, 31)")
    told = [one.text for one in store.audit_log.verify().broken]
    assert told == ["Entry 17 is not as it was written.", "Entries 30 to 31 are missing."]


def test_a_cut_end_that_is_covered_up_is_found_with_a_head_from_elsewhere(
    store: Store, behind: sqlite3.Connection
) -> None:
    head = str(store.audit_log.verify().head)
    behind.execute("DELETE FROM audit_entry WHERE number > 50")
    behind.execute("UPDATE ledger SET rows = 50 WHERE name = 'next:audit_entry'")
    assert store.audit_log.verify().broken == (), "the chain alone cannot know"
    assert len(store.audit_log.verify(head).broken) == 1
    older = store.audit_log.verify().head
    store.audit_log.note("logged_in", by="Ann")
    assert store.audit_log.verify(str(older)).broken == (), "the log goes on from a head that was kept"


@pytest.mark.parametrize("head", ["x", "5", "5:abc", ":", "-1:" + "a" * 64, "٣:" + "a" * 64])
def test_what_is_no_head_is_refused(store: Store, head: str) -> None:
    with pytest.raises(WrongUsage):
        store.audit_log.verify(head)


def test_an_erased_customer_is_gone_and_the_chain_holds(store: Store, behind: sqlite3.Connection) -> None:
    head = str(store.audit_log.verify().head)
    with store._database.write() as con:
        assert store.audit_log.forget(con, [1, 4, 999]) == 2
    found = store.audit_log.verify(head)
    assert (found.erased, found.broken) == (2, ())
    assert store.verify() == []
    first = next(e for e in store.audit_log.latest(N) if e.number == 1)
    assert (first.customer, first.erased, first.by) == (None, True, "user 0")
    assert (
        behind.execute("SELECT customer, salt FROM audit_entry WHERE number IN (1, 4)").fetchall() == [(None, None)] * 2
    )


def test_it_goes_on_after_a_restart_with_the_same_key(store: Store) -> None:
    before = store.audit_log.verify().head
    with open_store(store.root) as again:
        again.audit_log.note("logged_out", by="Ann", customers=[5, 6])
        found = again.audit_log.verify(str(before))
    assert (found.entries, found.broken) == (N + 2, ())
