"""Where customers stand by what is committed, for readers in other threads than the loop's.

While a tick is made the loop's own copy of the memberships is half way between two moments, and what it holds may never be
stored. This one follows when a tick is on disk, all at once. The sorted columns are shared with the loop's copy; only what
changed since is held twice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kohort.live.placing import Move
    from kohort.live.standing import Standing, Stay


@dataclass(slots=True)
class _Part:
    """One part of one definition."""

    customer: np.ndarray
    number: np.ndarray
    since: np.ndarray
    reason: np.ndarray
    changed: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def of(self, customer: int) -> tuple[int, int, int]:
        """Number, since and reason of the last stay; number 0 = she was never in."""
        found = self.changed.get(customer)
        if found is not None:
            return found
        i = int(np.searchsorted(self.customer, customer))
        if i == len(self.customer) or self.customer[i] != customer:
            return 0, 0, 0
        return int(self.number[i]), int(self.since[i]), int(self.reason[i])


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is in one definition.

    Attributes:
        part: Its key.
        since: Microseconds UTC.
        reason: Place in REASONS, or UNSAID.
    """

    part: str
    since: int
    reason: int


class Shown:
    """Who stood where when the last tick was committed.

    Args:
        standing: The loop's own copy, read from the store just now.
        as_of: The moment that it shows.
    """

    def __init__(self, standing: Standing, as_of: int) -> None:
        self._standing, self._as_of = standing, as_of
        self._lock = threading.Lock()
        self._parts = {
            name: {key: _copy(standing, name, key) for key in standing.keys(name)} for name in standing.names()
        }

    def follow(self, moves: Sequence[Move], at: int) -> None:
        """A tick is on disk, and this is all that it changed."""
        with self._lock:
            self._as_of = at
            for move in moves:
                parts = self._parts.setdefault(move.name, {})
                part = parts.get(move.key)
                if part is None or part.customer is not self._standing.columns(move.name, move.key)[0]:
                    parts[move.key] = _copy(self._standing, move.name, move.key)  # the loop's copy was merged
                else:
                    part.changed[move.customer] = (move.number, move.since, move.reason)

    def of(self, customer: int) -> tuple[int, dict[str, Place]]:
        """The moment, and where a customer is then: by definition, only those that she is in."""
        with self._lock:
            found = {}
            for name, parts in self._parts.items():
                for key, part in parts.items():
                    number, since, reason = part.of(customer)
                    if number % 2:
                        found[name] = Place(key, since, reason)
            return self._as_of, found


def _copy(standing: Standing, name: str, key: str) -> _Part:
    columns = standing.columns(name, key)
    changed: dict[int, Stay] = standing.changed(name, key)
    return _Part(*columns, {c: (stay.number, stay.since, stay.reason) for c, stay in changed.items()})
