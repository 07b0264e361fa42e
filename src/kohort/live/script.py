"""A source that plays what it is given: for tests and trials of the loop, with every position replayable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kohort.live.sources import Taken
from kohort.model.arrival import Arrival


class Script:
    """Arrivals in memory, at positions 1, 2, 3 …

    Args:
        name: Of the source, in the loop's positions.
        arrivals: What is waiting at first.
    """

    def __init__(self, arrivals: Sequence[Arrival] = (), *, name: str = "script") -> None:
        self.name = name
        self.arrivals = list(arrivals)

    def add(self, *arrivals: Arrival) -> None:
        """More comes in."""
        self.arrivals += arrivals

    def take(self, positions: Mapping[str, int], limit: int) -> Taken:
        after = positions.get(self.name, 0)
        some = self.arrivals[after : after + limit]
        reached = after + len(some)
        return Taken(some, {self.name: reached} if some else {}, more=reached < len(self.arrivals))

    def wait(self, positions: Mapping[str, int], seconds: float) -> bool:
        return positions.get(self.name, 0) < len(self.arrivals)

    def stored(self, positions: Mapping[str, int]) -> None:
        """Nothing is forgotten: a test may play it again."""

    def close(self) -> None:
        """There is nothing to let go of."""
