"""The peer: "did `seen` at least 3 times within 10 minutes" on Spark Structured Streaming, local mode, without Kohort.

    python peer_spark.py window|state SERVERS INPUT OUTPUT FOLDER JARS

`window` is the aggregation of Spark's guide: counts in windows of 10 minutes that begin every minute, all in Java. It is
nearly the rule (three events 9½ minutes apart may fall into no one window), says again what it said, and knows no exit.
`state` is the rule itself, a function in Python with a state per customer and a timeout by the clock, so that whoever leaves
by time alone is told of. Both trigger as fast as they can and write to Kafka at least once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming.state import GroupState, GroupStateTimeout

TIMES, WINDOW_MS = 3, 600_000


def windowed(seen: DataFrame) -> DataFrame:
    counts = seen.withWatermark("time", "10 minutes").groupBy(f.window("time", "10 minutes", "1 minute"), "customer")
    return counts.count().where(f"count >= {TIMES}").select("customer", f.lit("entered").alias("change"))


def changes(key: tuple[str], frames: Iterator[pd.DataFrame], state: GroupState) -> Iterator[pd.DataFrame]:
    """Who enters or leaves by these events, or because a timeout came."""
    *known, was = state.get if state.exists else (0, 0, 0, False)
    times = [ms for ms in known if ms]
    if not state.hasTimedOut:
        new = [int(ms) for frame in frames for ms in frame["ms"]]
        times = sorted([*times, *new])[-TIMES:]
    left_ms = times[0] + WINDOW_MS - int(time.time() * 1_000)
    inside = len(times) == TIMES and left_ms > 0
    state.update((*[0] * (TIMES - len(times)), *times, inside))
    if inside:
        state.setTimeoutDuration(left_ms)
    if inside != was:
        yield pd.DataFrame({"customer": [key[0]], "change": ["entered" if inside else "left"]})


def stateful(seen: DataFrame) -> DataFrame:
    rows = seen.select("customer", f.unix_millis("time").alias("ms"))
    return rows.groupBy("customer").applyInPandasWithState(
        changes,
        "customer string, change string",
        "first bigint, second bigint, third bigint, inside boolean",  # 4.2 cannot read the schema of a list here
        "update",
        GroupStateTimeout.ProcessingTimeTimeout,
    )


def main() -> None:
    rule: Any = {"window": windowed, "state": stateful}[sys.argv[1]]
    servers, incoming, outgoing, folder, jars = sys.argv[2:7]
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else workers are whatever `python3` is
    builder = SparkSession.builder.master("local[2]").config("spark.jars", jars).config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "2").config("spark.sql.session.timeZone", "UTC")
    spark = builder.config("spark.driver.memory", "1g").config("spark.local.dir", folder).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    records = spark.readStream.format("kafka").option("kafka.bootstrap.servers", servers)
    records = records.option("subscribe", incoming).option("startingOffsets", "earliest").load()
    schema = "customer string, event string, time timestamp"
    events = records.select(f.from_json(f.col("value").cast("string"), schema).alias("e")).select("e.*")
    found = rule(events.where("event = 'seen'"))
    out = found.select(f.col("customer").alias("key"), f.to_json(f.struct("customer", "change")).alias("value"))
    writer = out.writeStream.format("kafka").option("kafka.bootstrap.servers", servers).option("topic", outgoing)
    writer.option("checkpointLocation", f"{folder}/checkpoint").outputMode("update").start().awaitTermination()


if __name__ == "__main__":
    main()
