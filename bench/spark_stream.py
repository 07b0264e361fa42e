"""Micro-batches through the function that `foreachBatch` calls: seconds per trigger and events per second, on one machine.

    uv run --extra spark python bench/spark_stream.py                    # 20 batches of 10,000 records, 20 definitions
    uv run --extra spark python bench/spark_stream.py --records 1000

No broker: what Kafka takes comes on top. Half of the events lie in the base, the others are recent; the last figure is a look
at the clock with nothing to do but to find out whom time reaches within the next minute.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.engines.spark import session
from kohort.engines.spark_stream import as_batch
from kohort.live.program import Given
from kohort.live.spark_stream import LoopOnSpark
from kohort.store import create_store

RULES = [
    *(f"did('seen', at_least => {n}, within => '{30 * n} days')" for n in range(1, 11)),
    *(f"not did('bought', within => '{20 * n} days') and did('seen', at_least => 2)" for n in range(1, 11)),
]
DAY_S = 86_400


def given() -> Given:
    parts = [Part(f"s{i}", rule=RuleText(text, parse_rule(text))) for i, text in enumerate(RULES)]
    definitions = tuple(SegmentDefinition(part.key, "rule", (part,)) for part in parts)
    return Given("1", definitions, {}, (), SegmentSettings(), "UTC", "EUR")


def record(rng: random.Random, number: int, customers: int, now: float) -> bytes:
    name = "bought" if rng.random() < 0.2 else "seen"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - rng.random() * 400 * DAY_S))
    person = f"c{rng.randrange(customers)}"
    return json.dumps({"customer": person, "event": name, "id": f"m{number}", "time": when, "n": number % 7}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--customers", type=int, default=20_000)
    options = parser.parse_args()
    spark, rng, now = session(threads=2, memory="2g"), random.Random(1), time.time()
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(Path(folder) / "w")
        loop = LoopOnSpark(store, given, spark)
        started = time.perf_counter()
        loop.tick()
        print(f"first tick, nothing stored: {time.perf_counter() - started:.1f} s")
        seconds, evaluated = [], 0
        for n in range(options.batches):
            first = n * options.records
            numbers = range(first, first + options.records)
            columns = {
                "topic": pa.array(["t"] * options.records),
                "partition": pa.array([0] * options.records, pa.int32()),
                "offset": pa.array(numbers, pa.int64()),
                "value": pa.array([record(rng, m, options.customers, now) for m in numbers], pa.binary()),
                "timestamp_us": pa.array([int(now * 1e6)] * options.records, pa.int64()),
            }
            batch = as_batch(spark, pa.table(columns))
            if n == options.batches // 2:
                store.log.compact()
                loop.bring()
            started = time.perf_counter()
            evaluated += loop.take(batch).evaluated
            seconds.append(time.perf_counter() - started)
        warm = sorted(seconds[options.batches // 4 :])
        total = options.records * len(warm) / sum(warm)
        print(
            f"{len(RULES)} definitions, {options.records:,} records a batch, {evaluated / options.batches:,.0f} customers"
        )
        print(f"seconds a batch: median {statistics.median(warm):.1f}, longest {warm[-1]:.1f}; {total:,.0f} events/s")
        started = time.perf_counter()
        loop.tick()
        print(f"a look at the clock: {time.perf_counter() - started:.2f} s")
        loop.close()
        store.close()
    spark.stop()


if __name__ == "__main__":
    main()
