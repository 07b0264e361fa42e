"""On Spark, too, a change of a trait is noted once in the tick that brings it, with the value before from the base."""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kohort.definitions.segments import SegmentSettings
from kohort.live.loop import Pace
from kohort.live.program import Given
from kohort.live.spark_stream import MOST_RECORDS, LoopOnSpark
from kohort.store import create_store

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]

NOON = 1_750_000_000_000_000
SECOND = 1_000_000


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from kohort.engines import spark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spark.session(threads=1)
    found.conf.set("spark.sql.codegen.wholeStage", "false")
    found.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    found.conf.set("spark.sql.shuffle.partitions", "1")
    yield found
    found.stop()


def batch(spark: Any, first: int, *calls: dict[str, Any]) -> Any:
    from kohort.engines.spark_stream import as_batch

    rows = {
        "topic": pa.array(["t"] * len(calls)),
        "partition": pa.array([0] * len(calls), pa.int32()),
        "offset": pa.array(range(first, first + len(calls)), pa.int64()),
        "value": pa.array([json.dumps(call).encode() for call in calls], pa.binary()),
        "timestamp_us": pa.array([NOON] * len(calls), pa.int64()),
    }
    return as_batch(spark, pa.table(rows))


def identify(n: int, at: int, plan: str) -> dict[str, Any]:
    return {
        "type": "identify",
        "userId": "ana",
        "messageId": f"m{n}",
        "timestamp": at // 1_000,
        "traits": {"plan": plan},
    }


def test_a_change_is_noted_once_wherever_the_value_before_lies(session: Any, tmp_path: Path) -> None:
    said = Given("1", (), {}, (), SegmentSettings(), "UTC", "EUR", traits=("t_plan",))
    now = [NOON]
    with create_store(tmp_path / "w", buckets=2) as store:

        def begun() -> LoopOnSpark:
            pace = Pace(batch=MOST_RECORDS, watch=1e6, note=0)
            return LoopOnSpark(store, lambda: said, session, clock=lambda: now[0], pace=pace)

        loop = begun()
        loop.take(batch(session, 0, identify(0, NOON, "silver")))
        store.log.compact()
        loop.close()
        loop = begun()
        now[0] += SECOND
        changed = batch(session, 1, identify(1, now[0], "gold"), identify(2, now[0] + 30 * SECOND, "black"))
        loop.take(changed)
        loop.take(changed)
        assert told(store) == [(None, "silver"), ("silver", "gold")]
        loop.close()
        loop = begun()
        now[0] += 40 * SECOND
        loop.tick()
        loop.tick()
        assert told(store)[2:] == [("gold", "black")]
        loop.close()
        assert store.verify() == []


def told(store: Any) -> list[tuple[Any, Any]]:
    return [(c.before["t_plan"], c.after["t_plan"]) for c in store.trait_changes.waiting(10)]
