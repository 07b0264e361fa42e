"""What becomes of each row of an append: stored, known already, or in conflict with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.errors import WrongUsage
from kohort.model.event import ANONYMOUS_BUCKET
from kohort.store.ids import Entries, Run, look_up

Stored = Callable[[pa.Array], np.ndarray]
"""Which of these event ids are really stored, as booleans; slow, for the rare case that digests cannot tell."""


def conform(table: pa.Table, full: pa.Schema, batch: int | None, buckets: int) -> pa.Table:
    """The table in the full event schema, as single chunks.

    Args:
        full: `event_schema` of the declared columns.
        batch: Number of the ingest batch; None = the table's own column says it, row by row, or 0 where there is none.

    Raises:
        WrongUsage: A column is unknown, has another type, or lacks a required value.
    """
    if unknown := sorted(set(table.column_names) - set(full.names)):
        raise WrongUsage(f"Column {unknown[0]!r} is not declared.", hint="Call declare first.")
    n = table.num_rows
    arrays = []
    for field in full:
        if field.name == "bucket":
            arrays.append(_buckets(_one_chunk(table.column("customer"), pa.int64()), buckets))
        elif field.name == "batch" and (batch is not None or "batch" not in table.column_names):
            arrays.append(pa.array(np.full(n, batch or 0, dtype=np.int64)))
        elif field.name in table.column_names:
            try:
                arrays.append(_one_chunk(table.column(field.name), field.type))
            except pa.ArrowInvalid as error:
                raise WrongUsage(f"Column {field.name!r} does not hold {field.type}.") from error
        else:
            arrays.append(pa.nulls(n, field.type))
        if not field.nullable and arrays[-1].null_count:
            raise WrongUsage(f"Column {field.name!r} of the event table lacks a required value.")
    return pa.Table.from_arrays(arrays, schema=full)


def judge(table: pa.Table, entries: Entries, runs: Sequence[Run], stored: Stored) -> tuple[np.ndarray, np.ndarray]:
    """(rows to store, rows in conflict) as boolean arrays; the rest are duplicates."""
    same, other = look_up(entries, runs)
    fresh = ~(same | other)
    conflict = np.zeros(len(fresh), dtype=bool)
    if other.any():
        # Another content under this digest: a conflict, unless two different ids share a digest. Ask the rows.
        rows = np.flatnonzero(other)
        known = stored(table.column("event_id").take(pa.array(rows)).combine_chunks())
        conflict[rows[known]] = True
        fresh[rows[~known]] = True
    _judge_within(table, entries, fresh, conflict)
    return fresh, conflict


def _judge_within(table: pa.Table, entries: Entries, fresh: np.ndarray, conflict: np.ndarray) -> None:
    """Of new rows with one event id in this very table the first counts."""
    rows = np.flatnonzero(fresh)
    order = rows[np.argsort(entries.ids[rows], kind="stable")]
    repeated = order[1:][entries.ids[order][1:] == entries.ids[order][:-1]]
    if not len(repeated):
        return
    suspects = np.flatnonzero(np.isin(entries.ids, entries.ids[repeated]) & fresh)
    first: dict[str, int] = {}
    names = table.column("event_id").take(pa.array(suspects)).to_pylist()
    for row, event_id in zip(suspects.tolist(), names, strict=True):
        earlier = first.setdefault(event_id, row)
        if earlier != row:
            fresh[row] = False
            conflict[row] = entries.contents[row] != entries.contents[earlier]


def _one_chunk(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.Array:
    """The column as one array of a type; nothing is copied where nothing changes."""
    cast = column if column.type == wanted else column.cast(wanted)
    return cast.chunk(0) if cast.num_chunks == 1 else cast.combine_chunks()


def _buckets(customers: pa.Array, buckets: int) -> pa.Array:
    numbers = np.asarray(pc.fill_null(customers, 0)).astype(np.int64)
    inside = np.where(np.asarray(pc.is_null(customers)), ANONYMOUS_BUCKET, numbers % buckets)
    return pa.array(inside.astype(np.int32))
