"""The same compiled expression on Spark, for those who outgrow one machine. Needs the extra `spark` and Java 17."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kohort.compile import compile_features, to_sql
from kohort.compile.features import CUSTOMER, Compiled
from kohort.definitions.features import FeatureDefinition
from kohort.engines.duck import threads_setting
from kohort.engines.evaluate import as_table, named_value, too_large
from kohort.errors import KohortError, MissingExtra
from kohort.model.event import event_schema
from kohort.model.feature import FeatureTable
from kohort.model.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

APP = "kohort"

OURS = {
    # Overflow and division by zero are errors, not silent nulls: the definitions guard against both.
    "spark.sql.ansi.enabled": "true",
    # Instants are integers; whatever still prints a time prints UTC.
    "spark.sql.session.timeZone": "UTC",
    # Feature names differ by more than letter case (definitions see to it), so both engines agree on names.
    "spark.sql.caseSensitive": "false",
    # A table is broadcast by way of the driver, and ours have a row per customer.
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "-1",
}
"""Settings that decide what a query means, and that no customer passes through the driver."""

MOST_BROADCAST = 1_000_000
"""Ids that lead to others, 16 bytes each, that are sent to every executor."""

_NAMING = threading.Lock()


def session(
    *, threads: int | None = None, memory: str = "1g", master: str = "", jars: Sequence[Path] = ()
) -> SparkSession:
    """A Spark session: the one that Kohort started, or a new one.

    Where a program has a session of its own, Kohort takes a second one beside it on the same cluster; settings and
    temporary views of the program's stay as they are.

    Args:
        threads: On this machine; None = the setting KOHORT_THREADS.
        memory: Of the driver, and on this machine of everything.
        master: URL of a cluster, or `local[4]`; empty = this machine with `threads`.
        jars: More for Java's class path, such as the connector for Kafka. A session that runs already has its own.

    Raises:
        MissingExtra: PySpark is not installed.
        KohortError: Java is not installed, or Spark does not start with it.
    """
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtra("spark", "Running on Spark") from error
    running = SparkSession.getActiveSession()
    if running is not None and running.sparkContext.appName == APP:
        return running
    if running is not None:
        beside = running.newSession()
        for key, value in OURS.items():
            beside.conf.set(key, value)
        return beside
    home = os.environ.get("JAVA_HOME")
    if not (Path(home, "bin", "java").exists() if home else shutil.which("java")):
        raise KohortError("Spark needs Java, and there is none.", hint="Install Java 17 and put it on the path.")
    builder = SparkSession.builder.appName(APP)
    for key, value in _settings(threads_setting(threads), memory, master).items():
        builder = builder.config(key, value)
    if jars:
        builder = builder.config("spark.jars", ",".join(map(str, jars)))
    try:
        found = builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise KohortError("Spark does not start.", hint="It needs Java 17 or later; try: java -version") from error
    found.sparkContext.setLogLevel("ERROR")
    return found


def _settings(cores: int, memory: str, master: str) -> dict[str, str]:
    settings = OURS | {
        "spark.master": master or f"local[{cores}]",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": memory,
        # We keep no tables there, but Spark makes the folder, and not where somebody happens to work.
        "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir(), "kohort-spark-warehouse")),
        # Generated code per expression pays for millions of rows; Spark decides, but long plans may fall back quietly.
        "spark.sql.codegen.fallback": "true",
        # Rows come and go as Arrow, the same bits as DuckDB's.
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    if master and not master.startswith("local"):
        return settings
    # The default of 200 partitions costs more than the work itself on one machine, where nothing listens beyond it.
    here = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    return settings | here | {"spark.sql.shuffle.partitions": str(2 * cores)}


def query(spark: SparkSession, sql: str, relations: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of a text over named relations. The names exist only while Spark reads the text."""
    with _NAMING:
        try:
            for name, rows in relations.items():
                rows.createOrReplaceTempView(name)
            return spark.sql(sql)
        finally:
            for name in relations:
                spark.catalog.dropTempView(name)


def events(spark: SparkSession, snapshot: Snapshot) -> DataFrame:
    """The relation `events` of a snapshot, `resolved` for a moment: every column but `bucket`."""
    schema = event_schema(snapshot.columns)
    schema = schema.remove(schema.get_field_index("bucket"))
    files = sorted(f for names in snapshot.files.values() for f in names)
    hot = schema.empty_table() if snapshot.hot is None else snapshot.hot
    have = set(hot.column_names)
    columns = [hot.column(f.name).cast(f.type) if f.name in have else pa.nulls(len(hot), f.type) for f in schema]
    if not files:
        return _meant(spark, frame(spark, pa.table(columns, schema=schema)), snapshot)
    # An explicit schema reads a column that an older file lacks as null.
    base = spark.read.schema(spark_schema(schema)).parquet(*files)
    stored = base.unionByName(frame(spark, pa.table(columns, schema=schema))) if hot.num_rows else base
    return _meant(spark, stored, snapshot)


