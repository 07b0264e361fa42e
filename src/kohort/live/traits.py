"""Changes of traits that triggers wait for, found in the tick that brings them: the values before it and after it.

A trait is what the latest event with a value says, as it is in rules (`kohort.compile`). Nothing is kept beside the events:
both values follow from them, so whatever becomes of a tick, the next one compares with what is stored.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.model.clock import iso
from kohort.model.event import NUMBER_SCALE, ColumnType, list_items
from kohort.model.trait_change import TraitChange, TraitValue

if TYPE_CHECKING:
    from kohort.live.view import View
    from kohort.model.arrival import Link

_ALWAYS = ("customer", "ts", "event_id")
_Row = Mapping[str, Any]


class Traits:
    """Follows the ticks of one view.

    Args:
        columns: Traits that are waited for, of those there are.
    """

    def __init__(self, view: View, columns: Sequence[str]) -> None:
        self._view, self.columns = view, tuple(columns)
        self._coming: list[tuple[int, int]] | None = None  # (instant, id) of events of the future
        self._before: dict[int, int] = {}

    def ask(self, fresh: pa.Table | None, links: Iterable[Link], at: int) -> None:
        """Notes who may have other traits after a tick, and whose events are whose before it.

        Args:
            fresh: Events that the tick brings.
            links: What it says of who is who; not learned yet.
            at: Its moment.
        """
        self._before = {}
        if not self.columns:
            return
        ids = {int(i) for link in links for i in (link.customer, link.root)}
        ids |= {i for instant, i in self._to_come() if instant <= at}
        if fresh is not None:
            ids |= set(self._with_values(fresh)["customer"].drop_null().to_pylist())
        who = self._view.who
        own = {int(i) for i in who.ids(sorted(who.roots(ids))).tolist()} if ids else set[int]()
        self._before = {i: who.root(i) for i in sorted(ids | own)}

    def changes(self, fresh: pa.Table | None, since: int, at: int) -> list[TraitChange]:
        """What a tick changed, once its links are learned. Visitors have no traits of their own to tell of.

        Args:
            fresh: See `ask`.
            since: The moment before the tick.
            at: Its moment.
        """
        if not self._before:
            return []
        who = self._view.who
        persons = sorted(who.roots(self._before))
        ids = np.array(sorted(self._before.keys() | set(who.ids(persons).tolist())), np.int64)
        stored = self._rows(self._view.rows_of(ids))
        new = [] if fresh is None else self._rows(fresh.filter(pc.is_in(fresh["customer"], value_set=pa.array(ids))))
        before = self._latest([row for row in stored if row["ts"] <= since], lambda i: self._before.get(i, i))
        after = self._latest([row for row in (*stored, *new) if row["ts"] <= at], who.root)
        found = []
        for person in persons:
            was, now = before.get(person, {}), after.get(person, {})
            other = [c for c in self.columns if was.get(c) != now.get(c)]
            if person > 0 and other:
                found.append(TraitChange(person, at, {c: was.get(c) for c in other}, {c: now.get(c) for c in other}))
        return found

    def stored(self, fresh: pa.Table | None, at: int) -> None:
        """A tick is on disk."""
        if not self.columns:
            return
        coming = self._to_come()
        while coming and coming[0][0] <= at:
            heapq.heappop(coming)
        if fresh is not None:
            for row in self._rows(fresh):
                if row["ts"] > at and row["customer"] is not None:
                    heapq.heappush(coming, (row["ts"], row["customer"]))

    # -- parts -----------------------------------------------------------------------------------------------------

    def _to_come(self) -> list[tuple[int, int]]:
        if self._coming is None:
            customers, instants = self._view.still_to_come()
            self._coming = sorted(zip(instants.tolist(), customers.tolist(), strict=True))
        return self._coming

    def _with_values(self, rows: pa.Table) -> pa.Table:
        """The rows in which any of the traits has a value."""
        there = [rows[c].is_valid() for c in self.columns if c in rows.column_names and rows[c].null_count < len(rows)]
        if not there:
            return rows.slice(0, 0)
        mask = there[0]
        for more in there[1:]:
            mask = pc.or_(mask, more)
        return rows.filter(mask)

    def _rows(self, rows: pa.Table) -> list[_Row]:
        found = self._with_values(rows)
        names = [*_ALWAYS, *(c for c in self.columns if c in found.column_names)]
        return found.select(names).to_pylist() if found.num_rows else []

    def _latest(self, rows: Sequence[_Row], root: Any) -> dict[int, dict[str, TraitValue]]:
        """Customer → column → its value; columns without one are left out."""
        found: dict[int, dict[str, TraitValue]] = {}
        for row in sorted(rows, key=lambda r: (r["ts"], r["event_id"])):
            mine = found.setdefault(root(row["customer"]), {})
            for column in self.columns:
                if (value := row.get(column)) is not None:
                    mine[column] = as_json(value, self._view.columns[column])
        return found


def as_json(value: Any, kind: ColumnType) -> TraitValue:
    """A stored value as JSON has it.

    Example:
        >>> as_json(2_500_000, "number"), as_json(0, "time"), as_json(True, "flag")
        (2.5, '1970-01-01T00:00:00Z', True)
    """
    match kind:
        case "number":
            whole, rest = divmod(int(value), NUMBER_SCALE)
            return int(value) / NUMBER_SCALE if rest else whole
        case "time":
            return iso(value)
        case "list":
            return list_items(value)
        case _:
            found: TraitValue = value
            return found
