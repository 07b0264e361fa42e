"""Values that change with the moment in another way than by a day a day, and when they pass a limit.

"Days since the last order" against "usual days between orders" has no instant that could be worked out from the events:
it is searched for between the instants at which events come and go. A difference that only grows or only falls there
(every plain feature, every ratio of two) is found to the microsecond; of stranger ones, what crosses and comes back
within a sixteenth of the interval can be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from kohort.definitions.rules.tree import Among, Compare, Leaf, Operand
from kohort.segments.decide import Truth

Sides = tuple[int | None, ...]
"""On which side of each limit a value lies: −1, 0 or 1; None where it is missing."""

POINTS = 16
"""Points looked at inside an interval."""

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition in the zone of its definition."""

    zone: str
    leaf: Leaf
    key: str = ""

    @staticmethod
    def of(zone: str, leaf: Leaf) -> Clause:
        # `= 1` and `= true` are equal as Python values and different as conditions; their texts differ.
        return Clause(zone, leaf, f"{zone} {leaf!r}")


@dataclass(frozen=True, slots=True)
class Answers:
    """What is true at each moment asked about.

    Attributes:
        truths: Per moment, per question.
        values: Per moment, per operand; None = missing.
    """

    truths: Sequence[Sequence[Truth]]
    values: Sequence[Sequence[object]] = ()


Ask = Callable[[Sequence[Clause], Sequence[tuple[str, Operand]], Sequence[int]], Answers]
"""Asks an engine about one customer: questions, (zone, operand) pairs whose values are wanted, moments ascending."""


def passings(drifting: Sequence[Clause], borders: Sequence[int], ask: Ask) -> set[int]:
    """Instants between the borders at which a drifting value passes what it is compared with."""
    found: set[int] = set()
    for start, end in pairwise(borders):
        if end - start < 2:
            continue
        step = max(1, (end - 1 - start) // POINTS)
        points = sorted({*range(start, end - 1, step), end - 1})
        signs = _signs(drifting, points, ask)
        for low, high, a, b in zip(points, points[1:], signs, signs[1:], strict=False):
            for n, clause in enumerate(drifting):
                if a[n] != b[n]:
                    found |= set(_passed(clause, (low, a[n]), (high, b[n]), ask))
    return found


def _passed(clause: Clause, low: tuple[int, Sides], high: tuple[int, Sides], ask: Ask) -> Iterator[int]:
    """Every instant in (low, high] at which the side on which a value lies changes."""
    (start, side), (end, last) = low, high
    while side != last:
        below, above, found = start, end, last
        while above - below > 1:
            step = max(1, (above - below) // _AT_ONCE)
            points = list(range(below + step, above, step))
            signs = [row[0] for row in _signs([clause], points, ask)]
            other = next((i for i, s in enumerate(signs) if s != side), None)
            if other is None:
                below = points[-1]
            else:
                below, above, found = (points[other - 1] if other else below), points[other], signs[other]
        yield above
        start, side = above, found


def _signs(drifting: Sequence[Clause], points: Sequence[int], ask: Ask) -> list[list[Sides]]:
    """Per point and question, on which side of each value compared with it the operand lies."""
    operands = [(q.zone, o) for q in drifting for o in _operands(q.leaf)]
    rows = ask((), operands, points).values
    found = []
    for row in rows:
        values, signs = iter(row), []
        for q in drifting:
            own = [next(values) for _ in _operands(q.leaf)]
            signs.append(_sides(q.leaf, own))
        found.append(signs)
    return found


def _operands(leaf: Leaf) -> Iterable[Operand]:
    if isinstance(leaf, Compare):
        return [leaf.left] if isinstance(leaf.right, str | Decimal | bool) else [leaf.left, leaf.right]
    assert isinstance(leaf, Among)
    return [leaf.of]


def _sides(leaf: Leaf, own: Sequence[object]) -> Sides:
    if isinstance(leaf, Compare):
        others: Sequence[object] = [own[1] if len(own) > 1 else leaf.right]
    else:
        assert isinstance(leaf, Among)
        others = leaf.values
    return tuple(_side(own[0], other) for other in others)


def _side(a: object, b: object) -> int | None:
    if not isinstance(a, int | float) or not isinstance(b, int | float | Decimal):
        return None
    return (a > float(b)) - (a < float(b))
