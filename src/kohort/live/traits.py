"""Changes of traits that triggers wait for, found in the tick that brings them: the values before it and after it.

A trait is what the latest event with a value says, as it is in rules (`kohort.compile`). Nothing is kept beside the events:
both values follow from them, so whatever becomes of a tick, the next one compares with what is stored.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


class Traits:
    """Follows the ticks of one view.

    Args:
        columns: Traits that are waited for, of those there are.
    """

    def __init__(self, view: View, columns: Sequence[str]) -> None:
        self._view, self.columns = view, tuple(columns)
        self._coming: list[tuple[int, int]] | None = None  # (instant, id) of events of the future
        self._before: dict[int, int] = {}

    def ask(self, fresh: pa.Table | None, links: Iterable[Link], at: int, regrouped: Mapping[int, int]) -> None:
        """Notes who may have other traits after a tick, and whose events are whose before it.

        Args:
            fresh: Events that the tick brings.
            links: What it says of who is who; not learned yet.
            at: Its moment.
            regrouped: Whom people merged or split since the tick before → the customers they were until then.
        """
        self._before = {}
        if not self.columns:
            return
        ids = {int(i) for link in links for i in (link.customer, link.root)} | regrouped.keys()
        ids |= {i for instant, i in self._to_come() if instant <= at}
        if fresh is not None:
            ids |= set(self._with_values(fresh)["customer"].drop_null().to_pylist())
        who = self._view.who
        own = {int(i) for i in who.ids(sorted(who.roots(ids))).tolist()} if ids else set[int]()
        self._before = {i: regrouped.get(i, who.root(i)) for i in sorted(ids | own)}

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
        stored = self._with_values(self._view.rows_of(ids))
        new = [] if fresh is None else [self._with_values(fresh)]
        before = self._latest([stored], since, lambda i: self._before.get(i, i))
        after = self._latest([stored, *new], at, who.root)
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
            later = self._with_values(fresh)
            later = later.filter(pc.and_(pc.greater(later["ts"], at), later["customer"].is_valid()))
            for one in zip(later["ts"].to_pylist(), later["customer"].to_pylist(), strict=True):
                heapq.heappush(coming, one)

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

    def _latest(
        self, tables: Sequence[pa.Table], until: int, root: Callable[[int], int]
    ) -> dict[int, dict[str, TraitValue]]:
        """Customer → column → its value at a moment; columns without one are left out."""
        found: dict[int, dict[str, TraitValue]] = {}
        for column in self.columns:
            best: dict[int, tuple[int, str, Any]] = {}
            for customer, *one in (row for table in tables for row in _newest(table, column, until)):
                person, (ts, event_id, value) = root(customer), one
                if person not in best or (ts, event_id) > best[person][:2]:
                    best[person] = ts, event_id, value
            kind = self._view.columns[column]
            for person, (*_, value) in best.items():
                found.setdefault(person, {})[column] = as_json(value, kind)
        return found


def _newest(rows: pa.Table, column: str, until: int) -> Iterator[tuple[Any, ...]]:
    """customer, ts, event_id and value of each id's newest events with a value, up to a moment: those of one instant."""
    if column not in rows.column_names:
        return iter(())
    here = rows.select([*_ALWAYS, column])
    here = here.filter(
        pc.and_(pc.and_(here[column].is_valid(), here["customer"].is_valid()), pc.less_equal(here["ts"], until))
    )
    customer, ts = here["customer"].to_numpy(), here["ts"].to_numpy()
    order = np.lexsort((ts, customer))
    _, sizes = np.unique(customer, return_counts=True)
    newest = ts[order][np.cumsum(sizes) - 1]
    kept = here.take(order[ts[order] == np.repeat(newest, sizes)])
    return zip(*(kept[name].to_pylist() for name in kept.column_names), strict=True)


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
