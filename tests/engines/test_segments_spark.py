"""Segments on Spark are those of DuckDB: who is where, every entry and exit, and nobody passes through the driver."""

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from kohort.engines import segments as duck
from kohort.testing.random_rules import FEATURES, random_rule_world
from kohort.testing.random_segments import random_segments, random_situation
from kohort.testing.worlds import World

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from kohort.engines import spark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spark.session(threads=1)
    # A few thousand rows: generating and compiling code per query would take longer than all the tests.
    found.conf.set("spark.sql.codegen.wholeStage", "false")
    found.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    found.conf.set("spark.sql.shuffle.partitions", "2")
    yield found
    found.stop()


@pytest.mark.parametrize("seed", range(2))
def test_random_definitions_are_placed_alike(session: Any, seed: int, tmp_path: Path) -> None:
    from kohort.engines.spark_segments import Standing, evaluate

    rng = Random(seed)
    world: World = random_rule_world(rng)
    definitions = random_segments(rng, count=6)
    situation = random_situation(rng, world, definitions, b"key")
    asked: Any = {
        "features": FEATURES,
        "as_of": world.as_of,
        "zone": world.zone,
        "currency": world.currency,
        "settings": situation.settings,
        "key": situation.key,
        "by_hand": pa.Table.from_pylist(
            [
                {"customer": customer, "name": name, "segment": part, "added": added}
                for (name, customer), decided in situation.by_hand.items()
                for part, added in decided.items()
            ],
            schema=duck.BY_HAND_SCHEMA,
        ),
    }
    standing = pa.Table.from_pylist(
        [
            {"customer": customer, "name": name, "segment": part, "since": since}
            for (name, customer), (part, since) in situation.standing.items()
        ],
        schema=duck.STANDING_SCHEMA,
    )
    snapshot = world.snapshot()
    expected = duck.evaluate(snapshot, definitions, standing=standing, **asked)
    with evaluate(
        snapshot, definitions, standing=Standing({}, standing), spark=session, scratch=tmp_path, **asked
    ) as there:
        found = there.collected()
    assert found.universe == expected.universe
    assert found.excluded_by_consent == expected.excluded_by_consent
    for name in found.placed:
        assert found.placed[name].to_pylist() == expected.placed[name].to_pylist(), name
