"""Rules and placements on DuckDB are those of the naive judge, customer by customer, in worlds that live on the edges.

The sabotage tests break one rule of the compiled text each and see that the comparison notices.
"""

from dataclasses import replace
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.compile.features import to_sql
from kohort.compile.segments import compile_segments
from kohort.definitions.rules import parse_rule
from kohort.definitions.rules.tree import Rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.engines.duck import connect, register_events
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA, evaluate
from kohort.testing.naive import DAY
from kohort.testing.naive_rules import judge
from kohort.testing.naive_segments import Situation, members
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.random_segments import random_segments, random_situation
from kohort.testing.worlds import World

SEEDS = range(3)
RULES_PER_WORLD = 24


def segment(name: str, rule: Rule) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText("", rule)),))


def disagreements(world: World, rules: list[Rule]) -> list[str]:
    """Every customer whom the compiled rule and the judge see differently, with what is needed to repeat it."""
    found = evaluate(
        world.snapshot(),
        [segment(f"s{n}", rule) for n, rule in enumerate(rules)],
        features=FEATURES,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        key=b"key",
    )
    people = world.customers()
    assert found.universe == len(people)
    wrong = []
    for n, rule in enumerate(rules):
        members = set(found.placed[f"s{n}"]["customer"].to_pylist())
        for customer, events in people.items():
            expected = judge(
                rule,
                events,
                as_of=world.as_of,
                zone=world.zone,
                currency=world.currency,
                columns=world.columns,
                features=FEATURES,
                key=b"key",
            )
            if (customer in members) != (expected is True):
                wrong.append(f"{rule}: naive {expected}; {world.as_of} {world.zone} {world.currency} {events}")
    return wrong


@pytest.mark.parametrize("seed", SEEDS)
def test_rules_equal_the_judge_on_known_worlds(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng)
    assert disagreements(world, [random_rule(rng) for _ in range(RULES_PER_WORLD)])[:3] == []


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_rules_equal_the_judge_on_drawn_worlds(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng)
    assert disagreements(world, [random_rule(rng) for _ in range(RULES_PER_WORLD)])[:3] == []


def misplaced(world: World, definitions: tuple[SegmentDefinition, ...], situation: Situation) -> list[str]:
    """Everybody (and every account) whom the engine places elsewhere than the judge, or for another reason."""
    found = evaluate(
        world.snapshot(),
        definitions,
        features=FEATURES,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        settings=situation.settings,
        key=situation.key,
        by_hand=pa.Table.from_pylist(
            [
                {"customer": customer, "name": name, "segment": part, "added": added}
                for (name, customer), decided in situation.by_hand.items()
                for part, added in decided.items()
            ],
            schema=BY_HAND_SCHEMA,
        ),
        standing=pa.Table.from_pylist(
            [
                {"customer": customer, "name": name, "segment": part, "since": since}
                for (name, customer), (part, since) in situation.standing.items()
            ],
            schema=STANDING_SCHEMA,
        ),
    )
    wrong = []
    for name, verdicts in members(definitions, world.customers(), situation).items():
        definition = next(d for d in definitions if d.name == name)
        if definition.paused:
            continue
        who, *_ = found.placed[name].column_names
        rows = {row[who]: (row["segment"], row["reason"]) for row in found.placed[name].to_pylist()}
        assert list(rows) == sorted(rows)
        for customer, verdict in verdicts.items():
            if rows.get(customer) != (verdict.part and (verdict.part, verdict.reason)):
                wrong.append(f"{definition}: naive {verdict}, engine {rows.get(customer)}; {customer}")
        assert rows.keys() <= verdicts.keys()
        if definition.purpose:
            assert found.excluded_by_consent[name] == sum(v.left_out for v in verdicts.values())
    return wrong


@pytest.mark.parametrize("seed", SEEDS)
def test_placements_equal_the_judge(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=30)
    definitions = random_segments(rng, count=10)
    paused = rng.choice([d.name for d in definitions if d.kind != "accounts"])
    definitions = tuple(replace(d, paused=d.name == paused) for d in definitions)
    assert misplaced(world, definitions, random_situation(rng, world, definitions, b"key"))[:3] == []


SABOTAGE = {
    "an answer needs no time": (
        "sequence(did('page'), never('order_line'), within => '1 day')",
        '"ts" <= {day_ago}',
        '"ts" <= {as_of}',
    ),
    "silence is no answer": (
        "sequence(did('page'), never('order_line'), within => '1 day')",
        '"next_ts" IS NULL',
        '"next_ts" < 0',
    ),
    "missing is not unequal": ("t_country != 'a'", "= 'a', FALSE)", "= 'a', TRUE)"),
    "letters matter": ("t_country = 'a'", "LOWER(", "("),
    "the oldest trait counts": ("t_country = 'a'", "} DESC)", "} ASC)"),
    "the first word is no change": ("days_unchanged(t_plan) > 1", "IS NOT DISTINCT FROM", "="),
    "a part of an item is an item": ("t_tags = 'a'", "'\x1fa\x1f'", "'a'"),
    "an item fewer": ("item_count(t_tags) >= 2", "- 1, 0)", "- 2, 0)"),
    "a day ends when it begins": ("t_joined <= '2024-02-29'", "< 1709251200000000", "< 1709164800000000"),
    "never is once": ("never('page')", "= 0,", "= 1,"),
    "the first in the window is the first ever": (
        "first_time('page', within => '30 days')",
        "= 'page' AS \"f0\"",
        '= \'page\' AND "ts" > {month_ago} AS "f0"',
    ),
}


@pytest.mark.parametrize("broken", SABOTAGE)
def test_a_broken_rule_is_noticed(broken: str) -> None:
    text, good, bad = SABOTAGE[broken]
    rule, noticed = parse_rule(text), False
    for seed in range(12):
        world = random_rule_world(Random(seed), customers=40, zone="UTC")
        edges = {"as_of": world.as_of, "day_ago": world.as_of - DAY, "month_ago": world.as_of - 30 * DAY}
        about = {"as_of": world.as_of, "currency": world.currency, "columns": world.columns, "key": b"key"}
        program = compile_segments([segment("s", rule)], features=(), by_hand=(), standing=(), **about)
        sql, wanted, wrong = to_sql(program.codes), *(_filled(t, edges) for t in (good, bad))
        assert wanted in sql
        judged = {c: judge(rule, events, **about) is True for c, events in world.customers().items()}
        with connect() as con:
            register_events(con, world.snapshot())
            answers = [
                {row["_customer"]: row["s0"] == 0 for row in con.execute(attempt).to_arrow_table().to_pylist()}
                for attempt in (sql, sql.replace(wanted, wrong))
            ]
        assert answers[0] == judged
        noticed = noticed or answers[1] != judged
        if noticed:
            return
    assert noticed, f"nobody noticed that {broken}"


def _filled(text: str, edges: dict[str, int]) -> str:
    for name, instant in edges.items():
        text = text.replace(f"{{{name}}}", str(instant))
    return text
