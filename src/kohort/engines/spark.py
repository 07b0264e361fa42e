"""The same compiled expression on Spark, for those who outgrow one machine. Needs the extra `spark` and Java 17."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kohort.compile import compile_features, to_sql
from kohort.definitions.features import FeatureDefinition
from kohort.engines.duck import threads_setting
from kohort.engines.evaluate import as_table, named_value, too_large
from kohort.errors import KohortError, MissingExtra
from kohort.model.event import event_schema
from kohort.model.feature import FeatureTable
from kohort.model.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def session(*, threads: int | None = None, memory: str = "1g", master: str = "") -> SparkSession:
    """A Spark session; the running one where there is one already.

    Args:
        threads: On this machine; None = the setting KOHORT_THREADS.
        memory: Of the driver, and on this machine of everything.
        master: URL of a cluster, or `local[4]`; empty = this machine with `threads`.

    Raises:
        MissingExtra: PySpark is not installed.
        KohortError: Java is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtra("spark", "Running on Spark") from error
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise KohortError("Spark needs Java, and there is none.", hint="Install Java 17 and put it on the path.")
    cores = threads_setting(threads)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": memory,
        # The default of 200 partitions costs more than the work itself on one machine.
        "spark.sql.shuffle.partitions": str(2 * cores),
        # Overflow and division by zero are errors, not silent nulls: the definitions guard against both.
        "spark.sql.ansi.enabled": "true",
        # Instants are integers; whatever still prints a time prints UTC.
        "spark.sql.session.timeZone": "UTC",
        # Feature names differ by more than letter case (definitions see to it), so both engines agree on names.
        "spark.sql.caseSensitive": "false",
        # Generated code per expression pays for millions of rows; Spark decides, but long plans may fall back quietly.
        "spark.sql.codegen.fallback": "true",
        # Rows come back as Arrow, the same bits as DuckDB's.
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    builder = SparkSession.builder.master(master or f"local[{cores}]").appName("kohort")
    if not master or master.startswith("local"):
        # Nothing listens beyond this machine.
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    for key, value in settings.items():
        builder = builder.config(key, value)
    found = builder.getOrCreate()
    found.sparkContext.setLogLevel("ERROR")
    return found


def register_events(spark: SparkSession, snapshot: Snapshot) -> None:
    """Create the temporary view `events` of a snapshot: every column but `bucket`."""
    arrow = event_schema(snapshot.columns)
    arrow = arrow.remove(arrow.get_field_index("bucket"))
    files = [f for names in snapshot.files.values() for f in names]
    parts: list[DataFrame] = []
    if files:
        # An explicit schema reads a column that an older file lacks as null.
        parts.append(spark.read.schema(spark_schema(arrow)).parquet(*sorted(files)))
    if not files or (snapshot.hot is not None and snapshot.hot.num_rows):
        hot = snapshot.hot if snapshot.hot is not None else arrow.empty_table()
        have = set(hot.column_names)
        columns = [hot.column(f.name).cast(f.type) if f.name in have else pa.nulls(len(hot), f.type) for f in arrow]
        rows: Any = pa.table(columns, names=arrow.names).to_pylist()
        parts.append(spark.createDataFrame([tuple(r.values()) for r in rows], spark_schema(arrow)))
    events = parts[0] if len(parts) == 1 else parts[0].unionByName(parts[1])
    events.createOrReplaceTempView("events")


def features(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    *,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    value: FeatureDefinition | None = None,
    customers: Sequence[int] | None = None,
    spark: SparkSession | None = None,
) -> FeatureTable:
    """As `kohort.engines.evaluate.features`, on Spark. Same arguments, same values to the last bit.

    Raises:
        MissingExtra: PySpark is not installed. (KohortError: Java is not.)
        RefusedDefinition: A definition does not fit the columns of the log.
        BadInput: A sum leaves 64 bits.
    """
    spark = spark or session()
    wanted = [*definitions, *([named_value(value)] if value else [])]
    compiled = compile_features(
        wanted, as_of=as_of, zone=zone, currency=currency, columns=snapshot.columns, customers=customers
    )
    register_events(spark, snapshot)
    from pyspark.errors import ArithmeticException

    try:
        rows = spark.sql(to_sql(compiled, "spark")).toArrow()
    except ArithmeticException as error:
        raise too_large() from error
    return as_table([rows], compiled, as_of=as_of, currency=currency, with_value=value is not None)


def spark_schema(schema: pa.Schema) -> Any:
    """An Arrow schema of the types that Kohort stores, in Spark's words."""
    from pyspark.sql import types as t

    kinds = {"string": t.StringType, "int64": t.LongType, "int32": t.IntegerType, "bool": t.BooleanType}
    return t.StructType([t.StructField(f.name, kinds[str(f.type)](), True) for f in schema])
