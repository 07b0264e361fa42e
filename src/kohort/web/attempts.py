"""How often somebody may try: logins are counted before a password is looked at.

Strangers share a few attempts for each name and for each address. A browser that has logged in before has attempts of its
own, so that strangers who guess lock nobody out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock

SPAN_SECONDS = 15 * 60.0
FOR_A_NAME, FOR_AN_ADDRESS = 10, 50
_MOST_KEYS = 20_000

Limit = tuple[str, int]
"""What is counted, and how many there may be."""


class Attempts:
    """Attempts of the last quarter of an hour, by what they have in common. One process counts for itself.

    Args:
        clock: Seconds that only grow.

    Example:
        >>> attempts = Attempts(lambda: 0.0)
        >>> [attempts.take([("name ann", 2)]) for _ in range(3)]
        [0.0, 0.0, 900.0]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: dict[str, deque[float]] = {}
        self._lock = Lock()

    def take(self, limits: Sequence[Limit]) -> float:
        """Counts one attempt and answers 0; or counts nothing and says after how many seconds there may be one."""
        now = self._clock()
        with self._lock:
            self._tidy(now)
            wait = max(self._wait(key, most, now) for key, most in limits)
            if wait <= 0:
                for key, _ in limits:
                    self._made.setdefault(key, deque()).append(now)
            return max(wait, 0.0)

    def give_back(self, limits: Sequence[Limit]) -> None:
        """It was the right one: only wrong ones count."""
        with self._lock:
            for key, _ in limits:
                if made := self._made.get(key):
                    made.pop()

    def _wait(self, key: str, most: int, now: float) -> float:
        made = self._made.get(key)
        if made is None:
            # Full of attempts that still count: none of them is forgotten for a new one.
            return SPAN_SECONDS if len(self._made) >= _MOST_KEYS else 0.0
        while made and made[0] <= now - SPAN_SECONDS:
            made.popleft()
        return made[-most] + SPAN_SECONDS - now if len(made) >= most else 0.0

    def _tidy(self, now: float) -> None:
        if len(self._made) >= _MOST_KEYS:
            self._made = {key: made for key, made in self._made.items() if made and made[-1] > now - SPAN_SECONDS}
