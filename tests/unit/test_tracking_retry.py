"""Dead letters of the tracking API are judged again: stored once, counted, and off the list only then."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.errors import KohortError
from kohort.ingest import export_rejected, rejected_rows, retry_rejected
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import parse_instant
from kohort.model.source import SourceMapping
from kohort.store import create_store
from kohort.store.store import Store

NOW = parse_instant("2026-03-01T12:00:00Z")
BUYERS = SegmentDefinition("buyers", "rule", (Part("buyers", rule=RuleText("did('Buy')", parse_rule("did('Buy')"))),))


class Shop:
    """A workspace kept current by a loop; events come in at the door."""

    def __init__(self, store: Store) -> None:
        self.store, self.script, self.now = store, Script(), NOW
        given = Given("1", (BUYERS,), {}, (), SegmentSettings(), "UTC", "EUR")
        self.loop = Loop(
            store, lambda: given, [self.script], clock=lambda: self.now, pace=Pace(watch=0, note=0, batch=10)
        )
        self.loop.tick()

    def send(self, *payloads: Any, source: str = "web") -> None:
        for n, payload in enumerate(payloads):
            self.script.add(Arrival(payload, self.now, source, f"7:{n}"))
        self.now += 1_000
        self.loop.tick()

    def retry(self, path: Path | None = None, **more: Any) -> tuple[int, int, int, int]:
        settings: dict[str, Any] = {"mappings": {}, "zone": "UTC", "currency": "EUR", "now": NOW} | more
        report = retry_rejected(path, store=self.store, **settings)
        assert report.read == report.stored + report.duplicate + report.rejected
        return report.read, report.stored, report.duplicate, report.rejected

    def fixed(self, folder: Path, old: str, new: str) -> Path:
        """An export of the list in which a person has corrected something."""
        path = folder / "out.csv"
        export_rejected(path, store=self.store)
        rows = list(csv.reader(path.open(encoding="utf-8", newline="")))
        with path.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([[cell.replace(old, new) for cell in row] for row in rows])
        return path

    def members(self) -> list[str | None]:
        self.now += 1_000
        self.loop.tick()
        return sorted(
            self.store.vault.refs(self.store.members.current("buyers")["customer"].to_pylist()),
            key=str,
        )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with create_store(tmp_path / "ws", buckets=2) as store:
        yield Shop(store)


def buy(who: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Buy", "userId": who, "messageId": f"m-{who}", **more}


def test_a_corrected_event_is_stored_once_and_its_customer_is_a_member(shop: Shop, tmp_path: Path) -> None:
    shop.send(buy("ada", timestamp="yesterday"), buy("bob", properties=[1]), buy("eve"))
    assert [row.code for row in rejected_rows(shop.store)] == ["bad_time", "bad_properties"]
    path = shop.fixed(tmp_path, '"yesterday"', '"2026-02-28T12:00:00Z"')
    assert shop.retry(path) == (2, 1, 0, 1)
    assert [row.code for row in rejected_rows(shop.store)] == ["bad_properties"]
    assert shop.members() == ["ada", "eve"]
    with pytest.raises(KohortError, match="not on the list"):
        shop.retry(path)
    assert shop.retry() == (1, 0, 0, 1), "as it was nothing changed: it stays"
    assert shop.store.log.count() == 2


def test_what_the_key_or_topic_sent_is_told_apart_and_counted(shop: Shop, tmp_path: Path) -> None:
    shop.send(buy("ada", timestamp="x"))
    shop.send(buy("bob", timestamp="x"), source="kafka:shop")
    assert shop.retry(shop.fixed(tmp_path, '"x"', "null")) == (2, 2, 0, 0)
    told = {b.source: (b.file, b.read, b.stored) for b in shop.store.state.batches() if b.file == "rejected events"}
    assert told == {"web": ("rejected events", 1, 1), "kafka:shop": ("rejected events", 1, 1)}
    assert shop.store.state.rejected_counts() == {}


def test_an_interruption_and_the_same_call_again_store_it_once(shop: Shop, tmp_path: Path, monkeypatch) -> None:
    # Without an id of its own: the one that is made for it must be the same the second time.
    nameless = {"type": "track", "event": "Buy", "userId": "ada", "timestamp": "x"}
    shop.send(nameless, {"type": "identify", "userId": "bob", "anonymousId": "tab", "timestamp": "x"})
    path = shop.fixed(tmp_path, '"x"', '"2026-02-28T12:00:00Z"')
    with monkeypatch.context() as patch:
        patch.setattr(shop.store.state, "mark_retried", lambda ids: (_ for _ in ()).throw(OSError("no power")))
        with pytest.raises(OSError, match="no power"):
            shop.retry(path)
    assert (shop.store.log.count(), len(rejected_rows(shop.store))) == (2, 2)
    assert shop.retry(path) == (2, 0, 2, 0)
    assert (shop.store.log.count(), rejected_rows(shop.store)) == (2, [])
    (bob,), (tab,) = shop.store.vault.known(["bob"]), shop.store.vault.known_visitors(["tab"])
    assert shop.store.meant(int(tab)) == bob, "what the event says about who is who counts as well"


def test_an_id_of_another_event_stays_on_the_list_until_it_is_changed(shop: Shop, tmp_path: Path) -> None:
    shop.send(buy("ada", timestamp="2026-02-01T00:00:00Z"))
    shop.send(buy("ada", event="Look", timestamp="2026-02-02T00:00:00Z"))
    assert [row.code for row in rejected_rows(shop.store)] == ["conflicting_id"]
    assert shop.retry() == (1, 0, 0, 1)
    assert shop.retry(shop.fixed(tmp_path, "m-ada", "m-other")) == (1, 1, 0, 0)
    assert shop.store.log.count() == 2


def test_two_letters_of_one_id_are_one_event(shop: Shop, tmp_path: Path) -> None:
    shop.send(buy("ada", timestamp="x"), buy("ada", timestamp="x"))
    assert shop.retry(shop.fixed(tmp_path, '"x"', '"2026-02-28T12:00:00Z"')) == (2, 1, 1, 0)
    assert (shop.store.log.count(), rejected_rows(shop.store)) == (1, [])


def test_what_is_no_json_stays_and_an_erased_person_leaves_the_list(shop: Shop, tmp_path: Path) -> None:
    shop.send("no event", buy("ada", timestamp="x"), buy("bob", timestamp="x"))
    path = shop.fixed(tmp_path, json.dumps("no event"), "{")
    (ada,) = shop.store.vault.customers(["ada"])
    shop.store.vault.erase([int(ada)], erased_us=NOW)
    assert shop.retry(path) == (3, 0, 0, 3)
    left = rejected_rows(shop.store)
    assert [row.code for row in left] == ["not_an_object", "bad_time"]
    assert "bob" in left[1].raw["event"]


def test_rows_of_files_beside_them_still_need_their_mapping(shop: Shop) -> None:
    from kohort.model.source import RejectedRow

    shop.send(buy("ada", properties=[1]))
    batch = shop.store.state.begin_batch("orders", "a.csv")
    shop.store.state.add_rejected([RejectedRow("orders", "a.csv", 2, "no_time", "No time.", "t", {"x": "1"})], batch)
    with pytest.raises(KohortError, match="orders"):
        shop.retry()
    orders = SourceMapping("orders", "events", {"customer": "x", "time": "t"})
    with pytest.raises(KohortError):
        shop.retry(mappings={"other": orders})
