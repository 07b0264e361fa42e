"""The instant at which time alone changes a membership: the naive judge says the same just before, at and after it, and
finds no earlier change at any of many moments in between."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules.tree import (
    Operand,
    Rule,
)
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.model.clock import DAY_US, moment
from kohort.segments.drift import Answers, Ask, Clause
from kohort.segments.instants import Trace
from kohort.segments.next_change import Case, Outlook, next_change
from kohort.testing.naive_rules import Judge
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
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
        return Trace({n: tuple(sorted(set(t))) for n, t in events.items()}, {c: tuple(sorted(v)) for c, v in times.items()})

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


@pytest.mark.parametrize("seed", range(40))
def test_no_instant_is_missed_in_random_worlds(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=4)
    for customer in list(world.customers())[:3]:
        story = Story(world, customer)
        rule = random_rule(rng, depth=2)
        outlook = next_change(
            story.case(segment(rule)), story.trace(), story.ask(), world.as_of, world.as_of + 2 * YEAR
        )
        checked(story, rule, outlook, rng)
