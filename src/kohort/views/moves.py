"""Drawings of segments with parts: shares in one bar, sizes over time, and who moved from where to where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kohort.views import words
from kohort.views.charts import nice_top
from kohort.views.formats import EN
from kohort.views.svg import CHAR_WIDTH, Chart, fit, key, n, picture, spread, text

NOBODY = ""
"""Key of those who are in no part."""

_LEAST_LABELLED = 0.06  # of the whole height; a thinner block has no room for its figure


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


def share_bar(parts: Sequence[tuple[str, int]], everybody: int | None = None) -> Chart:
    """Parts side by side in one bar, in order; what is left of `everybody` stays empty.

    The figures belong in the text beside it.

    Args:
        parts: Label and size.
        everybody: What the whole bar stands for; None = the parts together.
    """
    whole = everybody or sum(size for _, size in parts)
    if not whole:
        return Chart("Nobody is in it.", "")
    drawn, x = [], 0.0
    for place, (_, size) in enumerate(parts):
        width = 100 * size / whole
        drawn.append(f'<rect class="{words.colour(place)}" x="{x:.2f}" width="{width:.2f}" height="8"/>')
        x += width
    sentence = ", ".join(f"{label} {EN.percent(size / whole)}" for label, size in parts)
    return Chart(
        sentence,
        f'<svg class="bar parts" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(sentence)}">{"".join(drawn)}</svg>',
    )


def sizes_over_time(moments: Sequence[str], bands: Sequence[Band], sizes: Sequence[Mapping[str, int]]) -> Chart:
    """Columns of sizes at some moments, parts stacked in order.

    Args:
        moments: What each moment is called: "Nov 2011".
        bands: The parts, the first at the bottom.
        sizes: For each moment, key of a part → customers.
    """
    totals = [sum(at.get(b.key, 0) for b in bands) for at in sizes]
    first, last = (f"{EN.number(totals[i])} in {moments[i]}" for i in (0, -1))
    sentence = f"Customers over time: from {first} to {last}."
    columns = ("When", *(b.label for b in bands), *(("Together",) if len(bands) > 1 else ()))
    rows = tuple(
        (moment, *(EN.number(at.get(b.key, 0)) for b in bands), *((EN.number(total),) if len(bands) > 1 else ()))
        for moment, at, total in zip(moments, sizes, totals, strict=True)
    )
    wide, narrow = (_columns(moments, bands, sizes, sentence, w) for w in (660.0, 350.0))
    legend = tuple((b.letter, b.colour, b.label) for b in bands) if len(bands) > 1 else ()
    return Chart(sentence, f"{wide}{_legend(legend)}", narrow, columns, rows, legend)


def small(chart: Chart) -> Chart:
    """The drawing for phones, for a narrow place on a wide page."""
    return Chart(chart.sentence, f"{chart.narrow}{_legend(chart.legend)}", "", chart.columns, chart.rows)


def _legend(entries: Sequence[tuple[str, str, str]]) -> str:
    """Under a drawing that names no part itself."""
    names = "".join(f"<span>{key(k, c, 'key s')}{text(label)}</span>" for k, c, label in entries)
    return f'<div class="legend">{names}</div>' if names else ""


def _columns(
    moments: Sequence[str], bands: Sequence[Band], sizes: Sequence[Mapping[str, int]], sentence: str, width: float
) -> str:
    left, top, bottom = 46.0, 12.0, 190.0
    most = max(sum(at.get(b.key, 0) for b in bands) for at in sizes)
    top_value = max(nice_top(most), 2.0)
    drawn = []
    for i in range(3):
        y = bottom - (bottom - top) * i / 2
        drawn.append(
            f'<path class="{"grid-l" if i else "axis"}" d="M{n(left)} {n(y)}H{n(width)}"/>'
            f'<text class="t-muted t-s" x="{n(left - 8)}" y="{n(y + 4)}" text-anchor="end">'
            f"{EN.number(top_value * i / 2)}</text>"
        )
    step = (width - left) / len(moments)
    every = next(e for e in (1, 2, 3, 6, 12, 10_000) if step * e >= 58)
    wide = min(step * 0.68, 56)
    for i, at in enumerate(sizes):
        x, y = left + (i + 0.5) * step - wide / 2, bottom
        for band in bands:
            high = (bottom - top) * at.get(band.key, 0) / top_value
            y -= high
            css = band.colour if len(bands) > 1 else "c-accent"
            if high:
                drawn.append(
                    f'<rect class="col {css}" x="{n(x)}" y="{n(y)}" width="{n(wide)}" height="{n(high)}" rx="1"/>'
                )
        if (len(moments) - 1 - i) % every == 0:
            middle = min(x + wide / 2, width - 24)
            drawn.append(
                f'<text class="t-muted t-s" x="{n(middle)}" y="208" text-anchor="middle">{text(moments[i])}</text>'
            )
    return picture(width, 214, sentence, drawn)


def flows(bands: Sequence[Band], moved: Mapping[tuple[str, str], int], before: str, after: str) -> Chart:
    """Who was where before, on the left, and is where after, on the right: one ribbon per pair of parts.

    Those in no part, before or after, are one more block at the end.

    Args:
        bands: The parts in order.
        moved: (key before, key after) → customers; `""` = in no part.
        before: When the left side was: "9 Nov 2011".
        after: When the right side is.
    """
    outside = any(NOBODY in pair for pair, count in moved.items() if count)
    shown = [*bands, *([Band(NOBODY, "In none", len(bands))] if outside else [])]
    largest = max(((k, v) for k, v in moved.items() if k[0] != k[1]), key=lambda x: x[1], default=None)
    names = {b.key: b.label for b in shown}
    sentence = f"Where customers were on {before} and are on {after}"
    if largest and largest[1]:
        (a, b), most = largest
        sentence += f"; the largest move: {words.plural(most, 'customer')} from {names[a]} to {names[b]}"
    wide, narrow = (_ribbons(shown, moved, sentence, (before, after), w) for w in (660.0, 350.0))
    rows = tuple(
        (names[a], names[b], EN.number(moved[a, b]))
        for a in names
        for b in names
        if moved.get((a, b)) and (a or b)
    )  # fmt: skip
    legend = tuple((b.letter, b.colour, b.label) for b in shown)
    return Chart(f"{sentence}.", wide, narrow, (f"On {before}", f"On {after}", "Customers"), rows, legend)


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
                f'<tspan class="t-strong">{EN.number(size)}</tspan></text>'
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
