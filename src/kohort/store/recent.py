"""Recent rows by customer, in memory: what has been stored since the files of the customer-major index were written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.store.records import Records, as_records

_GROWTH = 4
_MOST_ROWS = 16_384
"""A chunk of so many rows is not joined with others: one join stays a matter of milliseconds."""
_FEW = 256
"""So many of the newest rows are looked through: making records of each tick's would cost more than all questions save."""
_MOST_PIECES = 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows sorted by customer, as columns and as records, and the number of the append each came with."""

    table: pa.Table
    seqs: np.ndarray
    records: Records

    @classmethod
    def of(cls, table: pa.Table, seqs: np.ndarray) -> Chunk:
        """From rows in any order, all with a customer."""
        order = np.argsort(table.column("customer").to_numpy(), kind="stable")
        rows = table.take(pa.array(order)).combine_chunks()
        return cls(rows, seqs[order], as_records(rows, frozenset()))

    def crossing(
        self, column: str, after: int, until: int, events: frozenset[str] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(customers, values) of the rows whose value lies in (after, until]."""
        return _crossing(self.table, column, after, until, events)


@dataclass(frozen=True, slots=True)
class Newest:
    """The last few rows in the order in which they came, and the number of the append each came with."""

    table: pa.Table
    seqs: np.ndarray
    customers: frozenset[int]

    def of(self, customers: np.ndarray) -> pa.Table | None:
        """The rows of some customers; None where there are none."""
        if self.customers.isdisjoint(customers.tolist()):
            return None
        return self.table.filter(pc.is_in(self.table.column("customer"), value_set=pa.array(customers)))

    def crossing(
        self, column: str, after: int, until: int, events: frozenset[str] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Chunk.crossing`."""
        return _crossing(self.table, column, after, until, events)


def _crossing(
    table: pa.Table, column: str, after: int, until: int, events: frozenset[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    values = table.column(column)
    inside = pc.and_(pc.greater(values, after), pc.less_equal(values, until))
    rows = np.flatnonzero(inside.fill_null(False).to_numpy())
    if events is not None and len(rows):
        names = table.column("event").take(pa.array(rows))
        rows = rows[pc.is_in(names, value_set=pa.array(sorted(events), pa.string())).to_numpy()]
    places = pa.array(rows)
    return table.column("customer").take(places).to_numpy(), values.take(places).to_numpy()


def remembered(
    newest: Newest | None, chunks: tuple[Chunk, ...], rows: pa.Table, seqs: np.ndarray
) -> tuple[Newest | None, tuple[Chunk, ...]]:
    """The newest rows and the chunks with more rows, all of which have a customer."""
    if not rows.num_rows:
        return newest, chunks
    if newest is not None:
        rows, seqs = pa.concat_tables([newest.table, rows]), np.concatenate([newest.seqs, seqs])
    if rows.num_rows > _FEW:
        return None, added(chunks, rows, seqs)
    if rows.column(0).num_chunks > _MOST_PIECES:
        rows = rows.combine_chunks()
    return Newest(rows, seqs, frozenset(rows.column("customer").to_pylist())), chunks


def added(chunks: tuple[Chunk, ...], table: pa.Table, seqs: np.ndarray) -> tuple[Chunk, ...]:
    """The chunks and more rows. Chunks of a size are joined, so that they stay few however small the additions are."""
    n, total = len(chunks), table.num_rows
    if not total:
        return chunks
    tables, all_seqs = [table], [seqs]
    while n and chunks[n - 1].table.num_rows < min(_GROWTH * total, _MOST_ROWS):
        n -= 1
        tables.append(chunks[n].table)
        all_seqs.append(chunks[n].seqs)
        total += chunks[n].table.num_rows
    return (*chunks[:n], Chunk.of(pa.concat_tables(tables), np.concatenate(all_seqs)))


def later(kept: Iterable[Chunk | Newest | None], seq: int) -> tuple[tuple[pa.Table, np.ndarray], ...]:
    """(rows, numbers) of only the appends after `seq`."""
    found = [(one, one.seqs > seq) for one in kept if one is not None]
    return tuple((one.table.filter(pa.array(after)), one.seqs[after]) for one, after in found if after.any())
