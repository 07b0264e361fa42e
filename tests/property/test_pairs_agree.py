"""Customers at moments of their own are placed as the naive judge says, whoever else is asked about in the same call."""

import os
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.compile.pairs import compile_pairs
from kohort.compile.segments import NOBODY, REASONS
from kohort.definitions.features import FeatureDefinition, parse_features
from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.engines.pairs import Pairs
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA, evaluate
from kohort.model.event import Event
from kohort.testing import naive
from kohort.testing.naive import DAY
from kohort.testing.naive_segments import Situation, members
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.random_segments import random_segments, random_situation
from kohort.testing.worlds import World, random_definition

CI = os.environ.get("CI") == "true"
ANYBODY = parse_rule("last(*).event is not null")
"""Of everybody some value is picked, so that what is missing of her is missing among values that are there."""
RULES, WANTED, CUSTOMERS = 12, 16, 20
BACK = (0, 0, 1, -1, DAY, 30 * DAY, 31 * DAY, 366 * DAY, -400 * DAY, 3_000 * DAY)
"""How far before the moment of a world (microseconds) a customer is asked about; also after it, and before everything."""

Ask = tuple[World, tuple[SegmentDefinition, ...], Situation, list[tuple[int, int]]]


def drawn(rng: Random) -> Ask:
    """A world, definitions, what the store holds, and (customer, moment) pairs in any order, some of strangers."""
    world = random_rule_world(rng, customers=CUSTOMERS)
    rules = [random_rule(rng) for _ in range(RULES)]
    definitions = random_segments(rng, count=8) + tuple(
        SegmentDefinition(f"z{n}", "rule", (Part(f"z{n}", rule=RuleText("", rule)),)) for n, rule in enumerate(rules)
    )
    paused = rng.choice([d.name for d in definitions if d.kind != "accounts"])
    definitions = tuple(replace(d, paused=d.name == paused) for d in definitions)
    people = sorted({e.customer for e in world.events if e.customer is not None})
    pairs = [(rng.choice((*people, 7)), world.as_of - rng.choice(BACK)) for _ in range(40)]
    return world, definitions, random_situation(rng, world, definitions, b"key"), pairs


def compiled_for(world: World, definitions: tuple[SegmentDefinition, ...], situation: Situation, wanted=()):  # type: ignore[no-untyped-def]
    return compile_pairs(
        definitions,
        features=FEATURES,
        wanted=wanted,
        zone=world.zone,
        currency=world.currency,
        columns=world.columns,
        settings=situation.settings,
        key=situation.key,
    )


def pairs_table(pairs: list[tuple[int, int]]) -> pa.Table:
    person, as_of = np.array(pairs, np.int64).reshape(-1, 2).T
    return pa.table({"person": person, "as_of": as_of})


def by_hand_table(situation: Situation) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"customer": customer, "name": name, "segment": part, "added": added}
            for (name, customer), decided in situation.by_hand.items()
            for part, added in decided.items()
        ],
        schema=BY_HAND_SCHEMA,
    )


def standing_table(situation: Situation) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"customer": customer, "name": name, "segment": part, "since": since}
            for (name, customer), (part, since) in situation.standing.items()
        ],
        schema=STANDING_SCHEMA,
    )


def judged(ask: Ask) -> list[Mapping[str, tuple[str | None, str, bool]]]:
    """Per pair: definition → part, reason, left out; nothing of a pair that sees no event."""
    world, definitions, situation, pairs = ask
    wanted = [d for d in definitions if d.kind != "accounts"]
    by_moment = {}
    for moment in {moment for _, moment in pairs}:
        people = replace(world, as_of=moment).customers()
        found = members(definitions, people, replace(situation, as_of=moment))
        by_moment[moment] = {
            customer: {d.name: (v.part, v.reason, v.left_out) for d in wanted for v in (found[d.name][customer],)}
            for customer in people
        }
    return [by_moment[moment].get(person, {}) for person, moment in pairs]


