"""The compiler and the naive evaluator give the same value, to the last bit, on histories that live on the edges."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.definitions.features import FeatureDefinition, parse_features
from kohort.engines.evaluate import features
from kohort.model.feature import FeatureTable
from kohort.testing import naive
from kohort.testing.worlds import World, random_definition, random_world


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
                found.append(
                    f"{d.text}: naive {expected!r}, compiled {got!r}; as_of={world.as_of} {world.zone} {events}"
                )
    return found


def compiled(world: World, definitions: tuple[FeatureDefinition, ...]) -> FeatureTable:
    return features(world.snapshot(), definitions, as_of=world.as_of, zone=world.zone, currency=world.currency)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_duckdb_equals_naive(seed: int) -> None:
    rng = Random(seed)
    world = random_world(rng, customers=40)
    definitions = random_features(rng, world)
    assert disagreements(world, definitions, compiled(world, definitions))[:3] == []
