"""Fetching in slices: stored with how far it reaches, gone on with after a failure, and nothing counted twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from kohort.errors import SourceFailed
from kohort.ingest.connect.marks import asked, furthest, mark_of, reached, written
from kohort.ingest.connect.records import RecordsReader
from kohort.ingest.connect.run import Pulled, pull, read_position
from kohort.ingest.memory import MemoryStore
from kohort.model.clock import micros
from kohort.model.connection import Connection, Mark, Pages, Since
from kohort.model.source import SourceMapping

NOW = micros(dt.datetime(2024, 6, 1, tzinfo=dt.UTC))
ORDERS = SourceMapping(
    "orders",
    "orders",
    {"order_id": "id", "customer": "buyer.id", "time": "at", "product": "sku", "quantity": "qty", "price": "price"},
    identities={"buyer.email": "email"},
    time_format="iso",
)
SHOP = Connection(
    "shop",
    "orders",
    rest="https://api.shop.example/orders",
    pages=Pages("page", param="page"),
    since=Since("changed", "after", overlap_s=0, ascending=True),
)


def order(n: int, **more: Any) -> dict[str, Any]:
    at = f"2024-03-{n:02}T10:00:00Z"
    row = {"id": n, "buyer": {"id": n % 3, "email": f"c{n % 3}@example.org"}, "at": at, "sku": "mug", "qty": 1}
    return row | {"price": Decimal("2.50"), "changed": at} | more


class Script:
    """An API that gives pages, fails where it is told to, and says what it was asked."""

    def __init__(self, *pages: list[Any] | SourceFailed) -> None:
        self.pages, self.asked = pages, list[Mark | None]()

    def __call__(self, since: Mark | None) -> Iterator[list[Any]]:
        self.asked.append(since)
        for page in self.pages:
            if isinstance(page, SourceFailed):
                raise page
            wanted = [r for r in page if since is None or mark_of(reached(r, "changed")).value >= since.value]
            yield wanted


def run(fetch: Script, store: MemoryStore, connection: Connection = SHOP, **options: Any) -> Pulled:
    settings = {"mapping": ORDERS, "propose": None, "zone": "UTC", "currency": "EUR", "now": NOW, "slice_rows": 2}
    found = pull(connection, fetch, store=store, **(settings | options))
    for batch in found.report.batches:
        assert batch.read == batch.stored + batch.duplicate + batch.rejected
    return found


DOWN = SourceFailed("It is down.", code="unreachable", retry=True)


def test_rows_become_events_and_identifiers_go_to_the_vault_only() -> None:
    store = MemoryStore()
    found = run(Script([order(1), order(2)], [order(3)]), store)
    assert (found.report.stored, found.error, found.position.complete) == (3, None, True)
    assert [e["amount"] for e in store.log.events()] == [250, 250, 250]
    assert {value for _, _, value in store.vault.sealed} == {"c0@example.org", "c1@example.org", "c2@example.org"}
    assert "example.org" not in str(store.log.events())


def test_the_next_run_asks_for_what_is_new() -> None:
    store = MemoryStore()
    run(Script([order(1), order(2)]), store)
    later = Script([order(1), order(2)], [order(3)])
    found = run(later, store)
    assert later.asked == [mark_of("2024-03-02T10:00:00Z")]
    assert (found.report.read, found.report.stored, found.report.duplicate) == (2, 1, 1)


def test_after_a_failure_it_goes_on_where_the_order_allows_it() -> None:
    store = MemoryStore()
    found = run(Script([order(1), order(2)], [order(3)], DOWN), store)
    assert (found.report.stored, found.error, found.position.complete) == (3, DOWN, False)
    again = Script([order(n) for n in range(1, 6)])
    assert run(again, store).report.stored == 2
    assert again.asked == [mark_of("2024-03-03T10:00:00Z")]


def test_without_an_order_an_interrupted_run_begins_anew_and_loses_nothing() -> None:
    store = MemoryStore()
    unordered = replace(SHOP, since=replace(SHOP.since, ascending=False))
    newest_first = [order(5), order(4)], [order(3), order(2)], [order(1)]
    run(Script(newest_first[0], DOWN), store, unordered)
    again = Script(*newest_first)
    found = run(again, store, unordered)
    assert again.asked == [None]
    assert (found.report.stored, found.report.duplicate) == (3, 2)
    assert len(store.log.events()) == 5
    assert found.position.mark == mark_of("2024-03-05T10:00:00Z")


def test_again_begins_at_the_beginning_and_adds_nothing() -> None:
    store = MemoryStore()
    run(Script([order(1), order(2)]), store)
    script = Script([order(1), order(2)])
    found = run(script, store, again=True)
    assert (script.asked, found.report.stored, found.report.duplicate) == ([None], 0, 2)


def test_rejected_rows_are_counted_each_time_and_kept_once() -> None:
    store = MemoryStore()
    rows = [order(1, at="soon"), "no row at all", order(2)]
    for expected in (1, 0):
        found = run(Script(rows), store, again=True)
        assert found.report.stored == expected
        assert found.report.batches[0].reasons == {"bad_time": 1, "not_an_object": 1}
    assert sorted(row.code for row in store.state.rejected("orders")) == ["bad_time", "not_an_object"]


def test_equal_lines_are_counted_through_all_slices() -> None:
    store = MemoryStore()
    one = order(1)
    for expected in (3, 0):
        found = run(Script([one, order(2)], [one]), store, again=True)
        assert found.report.stored == expected


def test_a_changed_definition_forgets_the_position() -> None:
    store = MemoryStore()
    run(Script([order(1)]), store)
    moved = replace(SHOP, rest="https://api.shop.example/v2/orders")
    assert read_position(store.state, moved).mark is None
    assert read_position(store.state, SHOP).mark is not None


def test_a_time_ahead_of_the_clock_hides_nothing() -> None:
    store = MemoryStore()
    found = run(Script([order(1, changed="2099-01-01T00:00:00Z")]), store)
    assert found.position.mark == Mark(NOW, is_time=True)


def test_a_column_that_never_grows_is_told() -> None:
    store = MemoryStore()
    found = run(Script([order(1, changed="never")]), store)
    assert (found.report.stored, found.error.code) == (1, "bad_since")
    assert "2024" not in str(found.error)


def test_a_first_run_proposes_how_to_read_its_rows() -> None:
    store, seen = MemoryStore(), []

    def propose(reader: RecordsReader) -> SourceMapping:
        seen.append([c.name for c in reader.columns])
        return ORDERS

    assert run(Script([order(1)]), store, mapping=None, propose=propose).report.stored == 1
    assert seen == [["id", "buyer.id", "buyer.email", "at", "sku", "qty", "price", "changed"]]


def test_slow_answers_are_stored_before_there_are_many() -> None:
    store, ticks = MemoryStore(), iter(range(0, 10_000, 40))
    found = run(Script([order(1)], [order(2)], [order(3)]), store, slice_rows=1_000, clock=lambda: float(next(ticks)))
    assert [b.read for b in found.report.batches] == [2, 1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-03-01T10:00:00+01:00", Mark(1709283600000000, True)),
        ("2024-03-01 10:00:00", Mark(1709287200000000, True, zoned=False)),
        (dt.date(2024, 3, 1), Mark(1709251200000000, True, zoned=False)),
        (Decimal("17"), Mark(17, False)),
        (Decimal("17.5"), None),
        (Decimal("NaN"), None),
        ("0017", Mark(17, False)),
        (True, None),
        ("", None),
        ({"a": 1}, None),
    ],
)
def test_marks(value: object, expected: Mark | None) -> None:
    assert mark_of(value) == expected


def test_a_mark_is_asked_for_as_the_api_wants_it() -> None:
    mark = mark_of("2024-03-01T10:00:00.750Z")
    assert [asked(mark, form) for form in ("iso", "epoch_s", "epoch_ms")] == [
        "2024-03-01T10:00:00Z",
        "1709287200",
        "1709287200750",
    ]
    assert asked(mark.back(3600), "iso") == "2024-03-01T09:00:00Z"
    assert asked(Mark(17, False).back(3600), "iso") == "17"
    assert written(mark_of("2024-03-01 10:00:00")) == dt.datetime(2024, 3, 1, 10)  # noqa: DTZ001 - as it was written


def test_numbers_and_times_are_not_compared() -> None:
    rows = [{"n": 5}, {"n": "2024-03-01"}, {"n": 7}]
    assert furthest(rows, "n", None, now=NOW) == Mark(7, False)