def misplaced(ask: Ask, engine: str) -> list[str]:
    """Every pair that an engine places elsewhere than the judge, or for another reason."""
    world, definitions, situation, pairs = ask
    compiled = compiled_for(world, definitions, situation)
    with Pairs(compiled, engine=engine) as asked:
        answers = asked.evaluate(
            pairs_table(pairs), world.table(), by_hand_table(situation), standing_table(situation)
        ).to_pylist()
        assert asked.answered[engine] == 1
    wrong = []
    for (person, moment), expected, row in zip(pairs, judged(ask), answers, strict=True):
        assert row["seen"] == bool(expected)
        for i, definition in enumerate(compiled.definitions):
            if definition.kind == "accounts":
                continue
            part = None if row[f"s{i}"] == NOBODY else definition.parts[row[f"s{i}"]].key
            reason = "" if row[f"r{i}"] == NOBODY else REASONS[row[f"r{i}"]]
            found = (part, reason, row.get(f"x{i}", False))
            if found != expected.get(definition.name, (None, "", False)):
                wrong.append(f"{definition}: judge {expected}, {engine} {found}; {person} at {moment}")
    return wrong


@pytest.mark.parametrize("engine", ["duckdb", "small"])
@pytest.mark.parametrize("seed", range(2))
def test_pairs_equal_the_judge_on_known_worlds(seed: int, engine: str) -> None:
    assert misplaced(drawn(Random(seed)), engine)[:2] == []


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_pairs_equal_the_judge_on_drawn_worlds(seed: int) -> None:
    ask = drawn(Random(seed))
    assert misplaced(ask, "duckdb")[:2] == []
    assert misplaced(ask, "small")[:2] == []


@pytest.mark.parametrize("seed", range(3))
def test_some_definitions_asked_alone_with_only_what_they_read_say_the_same(seed: int) -> None:
    rng = Random(seed)
    world, definitions, situation, pairs = drawn(rng)
    compiled = compiled_for(world, definitions, situation)
    beside = by_hand_table(situation), standing_table(situation)
    with Pairs(compiled, engine="small") as asked:
        everything = asked.evaluate(pairs_table(pairs), world.table(), *beside)
        whole: list[int] = []

        def again() -> pa.Table:
            whole.append(1)
            return world.table()

        read = set[frozenset[str]]()
        for _ in range(12):
            only = set(rng.sample(range(len(compiled.definitions)), rng.randint(1, 3)))
            names = asked.reads(only)
            read.add(names)
            assert names <= compiled.reads
            few = world.table().select(sorted(names))
            found = asked.evaluate(pairs_table(pairs), few, *beside, only=only, whole=again)
            columns = [n for n in everything.column_names if n == "seen" or int(n[1:]) in only]
            if not whole:
                assert found.column_names == columns
            assert found.select(columns).equals(everything.select(columns))
    assert any(names < compiled.reads for names in read)


COLUMNS = ("t_newsletter", "t_newsletter", "t_member", "p_paid", "t_age")
"""Of these, rows that say something come last, or first."""


def silenced(rng: Random, world: World) -> tuple[Event, ...]:
    """Events of which some customers never say this or that; some are visitors."""
    people = sorted({e.customer for e in world.events if e.customer is not None})
    never = {c: [column for column in world.columns if rng.random() < 0.4] for c in people}
    visitors = {c for c in people if rng.random() < 0.3}
    return tuple(
        e
        if e.customer is None
        else replace(
            e,
            customer=-e.customer if e.customer in visitors else e.customer,
            values={**e.values, **dict.fromkeys(never[e.customer])},
        )
        for e in world.events
    )


