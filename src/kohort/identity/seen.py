"""Since when ids are known: of two that are one customer, whoever was there first stays."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from kohort.store.store import Store


def first_seen(store: Store, ids: Iterable[int]) -> dict[int, int]:
    """The first event of ids, microseconds UTC; who had none is missing."""
    asked, shot = pa.array(sorted(ids), pa.int64()), store.log.snapshot()
    tables = (
        pq.read_table(path, columns=["customer", "ts"], partitioning=None)
        for paths in shot.files.values()
        for path in paths
    )
    first: dict[int, int] = {}
    hot = () if shot.hot is None else (shot.hot.select(["customer", "ts"]),)
    for table in chain(tables, hot):  # one in memory at a time
        # What a table of customers says has no moment of its own: 0.
        dated = pc.and_(pc.is_in(table.column("customer"), value_set=asked), pc.greater(table.column("ts"), 0))
        known = table.filter(dated)
        early = known.group_by("customer").aggregate([("ts", "min")])
        for customer, ts in zip(early.column("customer").to_pylist(), early.column("ts_min").to_pylist(), strict=True):
            first[customer] = min(ts, first.get(customer, ts))
    return first
