"""Who is to be evaluated when, for the next minute: what time alone may change, found ahead so that a tick only looks."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
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
    """Customers that time reaches, each at one instant; nobody twice.

    Attributes:
        customers: Those behind the ids that events carry.
        at: Instants, microseconds UTC.
    """

    customers: np.ndarray
    at: np.ndarray


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
        self._known: set[tuple[int, int]] = set()
        self._staying = {(stay.name, stay.segment) for stay in plan.stays}

    def look_ahead(self, until: int) -> None:
        """Makes sure that everything up to an instant, and a minute beyond, is known."""
        if until <= self._horizon:
            return
        end = until + LOOK_AHEAD_US
        self._add(self._plan.reached(self._major.crossing, self._horizon, end))
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
        self, until: int, root: Callable[[int], int], waits: Callable[[int], bool] = lambda _: False
    ) -> Iterator[Round]:
        """Whom time reaches up to an instant: round by round, each customer's instants in their order.

        Args:
            root: The customer behind an id.
            waits: Whether a customer is left out, for she is evaluated later and once.
        """
        due = {(at, root(customer)) for at, customer in self._up_to(until)}
        left_out = {customer for _, customer in due if waits(customer)}
        later = sorted(one for one in due if one[1] not in left_out)
        while later:
            now: dict[int, int] = {}
            again = []
            for at, customer in later:
                if customer in now:
                    again.append((at, customer))
                else:
                    now[customer] = at
            yield Round(np.array(list(now), np.int64), np.array(list(now.values()), np.int64))
            later = again

    def due_at(self, at: int) -> set[int]:
        """The ids that time reaches at this very instant, as events carry them."""
        return {customer for instant, customer in self._up_to(at) if instant == at}

    def next_instant(self) -> int | None:
        """The next instant that is known of."""
        return self._waiting[0][0] if self._waiting else None

    def done(self, until: int) -> None:
        """Everything up to an instant is stored."""
        while self._waiting and self._waiting[0][0] <= until:
            self._known.discard(heapq.heappop(self._waiting))

    def _add(self, due: Due) -> None:
        for one in zip(due.at.tolist(), due.customers.tolist(), strict=True):
            if one not in self._known:
                self._known.add(one)
                heapq.heappush(self._waiting, one)

    def _up_to(self, until: int) -> Iterator[tuple[int, int]]:
        """What waits until an instant, wherever it lies in the heap."""
        places = [0]
        while places:
            place = places.pop()
            if place < len(self._waiting) and self._waiting[place][0] <= until:
                yield self._waiting[place]
                places += [2 * place + 1, 2 * place + 2]


def _standing(rows: Sequence[tuple[int, str, str, int]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pa.table(
        [pa.array(list(c), f.type) for c, f in zip(columns, STANDING_SCHEMA, strict=True)], schema=STANDING_SCHEMA
    )
