"""Charts of segments with parts: sizes over time, and who moved from where to where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kohort.locale import gettext
from kohort.views import words
from kohort.views.chart import Axis, Cell, Chart, Column
from kohort.views.formats import formats
from kohort.views.plot import NARROW, WIDE, Columns, one_each, plot, up_to
from kohort.views.svg import CHAR_WIDTH, fit, n, picture, spread, text

NOBODY = ""
"""Key of those who are in no part."""


@dataclass(frozen=True, slots=True)
class Band:
    """A part of a definition: its place decides letter and colour."""

    key: str
    label: str
    place: int

    @property
    def colour(self) -> str:
        return words.colour(self.place) if self.key else "c-n"

    @property
    def letter(self) -> str:
        return words.letter(self.place) if self.key else "–"


def sizes_over_time(
    moments: Sequence[str],
    bands: Sequence[Band],
    sizes: Sequence[Mapping[str, int]],
    *,
    title: str = "",
) -> Chart:
    """Columns of sizes at some moments, parts stacked in order.

    Args:
        moments: What each moment is called: "Nov 2011".
        bands: The parts, the first at the bottom.
        sizes: For each moment, key of a part → customers.
    """
    several = len(bands) > 1
    totals = [sum(at.get(b.key, 0) for b in bands) for at in sizes]
    sentence = gettext(
        "Customers over time: from %(first)s in %(start)s to %(last)s in %(end)s.",
        first=formats().number(totals[0]),
        start=moments[0],
        last=formats().number(totals[-1]),
        end=moments[-1],
    )
    across = one_each(Axis(gettext("When")), moments)
    up = up_to(Axis(gettext("Customers")), max(totals), formats().number, least=2.0)
    stacks = [[(at.get(b.key, 0), b.colour if several else "c-accent") for b in bands] for at in sizes]
    wide, narrow = (plot([Columns(stacks)], across, up, sentence, (width, 226.0)) for width in (WIDE, NARROW))
    columns = [Column(gettext("When")), *(Column(b.label, "count") for b in bands)]
    rows: list[tuple[Cell, ...]] = [
        (moment, *(at.get(b.key, 0) for b in bands)) for moment, at in zip(moments, sizes, strict=True)
    ]
    if several:
        columns.append(Column(gettext("Together"), "count"))
        rows = [(*row, total) for row, total in zip(rows, totals, strict=True)]
    legend = tuple((b.letter, b.colour, b.label) for b in bands) if several else ()
    return Chart(
        "sizes",
        title or gettext("Customers over time"),
        sentence,
        wide,
        narrow,
        across.axis,
        up.axis,
        tuple(columns),
        tuple(rows),
        legend,
        keyed=several,
    )


def flows(
    bands: Sequence[Band],
    moved: Mapping[tuple[str, str], int],
    before: str,
    after: str,
    *,
    title: str = "",
) -> Chart:
    """Who was where before, on the left, and is where after, on the right: one ribbon per pair of parts.

    Those in no part, before or after, are one more block at the end.

    Args:
        bands: The parts in order.
        moved: (key before, key after) → customers; `""` = in no part.
        before: When the left side was: "9 Nov 2011".
        after: When the right side is.
    """
    outside = any(NOBODY in pair for pair, count in moved.items() if count)
    shown = [*bands, *([Band(NOBODY, gettext("In none"), len(bands))] if outside else [])]
    largest = max(((k, v) for k, v in moved.items() if k[0] != k[1]), key=lambda x: x[1], default=None)
    names = {b.key: b.label for b in shown}
    sentence = gettext("Where customers were on %(before)s and are on %(after)s.", before=before, after=after)
    if largest and largest[1]:
        (a, b), most = largest
        sentence = gettext(
            "Where customers were on %(before)s and are on %(after)s; the largest move: %(customers)s from %(source)s to "
            "%(target)s.",
            before=before,
            after=after,
            customers=words.plural(most, "customer"),
            source=names[a],
            target=names[b],
        )
    wide, narrow = (_ribbons(shown, moved, sentence.removesuffix("."), (before, after), w) for w in (WIDE, NARROW))
    return Chart(
        "moves",
        title or gettext("Who moved where"),
        sentence,
        wide,
        narrow,
        columns=(
            Column(gettext("On %(day)s", day=before)),
            Column(gettext("On %(day)s", day=after)),
            Column(gettext("Customers"), "count"),
        ),
        rows=tuple((names[a], names[b], moved[a, b]) for a in names for b in names if moved.get((a, b)) and (a or b)),
        legend=tuple((b.letter, b.colour, b.label) for b in shown),
    )


def _ribbons(
    bands: Sequence[Band], moved: Mapping[tuple[str, str], int], sentence: str, heads: tuple[str, str], width: float
) -> str:
    keys = [b.key for b in bands]
    left = [sum(moved.get((a, b), 0) for b in keys) for a in keys]
    right = [sum(moved.get((a, b), 0) for a in keys) for b in keys]
    whole = max(sum(left), sum(right), 1)
    high, top, gap, block = 300.0, 24.0, 10.0, 10.0
    room = high - gap * (len(bands) - 1)
    starts = [_stack(s, room / whole, top, gap) for s in (left, right)]
    small = width < 500
    names = max(len(b.label) for b in bands) * CHAR_WIDTH
    side = 74.0 if small else min(names + 76.0, 210.0)
    x0, x1 = side, width - side
    used = [list(s) for s in starts]
    drawn = []
    for i, a in enumerate(bands):
        for j, b in enumerate(bands):
            count = moved.get((a.key, b.key), 0)
            if not count:
                continue
            size = room * count / whole
            y0, y1 = used[0][i], used[1][j]
            used[0][i] += size
            used[1][j] += size
            xa, m = n(x0 + block), n((x0 + block + x1) / 2)
            drawn.append(
                f'<path class="ribbon {a.colour}" d="M{xa} {n(y0)}C{m} {n(y0)} {m} {n(y1)} {n(x1)} {n(y1)}V{n(y1 + size)}'
                f'C{m} {n(y1 + size)} {m} {n(y0 + size)} {xa} {n(y0 + size)}Z"/>'
            )
    for sizes, begin, x, anchor, text_x in (
        (left, starts[0], x0, "end", x0 - 9),
        (right, starts[1], x1, "start", x1 + block + 9),
    ):
        middles = [y + room * s / whole / 2 + 4 for y, s in zip(begin, sizes, strict=True)]
        placed = spread(middles, 15, top + 4, top + high)
        for band, y, size, label_y in zip(bands, begin, sizes, placed, strict=True):
            drawn.append(
                f'<rect class="fill {band.colour}" x="{n(x)}" y="{n(y)}" width="{n(block)}" '
                f'height="{n(max(room * size / whole, 1.0))}" rx="2"/>'
            )
            name = band.letter if small else fit(band.label, side - 64)
            drawn.append(
                f'<text x="{n(text_x)}" y="{n(label_y)}" text-anchor="{anchor}">{text(name)} '
                f'<tspan class="t-strong">{formats().number(size)}</tspan></text>'
            )
    drawn.append(f'<text class="t-muted" x="{n(x0 + block)}" y="12" text-anchor="end">{text(heads[0])}</text>')
    drawn.append(f'<text class="t-muted" x="{n(x1)}" y="12">{text(heads[1])}</text>')
    return picture(width, top + high + 6, sentence, drawn)


def _stack(sizes: Sequence[int], scale: float, top: float, gap: float) -> list[float]:
    """Where each block begins."""
    starts, y = [], top
    for size in sizes:
        starts.append(y)
        y += size * scale + gap
    return starts
