"""Segments on Spark: the same compiled placement. Customers stay on the executors; the driver reads counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.features import CUSTOMER, to_sql
from kohort.compile.segments import NOBODY, REASONS, CompiledSegments, compile_segments
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.engines.consent import of_log, traits_asked
from kohort.engines.led import carried
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA, Evaluated, quantified
from kohort.engines.spark import events, exact, frame, query, write
from kohort.engines.spark_members import stays
from kohort.engines.spark_pairs import LogOnSpark
from kohort.model.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ACCOUNTS_SCHEMA = pa.schema([("account", pa.string()), ("segment", pa.string()), ("reason", pa.string())])


@dataclass(frozen=True, slots=True)
class Standing:
    """Stored members that an evaluation asks for.

    Attributes:
        files: Definition → Parquet file of its last stays (see docs/store.md), of moments up to the one asked about.
            Executors read it.
        table: What no such file says (see `STANDING_SCHEMA`).
    """

    files: Mapping[str, Path]
    table: pa.Table | None = None


class OnSpark:
    """One evaluation whose rows lie in a scratch folder, two bytes per customer and definition.

    Attributes:
        universe: Customers with a visible event.
        visitors: Visitors with a visible event, where a definition includes them.
        excluded_by_consent: Definition with a purpose → who would be in it, had they agreed.
    """

    def __init__(
        self, spark: SparkSession, compiled: CompiledSegments, codes: DataFrame, accounts: pa.Table | None
    ) -> None:
        from pyspark.sql import functions as f

        self._spark, self._compiled, self._codes, self._accounts = spark, compiled, codes, accounts
        self._place = {d.name: i for i, d in enumerate(compiled.definitions)}
        left_out = [(d.name, f"x{i}") for i, d in enumerate(compiled.definitions) if f"x{i}" in codes.columns]
        visitors = f.count_if(f.col(CUSTOMER) < 0)
        counts = codes.agg(f.count("*"), visitors, *(f.count_if(f.col(x)) for _, x in left_out)).first()
        assert counts is not None
        self.visitors = int(counts[1])
        self.universe = int(counts[0]) - self.visitors
        self.excluded_by_consent = {name: int(n) for (name, _), n in zip(left_out, counts[2:], strict=True)}

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
        return Evaluated(placed, self.universe, dict(self.excluded_by_consent), self.visitors)

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
    by_hand = BY_HAND_SCHEMA.empty_table() if by_hand is None else by_hand
    snapshot = snapshot.resolved(as_of)
    withheld = of_log(
        snapshot,
        as_of,
        traits_asked(definitions, settings, snapshot.columns),
        LogOnSpark(spark, snapshot).statements,
    )
    by_hand = pa.concat_tables([carried(by_hand, snapshot.led).select(BY_HAND_SCHEMA.names), withheld])
    stood, told = _standing(spark, standing or Standing({}), as_of)
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
    relations = {
        "events": events(spark, snapshot),
        "by_hand": frame(spark, by_hand),
        "standing": stood,
    }
    folder, accounts = scratch / "codes", None
    with exact():
        write(query(spark, to_sql(compiled.codes, "spark"), relations), folder)
        codes = spark.read.parquet(str(folder))
        if compiled.pairs is not None:
            pairs = query(spark, to_sql(compiled.pairs, "spark"), relations)
            accounts = _account_counts(compiled, pairs, codes)
    yield OnSpark(spark, compiled, codes, accounts)


def _standing(spark: SparkSession, standing: Standing, as_of: int) -> tuple[DataFrame, list[str]]:
    """The relation `standing`, and which definitions have rows in it."""
    from pyspark.sql import functions as f

    table = STANDING_SCHEMA.empty_table() if standing.table is None else standing.table.select(STANDING_SCHEMA.names)
    whole = frame(spark, table.cast(STANDING_SCHEMA))
    for name, path in standing.files.items():
        stored = stays(spark, path)
        # Who left at the moment itself, by what it said last time, was there just before it.
        here = (f.col("since") < as_of) & (f.col("until").isNull() | (f.col("until") >= as_of))
        whole = whole.unionByName(stored.where(here).select("customer", f.lit(name).alias("name"), "segment", "since"))
    return whole, sorted({*standing.files, *table.column("name").to_pylist()})


def _account_counts(compiled: CompiledSegments, pairs: DataFrame, codes: DataFrame) -> pa.Table:
    """`account`, `users` and how many of them meet each rule."""
    from pyspark.sql import functions as f

    asked = [f"u{i}" for i, d in enumerate(compiled.definitions) if d.kind == "accounts"]
    joined = pairs.join(codes.select(CUSTOMER, *asked), CUSTOMER)
    counted = joined.groupBy("account").agg(
        f.count("*").alias("users"), *(f.count_if(f.col(name)).alias(name) for name in asked)
    )
    return counted.toArrow().sort_by("account")


def _word(words: Sequence[str], code: Column) -> Column:
    from pyspark.sql import functions as f

    return f.element_at(f.array(*(f.lit(w) for w in words)), code.cast("int") + 1)
