"""Columns of all customers at one moment, kept while somebody edits a definition: what is known is not computed again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from threading import RLock

import numpy as np
import pyarrow as pa

from kohort.compile.features import CUSTOMER, to_sql
from kohort.compile.preview import CompiledPreview, first_event
from kohort.definitions.conditions import Condition
from kohort.engines.consent import duckdb_reader, of_log
from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT, bucket_groups, run, too_large
from kohort.model.snapshot import Snapshot

MOST_BYTES = 1 << 29


class Measures:
    """The customers of a log at one moment and columns about them, the least recently used ones forgotten first.

    Args:
        snapshot: The event log; the columns are those of this version.
        as_of: Nothing later is visible, microseconds UTC.
        threads: None = the setting KOHORT_THREADS.
        most_bytes: What the columns may take.
        visitors: Whether those of whom nothing but an anonymous id is known are among them.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        as_of: int,
        *,
        threads: int | None = None,
        most_bytes: int = MOST_BYTES,
        visitors: bool = False,
    ) -> None:
        self.snapshot, self.as_of, self.visitors = snapshot.resolved(as_of), as_of, visitors
        self._threads, self._most = threads, most_bytes
        self._customers: np.ndarray | None = None
        self._columns: OrderedDict[Hashable, pa.Array] = OrderedDict()
        self._pairs: dict[str, pa.Table] = {}
        self._seen: dict[Condition, bool] = {}
        self._withheld: dict[frozenset[tuple[str, str]], pa.Table] = {}
        self._lock = RLock()  # pages ask from several threads; what one computes, the others need as well

    def fits(self, snapshot: Snapshot, as_of: int, *, visitors: bool = False) -> bool:
        """Whether the columns are those of this log at this moment."""
        return self.visitors == visitors and self.as_of == as_of and self.snapshot.version == snapshot.version

    @property
    def customers(self) -> np.ndarray:
        """Pseudonyms of everybody with a visible event, sorted."""
        if self._customers is None:
            who = "customer IS NOT NULL" if self.visitors else "customer > 0"
            sql = f"SELECT DISTINCT customer FROM events WHERE {who} AND ts <= {int(self.as_of)}"
            found = self._run([sql])
            self._customers = (
                np.sort(pa.concat_tables(t for (t,) in found)["customer"].to_numpy()) if found else _NOBODY
            )
        return self._customers

    def table(self, compiled: CompiledPreview) -> pa.Table:
        """`customer` and every column that the plan of a preview asks for, under its names."""
        keys = compiled.plan.needs()
        with self._lock:
            missing = {name: key for name, key in keys.items() if key not in self._columns}
            if missing:
                self._compute(compiled, missing)
            columns = {name: self._columns[key] for name, key in keys.items()}
            for key in keys.values():
                self._columns.move_to_end(key)
            self._forget(len(columns))
            return pa.table({"customer": pa.array(self.customers), **columns})

    def pairs(self, compiled: CompiledPreview, accounts: str) -> pa.Table:
        """`_customer`, `account`: who belongs to which accounts."""
        with self._lock:
            if accounts not in self._pairs:
                sql = to_sql(compiled.pairs(accounts, self.snapshot.columns, self.as_of))
                found = [t for (t,) in self._run([sql])]
                empty = pa.table({CUSTOMER: pa.array([], pa.int64()), "account": pa.array([], pa.string())})
                self._pairs[accounts] = pa.concat_tables([empty, *found], promote_options="permissive")
            return self._pairs[accounts]

    def withheld(self, consent: Mapping[str, str]) -> pa.Table:
        """Whose consent a merge withholds, of these purposes; see `kohort.engines.consent`."""
        key = frozenset(consent.items())
        with self._lock:
            if key not in self._withheld:
                folders = folders_of(self.snapshot)
                with connect(folders=folders, memory_limit=MEMORY_LIMIT, threads=self._threads) as con:
                    read = duckdb_reader(con, self.snapshot)
                    self._withheld[key] = of_log(self.snapshot, self.as_of, consent, read)
            return self._withheld[key]

    def seen(self, conditions: Iterable[Condition]) -> set[Condition]:
        """The conditions that some event of a customer has ever met; each is looked up once for a version of the log."""
        asked = list(conditions)
        with self._lock:
            new = {c: to_sql(first_event(c, self.snapshot.columns)) for c in asked if c not in self._seen}
            if new:
                self._seen |= self._looked_up(new)
            return {c for c in asked if self._seen[c]}

    def _looked_up(self, texts: Mapping[Condition, str]) -> dict[Condition, bool]:
        """Which of some queries have a row, group by group of customer buckets until all have one."""
        open_ = dict(texts)
        with connect(folders=folders_of(self.snapshot), memory_limit=MEMORY_LIMIT, threads=self._threads) as con:
            for buckets, _ in bucket_groups(self.snapshot):
                if open_:
                    register_events(con, self.snapshot, buckets)
                    open_ = {c: sql for c, sql in open_.items() if not run(con, sql).num_rows}
        return {c: c not in open_ for c in texts}

    def _compute(self, compiled: CompiledPreview, missing: Mapping[str, Hashable]) -> None:
        stages = compiled.stages(list(missing), self.snapshot.columns, self.as_of)
        groups = self._run([to_sql(stage) for stage in stages])
        for n, stage in enumerate(stages):
            schema = pa.schema([(name, _ARROW[str(kind)]) for name, kind in stage.schema().items()])
            try:
                whole = pa.concat_tables([schema.empty_table(), *(_as(group[n], schema) for group in groups)])
            except pa.ArrowInvalid as error:
                raise too_large() from error
            place = self._aligned(whole["customer"].to_numpy())
            for name in set(whole.column_names) & missing.keys():
                self._columns[missing[name]] = whole[name].take(place).combine_chunks()

    def _aligned(self, customers: np.ndarray) -> pa.Array:
        """For everybody, the row of a stage; null where it has none."""
        rows = np.full(len(self.customers), -1)
        rows[np.searchsorted(self.customers, customers)] = np.arange(len(customers))
        return pa.array(rows, mask=rows < 0)

    def _run(self, texts: Iterable[str]) -> list[list[pa.Table]]:
        """The rows of some queries, per group of customer buckets."""
        found, texts = [], list(texts)
        with connect(folders=folders_of(self.snapshot), memory_limit=MEMORY_LIMIT, threads=self._threads) as con:
            for buckets, _ in bucket_groups(self.snapshot):
                register_events(con, self.snapshot, buckets)
                found.append([run(con, text) for text in texts])
        return found

    def _forget(self, used: int) -> None:
        """Leave room for more; what was used last stays, however large it is."""
        while len(self._columns) > used and sum(c.nbytes for c in self._columns.values()) > self._most:
            self._columns.popitem(last=False)


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with the types that the expression has: sums come from DuckDB in 128 bits."""
    return table.select(schema.names).cast(schema)


_ARROW = {"int64": pa.int64(), "string": pa.string(), "boolean": pa.bool_(), "float64": pa.float64()}
_NOBODY = np.empty(0, np.int64)
