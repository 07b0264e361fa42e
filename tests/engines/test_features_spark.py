"""Spark gives what the naive evaluator gives, to the last bit: the same definitions, the same compiled expression."""

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.definitions.features import parse_features
from kohort.engines import evaluate
from kohort.errors import BadInput
from kohort.model.event import Event
from kohort.model.snapshot import Snapshot
from kohort.testing import naive
from kohort.testing.worlds import World, random_definition, random_world

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
    found.conf.set("spark.sql.shuffle.partitions", "1")
    yield found
    found.stop()


def spark_features(world: World, definitions: Any, session: Any, snapshot: Snapshot | None = None) -> Any:
    from kohort.engines import spark

    return spark.features(
        snapshot or world.snapshot(),
        definitions,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        spark=session,
    )


@pytest.mark.parametrize("seed", range(2))
def test_spark_equals_naive(session: Any, seed: int) -> None:
    rng = Random(1_000 + seed)
    world = random_world(rng, customers=80)
    texts: dict[str, Any] = {"base": {"sum": "amount"}}
    texts |= {f"f{n}": random_definition(rng, "base") for n in range(9)}
    definitions = parse_features(texts, world.columns)
    table = spark_features(world, definitions, session)
    rows = dict(zip(table.ids.to_pylist(), table.data.to_pylist(), strict=True))
    people = world.customers()
    assert rows.keys() == people.keys()
    for customer, events in people.items():
        for d in definitions:
            expected = naive.evaluate(
                d, events, as_of=world.as_of, zone=world.zone, currency=world.currency, columns=world.columns
            )
            assert rows[customer][d.name] == expected, (d.text, events)


def test_base_files_and_hot_rows_give_what_duckdb_gives(session: Any, tmp_path: Path) -> None:
    world = random_world(Random(5), customers=40)
    table = world.table(buckets=2)
    old = table.slice(0, table.num_rows // 2)
    files = {}
    for bucket in (0, 1):
        folder = tmp_path / f"bucket={bucket}"
        folder.mkdir()
        rows = old.filter(pa.compute.equal(old["bucket"], bucket)).drop_columns(["bucket", "t_age"][:1])
        pq.write_table(rows, folder / "a.parquet")
        files[bucket] = (str(folder / "a.parquet"),)
    snapshot = Snapshot(files, table.slice(table.num_rows // 2), world.columns, "1", 2)
    definitions = parse_features(
        "n: {count: events}\ns: {sum: amount}\nm: {mode: product}\nc: {trait: country}", world.columns
    )
    duck = evaluate.features(
        snapshot, definitions, as_of=world.as_of, zone=world.zone, currency=world.currency, value=definitions[1]
    )
    spark = spark_features(world, definitions, session, snapshot)
    assert spark.ids.equals(duck.ids)
    assert spark.data.to_pylist() == duck.data.to_pylist()


def test_a_sum_beyond_64_bits_is_an_error_here_too(session: Any) -> None:
    local = {"local_day": 0, "local_hour": 0, "p_n": 2**62}
    world = World(tuple(Event(f"h{n}", 9, "page", n, local) for n in range(3)), 100, "UTC", "EUR", {"p_n": "number"})
    with pytest.raises(BadInput):
        spark_features(world, parse_features("s: {std: p_n}", world.columns), session)
