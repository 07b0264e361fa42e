"""Columns of all customers at one moment, kept while somebody edits a definition: what is known is not computed again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import pyarrow as pa

from kohort.compile.features import CUSTOMER, to_sql
from kohort.compile.preview import CompiledPreview, first_event
from kohort.definitions.conditions import Condition
from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT, bucket_groups, run
from kohort.model.snapshot import Snapshot

MOST_BYTES = 1 << 29


class Measures:
    """The customers of a log at one moment and columns about them, the least recently used ones forgotten first.

    Args:
        snapshot: The event log; the columns are those of this version.
        as_of: Nothing later is visible, microseconds UTC.
        threads: None = the setting KOHORT_THREADS.
        most_bytes: What the columns may take.
    """

    def __init__(
        self, snapshot: Snapshot, as_of: int, *, threads: int | None = None, most_bytes: int = MOST_BYTES
    ) -> None:
        self.snapshot, self.as_of = snapshot, as_of
        self._threads, self._most = threads, most_bytes
        self._customers: np.ndarray | None = None
        self._columns: OrderedDict[Hashable, pa.Array] = OrderedDict()
        self._pairs: dict[str, pa.Table] = {}
        self._seen: dict[Condition, bool] = {}

    def fits(self, snapshot: Snapshot, as_of: int) -> bool:
        """Whether the columns are those of this log at this moment."""
        return self.as_of == as_of and self.snapshot.version == snapshot.version

    @property
    def customers(self) -> np.ndarray:
        """Pseudonyms of everybody with a visible event, sorted."""
        if self._customers is None:
            sql = f"SELECT DISTINCT customer FROM events WHERE customer IS NOT NULL AND ts <= {int(self.as_of)}"
            found = self._run([sql])
            self._customers = (
                np.sort(pa.concat_tables(t for (t,) in found)["customer"].to_numpy()) if found else _NOBODY
            )
        return self._customers

    def table(self, compiled: CompiledPreview) -> pa.Table:
        """`customer` and every column that the plan of a preview asks for, under its names."""
        keys = compiled.plan.needs()
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
        if accounts not in self._pairs:
            sql = to_sql(compiled.pairs(accounts, self.snapshot.columns, self.as_of))
            found = [t for (t,) in self._run([sql])]
            empty = pa.table({CUSTOMER: pa.array([], pa.int64()), "account": pa.array([], pa.string())})
            self._pairs[accounts] = pa.concat_tables([empty, *found], promote_options="permissive")
        return self._pairs[accounts]

    def seen(self, conditions: Iterable[Condition]) -> set[Condition]:
        """The conditions that some event of a customer has ever met; each is looked up once for a version of the log."""
        asked = list(conditions)
        open_ = {c: to_sql(first_event(c, self.snapshot.columns)) for c in asked if c not in self._seen}
        if open_:
            with connect(folders=folders_of(self.snapshot), memory_limit=MEMORY_LIMIT, threads=self._threads) as con:
                for buckets, _ in bucket_groups(self.snapshot):
                    register_events(con, self.snapshot, buckets)
                    open_ = {c: sql for c, sql in open_.items() if not run(con, sql).num_rows}
            self._seen |= {c: c not in open_ for c in asked if c not in self._seen}
        return {c for c in asked if self._seen[c]}

    def _compute(self, compiled: CompiledPreview, missing: Mapping[str, Hashable]) -> None:
        texts = [to_sql(stage) for stage in compiled.stages(list(missing), self.snapshot.columns, self.as_of)]
        for stage in zip(*self._run(texts), strict=True):
            whole = pa.concat_tables(stage, promote_options="permissive")
            place = self._aligned(whole["customer"].to_numpy())
            for name in whole.column_names:
                if name in missing:
                    self._columns[missing[name]] = pa.chunked_array(whole[name]).combine_chunks().take(place)
        # A log without any event has no stage; its columns are empty.
        for key in missing.values():
            self._columns.setdefault(key, pa.nulls(len(self.customers)))

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


_NOBODY = np.empty(0, np.int64)
