"""How much may wait: what can be worked off within seconds, measured while it is."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 6.0
"""Of work may wait. When more comes, senders are sent away; when it stops, members are current again soon."""
LEAST_BYTES = 2 << 20
"""May wait however slow the work is."""
UNKNOWN_BYTES = 16 << 20
"""May wait while it is not known how quickly they are worked off."""
_MEASURED_SECONDS = 1.0


class Room:
    """Says whether more can be taken, from how quickly what waits becomes less.

    Args:
        most: Bytes that may wait at most, however quickly they are worked off.
        clock: Seconds that only grow.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._taken = 0
        self._rate: float | None = None
        self._begun: tuple[float, int] | None = None

    def take(self, n: int) -> None:
        """So many bytes came in."""
        self._taken += n

    def left(self, waiting: int) -> bool:
        """Whether more can be taken while so many bytes wait."""
        if waiting < LEAST_BYTES:
            self._begun = None
            return True
        self._measure(self._taken - waiting, self._clock())
        limit = UNKNOWN_BYTES if self._rate is None else max(LEAST_BYTES, self._rate * SECONDS)
        return waiting < min(self._most, limit)

    def _measure(self, done: int, now: float) -> None:
        """Follows the speed. A stretch in which nothing was done says nothing: everybody is evaluated, or it begins."""
        if self._begun is None:
            self._begun = now, done
        began, before = self._begun
        if now - began < _MEASURED_SECONDS:
            return
        self._begun = now, done
        if done > before:
            rate = (done - before) / (now - began)
            self._rate = rate if self._rate is None else (self._rate + rate) / 2