def _meant(spark: SparkSession, stored: DataFrame, snapshot: Snapshot) -> DataFrame:
    """Events of ids that lead to somebody else under that one."""
    from pyspark.sql import functions as f

    if snapshot.led is None or not len(snapshot.led):
        return stored
    table = snapshot.led.table().rename_columns(["led", "root"])
    ids = frame(spark, table)
    # Links come from the state and pass the driver anyway; beyond that many, the events are shuffled instead.
    ids = f.broadcast(ids) if table.num_rows <= MOST_BROADCAST else ids
    joined = stored.join(ids, f.col("customer") == f.col("led"), "left")
    meant = joined.withColumn("customer", f.coalesce(f.col("root"), f.col("customer")))
    return meant.select(*stored.columns)


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

    The table comes back to this process, because that is what is asked for; `write_features` leaves it out there.

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
    with exact():
        rows = _rows(spark, snapshot.resolved(as_of, customers), compiled).toArrow()
    return as_table([rows], compiled, as_of=as_of, currency=currency, with_value=value is not None)


def write_features(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    folder: Path,
    *,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    spark: SparkSession | None = None,
) -> tuple[FeatureTable, list[Path]]:
    """Writes features as Parquet files from where they are computed; no customer passes through this process.

    Args:
        folder: Where the files go; it does not exist yet, and executors can reach it.

    Returns:
        The table without rows, which says what the columns mean, and the files. They hold `_customer` (pseudonym) and a
        column per feature, sorted by customer within each file and from file to file.

    Raises:
        As `features`.
    """
    spark = spark or session()
    compiled = compile_features(definitions, as_of=as_of, zone=zone, currency=currency, columns=snapshot.columns)
    with exact():
        write(_rows(spark, snapshot.resolved(as_of), compiled).orderBy(CUSTOMER), folder)
    return as_table([], compiled, as_of=as_of, currency=currency), sorted(folder.glob("*.parquet"))


def _rows(spark: SparkSession, snapshot: Snapshot, compiled: Compiled) -> DataFrame:
    return query(spark, to_sql(compiled, "spark"), {"events": events(spark, snapshot)})


def write(rows: DataFrame, folder: Path, *, by: Sequence[str] = ()) -> None:
    """Parquet files below a folder, which does not exist yet; one folder for each value of the columns `by`."""
    writer = rows.write.option("compression", "zstd").option(
        "mapreduce.fileoutputcommitter.marksuccessfuljobs", "false"
    )
    (writer.partitionBy(*by) if by else writer).parquet(str(folder))


@contextmanager
def exact() -> Iterator[None]:
    """Turns an overflow anywhere in the cluster into the error that every engine gives."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        if _overflowed(error):
            raise too_large() from error
        raise


def _overflowed(error: BaseException | None) -> bool:
    """A job that writes fails with an error of its own; what an executor stumbled over is a cause of it."""
    from pyspark.errors import ArithmeticException, NumberFormatException

    while error is not None:
        if isinstance(error, (ArithmeticException, NumberFormatException)):
            return True
        if any(word in str(error) for word in ("ARITHMETIC_OVERFLOW", "CAST_OVERFLOW", "NUMERIC_VALUE_OUT_OF_RANGE")):
            return True
        error = error.__cause__
    return False


def frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    """An Arrow table of this process as a data frame, with its types also where it is empty."""
    schema = spark_schema(table.schema)
    if not table.num_rows:
        return spark.createDataFrame([], schema)
    given: Any = table.combine_chunks()  # of an empty first chunk PySpark makes an empty frame
    return spark.createDataFrame(given, schema)


def spark_schema(schema: pa.Schema) -> Any:
    """An Arrow schema of the types that Kohort stores, in Spark's words."""
    from pyspark.sql import types as t

    kinds = {
        "string": t.StringType,
        "int64": t.LongType,
        "int32": t.IntegerType,
        "double": t.DoubleType,
        "bool": t.BooleanType,
    }
    return t.StructType([t.StructField(f.name, kinds[str(f.type)](), True) for f in schema])
