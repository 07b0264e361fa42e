"""Consent after a merge: a no of one id binds until somebody who was her by then says yes; the engines ask it of the log."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.triggers import Moved, Trigger, hidden_segments
from kohort.engines.preview import preview
from kohort.engines.segments import evaluate
from kohort.model.arrival import Link
from kohort.model.consent import Said, refusing
from kohort.model.event import Event
from kohort.model.links import roots
from kohort.segments.consent import Consents
from kohort.segments.why import why
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.naive_links import withheld
from kohort.testing.worlds import event_table

ANA, BEN, TAB = 11, 12, -21
CONSENT = SegmentSettings((("marketing", "t_newsletter"),))
COLUMNS = {"t_newsletter": "flag"}


def said(n: int, customer: int, ts: int, agreed: bool | None) -> Event:
    return Event(f"e{n}", customer, "identify", ts, {"local_day": 0, "local_hour": 0, "t_newsletter": agreed})


def segment(name: str, rule: str, purpose: str = "marketing") -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(rule, parse_rule(rule))),), purpose=purpose)


NEWS = segment("news", "did(*)")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Ana agreed after a visitor who turns out to be her had refused; Ben refused, and agreed again."""
    found = create_store(tmp_path, buckets=3)
    found.log.declare(COLUMNS)
    events = (said(1, TAB, 10, False), said(2, ANA, 20, True), said(3, BEN, 10, False), said(4, BEN, 20, True))
    found.log.append(event_table(events, COLUMNS, 3), batch=1)
    found.log.compact()
    found.link([Link("l1", TAB, ANA, 50)], now=1)
    return found


def placed(store: Store, as_of: int, **more: object) -> set[int]:
    found = evaluate(store.log.snapshot(), [NEWS], as_of=as_of, settings=CONSENT, key=b"k", **more)  # type: ignore[arg-type]
    return set(found.placed["news"]["customer"].to_pylist())


def later(store: Store, *events: Event) -> None:
    store.log.append(event_table(events, COLUMNS, 3), batch=2)


@pytest.mark.parametrize("seed", range(40))
def test_the_sweep_is_the_rule_read_out_loud(seed: int) -> None:
    rng, ids = Random(seed), (1, 2, 3, 4, -1, -2)
    events = [said(n, rng.choice(ids), rng.randint(0, 9), rng.choice((True, False))) for n in range(9)]
    links = [Link(f"l{n}", *rng.sample(ids, 2), rng.randint(0, 9)) for n in range(5)]
    statements = [Said(e.ts, e.event_id, e.customer or 0, bool(e.values["t_newsletter"])) for e in events]
    expected = {customer for _, customer in withheld(events, links, 9, CONSENT.consent)}
    found = refusing(rng.sample(statements, 9), rng.sample(links, 5))
    assert found == expected
    assert found <= set(roots(links).of(pa.array(ids).to_numpy()).tolist())


def test_a_later_merge_withholds_what_the_latest_statement_would_give(store: Store) -> None:
    assert placed(store, 49) == {ANA, BEN}
    assert placed(store, 50) == {BEN}
    assert placed(store, 50, customers=[ANA]) == set()
    later(store, said(9, ANA, 60, True))
    assert placed(store, 59) == {BEN}
    assert placed(store, 60) == {ANA, BEN}
    store.unlink(["l1"])
    assert placed(store, 59) == {ANA, BEN}


def test_a_preview_counts_whom_a_merge_leaves_out(store: Store) -> None:
    found = preview(store.log.snapshot(), NEWS, as_of=50, settings=CONSENT, key=b"k")
    assert (found.size, found.excluded_by_consent) == (1, 1)
    found = preview(store.log.snapshot(), NEWS, as_of=49, settings=CONSENT, key=b"k")
    assert (found.size, found.excluded_by_consent) == (2, 0)


def test_why_says_that_she_has_not_agreed_and_when_that_changes(store: Store) -> None:
    def asked(as_of: int):
        about = {"zone": "UTC", "currency": "EUR", "features": (), "settings": CONSENT, "horizon_years": 1}
        return why(store, [NEWS], NEWS, ANA, as_of=as_of, **about)

    assert asked(49).member
    assert not asked(50).member
    assert any("has not agreed to 'marketing'" in note for note in asked(50).notes)
    assert asked(50).change is None
    later(store, said(9, TAB, 70, True))
    change = asked(50).change
    assert change is not None
    assert (change.at, change.after.segment) == (70, "news")


def test_what_she_is_told_about_her_consent_is_what_holds(store: Store) -> None:
    later(store, said(9, ANA, 70, True))
    snapshot = store.log.snapshot()
    for customer, as_of, agrees in ((ANA, 49, True), (ANA, 50, False), (BEN, 50, True), (17, 50, False)):
        hers = Consents(snapshot, customer, as_of, dict(CONSENT.consent))
        assert hers.agreed("marketing", as_of) is agrees
        assert not hers.agreed("research", as_of)
    ana = Consents(snapshot, ANA, 60, dict(CONSENT.consent))
    assert [ana.agreed("marketing", at) for at in (60, 69, 70)] == [False, False, True]


def test_what_triggers_send_follows_the_same_consent(store: Store) -> None:
    trigger = Trigger("mail", Moved("entered", "news"), ("mailer",), purpose="marketing")
    (hidden,) = hidden_segments([trigger], dict(CONSENT.consent))
    assert (hidden.name, hidden.purpose) == ("consent marketing", "marketing")
    found = evaluate(store.log.snapshot(), [hidden], as_of=50, settings=CONSENT, key=b"k")
    assert found.placed[hidden.name]["customer"].to_pylist() == [BEN]
