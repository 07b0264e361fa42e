"""Between two moments without new events, whoever changes by time alone is named with the exact instant: the naive judge
is asked at many instants, and at each at which a membership is another one, that customer and instant are expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from kohort.definitions.segments import SegmentDefinition
from kohort.definitions.windows import Span, parse_span
from kohort.live.moments import TimePlan
from kohort.model.clock import DAY_US, HOUR_US, moment
from kohort.segments.crossings import crossings, hours, midnights, wall_time
from kohort.testing.naive_segments import Situation, members
from kohort.testing.random_rules import FEATURES, OUTER_AND_RECENT, SPANS, WINDOWS, random_rule_world
from kohort.testing.random_segments import random_segments, random_situation
from kohort.testing.worlds import World, event_table

KEY = b"k" * 32
STAYS = tuple(parse_span(t) for t in ("7 days", "30 days", "1 month"))
ALL_SPANS: tuple[Span, ...] = tuple(
    {
        *SPANS,
        *STAYS,
        *(s for w in WINDOWS for s in (w.start, w.end) if s is not None),
        *(s for pair in OUTER_AND_RECENT for s in pair),
    }
)
DAYS = (0, 1, 30, 31, 90.5)
ZONES = ("Asia/Kolkata", "America/New_York")


def test_who_changes_by_time_alone_is_named_with_the_instant() -> None:
    assert sum(named_in_time(seed, most=80) for seed in range(12)) > 2


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1_000, 1_060))
def test_who_changes_in_many_worlds_is_named_with_the_instant(seed: int) -> None:
    named_in_time(seed, most=400)


def named_in_time(seed: int, *, most: int) -> int:
    """Changes in a random world, each of them named; `most` instants are looked at, more or less."""
    rng = Random(seed)
    world = random_rule_world(rng, customers=2)
    world = replace(world, as_of=world.as_of + rng.choice((0, 0, rng.randint(-90 * DAY_US, 60 * DAY_US))))
    length = rng.choice((HOUR_US, DAY_US, 3 * DAY_US, 40 * DAY_US, 40 * DAY_US, 400 * DAY_US)) + rng.randint(
        0, 1_000_000
    )
    until = world.as_of + length
    definitions = still(random_segments(rng, 4), world)
    plan = planned(definitions, world)
    situation = random_situation(rng, world, definitions, KEY)
    story = Story(world, plan, situation, until)
    return story.told(definitions, looked_at(story, rng, most))


def planned(definitions: Sequence[SegmentDefinition], world: World) -> TimePlan:
    features = {f.name: f for f in FEATURES}
    return TimePlan.of(definitions, features=features, columns=world.columns, zone=world.zone)


def still(definitions: Sequence[SegmentDefinition], world: World) -> tuple[SegmentDefinition, ...]:
    """Those for which exact instants exist."""
    drifting = planned(definitions, world).drifting
    return tuple(d for d in definitions if d.name not in drifting)


class Story:
    """A world in which nothing happens any more, replayed by the naive judge."""

    def __init__(self, world: World, plan: TimePlan, situation: Situation, until: int) -> None:
        self.world, self.plan, self.situation, self.until = world, plan, situation, until
        self.people: dict[int, list[object]] = {}
        for event in world.events:
            if event.customer is not None:
                self.people.setdefault(event.customer, []).append(event)
        due = plan.due(event_table(world.events, world.columns), world.as_of, until)
        self.expected: dict[int, set[int]] = {c: set() for c in self.people}
        for customer, at in zip(due.customers.tolist(), due.at.tolist(), strict=True):
            assert world.as_of < at <= until
            self.expected[customer].add(at)
        self.common = set(plan.everybody(world.as_of, until))

    def told(self, definitions: Sequence[SegmentDefinition], looked: Sequence[int]) -> int:
        """How many changes there were, each of them expected."""
        standing = dict(self.situation.standing)
        self.begin_stays(dict(standing), self.world.as_of)
        before: dict[tuple[str, int | str], str | None] = {}
        changes, last = 0, 0
        for at in looked:
            verdicts = members(definitions, self.people, replace(self.situation, as_of=at, standing=dict(standing)))  # type: ignore[arg-type]
            begun = {}
            for name, who in verdicts.items():
                for member, verdict in who.items():
                    key = (name, member)
                    if last and verdict.part != before.get(key):
                        changes += 1
                        self.check(key, last, at)
                    before[key] = verdict.part
                    if verdict.part is None:
                        standing.pop(key, None)
                    elif key not in standing or standing[key][0] != verdict.part:
                        begun[key] = standing[key] = (verdict.part, at)
            self.begin_stays(begun, at)
            last = at
        return changes

    def check(self, key: tuple[str, int | str], last: int, at: int) -> None:
        who = [key[1]] if isinstance(key[1], int) else [*self.people]  # an account changes with any of its users
        expected = self.common.union(*(self.expected[c] for c in who))
        assert any(last < t <= at for t in expected), (key, moment(last), moment(at))

    def begin_stays(self, begun: dict[tuple[str, int | str], tuple[str, int]], at: int) -> None:
        rows = [(c, name, part, since) for (name, c), (part, since) in begun.items() if isinstance(c, int)]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
        types = (pa.int64(), pa.string(), pa.string(), pa.int64())
        arrays = [pa.array(c, t) for c, t in zip(columns, types, strict=True)]
        over = self.plan.stays_over(pa.table(arrays, names=["customer", "name", "segment", "since"]), at, self.until)
        for customer, instant in zip(over.customers.tolist(), over.at.tolist(), strict=True):
            self.expected[customer].add(instant)


def looked_at(story: Story, rng: Random, most: int) -> list[int]:
    """Instants at which something may happen, worked out without the plan, and the microsecond before each; and its own."""
    world, situation, after, until = story.world, story.situation, story.world.as_of, story.until
    zones = {world.zone, *ZONES}
    values = {e.ts for e in world.events} | {
        v for e in world.events for c in ("t_joined", "p_due") if isinstance(v := e.get(c), int)
    }
    values |= {since for _, since in situation.standing.values()}
    found = set(values)
    for value in values:
        found |= {value + int(days * DAY_US) for days in DAYS}
        for span in ALL_SPANS:
            usual = span.nominal_minutes * 60_000_000
            for sign, ahead in ((1, False), (-1, True)):
                if after - 40 * DAY_US < value + sign * usual < until + 40 * DAY_US:
                    found |= {t for zone in zones for t in crossings(span, value, zone, ahead=ahead)}
    found |= set(calendar(zones, after, until, rng))
    found |= story.common.union(*story.expected.values())
    found |= {rng.randint(after, until) for _ in range(20)}
    near = {t for f in found for t in (f, f + 1)}
    near = {t for t in near if after < t <= until}
    looked = {t for f in rng.sample(sorted(near), min(most, len(near))) for t in (f - 1, f) if t > after}
    return [after, *sorted(looked)]


def calendar(zones: set[str], after: int, until: int, rng: Random) -> Iterator[int]:
    for zone in zones:
        if until - after < 4 * DAY_US:
            yield from hours(zone, after, until)
        days = (until - after) // DAY_US + 2
        for n in rng.sample(range(days), min(days, 40)):
            yield from midnights(wall_time(after + n * DAY_US, zone).date(), zone)


def test_a_plan_without_the_source_of_an_instant_is_noticed() -> None:
    """The judge of this file can fail: each kind of source is taken away in turn."""
    noticed = 0
    for seed in range(3_000, 3_008):
        rng = Random(seed)
        world = random_rule_world(rng, customers=2)
        definitions = still(random_segments(rng, 4), world)
        plan = planned(definitions, world)
        until = world.as_of + 60 * DAY_US
        situation = random_situation(rng, world, definitions, KEY)
        whole = Story(world, plan, situation, until)
        looked = looked_at(whole, rng, 100)
        bare = Story(world, replace(plan, sources=(), stays=()), situation, until)
        try:
            bare.told(definitions, looked)
        except AssertionError:
            noticed += 1
    assert noticed > 2


def test_rows_in_memory_without_a_customer_reach_nobody() -> None:
    world = random_rule_world(Random(4), customers=2)
    definitions = random_segments(Random(4), 6)
    plan = planned(definitions, world)
    table = event_table([replace(e, customer=None) for e in world.events], world.columns)
    assert len(plan.due(table, world.as_of, world.as_of + 40 * DAY_US)) == 0
    assert plan.due(table, world.as_of, world.as_of + 1).at.dtype == np.int64
