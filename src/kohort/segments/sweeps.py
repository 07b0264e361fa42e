"""What a moving edge sweeps over while time passes: which stored instants, and when exactly each.

The inverse of `kohort.compile.clock.Edge` over an interval of moments, for any number of values at once. An edge mostly
moves as fast as time does; calendars make it jump, forwards and back, at borders that are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from kohort.compile.clock import Edge
from kohort.model.clock import DAY_US
from kohort.segments.crossings import changes_of_clock, midnights, wall_time
from kohort.segments.passages import Move


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values in (low, high], and when the edge passes them.

    Attributes:
        shift: This much after the value; None = all of them at the same moment.
        at: That moment.
    """

    low: int
    high: int
    shift: int | None = None
    at: int = 0


def sweeps(move: Move, after: int, until: int) -> tuple[Sweep, ...]:
    """What an edge passes at the moments in (after, until]: whether `value <= edge` changes there, and nowhere else.

    A value may be passed more than once: the last days of March all step back to the last day of February.

    Example:
        >>> sweeps(5, 0, 10)
        (Sweep(low=-5, high=5, shift=5, at=0),)
    """
    if isinstance(move, int):
        return (Sweep(after - move, until - move, move),) if after < until else ()
    return tuple(s for s in _calendar(move, after, until) if s.low < s.high)


def _calendar(edge: Edge, after: int, until: int) -> Iterator[Sweep]:
    steps = edge.span is not None and not edge.span.calendar and edge.direction != "period"
    at = edge.instant
    for start, end in pairwise([after, *_borders(edge.zone, after, until), until + 1]):
        if start > after:
            yield _jump(at, start)
        if steps:
            yield from _slide(edge, start, end - 1)


def _borders(zone: str, after: int, until: int) -> list[int]:
    """Where local days begin and the clock changes: an edge may jump there."""
    found = set(changes_of_clock(zone, after + 1, until))
    day, last = wall_time(after, zone).date(), wall_time(until, zone).date() + timedelta(days=1)
    while day <= last:
        found |= midnights(day, zone)
        day += timedelta(days=1)
    return sorted(t for t in found if after < t <= until)


def _jump(at: Callable[[int], int], border: int) -> Sweep:
    low, high = sorted((at(border - 1), at(border)))
    return Sweep(low, high, None, border)


def _slide(edge: Edge, start: int, last: int) -> Iterator[Sweep]:
    """From `start` to `last`, both of one local day, an edge moves as time does, but for changes of the clock it meets."""
    at = edge.instant
    near = sorted((at(start), at(last)))
    met = {start + change - at(start) for change in changes_of_clock(edge.zone, near[0] - DAY_US, near[1] + DAY_US)}
    for low, high in pairwise([start, *sorted(t for t in met if start < t <= last), last + 1]):
        if low > start:
            yield _jump(at, low)
        yield from _even(at, low, high - 1)


def _even(at: Callable[[int], int], start: int, last: int) -> Iterator[Sweep]:
    """As `_slide`, where the edge jumps once at most."""
    shift = start - at(start)
    if last - at(last) == shift:
        yield Sweep(at(start), at(last), shift)
        return
    low, high = start, last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle - at(middle) == shift else (low, middle)
    yield Sweep(at(start), at(low), shift)
    yield _jump(at, high)
    yield from _even(at, high, last)
