"""Drawings with axes: columns, lines, dots and bars, each placed by its figures.

What is drawn is said as marks on two scales; where labels go, and which of them there is room for, is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kohort.views.chart import Axis
from kohort.views.svg import CHAR_WIDTH, fit, n, picture, spread, text, wrap

WIDE, NARROW = 660.0, 350.0
"""Width of a drawing for a page, and for a phone."""

_TOP, _BELOW, _MOST_COLUMN = 26.0, 40.0, 56.0
_BAR = 12.0


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis with its two ends and the places that are named."""

    axis: Axis
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that stand at 0, 1, 2 …, each a stack of (value, colour class) from below; None = not known, a gap.

    Attributes:
        open_end: The last one is not over, so it is drawn open.
    """

    stacks: Sequence[Sequence[tuple[float | None, str]]]
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """Points joined in the order given.

    Attributes:
        name: Written at its end; empty = it needs none.
        ringed: Places in `points` that stand out.
        dots: How large each point is drawn; 0 = not.
    """

    points: Sequence[tuple[float, float]]
    colour: str = "c-accent"
    name: str = ""
    ringed: frozenset[int] = frozenset()
    dots: float = 4.0
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Diagonal:
    """Where both axes say the same."""


Mark = Columns | Line | Diagonal
Place = Callable[[float], float]


def plot(
    marks: Sequence[Mark], across: Scale, up: Scale, sentence: str, size: tuple[float, float], *, right: float = 12.0
) -> str:
    """An SVG of marks on two axes.

    Args:
        size: Width and height.
        right: Room at the right, for names of lines.
    """
    width, height = size
    left = max(max(len(label) for _, label in up.ticks) * CHAR_WIDTH + 12, 34.0)
    end, bottom = width - right, height - _BELOW

    def x(value: float) -> float:
        return left + (end - left) * (value - across.low) / ((across.high - across.low) or 1.0)

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * (value - up.low) / ((up.high - up.low) or 1.0)

    parts = []
    for value, label in up.ticks:
        css = "axis" if value == up.low else "grid-l"
        parts.append(f'<path class="{css}" d="M{n(left)} {n(y(value))}H{n(end)}"/>')
        parts.append(_tick(left - 8, y(value) + 4, label, "end"))
    parts += _below(across, x, bottom + 16, width)
    for mark in marks:
        parts += _columns(mark, x, y) if isinstance(mark, Columns) else _line(mark, x, y)
    parts += _names([m for m in marks if isinstance(m, Line) and m.name], x, y, (end, width), (_TOP, bottom))
    parts.append(_tick(left, height - 5, f"{across.axis} →", "start"))
    parts.append(_tick(2, 11, f"↑ {up.axis}", "start"))
    return picture(width, height, sentence, parts)


def _below(across: Scale, x: Place, y: float, width: float) -> list[str]:
    """Names under the horizontal axis, the last one first; those without room are left out."""
    drawn, free = [], width + 8.0
    for value, label in sorted(across.ticks, reverse=True):
        half = len(label) * CHAR_WIDTH / 2
        middle = min(x(value), width - half)
        if middle + half + 8 > free:
            continue
        drawn.append(_tick(middle, y, label, "middle"))
        free = middle - half
    return drawn


def _columns(mark: Columns, x: Place, y: Place) -> list[str]:
    drawn = []
    size = min((x(1) - x(0)) * 0.68, _MOST_COLUMN)
    for i, stack in enumerate(mark.stacks):
        below = 0.0
        css = " open" if mark.open_end and i == len(mark.stacks) - 1 else ""
        for value, colour in stack:
            if not value or value < 0:
                continue
            high = y(below) - y(below + value)
            drawn.append(
                f'<rect class="col {colour}{css}" x="{n(x(i) - size / 2)}" y="{n(y(below + value))}" '
                f'width="{n(size)}" height="{n(high)}" rx="{2 if len(stack) == 1 else 1}"/>'
            )
            below += value
    return drawn


def _line(mark: Line | Diagonal, x: Place, y: Place) -> list[str]:
    if isinstance(mark, Diagonal):
        return [f'<path class="diagonal" d="M{n(x(0))} {n(y(0))}L{n(x(1))} {n(y(1))}"/>']
    drawn = []
    places = [(x(a), y(b)) for a, b in mark.points]
    if mark.joined and len(places) > 1:
        path = " ".join(f"{n(a)} {n(b)}" for a, b in places)
        drawn.append(f'<path class="line {mark.colour}" d="M{path}"/>')
    for i, (a, b) in enumerate(places):
        if i in mark.ringed:
            drawn.append(f'<circle class="ringed" cx="{n(a)}" cy="{n(b)}" r="8"/>')
        if mark.dots:
            drawn.append(f'<circle class="fill {mark.colour}" cx="{n(a)}" cy="{n(b)}" r="{n(mark.dots)}"/>')
    return drawn


def _names(
    lines: Sequence[Line], x: Place, y: Place, at_right: tuple[float, float], between: tuple[float, float]
) -> list[str]:
    """The name of each line beside its last point, moved apart, with a thread back."""
    end, width = at_right
    ends = sorted(((y(line.points[-1][1]), x(line.points[-1][0]), line) for line in lines), key=lambda e: e[:2])
    placed = spread([at for at, _, _ in ends], 16, *between)
    room = width - end - 8
    return [
        f'<path class="lead {line.colour}" d="M{n(start + 5)} {n(at)}L{n(end + 2)} {n(to)}"/>'
        f'<text class="t-s" x="{n(end + 8)}" y="{n(to + 4)}">{text(_short(line.name, room))}</text>'
        for (at, start, line), to in zip(ends, placed, strict=True)
    ]


def _short(name: str, room: float) -> str:
    """A name, or its first word where there is no room for all of it."""
    return name if len(name) * CHAR_WIDTH <= room + CHAR_WIDTH else fit(name.split(maxsplit=1)[0], room)


def _tick(x: float, y: float, label: str, anchor: str) -> str:
    return f'<text class="t-muted t-s" x="{n(x)}" y="{n(y)}" text-anchor="{anchor}">{text(label)}</text>'


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it is about, how long, in words what that means, and the figures behind the words."""

    label: str
    value: float
    said: str
    note: str = ""
    colour: str = "c-accent"


