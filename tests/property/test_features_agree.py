"""The compiler and the naive evaluator give the same value, to the last bit, on histories that live on the edges.

One example is a random world of 40 customers and 17 random definitions: 680 values. `SEEDS` worlds always run, more are
drawn. The sabotage tests break one rule of the compiled text each and see that the comparison notices.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.compile import compile_features, to_sql
from kohort.definitions.features import FeatureDefinition, parse_features
from kohort.engines.duck import connect, register_events
from kohort.engines.evaluate import as_table, features, run
from kohort.model.feature import FeatureTable
from kohort.testing import naive
from kohort.testing.worlds import World, random_definition, random_world

SEEDS = range(4)


def random_features(rng: Random, world: World, count: int = 16) -> tuple[FeatureDefinition, ...]:
    texts: dict[str, Any] = {"base": {"sum": "amount"}}
    return parse_features(texts | {f"f{n}": random_definition(rng, "base") for n in range(count)}, world.columns)


def disagreements(world: World, definitions: tuple[FeatureDefinition, ...], table: FeatureTable) -> list[str]:
    """Every value that is not the naive one, with what is needed to repeat it."""
    found = []
    rows = dict(zip(table.ids.to_pylist(), table.data.to_pylist(), strict=True))
    people = world.customers()
    assert rows.keys() == people.keys()
    for customer, events in people.items():
        for d in definitions:
            expected = naive.evaluate(
                d, events, as_of=world.as_of, zone=world.zone, currency=world.currency, columns=world.columns
            )
            got = rows[customer][d.name]
            if got != expected or type(got) is not type(expected):
                found.append(f"{d.text}: naive {expected!r}, compiled {got!r}; {world.as_of} {world.zone} {events}")
    return found


def compiled(world: World, definitions: tuple[FeatureDefinition, ...]) -> FeatureTable:
    return features(world.snapshot(), definitions, as_of=world.as_of, zone=world.zone, currency=world.currency)


@pytest.mark.parametrize("seed", SEEDS)
def test_duckdb_equals_naive_on_known_worlds(seed: int) -> None:
    rng = Random(seed)
    world = random_world(rng)
    definitions = random_features(rng, world)
    assert disagreements(world, definitions, compiled(world, definitions))[:3] == []


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32))
def test_duckdb_equals_naive_on_drawn_worlds(seed: int) -> None:
    rng = Random(seed)
    world = random_world(rng)
    definitions = random_features(rng, world)
    assert disagreements(world, definitions, compiled(world, definitions))[:3] == []


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_duckdb_equals_naive_on_many_worlds(seed: int) -> None:
    rng = Random(seed)
    world = random_world(rng, customers=60)
    definitions = random_features(rng, world, count=24)
    assert disagreements(world, definitions, compiled(world, definitions))[:3] == []


SABOTAGE = {
    "the old edge of a window counts": ("{count: events, within: 30 days}", '"ts" > ', '"ts" >= '),
    "the new edge of a window does not count": (
        "{count: events, between: 90 and 30 days ago}",
        '"ts" <= {edge}',
        '"ts" < {edge}',
    ),
    "the future is visible": ("{count: events}", '"ts" <= ', '"ts" <> '),
    "letters matter": ("{count: events, where: \"product = 'A'\"}", "LOWER(", "("),
    "empty text is a value": ("{count_distinct: product}", "<> ''", "IS NOT NULL"),
    "missing is not unequal": ("{count: events, where: \"product != 'a'\"}", "IS NULL", "IS NULL AND FALSE"),
    "ties go to the last name": ("{mode: product}", '"v0" ASC', '"v0" DESC'),
    "the mode is the oldest": ("{mode: product}", '"last_v0" DESC', '"last_v0" ASC'),
    "an event follows itself": (
        "{sequence: {first: page, then: page, within: 30 days}}",
        "ROWS BETWEEN 1",
        "ROWS BETWEEN 0",
    ),
    "a pause of exactly so long ends a session": (
        "{sessions: count, pause: 24 hours}",
        "> 86400000000",
        ">= 86400000000",
    ),
    "a long session is never cut": ("{sessions: length, pause: 7 days, longest: 7 days}", "% 604800000000", "% 1"),
    "a session is cut a whole event late": ("{sessions: cut, pause: 31 days, longest: 31 days, most: 2}", "% 2", "% 3"),
    "the spread is of a population": ("{std: amount}", "- 1.0", "- 0.0"),
}


@pytest.mark.parametrize("rule", SABOTAGE)
def test_a_broken_rule_is_noticed(rule: str) -> None:
    text, good, bad = SABOTAGE[rule]
    found: list[str] = []
    for seed in range(6):
        if found:
            break
        world = random_world(Random(seed), customers=50, zone="UTC")
        definitions = parse_features(f"f: {text}", world.columns)
        program = compile_features(
            definitions, as_of=world.as_of, zone=world.zone, currency=world.currency, columns=world.columns
        )
        edge = str(world.as_of - 30 * naive.DAY)
        good_text, bad_text = good.replace("{edge}", edge), bad.replace("{edge}", edge)
        sql = to_sql(program)
        assert good_text in sql
        with connect() as con:
            register_events(con, world.snapshot())
            for attempt in (sql, sql.replace(good_text, bad_text)):
                rows = run(con, attempt)
                rows = rows.filter(_among(rows, world))
                table = as_table([rows], program, as_of=world.as_of, currency=world.currency)
                wrong = disagreements(world, definitions, table)
                assert attempt != sql or not wrong
                found += wrong
    assert found, f"nobody noticed that {rule}"


def _among(rows: Any, world: World) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(rows["_customer"], pa.array(list(world.customers())))
