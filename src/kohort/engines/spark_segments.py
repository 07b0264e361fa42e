"""Segments on Spark: the same compiled placement, compared with the stored members by the executors.

Customers never pass through the driver. It reads counts, and names of the files that the executors wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.features import CUSTOMER, to_sql
from kohort.compile.segments import NOBODY, REASONS, CompiledSegments, compile_segments
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.engines.evaluate import too_large
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA, Evaluated, quantified
from kohort.engines.spark import register_events, spark_schema
from kohort.model.membership import Difference
from kohort.model.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ACCOUNTS_SCHEMA = pa.schema([("account", pa.string()), ("segment", pa.string()), ("reason", pa.string())])


@dataclass(frozen=True, slots=True)
class Standing:
    """Stored members that an evaluation asks for.

    Attributes:
        files: Definition → Parquet file of its last stays (see docs/store.md), read by the executors.
        table: What no such file says (see `STANDING_SCHEMA`); small.
    """

    files: Mapping[str, Path]
    table: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What the executors found and wrote for one definition."""

    files: tuple[Path, ...]
    difference: Difference


class OnSpark:
    """One evaluation whose rows lie in a scratch folder, two bytes per customer and definition.

    Attributes:
        universe: Customers with a visible event.
        excluded_by_consent: Definition with a purpose → who would be in it, had they agreed.
    """

    def __init__(
        self, spark: SparkSession, compiled: CompiledSegments, codes: DataFrame, accounts: pa.Table | None
    ) -> None:
        from pyspark.sql import functions as f

        self._spark, self._compiled, self._codes, self._accounts = spark, compiled, codes, accounts
        self._place = {d.name: i for i, d in enumerate(compiled.definitions)}
        left_out = [(d.name, f"x{i}") for i, d in enumerate(compiled.definitions) if f"x{i}" in codes.columns]
        counts = codes.agg(f.count("*"), *(f.count_if(f.col(x)) for _, x in left_out)).first()
        assert counts is not None
        self.universe = int(counts[0])
        self.excluded_by_consent = {name: int(n) for (name, _), n in zip(left_out, counts[1:], strict=True)}

    def rows(self, name: str) -> DataFrame:
        """`customer`, `segment`, `reason` of the members of a definition, of accounts `account` in place of customer."""
        from pyspark.sql import functions as f

        i = self._place[name]
        definition = self._compiled.definitions[i]
        if definition.kind == "accounts":
            return frame(self._spark, self.accounts(name))
        part, reason = f.col(f"s{i}"), f.col(f"r{i}")
        return self._codes.where(part != NOBODY).select(
            f.col(CUSTOMER).alias("customer"),
            _word([p.key for p in definition.parts], part).alias("segment"),
            _word(REASONS, reason).alias("reason"),
        )

    def accounts(self, name: str) -> pa.Table:
        """Members of a definition of accounts: see `ACCOUNTS_SCHEMA`. Accounts are few where customers are many."""
        i = self._place[name]
        definition = self._compiled.definitions[i]
        assert self._accounts is not None
        found = self._accounts.filter(quantified(self._accounts, f"u{i}", definition.quantifier)).column("account")
        words = [[word] * len(found) for word in (definition.parts[0].key, "rule")]
        return pa.table([found.cast(pa.string()), *(pa.array(w, pa.string()) for w in words)], schema=ACCOUNTS_SCHEMA)

    def collected(self) -> Evaluated:
        """Everything in this process, as the other engine tells it. For comparisons on small data only."""
        whole = self._codes.toArrow()
        placed = {name: self._collected(name, whole) for name in self._place}
        return Evaluated(placed, self.universe, dict(self.excluded_by_consent))

    def _collected(self, name: str, whole: pa.Table) -> pa.Table:
        i = self._place[name]
        definition = self._compiled.definitions[i]
        if definition.kind == "accounts":
            found = self.accounts(name)
        else:
            inside = whole.filter(pc.not_equal(whole[f"s{i}"], NOBODY))
            words = {"segment": [p.key for p in definition.parts], "reason": REASONS}
            codes = {"segment": inside[f"s{i}"], "reason": inside[f"r{i}"]}
            texts = {n: pa.array(words[n], pa.string()).take(code.combine_chunks()) for n, code in codes.items()}
            found = pa.table({"customer": inside[CUSTOMER], **texts})
        who = found.column_names[0]
        found = found.append_column("confidence", pa.nulls(found.num_rows, pa.float64()))
        return found.select([who, "segment", "confidence", "reason"]).sort_by(who)


@contextmanager
def evaluate(
    snapshot: Snapshot,
    definitions: Sequence[SegmentDefinition],
    *,
    features: Sequence[FeatureDefinition] = (),
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    settings: SegmentSettings | None = None,
    key: bytes,
    by_hand: pa.Table | None = None,
    standing: Standing | None = None,
    spark: SparkSession,
    scratch: Path,
) -> Iterator[OnSpark]:
    """Place every customer in every definition that is not paused. Arguments as for `kohort.engines.segments.evaluate`.

    Args:
        scratch: An empty folder that executors can write to; the caller removes it.

    Raises:
        RefusedDefinition: A definition cannot be compiled.
        BadInput: A sum leaves 64 bits.
    """
    from pyspark.errors import ArithmeticException

    by_hand = BY_HAND_SCHEMA.empty_table() if by_hand is None else by_hand
    told = _register_standing(spark, standing or Standing({}), as_of)
    frame(spark, by_hand.select(BY_HAND_SCHEMA.names)).createOrReplaceTempView("by_hand")
    compiled = compile_segments(
        definitions,
        features=features,
        as_of=as_of,
        zone=zone,
        currency=currency,
        columns=snapshot.columns,
        settings=settings,
        key=key,
        by_hand=sorted(set(by_hand.column("name").to_pylist())),
        standing=told,
    )
    register_events(spark, snapshot)
    folder = str(scratch / "codes")
    try:
        spark.sql(to_sql(compiled.codes, "spark")).write.parquet(folder)
        codes = spark.read.parquet(folder)
        accounts = None
        if compiled.pairs is not None:
            accounts = _account_counts(spark, compiled, codes)
    except ArithmeticException as error:
        raise too_large() from error
    yield OnSpark(spark, compiled, codes, accounts)


