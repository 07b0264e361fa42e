"""The instant at which time alone changes a membership: the naive judge says the same just before, at and after it, and
finds no earlier change at any of many moments in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from kohort.compile.windows import ago, ahead
from kohort.definitions.features import FeatureDefinition, parse_features
from kohort.definitions.rules import parse_rule
from kohort.definitions.rules.tree import Operand, Rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.definitions.windows import Span, parse_span
from kohort.model.clock import DAY_US, micros, moment
from kohort.model.event import Event, Scalar
from kohort.model.limits import MARKS
from kohort.model.random_bucket import random_bucket
from kohort.segments.crossings import changes_of_clock, crossings
from kohort.segments.dependencies import with_needed
from kohort.segments.drift import Answers, Ask, Clause
from kohort.segments.instants import Trace
from kohort.segments.next_change import Case, Outlook, next_change
from kohort.testing.naive_rules import Judge
from kohort.testing.naive_segments import Situation, members
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.random_segments import random_segments, random_situation
from kohort.testing.worlds import World

KEY = b"k" * 32
YEAR = 366 * DAY_US


class Story:
    """One customer of a world, asked of the naive judge."""

    def __init__(self, world: World, customer: int, features: Sequence[FeatureDefinition] = FEATURES) -> None:
        self.world, self.customer, self.features = world, customer, tuple(features)
        self.events = [e for e in world.events if e.customer == customer]

    def judge(self, at: int, zone: str) -> Judge:
        return Judge(
            self.events,
            as_of=at,
            zone=zone,
            currency=self.world.currency,
            columns=self.world.columns,
            features=self.features,
            key=KEY,
            features_zone=self.world.zone,
        )

    def ask(self) -> Ask:
        def asked(
            questions: Sequence[Clause], operands: Sequence[tuple[str, Operand]], moments: Sequence[int]
        ) -> Answers:
            zones = {q.zone for q in questions} | {zone for zone, _ in operands}
            truths, values = [], []
            for at in moments:
                judges = {zone: self.judge(at, zone) for zone in zones}
                truths.append([judges[q.zone].rule(q.leaf) for q in questions])
                values.append([judges[zone].value(o) for zone, o in operands])
            return Answers(truths, values)

        return asked

    def trace(self) -> Trace:
        events: dict[str, list[int]] = {}
        times: dict[str, set[int]] = {c: set() for c, t in self.world.columns.items() if t == "time"}
        for event in self.events:
            events.setdefault(event.event, []).append(event.ts)
            for column, values in times.items():
                if isinstance(found := event.get(column), int):
                    values.add(found)
        return Trace(
            {n: tuple(sorted(set(t))) for n, t in events.items()}, {c: tuple(sorted(v)) for c, v in times.items()}
        )

    def case(self, *definitions: SegmentDefinition, **given: object) -> Case:
        return Case(definitions, self.world.zone, {f.name: f for f in self.features}, **given)  # type: ignore[arg-type]

    def truth(self, rule: Rule, at: int) -> bool:
        return self.judge(at, self.world.zone).rule(rule) is True


def segment(rule: Rule, **more: object) -> SegmentDefinition:
    return SegmentDefinition("s", "rule", (Part("s", rule=RuleText("", rule)),), **more)  # type: ignore[arg-type]


def checked(story: Story, rule: Rule, outlook: Outlook, rng: Random) -> None:
    """The naive judge agrees with an outlook."""
    as_of = story.world.as_of
    now = story.truth(rule, as_of)
    assert (outlook.now.segment is not None) == now
    last = outlook.change.at - 1 if outlook.change else outlook.until
    if outlook.change:
        assert story.truth(rule, last) == now, moment(last)
        assert story.truth(rule, outlook.change.at) != now, moment(outlook.change.at)
    near = [as_of + n for n in (1, 2, 1_000_000)] + [last - 1, last]
    days = [as_of + rng.randint(0, 400) * DAY_US + rng.choice((0, 1, -1, 3_600_000_000)) for _ in range(12)]
    anywhere = [rng.randint(as_of, last) for _ in range(12)]
    edges = [e.ts + rng.choice((1, 30, 31, 60, 90, 365)) * DAY_US + rng.choice((-1, 0, 1)) for e in story.events]
    for at in (*near, *days, *anywhere, *edges):
        if as_of < at <= last:
            assert story.truth(rule, at) == now, (moment(at), outlook.change)


@pytest.mark.parametrize("seed", range(60))
def test_no_instant_is_missed_in_random_worlds(seed: int) -> None:
    the_judge_agrees(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_250))
def test_no_instant_is_missed_in_many_random_worlds(seed: int) -> None:
    the_judge_agrees(seed)


def the_judge_agrees(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=4)
    for customer in list(world.customers())[:3]:
        story = Story(world, customer)
        rule = random_rule(rng, depth=2)
        outlook = next_change(
            story.case(segment(rule)), story.trace(), story.ask(), world.as_of, world.as_of + 2 * YEAR
        )
        checked(story, rule, outlook, rng)


# Definitions with memory ---------------------------------------------------------------------------------------------


def case_of(story: Story, definitions: tuple[SegmentDefinition, ...], situation: Situation, asked: int) -> Case:
    """One customer in a random situation, asked about one of the definitions."""
    needed = with_needed(definitions[: asked + 1], [definitions[asked].name])
    mine = {name: (name, story.customer) for name in (*(d.name for d in needed), *MARKS.values())}
    buckets = {d.name: random_bucket(story.customer, d.salt or d.name, KEY) for d in needed if d.kind == "buckets"}
    return story.case(
        *needed,
        settings=situation.settings,
        standing={name: situation.standing[key] for name, key in mine.items() if key in situation.standing},
        by_hand={name: situation.by_hand[key] for name, key in mine.items() if key in situation.by_hand},
        buckets=buckets,
    )


def replayed(case: Case, story: Story, situation: Situation, moments: Sequence[int]) -> list[str | None]:
    """The naive verdict at each moment, each run standing on the one before."""
    standing = {(name, story.customer): stood for name, stood in case.standing.items()}
    found = []
    for at in moments:
        now = replace(situation, as_of=at, standing=dict(standing))
        verdicts = members(case.definitions, {story.customer: story.events}, now)
        for name, who in verdicts.items():
            part, key = who[story.customer].part, (name, story.customer)
            if part is None:
                standing.pop(key, None)
            elif key not in standing or standing[key][0] != part:
                standing[key] = (part, at)
        found.append(verdicts[case.asked.name][story.customer].part)
    return found


def definitions_agree(seed: int) -> int:
    """A random definition with all it refers to, replayed by the judge at the moments asked about and many others."""
    rng = Random(seed)
    world = random_rule_world(rng, customers=3)
    definitions = random_segments(rng, 5)
    situation = random_situation(rng, world, definitions, KEY)
    changes = 0
    for customer in list(world.customers())[:2]:
        story, asked = (
            Story(world, customer),
            rng.choice([n for n, d in enumerate(definitions) if d.kind != "accounts"]),
        )
        case = case_of(story, definitions, situation, asked)
        moments: set[int] = set()
        outlook = next_change(case, story.trace(), listening(story.ask(), moments), world.as_of, world.as_of + YEAR)
        last = outlook.change.at if outlook.change else outlook.until
        stays = [t for _, since in case.standing.values() for span in STAYS for t in crossings(span, since, world.zone)]
        extra = [rng.randint(world.as_of, last) for _ in range(10)]
        looked = sorted(t for t in {*moments, *stays, *extra, last, world.as_of} if world.as_of <= t <= last)
        looked = sorted({*looked, *(t + 1 for t in looked if t < last)})
        parts = replayed(case, story, situation, looked)
        assert parts[0] == outlook.now.segment
        if outlook.change:
            changes += 1
            assert parts[-1] == outlook.change.after.segment
            parts.pop()
        assert set(parts) == {outlook.now.segment}, [(moment(t), p) for t, p in zip(looked, parts, strict=False)]
    return changes


STAYS = tuple(parse_span(t) for t in ("7 days", "30 days", "1 month"))


def listening(ask: Ask, moments: set[int]) -> Ask:
    """The same engine; notes which moments it was asked about."""

    def asked(clauses: Sequence[Clause], operands: Sequence[tuple[str, Operand]], at: Sequence[int]) -> Answers:
        moments.update(at)
        return ask(clauses, operands, at)

    return asked


def test_tiers_stages_staying_rules_references_hands_and_consent() -> None:
    assert sum(definitions_agree(seed) for seed in range(25)) > 4


@pytest.mark.slow
def test_many_definitions_with_memory() -> None:
    assert sum(definitions_agree(seed) for seed in range(2_000, 2_150)) > 30


# What is known -------------------------------------------------------------------------------------------------------


def at(text: str, zone: str = "Europe/London") -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def story_of(*events: tuple[str, str], as_of: str, zone: str = "Europe/London", **values: Scalar) -> Story:
    """One customer with events (name, local time)."""
    made = []
    for n, (name, when) in enumerate(events):
        ts = at(when, zone)
        day = (datetime.fromisoformat(when).date() - date(1970, 1, 1)).days
        made.append(Event(f"e{n}", 1, name, ts, {"local_day": day, "local_hour": 0, **values}))
    return Story(World(tuple(made), at(as_of, zone), zone, "GBP"), 1)


def changes(story: Story, rule: str, *, features: Sequence[FeatureDefinition] = FEATURES, years: int = 10) -> Outlook:
    story.features = tuple(features)
    case = story.case(segment(parse_rule(rule)))
    as_of = story.world.as_of
    return next_change(case, story.trace(), story.ask(), as_of, as_of + years * YEAR)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("did('order', within => '30 days')", "2024-03-31T11:00"),  # 30 times 24 hours; the clock goes forward before
        ("did('order', within => '1 month')", "2024-04-01T10:00"),
        ("did('order', within => '30 calendar days')", "2024-03-31T00:00"),
        ("did('order', between => '90 and 30 days ago')", "2024-03-31T11:00"),
        ("never('order', within => '1 week')", "2024-03-08T10:00"),
        ("first_time('order', within => '2 days')", "2024-03-03T10:00"),
        ("stopped('order', within => '1 year', recent => '10 days')", "2024-03-11T10:00"),
        ("in_periods('order', at_least => 1, of => 2, period => 'month')", "2024-04-01T00:00"),
        ("in_periods('order', at_least => 1, of => 2, period => 'week')", "2024-03-04T00:00"),
        ("sequence(did('order'), never('page'), within => '5 days')", "2024-03-06T10:00"),
        ("month(now()) = 5", "2024-05-01T00:00"),
        ("hour(now()) = 9", "2024-03-02T10:00"),
        ("weekday(ago('1 day')) = 5", "2024-03-03T00:00"),
        ("now() > '2024-04-01'", "2024-04-02T00:00"),
        ("t_joined <= ahead('1 month')", "2024-05-05T10:00"),
        ("t_joined < ago('30 days')", None),
    ],
)
def test_instants_worked_out_by_hand(rule: str, expected: str | None) -> None:
    story = story_of(("order", "2024-03-01T10:00"), as_of="2024-03-02T09:30", t_joined=at("2024-06-05T10:00"))
    if expected is None:
        story = story_of(("order", "2024-03-01T10:00"), as_of="2024-03-02T09:30")
    found = changes(story, rule).change
    assert (found and moment(found.at)) == (expected and moment(at(expected)))


def test_a_longer_month_lets_an_event_in_again() -> None:
    # One month before 28 to 31 March is 28 February (2023): at every midnight the window starts a day earlier again.
    story = story_of(("order", "2023-02-28T12:00"), as_of="2023-03-01T00:00")
    expected = ["2023-03-28T12:00", "2023-03-29T00:00", "2023-03-29T12:00", "2023-03-30T00:00", "2023-03-30T12:00"]
    for when in expected:
        found = changes(story, "did('order', within => '1 month')").change
        assert found is not None
        assert found.at == at(when)
        story.world = replace(story.world, as_of=found.at)


def test_exactly_so_many_days_is_true_for_a_microsecond() -> None:
    story = story_of(("order", "2024-01-01T10:00"), as_of="2024-01-02T00:00")
    first = changes(story, "days_since('order') = 10.5").change
    assert first is not None
    assert first.at == at("2024-01-11T22:00")
    story.world = replace(story.world, as_of=first.at)
    second = changes(story, "days_since('order') = 10.5").change
    assert second is not None
    assert second.at == first.at + 1


RATIOS = parse_features(
    """
    away: {recency: days, event: order}
    known: {tenure: days, event: order}
    pause: {gap: mean, of: days, event: order}
    rhythm: {ratio: [away, pause]}
    quiet: {ratio: [away, known]}
    """
)


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("away > pause", 10),  # orders on days 0, 10 and 20
        ("rhythm >= 2", 20),
        ("rhythm = 2.5", 25),
        ("quiet > 0.5", 20),  # d / (20 + d) > 1/2
        ("quiet in (0.75)", 60),
        ("days_since('order') < 15 or known > rhythm", None),
    ],
)
def test_values_that_drift_are_found_to_the_microsecond(rule: str, days: int | None) -> None:
    story = story_of(*((("order", f"2024-01-{d:02}T12:00")) for d in (1, 11, 21)), as_of="2024-01-22T00:00", zone="UTC")
    found = changes(story, rule, features=RATIOS, years=2).change
    if days is None:
        assert found is None
    else:
        assert found is not None
        assert found.at - at("2024-01-21T12:00", "UTC") in (days * DAY_US, days * DAY_US + 1)
        for t, before in ((found.at - 1, True), (found.at, False)):
            assert (story.truth(parse_rule(rule), t) == story.truth(parse_rule(rule), story.world.as_of)) == before


def test_what_stays_false_spares_looking_further() -> None:
    story = story_of(("order", "2024-03-01T10:00"), as_of="2024-03-02T09:30")
    asked: set[int] = set()
    case = story.case(segment(parse_rule("hour(now()) = 9 and t_country = 'DE'")))
    outlook = next_change(
        case, story.trace(), listening(story.ask(), asked), story.world.as_of, story.world.as_of + YEAR
    )
    assert outlook.change is None
    assert outlook.until == story.world.as_of + YEAR
    assert len(asked) < 20  # the first look


def test_it_says_how_far_it_looked() -> None:
    story = story_of(("order", "2024-03-01T10:00"), as_of="2024-03-02T09:30")
    outlook = changes(story, "hour(now()) = 25", years=3)
    assert outlook.change is None
    assert story.world.as_of + 200 * DAY_US < outlook.until < story.world.as_of + 3 * YEAR


@pytest.mark.parametrize("zone", ["Europe/London", "America/Nuuk", "Australia/Lord_Howe", "America/Sao_Paulo"])
@pytest.mark.parametrize("span", [Span(1, "month"), Span(1, "year"), Span(2, "day", calendar=True)], ids=str)
@pytest.mark.parametrize("forwards", [False, True])
def test_crossings_hold_every_passing_near_changes_of_the_clock(zone: str, span: Span, forwards: bool) -> None:
    move, minutes = ahead if forwards else ago, 60_000_000
    changed = list(changes_of_clock(zone, at("2017-01-01", zone), at("2018-12-31", zone)))
    assert len(changed) >= 3
    for change in changed[:3]:
        for value in (change, ago(span, change, zone), ahead(span, change, zone)):
            for near in (value + n * 10 * minutes for n in (-16, -9, -6, -3, -1, 0, 1, 3, 5, 6, 7, 13)):
                held = crossings(span, near, zone, ahead=forwards)
                borders = {t for h in held for t in (h - 1, h)}
                grid = range(min(held) - 30 * 60 * minutes, max(held) + 30 * 60 * minutes, 60 * minutes)
                looked = sorted({*grid, *borders})
                sides = [move(span, t, zone) >= near for t in looked]
                for (a, b), (x, y) in zip(pairwise(looked), pairwise(sides), strict=True):
                    assert x == y or b in held, (moment(near), moment(a), moment(b))


def test_a_moment_is_passed_in_the_microsecond_after_it() -> None:
    joined = at("2024-06-05T10:00")
    story = story_of(("order", "2024-03-01T10:00"), as_of="2024-03-02T09:30", t_joined=joined)
    for rule, expected in (
        ("t_joined < now()", joined + 1),
        ("t_joined <= now()", joined),
        ("t_joined = ago('2 days')", joined + 2 * DAY_US),
        ("t_joined > ahead('1 week')", joined - 7 * DAY_US),
        ("t_joined >= ahead('1 week')", joined - 7 * DAY_US + 1),
    ):
        found = changes(story, rule).change
        assert found is not None
        assert found.at == expected


def test_a_period_leaves_the_last_ones_at_its_own_border() -> None:
    story = story_of(("order", "2024-03-10T10:00"), as_of="2024-04-02T00:00")
    found = changes(story, "in_periods('order', at_least => 1, of => 2, period => 'month')").change
    assert found is not None
    assert found.at == at("2024-06-01T00:00")


def test_hours_follow_a_clock_that_changes_by_half_an_hour() -> None:
    # Lord Howe's clock goes back from 2:00 to 1:30 on 7 April 2024: it is 2 o'clock half an hour later.
    zone = "Australia/Lord_Howe"
    story = story_of(("order", "2024-04-01T10:00"), as_of="2024-04-07T01:10", zone=zone)
    found = changes(story, "hour(now()) = 2").change
    assert found is not None
    assert found.at - story.world.as_of == 80 * 60_000_000


def test_conditions_under_not_that_can_still_decide_are_asked() -> None:
    story = story_of(("order", "2024-03-01T10:00"), as_of="2024-03-02T09:30", t_country="DE", t_plan="gold")
    for rule in (
        "not (t_country = 'DE' and did('order', within => '10 days'))",
        "not (t_country = 'FR' or did('order', within => '10 days'))",
        "not (not (t_country = 'FR' or did('order', within => '10 days')))",
        "not (never('order') or t_country = 'DE' and not (not did('order', within => '10 days')))",
    ):
        found = changes(story, rule).change
        assert found is not None, rule
        assert found.at == at("2024-03-11T10:00")


def test_a_stay_that_ends_when_the_rule_becomes_true_changes_nothing() -> None:
    story = story_of(("order", "2024-01-01T10:00"), as_of="2024-01-02T00:00")
    part = Part("s", rule=RuleText("", parse_rule("days_since('order') >= 30")), minimum_stay=parse_span("30 days"))
    case = story.case(SegmentDefinition("s", "rule", (part,)), standing={"s": ("s", at("2024-01-01T10:00"))})
    outlook = next_change(case, story.trace(), story.ask(), story.world.as_of, story.world.as_of + YEAR)
    assert outlook.now.reason == "minimum stay"
    assert outlook.change is None


def test_a_stay_that_ends_before_anything_else_is_the_next_change() -> None:
    story = story_of(("order", "2024-01-01T10:00"), as_of="2024-01-02T00:00")
    rule = RuleText("", parse_rule("did('order', at_least => 2, within => '60 days')"))
    part = Part("s", rule=rule, minimum_stay=parse_span("1 month"))
    case = story.case(SegmentDefinition("s", "rule", (part,)), standing={"s": ("s", at("2024-01-01T10:00"))})
    outlook = next_change(case, story.trace(), story.ask(), story.world.as_of, story.world.as_of + YEAR)
    assert outlook.change is not None
    assert outlook.change.at == at("2024-02-01T10:00")
