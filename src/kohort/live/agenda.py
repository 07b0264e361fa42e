"""Who is to be evaluated when, for the next minute: what time alone may change, found ahead so that a tick only looks."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kohort.engines.segments import STANDING_SCHEMA
from kohort.live.moments import Due, TimePlan
from kohort.live.standing import Standing

if TYPE_CHECKING:
    from kohort.live.placing import Move
    from kohort.store.major import Major

LOOK_AHEAD_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Round:
    """Customers to be asked about, each at one instant; nobody twice.

    Attributes:
        customers: Those behind the ids that events carry.
        at: Instants, microseconds UTC.
        names: The definitions that time alone may change for any of them, but for what refers to these.
    """

    customers: np.ndarray
    at: np.ndarray
    names: frozenset[str]


class Agenda:
    """Instants at which time alone may change somebody's segments, looked up a minute ahead.

    What was taken is only forgotten when it is `done`: a tick that could not be stored asks again.

    Args:
        plan: Of the definitions.
        major: The index of events, with the plan's columns.
        standing: Where customers stand, for minimum stays.
        since: Everything later than this instant is still to come.
    """

    def __init__(self, plan: TimePlan, major: Major, standing: Standing, since: int) -> None:
        self._plan, self._major, self._standing = plan, major, standing
        self._horizon = since
        self._waiting: list[tuple[int, int]] = []
        self._known: dict[tuple[int, int], frozenset[str]] = {}
        self._staying = {(stay.name, stay.segment) for stay in plan.stays}

    def look_ahead(self, until: int) -> None:
        """Makes sure that everything up to an instant, and a minute beyond, is known."""
        if until <= self._horizon:
            return
        end = until + LOOK_AHEAD_US
        self._add(self._plan.reached(self._major, self._horizon, end))
        if self._staying:
            stays = [
                (customer, name, key, since)
                for name, key in sorted(self._staying)
                for customer, since in self._standing.inside(name, key)
            ]
            self._add(self._plan.stays_over(_standing(stays), self._horizon, end))
        self._horizon = end

    def stored(self, rows: pa.Table, at: int) -> None:
        """New events: what time does to them within what was looked ahead for."""
        self._add(self._plan.due(rows, at, self._horizon))

    def moved(self, moves: Sequence[Move], at: int) -> None:
        """Entries: minimum stays that begin, and end within what was looked ahead for."""
        begun = [
            (m.customer, m.name, m.key, m.since) for m in moves if m.change == 1 and (m.name, m.key) in self._staying
        ]
        if begun:
            self._add(self._plan.stays_over(_standing(begun), at, self._horizon))

    def everybody(self, after: int, until: int) -> dict[int, frozenset[str]]:
        """Instants in (after, until] at which definitions are to be evaluated for everybody."""
        return self._plan.everybody(after, until)

    def rounds(
        self,
        until: int,
        root: Callable[[int], int],
        waits: Callable[[int], bool] = lambda _: False,
        touched: Collection[int] = (),
        relieve: Callable[[Mapping[int, int]], Collection[int]] = lambda _: (),
    ) -> Iterator[Round]:
        """Whom time reaches before an instant: round by round, each customer's instants in their order.

        Args:
            root: The customer behind an id.
            waits: Whether a customer is left out, for she is evaluated later and once.
            touched: Customers to be asked about at the instant itself, after what time did to them.
            relieve: Chooses who is left out as well, told at how many instants everybody is to be asked about.
        """
        due: dict[int, list[tuple[int, frozenset[str]]]] = {}
        for at, customer in sorted(self._up_to(until - 1)):
            due.setdefault(root(customer), []).append((at, self._known[at, customer]))
        waiting = {customer: _joined(found) for customer, found in due.items() if not waits(customer)}
        for customer in touched:
            waiting.setdefault(customer, []).append((until, frozenset()))
        for customer in relieve({customer: len(found) for customer, found in waiting.items()}):
            del waiting[customer]
        while waiting:
            now = {customer: found.pop(0) for customer, found in waiting.items()}
            names = frozenset().union(*(named for _, named in now.values()))
            yield Round(np.array(list(now), np.int64), np.array([at for at, _ in now.values()], np.int64), names)
            waiting = {customer: found for customer, found in waiting.items() if found}

    def due_at(self, at: int) -> tuple[set[int], frozenset[str]]:
        """The ids that time reaches at this very instant, as events carry them, and the definitions it may change."""
        found = {customer: self._known[instant, customer] for instant, customer in self._up_to(at) if instant == at}
        return set(found), frozenset().union(*found.values())

    def next_instant(self) -> int | None:
        """The next instant that is known of."""
        return self._waiting[0][0] if self._waiting else None

    def done(self, until: int) -> None:
        """Everything up to an instant is stored."""
        while self._waiting and self._waiting[0][0] <= until:
            del self._known[heapq.heappop(self._waiting)]

    def _add(self, due: Due) -> None:
        for at, customer, names in zip(due.at.tolist(), due.customers.tolist(), due.names, strict=True):
            one = at, customer
            if one not in self._known:
                heapq.heappush(self._waiting, one)
            self._known[one] = names | self._known.get(one, frozenset())

    def _up_to(self, until: int) -> Iterator[tuple[int, int]]:
        """What waits until an instant, wherever it lies in the heap."""
        places = [0]
        while places:
            place = places.pop()
            if place < len(self._waiting) and self._waiting[place][0] <= until:
                yield self._waiting[place]
                places += [2 * place + 1, 2 * place + 2]


def _joined(found: list[tuple[int, frozenset[str]]]) -> list[tuple[int, frozenset[str]]]:
    """Each instant once, in order; two ids of one customer may have the same."""
    each: dict[int, frozenset[str]] = {}
    for at, names in found:
        each[at] = names | each.get(at, frozenset())
    return list(each.items())


def _standing(rows: Sequence[tuple[int, str, str, int]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pa.table(
        [pa.array(list(c), f.type) for c, f in zip(columns, STANDING_SCHEMA, strict=True)], schema=STANDING_SCHEMA
    )