def moves(rows: DataFrame, stays: Path | None, as_of: int, folder: Path) -> Moved:
    """Compares members found with the stored ones, and writes who enters and leaves.

    Args:
        rows: `customer` (int64), `segment`, `reason`.
        stays: Parquet file of the last stay of each customer and segment; None = there are none.
        as_of: The moment of all moves.
        folder: Where the files go; it does not exist yet.
    """
    from pyspark.sql import functions as f

    spark = rows.sparkSession
    known = _stays(spark, stays)
    now = known.where(f.col("until").isNull()).select(
        f.col("customer").alias("customer"), f.col("segment").alias("was"), f.col("number").alias("was_number")
    )
    both = now.join(rows.withColumnRenamed("segment", "becomes"), "customer", "full_outer").cache()
    changed = both.where(~f.col("was").eqNullSafe(f.col("becomes")))
    exits = changed.where(f.col("was").isNotNull()).select(
        "customer",
        f.col("was").alias("segment"),
        f.lit(-1).cast("tinyint").alias("change"),
        (f.col("was_number") + 1).cast("int").alias("number"),
        f.lit(as_of).cast("bigint").alias("at"),
        f.lit(None).cast("double").alias("confidence"),
        f.lit(None).cast("string").alias("reason"),
    )
    past = known.where(f.col("until").isNotNull()).select(
        f.col("customer"), f.col("segment").alias("becomes"), f.col("number").alias("past_number")
    )
    entries = (
        changed.where(f.col("becomes").isNotNull())
        .join(past, ["customer", "becomes"], "left")
        .select(
            "customer",
            f.col("becomes").alias("segment"),
            f.lit(1).cast("tinyint").alias("change"),
            (f.coalesce(f.col("past_number"), f.lit(0)) + 1).cast("int").alias("number"),
            f.lit(as_of).cast("bigint").alias("at"),
            f.lit(None).cast("double").alias("confidence"),
            "reason",
        )
    )
    parts = max(1, int(spark.conf.get("spark.sql.shuffle.partitions") or 1))
    # All moves of a customer in one file, exits before entries: readers go through files in that order.
    ordered = exits.unionByName(entries).repartition(parts, "customer").sortWithinPartitions("customer", "change")
    ordered.write.option("compression", "zstd").parquet(str(folder))
    kinds = {"entered": "was IS NULL", "left": "becomes IS NULL", "moved": "was <> becomes", "stayed": "was = becomes"}
    counts = both.agg(*(f.count_if(f.expr(test)).alias(name) for name, test in kinds.items())).first()
    both.unpersist()
    assert counts is not None
    difference = Difference(*(int(counts[name]) for name in kinds))
    return Moved(tuple(sorted(folder.glob("*.parquet"))), difference)


def frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    """A small Arrow table as a data frame, with its types also where it is empty."""
    rows: Any = list(zip(*(c.to_pylist() for c in table.columns), strict=True))
    return spark.createDataFrame(rows, spark_schema(table.schema))


def _stays(spark: SparkSession, path: Path | None) -> DataFrame:
    if path is not None:
        return spark.read.parquet(str(path))
    return spark.createDataFrame([], "customer bigint, segment string, number int, since bigint, until bigint")


def _register_standing(spark: SparkSession, standing: Standing, as_of: int) -> list[str]:
    """Makes the relation `standing`; says which definitions have rows in it."""
    from pyspark.sql import functions as f

    table = STANDING_SCHEMA.empty_table() if standing.table is None else standing.table.select(STANDING_SCHEMA.names)
    whole = frame(spark, table)
    for name, path in standing.files.items():
        stored = spark.read.parquet(str(path))
        inside = stored.where(f.col("until").isNull() & (f.col("since") < as_of))
        whole = whole.unionByName(inside.select("customer", f.lit(name).alias("name"), "segment", "since"))
    whole.createOrReplaceTempView("standing")
    return sorted({*standing.files, *table.column("name").to_pylist()})


def _account_counts(spark: SparkSession, compiled: CompiledSegments, codes: DataFrame) -> pa.Table:
    """`account`, `users` and how many of them meet each rule."""
    from pyspark.sql import functions as f

    asked = [f"u{i}" for i, d in enumerate(compiled.definitions) if d.kind == "accounts"]
    pairs = spark.sql(to_sql(compiled.pairs, "spark"))
    joined = pairs.join(codes.select(CUSTOMER, *asked), CUSTOMER)
    counted = joined.groupBy("account").agg(
        f.count("*").alias("users"), *(f.count_if(f.col(name)).alias(name) for name in asked)
    )
    return counted.toArrow().sort_by("account")


def _word(words: Sequence[str], code: Column) -> Column:
    from pyspark.sql import functions as f

    return f.element_at(f.array(*(f.lit(w) for w in words)), code.cast("int") + 1)
