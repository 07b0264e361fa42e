"""Pairs of customers and moments on Spark: executors read only the buckets and the customers that are asked about.

The driver sends who is asked about, and gets back a byte or two per customer and definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.features import to_sql
from kohort.engines.consent import STATEMENT
from kohort.engines.pairs import PAIRS_SCHEMA, Pairs, in_schema, said_of_pairs
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA
from kohort.engines.spark import exact, frame, query, spark_schema
from kohort.model.event import event_schema
from kohort.model.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from kohort.compile.pairs import CompiledPairs

MOST_BROADCAST = 200_000
"""Ids asked about, 16 bytes each, that are sent to every executor; for more, events are shuffled instead."""


@dataclass(frozen=True, slots=True)
class Between:
    """Rows whose instant in a column lies in (low, high]; of events of these names, None = of all."""

    column: str
    low: int
    high: int
    events: frozenset[str] | None = None


class LogOnSpark:
    """The event log as executors see it: the base files of one moment, and rows that are not in the base yet.

    Args:
        spark: A session.
        snapshot: Of the log.
    """

    def __init__(self, spark: SparkSession, snapshot: Snapshot) -> None:
        self.spark, self._snapshot = spark, snapshot
        self.schema = pa.schema([field.with_nullable(True) for field in event_schema(snapshot.columns)])
        self._recent = [] if snapshot.hot is None else [snapshot.hot]

    def remember(self, rows: pa.Table) -> None:
        """Adds rows that were stored since the snapshot, in the event schema."""
        self._recent.append(rows)

    def of(
        self, ids: np.ndarray, persons: np.ndarray, columns: Sequence[str], fresh: pa.Table | None = None
    ) -> DataFrame:
        """All rows of some ids, under the customers they belong to.

        Args:
            ids: Ids that events carry, each once.
            persons: The customer behind each.
            columns: Which, `customer` among them.
            fresh: Rows that are not stored yet.
        """
        from pyspark.sql import functions as f

        who = frame(self.spark, pa.table({"_id": ids, "_person": persons}))
        who = f.broadcast(who) if len(ids) <= MOST_BROADCAST else who
        buckets = set(np.unique(ids % self._snapshot.buckets).tolist()) if len(ids) else set()
        files = sorted(f for bucket, names in self._snapshot.files.items() if bucket in buckets for f in names)
        asked = pa.array(ids)
        recent = [
            t.filter(pc.is_in(t.column("customer"), value_set=asked)) for t in (*self._recent, fresh) if t is not None
        ]
        rows = self._rows(files, recent, columns).join(who, f.col("customer") == f.col("_id"))
        return rows.withColumn("customer", f.col("_person")).select(*columns)

    def statements(self, ids: np.ndarray, columns: Sequence[str], fresh: pa.Table | None = None) -> pa.Table:
        """The statements that some ids made: rows, under these ids, in which any of the traits is there.

        See `kohort.engines.consent.Read`.
        """
        from pyspark.sql import functions as f

        said = reduce(lambda a, b: a | b, (f.col(name).isNotNull() for name in columns if name not in STATEMENT))
        schema = pa.schema([self.schema.field(name) for name in columns])
        return in_schema(self.of(ids, ids, columns, fresh).where(said).toArrow(), schema)

    def crossing(self, asked: Sequence[Between], columns: Sequence[str]) -> pa.Table:
        """Rows of anybody that lie in one of these, found in one pass: customer, event and `columns`."""
        names = ["customer", "event", *columns]
        schema = pa.schema([self.schema.field(name) for name in names])
        if not asked:
            return schema.empty_table()
        files = sorted(f for names_ in self._snapshot.files.values() for f in names_)
        condition = reduce(lambda a, b: a | b, (_inside(one) for one in asked))
        # What is recent is in this process already, and whoever asks for rows looks at each of them.
        found = [in_schema(table, schema) for table in self._recent]
        if files:
            rows = self._rows(files, [], names).where(condition).where("customer is not null")
            found.append(in_schema(rows.toArrow(), schema))
        return pa.concat_tables([schema.empty_table(), *found])

    def _rows(self, files: Sequence[str], recent: Sequence[pa.Table], columns: Sequence[str]) -> DataFrame:
        schema = pa.schema([self.schema.field(name) for name in columns])
        tables = [in_schema(table, schema) for table in recent]
        here = pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()
        if not files:
            return frame(self.spark, here)
        # An explicit schema reads a column that an older file lacks as null.
        base = self.spark.read.schema(spark_schema(schema)).parquet(*files)
        return base.unionByName(frame(self.spark, here)) if here.num_rows else base


class SparkPairs(Pairs):
    """The answers to a compiled program over events that executors read.

    Args:
        compiled: From `compile_pairs`.
    """

    def __init__(self, compiled: CompiledPairs) -> None:
        super().__init__(compiled, engine="small")
        self._text = to_sql(compiled.expr, "spark")

    def evaluate_there(
        self,
        pairs: pa.Table,
        events: DataFrame,
        by_hand: pa.Table | None = None,
        standing: pa.Table | None = None,
    ) -> pa.Table:
        """As `evaluate`, with events that lie elsewhere.

        Raises:
            BadInput: A moment outside the years 1900 to 2999, or a sum that leaves 64 bits.
        """
        from pyspark.sql import functions as f

        spark = events.sparkSession
        persons, moments = (pairs[name].to_numpy() for name in PAIRS_SCHEMA.names)
        asked = frame(spark, pa.table(self._pairs(persons, moments)))
        asked = f.broadcast(asked) if len(persons) <= MOST_BROADCAST else asked
        relations: Mapping[str, DataFrame] = {"events": events, "pairs": asked}
        for name, table, schema in (("by_hand", by_hand, BY_HAND_SCHEMA), ("standing", standing, STANDING_SCHEMA)):
            if name in self.compiled.relations:
                relations = {**relations, name: frame(spark, said_of_pairs(table, schema, persons))}
        with exact():
            found = query(spark, self._text, relations).toArrow()
        return self._in_order(found, len(persons))


def _inside(asked: Between) -> Column:
    from pyspark.sql import functions as f

    value = f.col(asked.column)
    inside = (value > asked.low) & (value <= asked.high)
    return inside if asked.events is None else inside & f.col("event").isin(sorted(asked.events))