def disagreeing(rng: Random, worlds: int) -> list[str]:
    """What small says otherwise than DuckDB about a few customers of one call, some of whom never said what others did.

    One set of definitions is asked about many little worlds: a value that leaks from one customer to another shows where
    somebody else's rows come last, or first.
    """
    first = random_rule_world(rng, customers=1)
    rules = [random_rule(rng) for _ in range(rng.choice((0, 1, 4)))]
    definitions = random_segments(rng, count=rng.choice((0, 1, 4))) + tuple(
        SegmentDefinition(f"z{n}", "rule", (Part(f"z{n}", rule=RuleText("", rule)),)) for n, rule in enumerate(rules)
    )
    consent = SegmentDefinition("agreed", "rule", (Part("agreed", rule=RuleText("", ANYBODY)),), purpose="marketing")
    definitions = (*definitions, consent)
    wanted = random_features(rng, 4) if rng.random() < 0.5 else ()
    program = compiled_for(first, definitions, random_situation(rng, first, definitions, b"key"), wanted)
    wrong = []
    with Pairs(program, engine="duckdb") as duckdb, Pairs(program, engine="small") as small:
        for n in range(worlds):
            world = random_rule_world(rng, customers=rng.randint(1, 4), zone=first.zone)
            world = replace(world, currency=first.currency, events=silenced(rng, world))
            people = sorted({e.customer for e in world.events if e.customer is not None})
            asked = [(rng.choice((*people, 7)), world.as_of - rng.choice(BACK)) for _ in range(rng.randint(1, 6))]
            situation = random_situation(rng, world, definitions, b"key")
            events = world.table()
            said = events[rng.choice(COLUMNS)].to_pylist()
            rows = rng.sample(range(len(said)), len(said))
            rows.sort(key=lambda i: bool(said[i]), reverse=rng.random() < 0.3)
            events = events.take(rows)
            given = pairs_table(asked), events, by_hand_table(situation), standing_table(situation)
            one, other = duckdb.evaluate(*given), small.evaluate(*given)
            wrong += [f"world {n}, {name}" for name in one.column_names if one[name] != other[name]]
        assert small.answered == {"small": worlds, "duckdb": 0}
    return wrong


@pytest.mark.parametrize("seed", range(8 if CI else 4))
def test_engines_agree_about_few_customers_whose_neighbours_said_more(seed: int) -> None:
    assert disagreeing(Random(seed), 15) == []


@pytest.mark.parametrize("seed", range(2))
def test_accounts_ask_each_user_as_everybody_is_asked(seed: int) -> None:
    """The rule of a definition of accounts is a segment of users, seen from the pairs."""
    world, definitions, situation, _ = drawn(Random(seed))
    accounts = [d for d in definitions if d.kind == "accounts" and not d.paused]
    users = [replace(d, kind="rule", name=f"users of {d.name}") for d in accounts]
    everybody = (*definitions, *users)
    found = evaluate(
        world.snapshot(),
        everybody,
        features=FEATURES,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        settings=situation.settings,
        key=situation.key,
        standing=standing_table(situation),
        by_hand=by_hand_table(situation),
    )
    people = list(world.customers())
    compiled = compiled_for(world, everybody, situation)
    place = {d.name: i for i, d in enumerate(compiled.definitions)}
    for engine in ("duckdb", "small"):
        with Pairs(compiled, engine=engine) as asked:
            rows = asked.evaluate(
                pairs_table([(p, world.as_of) for p in people]),
                world.table(),
                by_hand_table(situation),
                standing_table(situation),
            )
        for one, its_users in zip(accounts, users, strict=True):
            meets = {p for p, met in zip(people, rows[f"u{place[one.name]}"].to_pylist(), strict=True) if met}
            assert meets == set(found.placed[its_users.name]["customer"].to_pylist())


def random_features(rng: Random, count: int) -> tuple[FeatureDefinition, ...]:
    world_columns = random_rule_world(Random(0), customers=1).columns
    texts = {"x0": {"count": "events"}} | {f"x{n}": random_definition(rng, "x0") for n in range(1, count)}
    return parse_features(texts, world_columns)


@pytest.mark.parametrize("seed", range(2))
def test_wanted_features_equal_the_naive_ones(seed: int) -> None:
    rng = Random(seed)
    world, _, situation, pairs = drawn(rng)
    wanted = random_features(rng, WANTED)
    people: dict[int, list[Event]] = {}
    for event in world.events:
        if event.customer is not None:
            people.setdefault(event.customer, []).append(event)
    about = {"zone": world.zone, "currency": world.currency, "columns": world.columns}
    expected = []
    for person, moment in pairs:
        events = people.get(person, [])
        if any(e.ts <= moment for e in events):
            expected.append(tuple(naive.evaluate(d, events, as_of=moment, **about) for d in wanted))
        else:
            expected.append((None,) * WANTED)
    compiled = compiled_for(world, (), situation, wanted)
    for engine in ("duckdb", "small"):
        with Pairs(compiled, engine=engine) as asked:
            rows = asked.evaluate(pairs_table(pairs), world.table()).to_pylist()
        found = [tuple(row[f"f{j}"] for j in range(WANTED)) for row in rows]
        assert found == expected
        assert asked.answered[engine] == 1
