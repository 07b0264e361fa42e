"""Rules in worlds with scores: DuckDB and pairs say what the naive judge says, around the instant at which scores turn stale."""

from dataclasses import replace
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.compile.pairs import compile_pairs
from kohort.definitions.features import Selection
from kohort.definitions.predictions import parse_target
from kohort.definitions.rules import parse_rule
from kohort.definitions.rules.tree import Rule
from kohort.definitions.scores import score_features
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.engines.pairs import Engine, Pairs
from kohort.engines.segments import evaluate
from kohort.model.event import SCORE, SCORE_COLUMNS, SCORE_OF, SCORE_PARTS, Event
from kohort.testing.naive import DAY, Customer
from kohort.testing.naive_rules import judge
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.worlds import World

FRESH = 7 * DAY
SCORES = score_features(
    [
        parse_target("churn", {"churn": "order_line", "fresh": "7 days"}),
        parse_target("gold", {"trait": "plan", "is": "gold"}),
    ]
)
ALL = (*FEATURES, *SCORES)
RULES = tuple(
    parse_rule(text)
    for text in (
        "churn.probability > 0.5",
        "not churn.probability > 0.5",
        "churn.probability != 0.5 and churn.percentile is null",
        "churn.probability is null or score('gold') <= 0.25",
        "churn.probability >= gold.probability",
        "gold.percentile in (10, 90) and did(*, within => '7 days')",
        "churn.probability > 0.5 and days_since(*) > 3 or count(*, within => '30 days') = 1",
        "sequence(did(*, within => '30 days'), never(*), within => '1 day') and churn.probability is not null",
        "in_periods(*, at_least => 1, of => 2, period => 'week') or stopped(*, within => '60 days', recent => '7 days')",
    )
)


def scored_world(rng: Random) -> World:
    """A random world whose customers have scores: fresh ones, stale ones, some exactly at the edge, some of the future."""
    world = random_rule_world(rng, customers=25)
    people = sorted({e.customer for e in world.events if e.customer is not None})
    scores = []
    for customer in people:
        for n in range(rng.randint(0, 4)):
            back = rng.choice((0, 1, -1, FRESH, FRESH - 1, FRESH + 1, 30 * DAY, rng.randint(0, 40 * DAY)))
            values = {
                SCORE_OF: rng.choice(("churn", "churn", "gold", "other")),
                SCORE_PARTS["probability"]: rng.choice((None, 0, 250_000, 500_000, 750_000, 1_000_000)),
                SCORE_PARTS["percentile"]: rng.choice((None, 10_000_000, 90_000_000)),
                "local_day": (world.as_of - back) // DAY,
                "local_hour": 0,
            }
            scores.append(Event(f"score-{customer}-{n}", customer, SCORE, world.as_of - back, values))
    events = [*world.events, *scores]
    rng.shuffle(events)
    return replace(world, events=tuple(events), columns=world.columns | SCORE_COLUMNS)


def segments(rules: tuple[Rule, ...]) -> tuple[SegmentDefinition, ...]:
    return tuple(
        SegmentDefinition(f"s{n}", "rule", (Part(f"s{n}", rule=RuleText("", rule)),)) for n, rule in enumerate(rules)
    )


def judged(world: World, rule: Rule, events: list[Event], as_of: int) -> bool:
    found = judge(
        rule,
        events,
        as_of=as_of,
        zone=world.zone,
        currency=world.currency,
        columns=world.columns,
        features=ALL,
        key=b"key",
    )
    return found is True


def everybody_disagrees(world: World, rules: tuple[Rule, ...]) -> list[str]:
    found = evaluate(
        world.snapshot(),
        segments(rules),
        features=ALL,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        key=b"key",
    )
    wrong = []
    for n, rule in enumerate(rules):
        members = set(found.placed[f"s{n}"]["customer"].to_pylist())
        wrong += [
            f"{rule}: {customer} {events}"
            for customer, events in world.customers().items()
            if (customer in members) != judged(world, rule, events, world.as_of)
        ]
    return wrong


def pairs_disagree(world: World, rules: tuple[Rule, ...], engine: Engine, rng: Random) -> list[str]:
    compiled = compile_pairs(
        segments(rules), features=ALL, zone=world.zone, currency=world.currency, columns=world.columns, key=b"key"
    )
    people = world.customers()
    asked = [(c, world.as_of - rng.choice((0, 1, -1, FRESH, DAY))) for c in people]
    person, as_of = np.array(asked, np.int64).T
    with Pairs(compiled, engine=engine) as pairs:
        rows = pairs.evaluate(pa.table({"person": person, "as_of": as_of}), world.table())
    wrong = []
    for n, rule in enumerate(rules):
        for (customer, at), part, seen in zip(asked, rows[f"s{n}"].to_pylist(), rows["seen"].to_pylist(), strict=True):
            expected = seen and judged(world, rule, people[customer], at)
            if (part == 0) != expected:
                wrong.append(f"{rule}: {customer} at {at}: {people[customer]}")
    return wrong


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.nightly) for n in range(1, 5))])
def test_runs_read_scores_as_the_judge_does(seed: int) -> None:
    rng = Random(seed)
    world = scored_world(rng)
    assert everybody_disagrees(world, (*RULES, *(random_rule(rng) for _ in range(10))))[:2] == []


@pytest.mark.parametrize("engine", ["small", "duckdb"])
def test_pairs_read_scores_as_the_judge_does(engine: Engine) -> None:
    rng = Random(11)
    assert pairs_disagree(scored_world(rng), RULES, engine, rng)[:2] == []


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 2**32))
def test_drawn_worlds_with_scores(seed: int) -> None:
    rng = Random(seed)
    world = scored_world(rng)
    assert everybody_disagrees(world, RULES)[:1] == []
    assert pairs_disagree(world, RULES, "small", rng)[:1] == []


def test_a_score_that_counts_as_behaviour_would_be_noticed() -> None:
    """To a judge who does not know which column tells a score, every score is an event like others."""
    world = scored_world(Random(5))

    def events_of(values: dict[str, None]) -> int:
        people = world.customers().values()
        changed = [[replace(e, values={**e.values, **values}) for e in events] for events in people]
        own = (Customer(events, world.as_of, world.zone, world.currency, world.columns) for events in changed)
        return sum(len(customer.chosen(Selection())) for customer in own)

    assert events_of({SCORE_OF: None}) > events_of({})
