"""The loop as a story in time: events count at once, time alone counts, a restart changes nothing, nothing is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import Span
from kohort.errors import BadInput
from kohort.live.audit import audit
from kohort.live.loop import Loop, Pace
from kohort.live.placing import Move
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.live.shown import Place
from kohort.live.standing import Stay
from kohort.model.arrival import Arrival
from kohort.model.clock import iso, parse_instant
from kohort.segments.accounts import account_names
from kohort.store import create_store, open_store
from kohort.store.store import Store
from kohort.trust.consent import record
from kohort.trust.limits import allow, forbid
from kohort.trust.statements import stated

START = parse_instant("2026-03-01T12:00:00Z")
MINUTE = 60_000_000
SOON = 1_000
DAY = 86_400_000_000


def rule(name: str, text: str, **more: Any) -> SegmentDefinition:
    stay, keep = more.pop("minimum_stay", None), more.pop("keep", None)
    kept = RuleText(keep, parse_rule(keep)) if keep else None
    part = Part(name, rule=RuleText(text, parse_rule(text)), keep=kept, minimum_stay=stay)
    return SegmentDefinition(name, "rule", (part,), **more)


def stages(name: str, **rules: str) -> SegmentDefinition:
    parts = tuple(Part(key, rule=RuleText(text, parse_rule(text))) for key, text in rules.items())
    return SegmentDefinition(name, "stages", parts)


class World:
    """A workspace with a loop, a clock that is set, and what comes in."""

    def __init__(self, root: Path, *definitions: SegmentDefinition) -> None:
        self.root, self.now, self.n = root, START, 0
        self.given = Given("1", definitions, {}, (), SegmentSettings(), "UTC", "EUR")
        self.script = Script()
        self.store: Store = create_store(root, buckets=2)
        self.loop = self.new_loop()

    def new_loop(self) -> Loop:
        pace = Pace(watch=0, note=0)
        return Loop(self.store, lambda: self.given, [self.script], clock=lambda: self.now, pace=pace)

    def restart(self) -> None:
        """The process ends without a word, and another one begins."""
        self.store.close()
        self.store = open_store(self.root)
        self.loop = self.new_loop()

    def event(self, who: str, name: str, at: int | None = None, **more: Any) -> None:
        self.n += 1
        payload = {"type": "track", "event": name, "userId": who, "messageId": f"m{self.n}", **more}
        self.script.add(Arrival(payload | {"timestamp": iso(at or self.now)}, self.now, "shop", f"{self.n}"))

    def send(self, **payload: Any) -> None:
        self.n += 1
        payload = {"messageId": f"m{self.n}", "timestamp": iso(self.now), **payload}
        self.script.add(Arrival(payload, self.now, "shop", f"{self.n}"))

    def at(self, text_or_us: str | int) -> World:
        self.now = parse_instant(text_or_us) if isinstance(text_or_us, str) else text_or_us
        while self.loop.tick().more:
            pass
        return self

    def members(self, name: str) -> set[str]:
        found = self.store.members.current(name)
        numbers = self.store.vault.refs(found["customer"].to_numpy())
        return {n or "visitor" for n in numbers}

    def told(self) -> list[tuple[str, str, str]]:
        """Every transition: customer, change and part, instant."""
        rows = self.store.members.transitions().to_pylist()
        refs = self.store.vault.refs([row["customer"] for row in rows])
        told = zip(refs, rows, strict=True)
        return [(ref or "visitor", f"{row['change']} {row['segment']}", iso(row["at"])) for ref, row in told]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Any]:
    made: list[World] = []

    def make(*definitions: SegmentDefinition) -> World:
        made.append(World(tmp_path / f"w{len(made)}", *definitions))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def test_an_event_counts_at_once_and_leaves_its_window_at_the_exact_instant(world) -> None:
    w = world(rule("active", "did('buy', within => '10 minutes')")).at(START)
    w.event("ana", "buy")
    assert w.at(START + SOON).members("active") == {"ana"}
    assert w.at(START + 10 * MINUTE - 1).members("active") == {"ana"}
    assert w.at(START + 15 * MINUTE).members("active") == set()
    entered, left = w.told()
    assert entered == ("ana", "entered active", iso(START + SOON))
    assert left == ("ana", "left active", iso(START + 10 * MINUTE))


def test_after_downtime_time_is_made_up_for_instant_by_instant(world) -> None:
    w = world(
        rule("active", "did('buy', within => '10 minutes')"),
        rule("twice", "did('buy', at_least => 2, within => '1 hour')"),
    )
    w.at(START)
    w.event("ana", "buy")
    w.event("bob", "buy", at=START - 5 * MINUTE)
    w.event("bob", "buy", at=START - 50 * MINUTE)
    w.at(START + SOON)
    w.restart()
    w.now = START + 3 * DAY
    w.event("cleo", "buy")
    w.at(START + 3 * DAY + SOON)
    assert sorted(w.told()[3:], key=lambda t: (t[2], t[0])) == [
        ("bob", "left active", iso(START + 5 * MINUTE)),
        ("ana", "left active", iso(START + 10 * MINUTE)),
        ("bob", "left twice", iso(START + 10 * MINUTE)),
        ("cleo", "entered active", iso(START + 3 * DAY + SOON)),
    ]


def test_what_comes_in_twice_counts_once_and_is_counted(world) -> None:
    w = world(rule("twice", "did('buy', at_least => 2)")).at(START)
    w.event("ana", "buy")
    w.script.add(w.script.arrivals[0])
    w.script.add(replace(w.script.arrivals[0], payload={"type": "track", "messageId": "x"}))
    w.at(START + SOON)
    assert w.members("twice") == set()
    (report,) = w.loop.position.batches.values()
    assert (report.read, report.stored, report.duplicate, report.rejected) == (3, 1, 1, 1)
    (row,) = w.store.state.rejected()
    assert (row.source, row.code) == ("shop", next(iter(report.reasons)))


def test_a_visitor_who_says_who_she_is_brings_her_past_along(world) -> None:
    w = world(rule("looked", "did('look', at_least => 2)")).at(START)
    w.send(type="track", event="look", anonymousId="browser")
    w.event("ana", "look")
    assert w.at(START + SOON).members("looked") == set()
    w.send(type="identify", userId="ana", anonymousId="browser")
    assert w.at(START + 2 * SOON).members("looked") == {"ana"}
    w.restart()
    w.send(type="track", event="look", anonymousId="browser")
    w.at(START + 3 * SOON)
    assert [t[:2] for t in w.told()] == [("ana", "entered looked")]


def test_an_event_of_the_future_takes_effect_when_its_time_comes(world) -> None:
    w = world(rule("bought", "did('buy')")).at(START)
    w.event("ana", "buy", at=START + 30 * MINUTE)
    assert w.at(START + SOON).members("bought") == set()
    assert w.at(START + 31 * MINUTE).members("bought") == {"ana"}
    assert w.told() == [("ana", "entered bought", iso(START + 30 * MINUTE))]


def test_a_late_event_that_is_over_already_changes_nothing_that_was_said(world) -> None:
    w = world(rule("active", "did('buy', within => '10 minutes')"), rule("ever", "did('buy')")).at(START)
    w.event("ana", "buy", at=START - DAY)
    w.at(START + SOON)
    assert w.told() == [("ana", "entered ever", iso(START + SOON))]


def test_a_new_definition_is_evaluated_for_everybody_and_marked_as_backfill(world) -> None:
    w = world(rule("bought", "did('buy')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    w.given = replace(
        w.given, stamp="2", definitions=(*w.given.definitions, rule("twice", "did('buy', at_least => 1)"))
    )
    w.event("bob", "buy", at=START + 2 * SOON)
    w.at(START + 3 * SOON)
    assert w.members("twice") == {"ana", "bob"}
    rows = w.store.members.transitions("twice").to_pylist()
    assert [row["backfill"] for row in rows] == [True, False]


def test_stages_remember_and_a_minimum_stay_ends_at_its_instant(world) -> None:
    w = world(
        rule("vip", "did('buy', within => '1 hour')", minimum_stay=Span(2, "hour")),
        stages("life", active="did('buy', within => '1 hour')", asleep="did('buy')"),
    ).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    w.at(START + 3 * 60 * MINUTE)
    assert w.told() == [
        ("ana", "entered vip", iso(START + SOON)),
        ("ana", "entered active", iso(START + SOON)),
        ("ana", "left active", iso(START + 60 * MINUTE)),
        ("ana", "entered asleep", iso(START + 60 * MINUTE)),
        ("ana", "left vip", iso(START + 120 * MINUTE + SOON)),
    ]


def test_a_decision_by_hand_counts_without_a_run(world) -> None:
    w = world(rule("bought", "did('buy')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    (ana,) = w.store.members.current("bought")["customer"].to_pylist()
    w.store.by_hand.put("bought", "bought", [ana], False, by="Ada")
    assert w.at(START + 2 * SOON).members("bought") == set()


def test_a_decision_by_hand_counts_whenever_it_was_made(world) -> None:
    """While nothing runs, and in the moment in which something else changes as well."""
    w = world(rule("bought", "did('buy')"), rule("looked", "did('look')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    (ana,) = w.store.members.current("bought")["customer"].to_pylist()
    w.restart()
    w.store.by_hand.put("bought", "bought", [ana], False, by="Ada")
    w.now = START + DAY
    assert w.at(START + DAY).members("bought") == set()
    assert w.told()[-1] == ("ana", "left bought", iso(START + DAY))
    w.store.by_hand.put("looked", "looked", [ana], True, by="Ada")
    w.given = replace(w.given, stamp="2", definitions=(*w.given.definitions, rule("more", "did('buy')")))
    assert w.at(START + DAY + SOON).members("looked") == {"ana"}
    w.store.by_hand.reset("bought", [ana], by="Ada")
    w.restart()
    assert w.at(START + DAY + 2 * SOON).members("bought") == {"ana"}
    assert audit(w.store, w.given).sound


def test_the_audit_waits_for_what_was_decided_after_the_loop_looked(world) -> None:
    w = world(rule("bought", "did('buy')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    (ana,) = w.store.members.current("bought")["customer"].to_pylist()
    w.store.by_hand.put("bought", "bought", [ana], False, by="Ada")
    assert audit(w.store, w.given).sound
    w.at(START + 2 * SOON)
    assert audit(w.store, w.given).sound
    assert w.members("bought") == set()


def test_what_was_decided_about_a_visitor_is_decided_about_her(world) -> None:
    w = world(rule("vip", "did('never')", include_anonymous=True)).at(START)
    w.send(type="track", event="look", anonymousId="browser")
    w.at(START + SOON)
    (visitor,) = w.store.log.snapshot().hot["customer"].to_pylist()
    w.store.by_hand.put("vip", "vip", [visitor], True, by="Ada")
    assert w.at(START + 2 * SOON).members("vip") == {"visitor"}
    w.send(type="identify", userId="ana", anonymousId="browser")
    assert w.at(START + 3 * SOON).members("vip") == {"ana"}
    assert audit(w.store, w.given).sound


def test_nobody_is_evaluated_twice_at_one_moment(world) -> None:
    """At the instant at which she would leave an event comes in that keeps her: she was in strictly before it."""
    w = world(rule("active", "did('buy', within => '10 minutes')", keep="did('look', within => '10 minutes')")).at(
        START
    )
    w.event("ana", "buy")
    w.at(START + SOON)
    w.event("ana", "look", at=START + 10 * MINUTE)
    assert w.at(START + 10 * MINUTE).members("active") == {"ana"}
    assert [t[1] for t in w.told()] == ["entered active"]
    assert w.at(START + 20 * MINUTE).members("active") == set()
    assert w.told()[-1] == ("ana", "left active", iso(START + 20 * MINUTE))
    assert audit(w.store, w.given).sound


class _EndsBeforeRuns(Loop):
    def evaluate_everybody(self, names: Any = None) -> Any:
        raise SystemExit


def test_events_that_no_definition_was_asked_about_are_made_up_for_after_a_restart(world) -> None:
    """A tick that fails twice is stored without asking; the process ends before the full run that follows."""
    w = world(rule("bought", "did('buy')"), rule("odd", "spread > 1"))
    w.given = replace(w.given, features=parse_features("spread: {std: p_n, event: buy}", {"p_n": "number"}))
    w.at(START)
    w.event("ana", "buy", properties={"n": 1})
    w.at(START + SOON)
    w.restart()
    w.at(START + SOON)
    w.loop = _EndsBeforeRuns(w.store, lambda: w.given, [w.script], clock=lambda: w.now, pace=Pace(watch=0, note=0))
    for n in range(3):
        w.event("bob", "buy", properties={"n": 9_000_000_000_000 - n})
    w.now = START + 2 * SOON
    with pytest.raises(BadInput):
        w.loop.tick()
    with pytest.raises(SystemExit):
        w.loop.tick()
    assert w.store.ticks.position().behind
    assert w.members("bought") == {"ana"}
    w.restart()
    assert w.at(START + 3 * SOON).members("bought") == {"ana", "bob"}
    assert not w.store.ticks.position().behind


def test_accounts_follow_what_their_users_do_and_what_time_does_to_them(world) -> None:
    """Their members are those of a full run just before a tick: while events come in, and of a sweep where none do."""
    rules = {"any": "some", "all": "every", "none": "no_one"}
    text = "did('buy', within => '10 minutes')"
    parts = {name: Part(name, rule=RuleText(text, parse_rule(text))) for name in rules.values()}
    of_accounts = [SegmentDefinition(rules[q], "accounts", (parts[rules[q]],), quantifier=q) for q in rules]  # type: ignore[arg-type]
    w = world(rule("bought", "did('buy')"), *of_accounts)
    w.given = replace(w.given, settings=SegmentSettings(accounts="t_company"))
    pace = Pace(watch=0, note=0, accounts=0, sweep=20 * 60)
    w.loop = Loop(w.store, lambda: w.given, [w.script], clock=lambda: w.now, pace=pace)
    w.at(START)

    def now(minute: int) -> dict[str, set[str]]:
        w.at(START + minute * MINUTE)
        w.at(w.now + SOON)
        found = {name: w.store.members.current(name)["customer"].to_pylist() for name in rules.values()}
        return {name: {str(account) for account in account_names(w.store, keys)} for name, keys in found.items()}

    for who, firm in (("ana", "Acme"), ("bob", "Acme"), ("cleo", "Beta")):
        w.send(type="identify", userId=who, traits={"company": firm})
    assert now(1) == {"some": set(), "every": set(), "no_one": {"Acme", "Beta"}}
    w.event("ana", "buy")
    assert now(2) == {"some": {"Acme"}, "every": set(), "no_one": {"Beta"}}
    w.event("bob", "buy")
    w.event("cleo", "buy")
    assert now(3) == {"some": {"Acme", "Beta"}, "every": {"Acme", "Beta"}, "no_one": set()}
    assert audit(w.store, w.given).definitions == 1, "the loop keeps customers current; accounts are run"
    assert now(25) == {"some": set(), "every": set(), "no_one": {"Acme", "Beta"}}, "nothing came in: a sweep"
    w.event("cleo", "buy")
    w.at(START + 30 * MINUTE)
    w.restart()
    w.loop = Loop(w.store, lambda: w.given, [w.script], clock=lambda: w.now, pace=pace)
    assert now(31)["some"] == {"Beta"}, "what came in before the process ended"


def test_events_that_came_another_way_are_noticed(world) -> None:
    w = world(rule("bought", "did('buy')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    stored = w.store.log.snapshot().hot
    assert stored is not None
    bob = int(w.store.vault.customers(["bob"])[0])
    import pyarrow as pa

    foreign = stored.drop_columns(["bucket", "batch"])
    foreign = foreign.set_column(foreign.column_names.index("customer"), "customer", pa.array([bob]))
    foreign = foreign.set_column(foreign.column_names.index("event_id"), "event_id", pa.array(["other"]))
    with open_store(w.root) as other:
        other.log.append(foreign, batch=1)
    w.at(START + 2 * SOON)
    assert w.members("bought") == {"ana", "bob"}


NEWS = SegmentSettings((("marketing", "t_newsletter"),))


def mailing(world: World) -> None:
    """The world has a segment of those who looked around and agreed to marketing."""
    definitions = (rule("news", "did('page')", purpose="marketing"),)
    world.given = replace(world.given, stamp="2", definitions=definitions, settings=NEWS)


def test_the_refusal_of_a_visitor_binds_until_she_agrees_as_who_she_is(world) -> None:
    one = world()
    mailing(one)
    one.send(type="identify", anonymousId="tab", traits={"newsletter": False})
    one.at(START)
    one.send(type="identify", userId="ana", traits={"newsletter": True})
    one.event("ana", "page")
    assert one.at(START + MINUTE).members("news") == {"ana"}
    one.send(type="identify", userId="ana", anonymousId="tab")
    assert one.at(START + 2 * MINUTE).members("news") == set()
    one.restart()
    assert one.at(START + 3 * MINUTE).members("news") == set()
    one.send(type="identify", userId="ana", traits={"newsletter": True})
    assert one.at(START + 4 * MINUTE).members("news") == {"ana"}
    assert audit(one.store, one.given).sound


def test_a_consent_that_is_written_down_counts_at_the_next_tick(world) -> None:
    one = world()
    mailing(one)
    one.event("ana", "page")
    assert one.at(START).members("news") == set()
    (ana,) = (int(key) for key in one.store.vault.known(["ana"]))
    for n, agreed in enumerate((True, False, True), 1):
        at = START + n * MINUTE
        record(one.store, ana, "t_newsletter", stated(agreed, source="a call", at=at, now=at), zone="UTC")
        assert one.at(at + SOON).members("news") == ({"ana"} if agreed else set())
    assert audit(one.store, one.given).sound


def test_who_objects_is_out_at_the_next_tick_with_every_id_and_back_when_it_is_lifted(world) -> None:
    plain = rule("plain", "did('page')", profiling=False)
    one = world(rule("active", "did('page')"), plain)
    one.send(type="page", anonymousId="tab")
    one.event("ana", "page")
    one.event("bob", "page")
    assert one.at(START).members("active") == {"ana", "bob"}
    (tab,) = (int(key) for key in one.store.vault.known_visitors(["tab"]))
    forbid(one.store, [tab], "objection", one.given.definitions, stated(True, source="", at=None, now=START))
    one.send(type="identify", userId="ana", anonymousId="tab")
    assert one.at(START + MINUTE).members("active") == {"bob"}
    one.event("ana", "page")
    one.restart()
    assert one.at(START + 2 * MINUTE).members("active") == {"bob"}
    assert one.members("plain") == {"ana", "bob"}
    assert audit(one.store, one.given).sound
    allow(one.store, [tab], "objection", stated(False, source="", at=None, now=START))
    assert one.at(START + 3 * MINUTE).members("active") == {"ana", "bob"}


def test_what_the_loop_leaves_checks_out_and_a_full_run_changes_nothing(world) -> None:
    definitions = (
        rule("active", "did('buy', within => '10 minutes')"),
        rule("of", "in_segment('active') and did('look')"),
        stages("life", active="did('buy', within => '1 hour')", asleep="did('buy')"),
    )
    w = world(*definitions).at(START)
    for n in range(40):
        w.event(f"c{n % 7}", "buy" if n % 3 else "look", at=START + n * MINUTE)
        w.at(START + n * MINUTE + SOON)
    assert w.store.verify() == []
    found = audit(w.store, w.given)
    assert (found.definitions, found.customers, found.differ, found.damage) == (3, 7, (), "")
    before = w.store.members.last_transition()
    w.loop.evaluate_everybody()
    assert w.store.members.last_transition() == before
    w.loop.close()
    assert w.store.verify() == []


def test_the_audit_finds_who_should_have_left(world) -> None:
    w = world(rule("bought", "did('buy', within => '1 hour')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    (ana,) = w.store.vault.customers(["ana"]).tolist()
    w.loop.view.standing.put("bought", "bought", ana, Stay(2, START, 0))  # the loop forgets that she is in
    w.at(START + 2 * 60 * MINUTE)
    found = audit(w.store, w.given)
    assert not found.sound
    assert [(d.name, d.missing, d.extra, d.examples) for d in found.differ] == [("bought", 0, 1, (ana,))]


def test_the_audit_finds_a_log_that_does_not_count_right(world) -> None:
    w = world(rule("bought", "did('buy', within => '1 hour')")).at(START)
    w.event("ana", "look")
    w.at(START + SOON)
    (ana,) = w.store.vault.customers(["ana"]).tolist()
    w.loop.view.standing.put("bought", "bought", ana, Stay(4, START, 0))  # the loop believes she was in twice
    w.event("ana", "buy")
    w.at(START + 2 * SOON)
    assert audit(w.store, w.given).damage == "The memberships of 'bought' do not check out."


def test_a_definition_that_breaks_stops_neither_the_events_nor_the_others(world) -> None:
    w = world(rule("bought", "did('buy')"), rule("odd", "spread > 1"))
    w.given = replace(w.given, features=parse_features("spread: {std: p_n, event: buy}", {"p_n": "number"}))
    w.at(START)
    w.event("ana", "buy", properties={"n": 1})
    w.at(START + SOON)
    for n in range(3):  # the squares of these no 128 bits hold
        w.event("bob", "buy", properties={"n": 9_000_000_000_000 - n})
    w.now = START + 2 * SOON
    for _ in range(3):
        with contextlib.suppress(BadInput):
            w.loop.tick()
    assert w.members("bought") == {"ana", "bob"}
    assert w.loop.failing == {"odd"}
    w.event("cleo", "buy", properties={"n": 2})
    assert w.at(START + 3 * SOON).members("bought") == {"ana", "bob", "cleo"}


def test_a_segment_of_a_trigger_ends_with_its_trigger_and_begins_anew_when_it_comes_back(world) -> None:
    hidden, seen = rule("trigger gone quiet", "did('buy')"), rule("active", "did('buy')")
    w = world(hidden, seen).at(START)
    w.event("ana", "buy")
    assert w.at(START + SOON).members("trigger gone quiet") == {"ana"}
    w.given = replace(w.given, stamp="2", definitions=(seen,))
    w.event("bob", "buy")
    assert w.at(START + 2 * SOON).members("active") == {"ana", "bob"}
    assert w.store.members.names() == ["active"]
    w.given = replace(w.given, stamp="3", definitions=(hidden, seen))
    assert w.at(START + 3 * SOON).members("trigger gone quiet") == {"ana", "bob"}
    assert audit(w.store, w.given).sound


def test_readers_see_a_tick_when_it_is_stored_and_not_before(world) -> None:
    w = world(stages("level", much="did('buy', at_least => 2)", some="did('buy')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    view = w.loop.view
    (ana,) = (int(key) for key in w.store.vault.known(["ana"]))
    assert {n: p.part for n, p in view.shown.of(ana)[1].items()} == {"level": "some"}
    view.standing.put("level", "some", ana, Stay(2, 0, 0))  # half a tick
    assert view.shown.of(ana)[1]["level"].part == "some"
    for other in range(10_000, 15_000):  # so many that the loop's columns are made anew
        view.standing.put("level", "some", other, Stay(1, START, 0))
    assert view.shown.of(ana)[1]["level"].part == "some"
    assert view.shown.of(12_000)[1] == {}
    at = START + 2 * SOON
    move = Move("level", "some", 10_000, 1, 1, at, 0, START, 1)
    view.shown.follow([move], at)
    assert view.shown.of(12_000) == (at, {"level": Place("some", START, 0)})
    assert view.shown.of(ana) == (at, {})


def test_a_snapshot_is_made_anew_for_the_definitions_that_moved_and_for_no_others(world) -> None:
    w = world(rule("ever", "did('buy')"), rule("soon", "did('buy', within => '1 minute')")).at(START)
    w.event("ana", "buy")
    w.at(START + SOON)
    parts = w.store.members.parts
    parts.few_rows = parts.most_parts = 4
    for n in range(1, 6):
        w.event("ana", "buy", at=START + 2 * n * MINUTE)
        w.at(START + 2 * n * MINUTE).at(START + (2 * n + 1) * MINUTE)
    before = {name: w.store.members.current(name) for name in ("ever", "soon")}
    w.store.members.renew()
    with parts.database.read() as con:
        kinds = {name: [p.kind for p in parts.of(con, name) if p.name == name] for name in ("ever", "soon")}
    assert kinds["soon"].count("stays") == 1
    assert "stays" not in kinds["ever"]
    assert {name: w.store.members.current(name) for name in ("ever", "soon")} == before
    assert w.store.members.stays_of(["ever", "soon"]) == {
        name: w.store.members.stays(name) for name in ("ever", "soon")
    }
    assert w.store.verify() == []


def test_small_parts_behind_a_large_one_are_joined_too(world) -> None:
    w = world(rule("ever", "did('buy')")).at(START)
    for n in range(1, 61):
        for customer in range(50 if n == 52 else 1):
            w.event(f"c{n}-{customer}", "buy", at=START + n * SOON)
        w.at(START + n * SOON)
    parts = w.store.members.parts
    before = w.told()
    with parts.database.read() as con:
        assert len(parts.own(con, "")) == 60
    while w.store.members.settle():
        pass
    with parts.database.read() as con:
        assert len(parts.own(con, "")) < 5
    assert w.told() == before
    assert w.store.verify() == []


def test_parts_of_ticks_stay_few_whatever_snapshots_come_between_them(world) -> None:
    w = world(rule("ever", "did('buy')"), rule("soon", "did('buy', within => '1 minute')")).at(START)
    parts = w.store.members.parts
    parts.few_rows = parts.most_parts = 4
    for n in range(30):
        w.event(f"c{n % 3}", "buy", at=START + 2 * n * MINUTE + SOON)
        w.at(START + 2 * n * MINUTE + SOON).at(START + (2 * n + 1) * MINUTE + SOON)
        if n % 6 == 5:
            w.store.members.renew()
    before = w.told(), {name: w.store.members.current(name) for name in ("ever", "soon")}

    def of_ticks() -> int:
        with parts.database.read() as con:
            return len(parts.own(con, ""))

    many = of_ticks()
    while w.store.members.settle():
        pass
    assert many > 50
    assert of_ticks() < 12
    assert (w.told(), {name: w.store.members.current(name) for name in ("ever", "soon")}) == before
    assert w.store.verify() == []
