"""Recent rows by customer, in memory: what has been stored since the files of the customer-major index were written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.store.records import Records, as_records

_GROWTH = 4
_MOST_ROWS = 16_384
"""A chunk of so many rows is not joined with others: one join stays a matter of milliseconds."""


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
        values = self.table.column(column)
        inside = pc.and_(pc.greater(values, after), pc.less_equal(values, until))
        rows = np.flatnonzero(inside.fill_null(False).to_numpy())
        if events is not None and len(rows):
            names = self.table.column("event").take(pa.array(rows))
            rows = rows[pc.is_in(names, value_set=pa.array(sorted(events), pa.string())).to_numpy()]
        return self.records.owners(rows), values.take(pa.array(rows)).to_numpy()


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


def later(chunks: tuple[Chunk, ...], seq: int) -> tuple[tuple[pa.Table, np.ndarray], ...]:
    """(rows, numbers) of only the appends after `seq`."""
    kept = [(chunk, chunk.seqs > seq) for chunk in chunks]
    return tuple((chunk.table.filter(pa.array(keep)), chunk.seqs[keep]) for chunk, keep in kept if keep.any())
