"""Spark Structured Streaming from Kafka: micro-batches of records, and the query that brings them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kohort.errors import KohortError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

RECORDS = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp_us", pa.int64()),
        ("value", pa.binary()),
        ("too_large", pa.bool_()),
    ]
)
"""Records of a micro-batch. `value` is null where the record has none, or where it is `too_large`."""

CONNECTOR = "org.apache.spark:spark-sql-kafka-0-10_2.13"


@dataclass(frozen=True, slots=True)
class Topics:
    """What is read.

    Attributes:
        servers: `host:port`, several with commas.
        names: Of topics; a single one that begins with `^` is a regular expression.
        begin: `earliest` or `latest`; only asked for while there is no checkpoint.
        most: Records of one micro-batch at most.
        options: Further settings of Kafka's Java client, such as `security.protocol`.
    """

    servers: str
    names: Sequence[str]
    begin: str = "earliest"
    most: int = 10_000
    options: Mapping[str, str] = field(default_factory=dict)


def start(
    spark: SparkSession, topics: Topics, checkpoint: Path, seconds: float, each: Callable[[DataFrame, int], None]
) -> StreamingQuery:
    """Begins to read, where the checkpoint says.

    Args:
        checkpoint: Folder of Spark's own notes.
        seconds: Between two micro-batches at least.
        each: Called with a micro-batch as Kafka's columns and its number, from a thread of Spark's. The next one comes
            when it returns; what it raises ends the query.

    Raises:
        KohortError: Spark lacks its connector for Kafka.
    """
    from pyspark.errors import AnalysisException

    pattern = len(topics.names) == 1 and topics.names[0].startswith("^")
    options = {
        **{f"kafka.{name}": value for name, value in topics.options.items()},
        "kafka.bootstrap.servers": topics.servers,
        "kafka.isolation.level": "read_committed",
        "subscribePattern" if pattern else "subscribe": ",".join(topics.names),
        "startingOffsets": topics.begin,
        "maxOffsetsPerTrigger": str(topics.most),
    }
    try:
        stream = spark.readStream.format("kafka").options(**options).load()
    except AnalysisException as error:
        raise KohortError(
            "Spark cannot read Kafka: its connector is missing.",
            hint=f"Set spark.jars.packages to {CONNECTOR}:VERSION, with the version of Spark, in spark-defaults.conf.",
        ) from error
    writer = stream.writeStream.foreachBatch(each).option("checkpointLocation", str(checkpoint))
    return writer.trigger(processingTime=f"{seconds} seconds").start()


def records(batch: DataFrame, most_bytes: int) -> pa.Table:
    """The records of a micro-batch (RECORDS), in the order of each partition. They pass the driver: it has the vault.

    Args:
        batch: Kafka's columns.
        most_bytes: Larger values stay where they are.
    """
    from pyspark.sql import functions as f

    value = f.col("value")
    large = f.coalesce(f.octet_length(value) > most_bytes, f.lit(False))
    rows: Any = batch.select(
        "topic",
        "partition",
        "offset",
        f.unix_micros("timestamp").alias("timestamp_us"),
        f.when(~large, value).alias("value"),
        large.alias("too_large"),
    ).toArrow()
    order = [(name, "ascending") for name in ("topic", "partition", "offset")]
    return rows.cast(RECORDS).sort_by(order)


def as_batch(spark: SparkSession, table: pa.Table) -> DataFrame:
    """Records (RECORDS) as Kafka's columns, for trials without a broker."""
    from pyspark.sql import functions as f

    names = ("topic", "partition", "offset", "value")
    rows: Any = table.select([*names, "timestamp_us"])
    given = spark.createDataFrame(rows)
    return given.select(*names, f.timestamp_micros("timestamp_us").alias("timestamp"))


def failure(query: StreamingQuery) -> str:
    """The kind of error that ended a query; empty while it runs. What it says may repeat values, so that stays out."""
    found = query.exception()
    if found is None:
        return "" if query.isActive else "stopped"
    return str(getattr(found, "getCondition", lambda: None)() or type(found).__name__)


def reached(checkpoint: Path) -> dict[tuple[str, int], int]:
    """Next offset of each partition (topic, number) by the last micro-batch that a checkpoint says is done; may be empty."""
    done = [int(file.name) for file in (checkpoint / "commits").glob("*") if file.name.isdigit()]
    if not done:
        return {}
    # A line for the version, one for the batch, and one for each source.
    said = (checkpoint / "offsets" / str(max(done))).read_text(encoding="utf-8").splitlines()[2]
    return {(topic, int(n)): int(at) for topic, of in json.loads(said).items() for n, at in of.items()}
