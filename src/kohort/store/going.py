"""Which rows of events go when files are written anew: those of some persons, or those that are too old."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.store.base import BaseFile


class Going(Protocol):
    """Says which rows go."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What `mask` looks at; a column that a file does not have yet is null."""
        ...

    def may_hold(self, file: BaseFile) -> bool:
        """Whether a file can have such rows, by what is known without opening it."""
        ...

    def mask(self, rows: pa.Table) -> pa.Array:
        """Which rows go (boolean, no nulls), from `columns`."""
        ...


class Persons:
    """All rows of some ids."""

    columns = ("customer",)

    def __init__(self, ids: np.ndarray | Sequence[int], buckets: int) -> None:
        self.ids = np.unique(np.asarray(ids, np.int64))
        self._buckets = frozenset((self.ids % buckets).tolist())

    def may_hold(self, file: BaseFile) -> bool:
        if file.bucket not in self._buckets:
            return False
        edges = _edges(file, "customer")
        return edges is None or bool(((self.ids >= edges[0]) & (self.ids <= edges[1])).any())

    def mask(self, rows: pa.Table) -> pa.Array:
        return pc.is_in(rows.column("customer"), value_set=pa.array(self.ids)).combine_chunks()


@dataclass(frozen=True, slots=True)
class Aged:
    """Rows that happened long ago. What is known since ever (instant 0) has no age.

    Attributes:
        until: Kind of event → the last instant that is too old, microseconds UTC.
        others: The same of every other kind; None = they are kept.
        spared: Kinds that `others` does not mean.
        statements: Columns of consents; a row that says anything there stays, unless its own kind is named.
    """

    until: Mapping[str, int]
    others: int | None = None
    spared: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return ("event", "ts", *self.statements)

    def may_hold(self, file: BaseFile) -> bool:
        latest = max([*self.until.values(), *([] if self.others is None else [self.others])], default=None)
        edges = _edges(file, "ts")
        return latest is not None and (edges is None or edges[0] <= latest)

    def mask(self, rows: pa.Table) -> pa.Array:
        kinds, ts = rows.column("event"), rows.column("ts")
        gone = pa.array(np.zeros(rows.num_rows, bool))
        for kind, limit in self.until.items():
            gone = pc.or_(gone, pc.and_(pc.equal(kinds, kind), pc.less_equal(ts, limit)))
        if self.others is not None:
            named = pc.is_in(kinds, value_set=pa.array([*self.until, *self.spared], pa.string()))
            old = pc.and_(pc.invert(named), pc.less_equal(ts, self.others))
            for column in self.statements:
                old = pc.and_(old, pc.is_null(rows.column(column)))
            gone = pc.or_(gone, old)
        found = pc.fill_null(pc.and_(gone, pc.not_equal(ts, 0)), False)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _edges(file: BaseFile, column: str) -> tuple[int, int] | None:
    """Smallest and largest value of a column; None where they are not known."""
    stats = json.loads(file.stats)
    low = stats["minValues"].get(column)
    return None if low is None else (int(low), int(stats["maxValues"][column]))
