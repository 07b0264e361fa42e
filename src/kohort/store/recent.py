"""Recent rows by customer, in memory: what has been stored since the files of the customer-major index were written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_GROWTH = 4
_MOST_ROWS = 16_384
"""A chunk of so many rows is not joined with others: one join stays a matter of milliseconds."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows sorted by customer, and the number of the append each came with."""

    rows: pa.RecordBatch
    customers: np.ndarray
    seqs: np.ndarray

    @classmethod
    def of(cls, rows: pa.RecordBatch, seqs: np.ndarray) -> Chunk:
        """From rows in any order, all with a customer."""
        customers = np.asarray(rows.column("customer"))
        order = np.argsort(customers, kind="stable")
        return cls(rows.take(pa.array(order)), customers[order], seqs[order])

    def of_customers(self, customers: np.ndarray) -> pa.RecordBatch | None:
        """The rows of these customers (sorted, each once); None where there are none."""
        first = np.searchsorted(self.customers, customers, side="left")
        count = np.searchsorted(self.customers, customers, side="right") - first
        total = int(count.sum())
        if not total:
            return None
        before = np.cumsum(count) - count
        return self.rows.take(pa.array(np.repeat(first - before, count) + np.arange(total)))

    def crossing(
        self, column: str, after: int, until: int, events: frozenset[str] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(customers, values) of the rows whose value lies in (after, until]."""
        values = self.rows.column(column)
        inside = pc.and_(pc.greater(values, after), pc.less_equal(values, until))
        places = np.flatnonzero(np.asarray(pc.fill_null(inside, False)))
        if events is not None and len(places):
            names = self.rows.column("event").take(pa.array(places))
            places = places[np.asarray(pc.is_in(names, value_set=pa.array(sorted(events), pa.string())))]
        return self.customers[places], np.asarray(values.take(pa.array(places)), dtype=np.int64)


def added(chunks: tuple[Chunk, ...], rows: pa.RecordBatch, seqs: np.ndarray) -> tuple[Chunk, ...]:
    """The chunks and more rows. Chunks of a size are joined, so that they stay few however small the additions are."""
    if not rows.num_rows:
        return chunks
    new, n = [Chunk.of(rows, seqs)], len(chunks)
    total = rows.num_rows
    while n and len(chunks[n - 1].customers) < min(_GROWTH * total, _MOST_ROWS):
        n -= 1
        new.append(chunks[n])
        total += len(chunks[n].customers)
    return (*chunks[:n], _joined(new) if len(new) > 1 else new[0])


def later(chunks: tuple[Chunk, ...], seq: int) -> tuple[Chunk, ...]:
    """Only the rows of appends after `seq`."""
    found = []
    for chunk in chunks:
        keep = chunk.seqs > seq
        if keep.all():
            found.append(chunk)
        elif keep.any():
            found.append(Chunk(chunk.rows.filter(pa.array(keep)), chunk.customers[keep], chunk.seqs[keep]))
    return tuple(found)


def _joined(chunks: list[Chunk]) -> Chunk:
    whole = pa.Table.from_batches([c.rows for c in chunks]).combine_chunks().to_batches()[0]
    return Chunk.of(whole, np.concatenate([c.seqs for c in chunks]))
