"""Visitors and ids that lead to others, as engines see them: one definition, one customer, one lookup at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.definitions.segments_diff import diff_text
from kohort.definitions.segments_text import read_definition, write_definition
from kohort.engines.duck import connect, register_events
from kohort.engines.evaluate import features, profile
from kohort.engines.measures import Measures
from kohort.engines.moments import evaluate_at
from kohort.engines.preview import preview
from kohort.errors import NotEnough, RefusedDefinition
from kohort.model.arrival import Link
from kohort.model.event import Event
from kohort.model.links import table_of
from kohort.model.snapshot import Snapshot
from kohort.segments.preview_words import universe
from kohort.segments.why import why
from kohort.store import create_store
from kohort.testing.worlds import event_table
from kohort.workspace.people import company_numbers, customer_keys, short_code

ANA, BEN, TAB, PAD = 11, 12, -21, -22
LINK = Link("l1", TAB, ANA, 50)


def event(n: int, customer: int | None, ts: int, name: str = "page") -> Event:
    return Event(f"e{n}", customer, name, ts, {"local_day": 0, "local_hour": 0})


EVENTS = (event(1, ANA, 10), event(2, TAB, 20), event(3, TAB, 60), event(4, BEN, 10, "cart"), event(5, PAD, 10))
COUNT = parse_features("n: {count: events}")


def snapshot(*links: Link, events: tuple[Event, ...] = EVENTS) -> Snapshot:
    return Snapshot({}, event_table(events, {}, 4), {}, "1", 4, table_of(links) if links else None)


def counts(found: Snapshot, as_of: int, **more: Any) -> dict[int, float]:
    table = features(found, COUNT, as_of=as_of, **more)
    return dict(zip(table.ids.to_pylist(), table.data["n"].to_pylist(), strict=True))


def definition(text: str) -> SegmentDefinition:
    return read_definition(text)


def test_features_are_about_customers_and_count_what_leads_to_them() -> None:
    assert counts(snapshot(), 100) == {ANA: 1, BEN: 1}
    assert counts(snapshot(LINK), 49) == {ANA: 1, BEN: 1}
    assert counts(snapshot(LINK), 50) == {ANA: 2, BEN: 1}
    assert counts(snapshot(LINK), 100) == {ANA: 3, BEN: 1}
    assert counts(snapshot(LINK), 100, customers=[ANA]) == {ANA: 3}
    assert counts(snapshot(LINK), 100, customers=[TAB]) == {}
    assert profile(snapshot(LINK)).customers == 2
    assert profile(snapshot(LINK)).events == {"page": 3, "cart": 1}


def test_a_customer_without_events_of_her_own_has_those_that_lead_to_her() -> None:
    only = snapshot(Link("l", TAB, 14, 0), events=(event(1, TAB, 5),))
    assert counts(only, 10) == {14: 1}


def test_each_group_of_buckets_shows_led_rows_in_the_bucket_of_their_root() -> None:
    found = snapshot(LINK).resolved(100)
    with connect() as con:
        shown = {}
        for bucket in range(4):
            register_events(con, found, [bucket])
            shown[bucket] = con.execute("SELECT customer, bucket, event_id FROM events ORDER BY event_id").fetchall()
        register_events(con, found)
        everything = con.execute("SELECT customer, bucket, event_id FROM events ORDER BY event_id").fetchall()
    assert shown[ANA % 4] == [(ANA, 3, "e1"), (ANA, 3, "e2"), (ANA, 3, "e3")]
    assert sorted(row for rows in shown.values() for row in rows) == sorted(everything)
    assert len(everything) == len(EVENTS)


def test_one_customer_has_at_each_moment_what_led_to_her_then() -> None:
    from kohort.definitions.rules import parse_rule

    rule = parse_rule("did('page', at_least => 2)")
    moments = [60, 49, 50, 9]
    assert evaluate_at(snapshot(LINK), ANA, [rule], moments, key=b"k").truths == [[True], [False], [True], [False]]
    assert evaluate_at(snapshot(LINK), ANA, [rule], moments, key=b"k").seen == [True, True, True, False]
    assert evaluate_at(snapshot(LINK), TAB, [rule], [60, 49], key=b"k").seen == [False, True]


def test_a_definition_says_that_visitors_may_be_in_it() -> None:
    text = "it:\n  rule: did('page')\n  include_anonymous: true\n"
    assert definition(text).include_anonymous is True
    assert write_definition(definition(text)) == text
    assert diff_text("it: did('page')", text) == "Visitors without an id may be in it now"
    assert diff_text(text, "it: did('page')") == "Visitors without an id are out now"
    with pytest.raises(RefusedDefinition, match="true or false"):
        definition("it: {rule: did('page'), include_anonymous: maybe}")
    with pytest.raises(RefusedDefinition, match="visitors belong to none"):
        definition("it: {accounts: {any: did('page')}, include_anonymous: true}")


def sizes(text: str, found: Snapshot, measures: Measures | None = None):
    return preview(found, definition(text), as_of=100, key=b"k", measures=measures)


def test_a_preview_counts_both() -> None:
    known = sizes("it: not did('cart')", snapshot(LINK))
    assert (known.size, known.universe, known.visitors) == (1, 2, 0)
    kept = Measures(snapshot(LINK), 100)
    both = sizes("it: {rule: not did('cart'), include_anonymous: true}", snapshot(LINK), kept)
    assert (both.size, both.universe, both.visitors) == (2, 3, 1)
    assert sizes("it: not did('cart')", snapshot(LINK), kept).size == 1
    assert universe(3, 0, "UTC", accounts=False, visitors=1).startswith("All 2 customers and 1 visitors")


def test_visitors_are_shown_by_a_code_and_never_by_their_id(tmp_path: Path) -> None:
    with create_store(tmp_path) as store:
        (tab,) = (int(k) for k in store.vault.visitors(["tab-secret"]))
        (same,) = (int(k) for k in store.vault.customers(["tab-secret"]))
        assert tab < 0 < same
        assert store.vault.refs([tab, same]) == [None, "tab-secret"]
        assert company_numbers(store.vault, [tab]) == [short_code(tab)]
        assert customer_keys(store.vault, [short_code(tab), "tab-secret"]) == [tab, same]
        assert store.vault.known_visitors(["tab-secret", "other"]).tolist() == [tab, 0]
        assert store.vault.visitors(["tab-secret"]).tolist() == [tab]
        assert store.vault.open_person(tab) == {"anonymous_id": ["tab-secret"]}
        store.vault.seal([tab, same], "email", ["a@b.c", "a@b.c"])
        assert store.vault.find("email", "A@b.c") == same
        assert store.verify() == []


def test_why_of_an_id_that_is_led_is_that_of_its_root(tmp_path: Path) -> None:
    asked = definition("it: did('page', at_least => 2)")
    how: dict[str, Any] = {"zone": "UTC", "currency": "EUR", "features": (), "settings": SegmentSettings()}
    with create_store(tmp_path) as store:
        store.log.append(event_table(EVENTS, {}, 16), batch=1)
        store.link([LINK], now=100)
        assert store.meant(TAB) == ANA
        assert why(store, [asked], asked, ANA, as_of=60, **how).member
        assert not why(store, [asked], asked, ANA, as_of=49, **how).member
        with pytest.raises(NotEnough):
            why(store, [asked], asked, TAB, as_of=60, **how)
        with pytest.raises(NotEnough, match="never said who she is"):
            why(store, [asked], asked, PAD, as_of=60, **how)
