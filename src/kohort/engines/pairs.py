"""Where some customers are, each at moments of her own: prepared once, asked again and again.

Few rows are answered over numpy arrays (`engines.small`), many by DuckDB: its query for 30 rules takes 25 ms before the
first row. The tables of a call are handed to it as they lie in memory. Loading them into its own tables took 10 ms for one
customer and 35 ms for a thousand, and registering them anew makes it plan anew; so what is registered is a shelf, and each
call puts its tables there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.features import CUSTOMER, check_moment, to_sql
from kohort.compile.pairs import CompiledPairs
from kohort.compile.segments import NOBODY
from kohort.engines.duck import connect
from kohort.engines.evaluate import run
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA
from kohort.engines.small import HandOver, Small, Unsupported
from kohort.engines.small.columns import Column, take, to_arrow
from kohort.model.event import event_schema

PAIRS_SCHEMA = pa.schema([("person", pa.int64()), ("as_of", pa.int64())])
SEEN = "seen"

Engine = Literal["auto", "small", "duckdb"]

_ARROW = {
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}

FEW_ROWS = 250_000
"""Events up to which numpy arrays take less time than one DuckDB thread: a third at 60,000, two thirds at 250,000, where they
hold 130 MB. See bench/pairs.py."""

MOST_ROWS = 2**31
_MOST_READ = 256


class Pairs:
    """The answers to a compiled program, one caller at a time; close it, or use it in a `with` block.

    Args:
        compiled: From `compile_pairs`.
        threads: None = the setting KOHORT_THREADS.
        engine: "auto" = by the number of events; "small" = over numpy arrays as far as those can tell; "duckdb".

    Attributes:
        answered: How many calls each engine has answered.

    Example:
        >>> with Pairs(compile_pairs(definitions, features=features, key=key)) as asked:  # doctest: +SKIP
        ...     asked.evaluate(pa.table({"person": [7], "as_of": [now]}), events)
    """

    def __init__(self, compiled: CompiledPairs, threads: int | None = None, engine: Engine = "auto") -> None:
        self.compiled = compiled
        self.answered: dict[str, int] = {"small": 0, "duckdb": 0}
        schema = event_schema(dict(compiled.columns))
        self._events = pa.schema([(f.name, f.type) for f in schema if f.name in compiled.reads])
        self._edges = list(compiled.clock.edges.items())
        shown = compiled.expr.schema().items()
        self._outputs = [(name, _ARROW[str(kind)]) for name, kind in shown if name != CUSTOMER]
        self._threads = threads
        self._prepared: _Duck | None = None
        self._preparing = threading.Lock()
        self._most_rows = {"auto": FEW_ROWS, "small": MOST_ROWS, "duckdb": -1}[engine]
        self._read: dict[frozenset[int], frozenset[str]] = {}
        self._small = None if engine == "duckdb" else _small(compiled)
        if self._small is None:
            self.prepare()

    def __enter__(self) -> Pairs:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._preparing:
            if self._prepared is not None:
                self._prepared.close()

    def prepare(self) -> None:
        """Makes DuckDB ready, which takes a second: in another thread, before the first question that needs it."""
        self._duck()

    def _duck(self) -> _Duck:
        with self._preparing:
            if self._prepared is None:
                self._prepared = _Duck(self.compiled, self._events, self._threads)
            return self._prepared

    def evaluate(
        self,
        pairs: pa.Table,
        events: pa.Table,
        by_hand: pa.Table | None = None,
        standing: pa.Table | None = None,
        *,
        only: Collection[int] | None = None,
        whole: Callable[[], pa.Table] | None = None,
    ) -> pa.Table:
        """Where everybody asked about is.

        Args:
            pairs: `person` and `as_of` (microseconds UTC), both int64, in any order; a person may have many moments.
            events: Of these persons, with at least `compiled.reads`; a column that is not there is null. Those of
                others, and those later than a moment, do no harm. Links are the caller's: `customer` is who is meant.
            by_hand: `BY_HAND_SCHEMA`: said of a customer at every moment. None = nobody.
            standing: `STANDING_SCHEMA`: where customers were strictly before their moments; a column `pair` (the place
                of the pair, from 0) in place of `customer` where it differs from moment to moment. None = nobody.
            only: Places of the definitions that are asked about. None = all, and the features.
            whole: Fetches the events again with all of `compiled.reads`, where `events` has those of `reads(only)` alone.

        Returns:
            One row per pair, in order: `seen` (any event visible), then the columns of `compiled.expr` but the key, of
            the definitions asked about at least. A pair that sees nothing is nobody: -1 and false as in
            `compiled.codes`, null for features.

        Raises:
            BadInput: A moment outside the years 1900 to 2999, or a sum that leaves 64 bits.
        """
        persons, moments = (pairs[name].to_numpy() for name in PAIRS_SCHEMA.names)
        asked = self._pairs(persons, moments)
        relations: dict[str, pa.Table] = {}
        for name, table, schema in (("by_hand", by_hand, BY_HAND_SCHEMA), ("standing", standing, STANDING_SCHEMA)):
            if name in self.compiled.relations:
                relations[name] = said_of_pairs(table, schema, persons)
        if self._small is not None and events.num_rows <= self._most_rows:
            schema = self._events if whole is None else self._schema_of(self.reads(only))
            try:
                found = self._answered_small({**relations, "events": in_schema(events, schema)}, asked, only)
                self.answered["small"] += 1
                return found
            except HandOver:
                pass  # the rows hold something that only DuckDB answers for
        self.answered["duckdb"] += 1
        relations["events"] = in_schema(events if whole is None else whole(), self._events)
        return self._in_order(self._duck().run(relations | {"pairs": pa.table(asked)}), len(persons))

    def reads(self, only: Collection[int] | None) -> frozenset[str]:
        """Columns of `events` that these definitions (None = all, and the features) are answered from."""
        if only is None or self._small is None:
            return self.compiled.reads
        key = frozenset(only)
        if key not in self._read:
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            self._read[key] = self._small.reads("events", self._wanted(only)) | {"customer"}
        return self._read[key]

    def _wanted(self, only: Collection[int] | None) -> list[str]:
        outputs = [name for name, _ in self._outputs if only is None or _asked_by(name) in only]
        return [CUSTOMER, *outputs]

    def _schema_of(self, names: Collection[str]) -> pa.Schema:
        return pa.schema([field for field in self._events if field.name in names])

    def _pairs(self, persons: np.ndarray, moments: np.ndarray) -> dict[str, np.ndarray]:
        """The relation `pairs`: calendars are asked once per distinct moment, of which there are few."""
        distinct, place = np.unique(moments, return_inverse=True)
        for moment in distinct[[0, -1]] if len(distinct) else ():
            check_moment(int(moment))
        instants = [int(moment) for moment in distinct]
        edges = {
            name: np.array([edge.instant(moment) for moment in instants], np.int64)[place] for edge, name in self._edges
        }
        return {"pair": np.arange(len(persons)), "person": persons, **edges}

    def _answered_small(
        self, relations: Mapping[str, pa.Table], asked: Mapping[str, np.ndarray], only: Collection[int] | None
    ) -> pa.Table:
        assert self._small is not None
        columns, rows = self._small.run({**relations, "pairs": asked}, self._wanted(only))
        outputs = [(name, kind) for name, kind in self._outputs if name in columns]
        pairs, key = len(asked["pair"]), columns[CUSTOMER].values
        place = np.full(pairs, -1)
        place[key] = np.arange(rows)
        seen, whole = place >= 0, rows == pairs and bool((place == np.arange(pairs)).all())
        nobody = self.compiled.codes
        found = {SEEN: pa.array(seen)}
        for name, kind in outputs:
            column = columns[name] if whole else take(columns[name], place, nullable=True)
            if name in nobody and column.valid is not None:
                column = Column(np.where(column.valid, column.values, nobody[name]))
            found[name] = to_arrow(column, pairs, kind)
        return pa.table(self._with_reasons(found))

    def _in_order(self, found: pa.Table, pairs: int) -> pa.Table:
        place = np.full(pairs, -1)
        place[found[CUSTOMER].to_numpy()] = np.arange(found.num_rows)
        seen = place >= 0
        index, nobody = pa.array(place, mask=~seen), self.compiled.codes
        columns = {SEEN: pa.array(seen)}
        for name, kind in self._outputs:
            column = found[name].take(index).cast(kind)
            columns[name] = (pc.fill_null(column, nobody[name]) if name in nobody else column).combine_chunks()
        return pa.table(self._with_reasons(columns))

    def _with_reasons(self, found: dict[str, pa.Array]) -> dict[str, pa.Array]:
        """The columns with the reasons of plain definitions, after their parts."""
        columns: dict[str, pa.Array] = {}
        for name, column in found.items():
            columns[name] = column
            i = int(name[1:]) if name[0] == "s" and name != SEEN else -1
            if i in self.compiled.plain:
                columns[f"r{i}"] = self._reason(column, self.compiled.plain[i], len(self.compiled.definitions[i].parts))
        return columns

    def _reason(self, part: pa.Array, reason: int, parts: int) -> pa.Array:
        if reason == 0 and parts == 1:
            return part  # the first part, for the first reason
        inside = part.to_numpy(zero_copy_only=False) > NOBODY
        return pa.array(np.where(inside, reason, NOBODY).astype(np.int8))


def _asked_by(output: str) -> int:
    """The place of the definition that a column is about; -1 = a feature."""
    return -1 if output[0] == "f" else int(output[1:])


def _small(compiled: CompiledPairs) -> Small | None:
    try:
        return Small(compiled.expr)
    except Unsupported:
        return None


def in_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of a schema, in its order and types; one that is not there is null."""
    have = set(table.column_names)
    columns = [table[f.name] if f.name in have else pa.nulls(len(table), f.type) for f in schema]
    return pa.table(
        [c if c.type == f.type else c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema.names
    )


def said_of_pairs(table: pa.Table | None, schema: pa.Schema, persons: np.ndarray) -> pa.Table:
    """What is said of customers, said of their pairs: `customer` becomes the number of a pair."""
    if table is None or not table.num_rows:
        return schema.empty_table()
    if "pair" in table.column_names:
        return table.rename_columns({"pair": "customer"}).select(schema.names).cast(schema)
    order = np.argsort(persons, kind="stable")
    customers = table["customer"].to_numpy()
    first, last = (np.searchsorted(persons[order], customers, side) for side in ("left", "right"))
    counts = last - first
    row = np.repeat(np.arange(len(customers)), counts)
    within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    pair = order[np.repeat(first, counts) + within]
    said = table.select(schema.names).take(pa.array(row))
    return said.set_column(0, "customer", pa.array(pair, pa.int64())).cast(schema)


def of_pairs(said: Sequence[pa.Table | None]) -> pa.Table:
    """What is said of the only customer of each pair, in order, in the form that `Pairs.evaluate` takes for pairs."""
    whole = pa.concat_tables([BY_HAND_SCHEMA.empty_table(), *(t for t in said if t is not None)])
    pair = np.repeat(np.arange(len(said)), [0 if t is None else t.num_rows for t in said])
    return whole.set_column(0, "pair", pa.array(pair, pa.int64()))


class _Shelf:
    """A table that DuckDB knows by name and reads when it runs, whichever lies there then."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> Any:
        return self.table.schema.__arrow_c_schema__()


class _Duck:
    """One prepared query over shelves."""

    def __init__(self, compiled: CompiledPairs, events: pa.Schema, threads: int | None) -> None:
        edges = [(name, pa.int64()) for name in compiled.clock.edges.values()]
        schemas = {
            "events": events,
            "pairs": pa.schema([("pair", pa.int64()), ("person", pa.int64()), *edges]),
            "by_hand": BY_HAND_SCHEMA,
            "standing": STANDING_SCHEMA,
        }
        self._shelves = {name: _Shelf(schemas[name].empty_table()) for name in sorted(compiled.relations)}
        self._con = connect(threads=threads)
        # The plan is made while the shelves are empty and must not rely on it.
        self._con.execute("SET disabled_optimizers = 'statistics_propagation'")
        self._con.execute("SET enable_external_access = false")
        self._con.execute("SET lock_configuration = true")
        for name, shelf in self._shelves.items():
            self._con.register(name, shelf)
        self._con.execute(f"PREPARE answer AS {to_sql(compiled.expr)}")

    def run(self, relations: dict[str, pa.Table]) -> pa.Table:
        for name, table in relations.items():
            self._shelves[name].table = table
        try:
            return run(self._con, "EXECUTE answer")
        finally:
            for shelf in self._shelves.values():  # nobody's data outlives her question
                shelf.table = shelf.table.slice(0, 0)

    def close(self) -> None:
        self._con.close()