def bars(rows: Sequence[Bar], sentence: str, width: float) -> str:
    """An SVG of bars below each other; right of the thin line is more, left is less."""
    low, high = min([0.0, *(r.value for r in rows)]), max([0.0, *(r.value for r in rows)])
    narrow = width < 500
    start, room = (0.0, width) if narrow else (172.0, width - 172.0 - 222.0)
    unit = room / ((high - low) or 1.0)
    base = start - low * unit
    parts, y = [], 0.0
    for i, row in enumerate(rows):
        if i:
            parts.append(f'<path class="grid-l" d="M0 {n(y)}H{n(width)}"/>')
        size = max(abs(row.value) * unit, 0.6)
        at = base - size if row.value < 0 else base
        label = wrap(row.label, width if narrow else 156.0, 2)
        said = wrap(row.said, (width if narrow else 206.0) * 0.93, 3)  # strong letters are wider
        note = wrap(row.note, width if narrow else 206.0, 2)
        if narrow:
            middle = y + 18.0 + 15 * len(label)
            words_y, height = middle + 22, 8.0 + 15 * len(label) + 20 + 15 * (len(said) + len(note)) + 8
            x, label_y = 0.0, y + 19
        else:
            height = max(15.0 * max(len(label), len(said) + len(note)) + 16, 36.0)
            middle = y + height / 2
            x, label_y = start + room + 16, middle + 4 - 7.5 * (len(label) - 1)
            words_y = middle + 4 - 7.5 * (len(said) + len(note) - 1)
        parts += _lines(label, 0.0, label_y, "")
        parts.append(
            f'<rect class="fill c-n" x="{n(max(base - 0.4, start))}" y="{n(middle - 11)}" width=".8" height="22"/>'
        )
        parts.append(
            f'<rect class="fill {row.colour}" x="{n(at)}" y="{n(middle - _BAR / 2)}" width="{n(size)}" height="{n(_BAR)}" rx="1.5"/>'
        )
        parts += _lines(said, x, words_y, "t-strong")
        parts += _lines(note, x, words_y + 15 * len(said), "t-muted")
        y += height
    return picture(width, max(y, 1.0), sentence, parts)


def _lines(lines: Sequence[str], x: float, y: float, css: str) -> list[str]:
    name = f' class="{css}"' if css else ""
    return [f'<text{name} x="{n(x)}" y="{n(y + 15 * i)}">{text(line)}</text>' for i, line in enumerate(lines)]


def up_to(axis: Axis, most: float, say: Callable[[float], str], *, least: float = 1.0) -> Scale:
    """A scale from nought to the next round number, named at both ends and in the middle."""
    top = max(nice_top(most), least)
    return Scale(axis, 0.0, top, tuple((top * i / 2, say(top * i / 2)) for i in range(3)))


def one_each(axis: Axis, labels: Sequence[str]) -> Scale:
    """A scale on which each label has a place of its own: 0, 1, 2 …"""
    return Scale(axis, -0.5, len(labels) - 0.5, tuple(enumerate(labels)))


def in_100(axis: Axis) -> Scale:
    """A scale of shares from 0 to 1, named as parts of 100."""
    return Scale(axis, 0.0, 1.0, tuple((i / 4, str(25 * i)) for i in range(5)))


def nice_top(value: float) -> float:
    """The next round number at or above a value, for an axis: 1, 2, 4, 5, 6, 8 times a power of ten.

    Example:
        >>> nice_top(83_000), nice_top(0.3)
        (100000.0, 1.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 1.0
    return next((m * power for m in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if m * power >= value), value)
