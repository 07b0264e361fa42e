"""Erasure: the person's key, ids, events, links and decisions go; her ids are known as erased; everybody else stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kohort.ingest import ingest_files
from kohort.model.arrival import Link
from kohort.model.event import Event
from kohort.model.source import SourceMapping
from kohort.store import create_store, open_store
from kohort.testing.worlds import event_table

NOW = 1_700_000_000_000_000


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        yield opened


def event(event_id: str, customer: int, ts: int = 5) -> Event:
    return Event(event_id, customer, "page", ts, {"local_day": 0, "local_hour": 0})


def events_of(store) -> dict[str, int]:
    snapshot = store.log.snapshot()
    tables = [] if snapshot.hot is None else [snapshot.hot]
    tables += [pa.parquet.read_table(f, partitioning=None) for files in snapshot.files.values() for f in files]
    return {row["event_id"]: row["customer"] for table in tables for row in table.to_pylist()}


def test_everything_of_one_person_goes_and_nothing_of_others(store) -> None:
    ada, bob = (int(key) for key in store.vault.customers(["ada", "bob"]))
    (tab,) = (int(key) for key in store.vault.visitors(["tab"]))
    rows = [event("a1", ada), event("t1", tab), event("b1", bob), event("b2", bob)]
    store.log.append(event_table(rows[:3], {}, 2), batch=1)
    store.log.compact()
    store.log.append(event_table([*rows[3:], event("a2", ada)], {}, 2), batch=1)
    store.link([Link("l1", tab, ada, 5)], now=NOW)
    store.by_hand.put("vip", "vip", [ada, bob], True, by="Eve")

    assert store.erase(tab, now=NOW) == 3, "the id that leads to her is hers"

    assert events_of(store) == {"b1": bob, "b2": bob}
    assert store.vault.refs([ada, bob]) == [None, "bob"]
    assert store.vault.erased_refs(["ada", "bob", "tab"]).tolist() == [True, False, False]
    assert store.vault.erased_visitors(["tab", "ada"]).tolist() == [True, False]
    assert store.by_hand.table()["customer"].to_pylist() == [bob]
    assert store.log.snapshot().links is None
    assert store.verify() == []


def test_a_replay_of_her_events_is_a_duplicate_and_done_again_it_does_nothing(store) -> None:
    (ada,) = (int(key) for key in store.vault.customers(["ada"]))
    table = event_table([event("a1", ada)], {}, 2)
    store.log.append(table, batch=1)
    assert store.erase(ada, now=NOW) == 1
    again = store.log.append(table, batch=2)
    assert (again.stored, again.duplicate) == (0, 1)
    assert store.erase(ada, now=NOW) == 0
    assert store.log.count() == 0
    assert store.verify() == []


def test_readers_of_an_older_snapshot_go_on_and_the_old_files_go_with_the_vacuum(store) -> None:
    (ada,) = (int(key) for key in store.vault.customers(["ada"]))
    store.log.append(event_table([event("a1", ada), event("n1", ada + 2)], {}, 2), batch=1)
    store.log.compact()
    before = [f for files in store.log.snapshot().files.values() for f in files]
    store.erase(ada, now=NOW)
    assert all(Path(file).exists() for file in before)
    store.log.vacuum(older_than_seconds=-60)
    assert not any(Path(file).exists() for file in before)
    assert events_of(store) == {"n1": ada + 2}


def test_tombstones_are_told_in_every_process_and_hold_no_id(store) -> None:
    keys = store.vault.customers(["customer-4711-number", "bob"])
    with open_store(store.root) as other:
        assert other.vault.erased_refs(["customer-4711-number"]).tolist() == [False]
        store.vault.erase(keys[:1], erased_us=NOW)
        assert other.vault.erased_refs(["customer-4711-number", "bob"]).tolist() == [True, False]
        # Who comes back with the same number is a new person, should the door let her in.
        assert other.vault.customers(["customer-4711-number"])[0] != keys[0]
    assert not any(b"4711" in path.read_bytes() for path in store.root.glob("vault*"))


def test_a_file_brings_nothing_about_an_erased_person_and_keeps_no_copy_of_it(store, tmp_path: Path) -> None:
    path = tmp_path / "pages.csv"
    path.write_text("who,when\nada,2024-05-01\nada,no date\nbob,2024-05-01\nbob,no date\n")
    mapping = SourceMapping("pages", "events", {"customer": "who", "time": "when"}, event="page", time_format="iso")
    (ada,) = store.vault.customers(["ada"])
    store.erase(int(ada), now=NOW)
    report = ingest_files(path, mapping, store=store, zone="UTC", currency="EUR", now=NOW + 10**14)
    (batch,) = report.batches
    assert (batch.read, batch.stored, batch.rejected) == (4, 1, 3)
    assert batch.reasons == {"erased": 2, "bad_time": 1}
    assert [row.raw["who"] for row in store.state.rejected()] == ["bob"]
    assert store.vault.known(["ada", "bob"]).astype(bool).tolist() == [False, True]


def test_erasing_while_files_are_merged_finds_her_rows_wherever_they_are(store) -> None:
    (ada,) = (int(key) for key in store.vault.customers(["ada"]))
    others = [ada + 2 * n for n in range(1, 5)]
    for n, customer in enumerate(others):
        store.log.append(event_table([event(f"a{n}", ada), event(f"o{n}", customer)], {}, 2), batch=1)
        store.log.compact()
    store.log.optimise()
    assert store.erase(ada, now=NOW) == 4
    assert sorted(events_of(store).values()) == sorted(others)
    assert np.all(store.vault.erased_refs(["ada"]))
