"""The map of customers: a dot each while they can be told apart, and how dense they stand where they cannot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from kohort.locale import gettext, ngettext
from kohort.model.segmentation import MapPoint, Segment
from kohort.views import words
from kohort.views.chart import Axis, Chart, Column
from kohort.views.formats import formats
from kohort.views.svg import CHAR_WIDTH, fit, n, picture, text

if TYPE_CHECKING:
    import numpy as np

    from kohort.model.hexes import Cells

MOST_POINTS = 5_000
"""More dots than this cover each other, and a page gets slow: from there on density is drawn. About 90 kB of path."""

SHADES = ("d1", "d2", "d3", "d4", "d5")
"""Classes of density, from few to many."""

_MARGIN = 14.0
_WIDE, _NARROW = (700.0, 470.0), (350.0, 350.0)


@dataclass(frozen=True, slots=True)
class _Look:
    """How one map is drawn: its segments and the one that stands out."""

    segments: Sequence[Segment]
    highlight: str
    axes: Sequence[str]

    def colour(self, segment: str) -> str:
        return next((words.colour(i) for i, s in enumerate(self.segments) if s.id == segment), "c-n")

    def labelled(self, there: Iterable[str]) -> list[tuple[int, Segment]]:
        known = set(there)
        return [
            (i, s)
            for i, s in enumerate(self.segments)
            if s.id in known and (not self.highlight or s.id == self.highlight)
        ]


def customer_map(
    points: Sequence[MapPoint],
    segments: Sequence[Segment],
    *,
    highlight: str = "",
    axes: Sequence[str] = (),
    title: str = "",
) -> Chart:
    """Customers near each other when they behave alike, coloured and labelled by segment.

    Up to `MOST_POINTS` of them are dots. From there on a honeycomb is drawn, each cell in the colour of the segment that most of
    its customers are in, the stronger the more there are; that takes the same room for a hundred thousand as for ten thousand.

    Args:
        points: Of all customers or of a sample.
        segments: In the order of their letters.
        highlight: Id of one segment; the others are dimmed.
        axes: What it means to stand further right and further up; empty where places mean nothing by themselves.
    """
    title = title or gettext("Customer map")
    if not points:
        return Chart("map", title, gettext("No map was made."), "")
    look = _Look(segments, highlight, axes)
    counts: dict[str, int] = defaultdict(int)
    for p in points:
        counts[p.segment] += p.customers
    whole = sum(counts.values())
    n_customers = formats().number(whole)
    told = [gettext("Customers close together behave alike.")]
    told += [gettext("%(name)s is highlighted.", name=s.name) for s in segments if s.id == highlight][:1]
    if is_dense(points):
        drawn = _Honeycomb(points, look)
        first = ngettext(
            "Map of %(n)s customer, stronger in colour where more of them are.",
            "Map of %(n)s customers, stronger in colour where more of them are.",
            whole,
            n=n_customers,
        )
        sentence = " ".join([first, drawn.densest(), *told])
        wide, narrow = (drawn.picture(size, sentence) for size in (_WIDE, (350.0, 250.0)))
    else:
        first = ngettext(
            "Map of a sample of %(n)s customer.", "Map of a sample of %(n)s customers.", whole, n=n_customers
        )
        sentence = " ".join([first, *told])
        wide, narrow = (_dots(points, look, sentence, size) for size in (_WIDE, _NARROW))
    rows = [(s.name, counts[s.id], counts[s.id] / whole) for s in segments]
    if counts[""]:
        rows.append((gettext("Left out"), counts[""], counts[""] / whole))
    right, up = (Axis(axes[0]), Axis(axes[1])) if len(axes) == 2 else (None, None)
    columns = (
        Column(gettext("Segment")),
        Column(gettext("Customers on the map"), "count"),
        Column(gettext("Share"), "share"),
    )
    legend = tuple((words.letter(i), words.colour(i), s.name) for i, s in enumerate(segments))
    return Chart("map", title, sentence, wide, narrow, right, up, columns, tuple(rows), legend)


def is_dense(points: Sequence[MapPoint]) -> bool:
    """Whether density is drawn in place of a dot each."""
    return len(points) > MOST_POINTS or any(p.customers > 1 for p in points)


def how_to_read(points: Sequence[MapPoint]) -> str:
    """What to know before looking at a map."""
    if is_dense(points):
        return gettext("The stronger the colour of a cell, the more customers. Near each other means they are alike.")
    return gettext("Each dot is a customer. Near each other means they are alike.")


# Dots ----------------------------------------------------------------------------------------------------------------


def _dots(points: Sequence[MapPoint], look: _Look, sentence: str, size: tuple[float, float]) -> str:
    import numpy as np

    from kohort.model.hexes import edges

    width, height = size
    head, foot = _around(look)
    (x0, x1), (y0, y1) = edges(np.array([p.x for p in points])), edges(np.array([p.y for p in points]))
    places: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for p in points:
        x, y = min(max((p.x - x0) / (x1 - x0), 0.0), 1.0), min(max((p.y - y0) / (y1 - y0), 0.0), 1.0)
        places[p.segment].append(_place(x, y, width, head, height - foot))
    parts = []
    drawn = sorted(places, key=lambda s: (s == look.highlight, -len(places[s])))  # the highlighted and the small on top
    for sid in drawn:
        css = " ".join(("pts", look.colour(sid), *(("dim",) if look.highlight and sid != look.highlight else ())))
        path = "".join(f"M{n(x)} {n(y)}h0" for x, y in places[sid])
        parts.append(f'<path class="{css}" d="{path}"/>')
    middles = {sid: (median(x for x, _ in at), median(y for _, y in at)) for sid, at in places.items()}
    parts += _labels(look, middles, size)
    parts += _axes(look, size)
    return picture(width, height, sentence, parts)


def _place(x: float, y: float, width: float, high: float, low: float) -> tuple[float, float]:
    """A place of the unit square in pixels; up is up."""
    return _MARGIN + x * (width - 2 * _MARGIN), low - _MARGIN - y * (low - high - 2 * _MARGIN)


def _around(look: _Look) -> tuple[float, float]:
    """Room for the names of the axes above and below."""
    return (20.0, 26.0) if len(look.axes) == 2 else (0.0, 0.0)


# Density -------------------------------------------------------------------------------------------------------------


class _Honeycomb:
    """Points counted by cell of the honeycomb, ready to be drawn in any size."""

    def __init__(self, points: Sequence[MapPoint], look: _Look) -> None:
        import numpy as np

        self.look = look
        self.kinds = list(dict.fromkeys([*(s.id for s in look.segments), *(p.segment for p in points)]))
        number = {kind: i for i, kind in enumerate(self.kinds)}
        kind = np.fromiter((number[p.segment] for p in points), np.int64, len(points))
        count = np.fromiter((p.customers for p in points), np.int64, len(points))
        x, y = (np.fromiter(values, float, len(points)) for values in ((p.x for p in points), (p.y for p in points)))
        self.cells = counted(x, y, kind, count)

    def densest(self) -> str:
        at = int(self.cells.count.argmax())
        name = next((s.name for s in self.look.segments if s.id == self.kinds[int(self.cells.kind[at])]), "")
        share = int(self.cells.count[at])
        if not name:
            return ""
        return ngettext(
            "Densest among %(name)s, with %(n)s customer in one cell.",
            "Densest among %(name)s, with %(n)s customers in one cell.",
            share,
            name=name,
            n=formats().number(share),
        )

    def picture(self, size: tuple[float, float], sentence: str) -> str:
        from kohort.model.hexes import STEP, WIDTH

        width, height = size
        head, foot = _around(self.look)
        foot += 20.0
        a, b = (width - 2 * _MARGIN) * WIDTH / 2, (height - foot - head - 2 * _MARGIN) * STEP / 3
        shape = f"l{n(a)} {n(b)}v{n(2 * b)}l{n(-a)} {n(b)}l{n(-a)} {n(-b)}v{n(-2 * b)}z"
        paths: dict[str, list[str]] = defaultdict(list)
        for css, x, y in self._shown():
            px, py = _place(x, y, width, head, height - foot)
            paths[css].append(f"M{n(px)} {n(py - 2 * b)}{shape}")
        parts = [
            f'<path class="{css}" d="{"".join(paths[css])}"/>' for css in sorted(paths, key=lambda c: "dim" not in c)
        ]
        parts += _labels(self.look, self._middles(width, head, height - foot), (width, height - foot + 2))
        parts += _shades(height - 6 - (foot - 20.0), int(self.cells.count.max()))
        parts += _axes(self.look, size)
        return picture(width, height, sentence, parts)

    def _shown(self) -> list[tuple[str, float, float]]:
        """Class and place of each cell that is drawn: its leading segment, or the highlighted one above all others."""
        cells, shown = self.cells, []
        best: dict[tuple[float, float], int] = {}
        totals: dict[tuple[float, float], int] = defaultdict(int)
        for i, at in enumerate(zip(cells.x.tolist(), cells.y.tolist(), strict=True)):
            totals[at] += int(cells.count[i])
            mine = self.kinds[int(cells.kind[i])] == self.look.highlight if self.look.highlight else False
            held = best.get(at)
            if held is None or mine or (not self._is_it(held) and cells.count[i] > cells.count[held]):
                best[at] = i
        most = max(totals.values())
        for at, i in best.items():
            sid = self.kinds[int(cells.kind[i])]
            if self.look.highlight:
                shown.append((_hex("c-n", "dim"), *at))
                if sid == self.look.highlight:
                    shown.append((_hex(self.look.colour(sid), shade(int(cells.count[i]), most)), *at))
            else:
                shown.append((_hex(self.look.colour(sid), shade(totals[at], most)), *at))
        return shown

    def _is_it(self, entry: int) -> bool:
        return bool(self.look.highlight) and self.kinds[int(self.cells.kind[entry])] == self.look.highlight

    def _middles(self, width: float, high: float, low: float) -> dict[str, tuple[float, float]]:
        import numpy as np

        found = {}
        for i, sid in enumerate(self.kinds):
            mine = self.cells.kind == i
            if mine.any():
                weights = self.cells.count[mine]
                x, y = (float(np.average(v[mine], weights=weights)) for v in (self.cells.x, self.cells.y))
                found[sid] = _place(x, y, width, high, low)
        return found


def _hex(colour: str, dense: str) -> str:
    """Classes of a cell."""
    return " ".join(("hex", colour, dense))


def counted(x: np.ndarray, y: np.ndarray, kind: np.ndarray, count: np.ndarray) -> Cells:
    """Points of a map by cell; those that stand for several are in the unit square already."""
    import numpy as np

    from kohort.model.hexes import binned, edges

    if (count == 1).all():
        (x0, x1), (y0, y1) = edges(x), edges(y)
        x, y = np.clip((x - x0) / (x1 - x0), 0, 1), np.clip((y - y0) / (y1 - y0), 0, 1)
    return binned(x, y, kind, count)


def shade(count: int, most: int) -> str:
    """The shade of a cell: each stands for several times as many as the one before.

    Example:
        >>> [shade(count, 10_000) for count in (1, 9, 400, 10_000)]
        ['d1', 'd2', 'd4', 'd5']
    """
    from math import log

    return SHADES[min(int(len(SHADES) * log(count) / log(max(most, 2))), len(SHADES) - 1)]


def _shades(y: float, most: int) -> list[str]:
    """What the shades stand for, under the map."""
    parts = [f'<text class="t-muted t-s" x="8" y="{n(y)}">1</text>']
    parts += [
        f'<rect class="hex c-n {css}" x="{n(20 + 16 * i)}" y="{n(y - 10)}" width="15" height="11"/>'
        for i, css in enumerate(SHADES)
    ]
    told = gettext("%(n)s customers in a cell", n=formats().number(most))
    parts.append(f'<text class="t-muted t-s" x="{n(26 + 16 * len(SHADES))}" y="{n(y)}">{told}</text>')
    return parts


# Names ---------------------------------------------------------------------------------------------------------------


def _axes(look: _Look, size: tuple[float, float]) -> list[str]:
    if len(look.axes) != 2:
        return []
    width, height = size
    room = width - 30
    return [
        f'<path class="axis" d="M8 {n(height - 20)}H{n(width - 8)}"/>'
        f'<text class="t-muted t-s" x="8" y="12">↑ {text(fit(look.axes[1], room))}</text>'
        f'<text class="t-muted t-s" x="{n(width - 8)}" y="{n(height - 5)}" text-anchor="end">'
        f"{text(fit(look.axes[0], room))} →</text>"
    ]


def _labels(look: _Look, middles: dict[str, tuple[float, float]], size: tuple[float, float]) -> list[str]:
    """The name of each segment on a plate at its middle; its letter on a phone."""
    taken: list[tuple[float, float, float, float]] = []
    return [
        _label(middles[s.id], words.letter(i) if size[0] < 400 else fit(s.name, 180), words.colour(i), taken, size)
        for i, s in look.labelled(middles)
    ]


def _label(
    middle: tuple[float, float],
    label: str,
    colour: str,
    taken: list[tuple[float, float, float, float]],
    size: tuple[float, float],
) -> str:
    """A name moved to the nearest free place, with a line back if it moved."""
    (width, height), (cx, cy) = size, middle
    w = len(label) * CHAR_WIDTH * 1.1 + 26  # strong letters are wider
    x0 = min(max(cx - w / 2, 2.0), width - w - 2)
    moves = [0.0]
    for i in range(1, 12):
        moves += [22.0 * i, -22.0 * i]
    y0 = next((cy - 11 + m for m in moves if _free(x0, cy - 11 + m, w, taken, height)), cy - 11)
    taken.append((x0, y0, x0 + w, y0 + 22))
    line = f'<path class="lead-l" d="M{n(cx)} {n(cy)}L{n(x0 + w / 2)} {n(y0 + 11)}"/>' if abs(y0 - cy + 11) > 22 else ""
    return (
        f'{line}<rect class="plate" x="{n(x0)}" y="{n(y0)}" width="{n(w)}" height="22" rx="6"/>'
        f'<rect class="fill {colour}" x="{n(x0 + 7)}" y="{n(y0 + 7)}" width="8" height="8" rx="2"/>'
        f'<text class="t-strong" x="{n(x0 + 20)}" y="{n(y0 + 15)}">{text(label)}</text>'
    )


def _free(x: float, y: float, w: float, taken: Sequence[tuple[float, float, float, float]], height: float) -> bool:
    if y < 2 or y + 22 > height - 2:
        return False
    return all(x + w + 6 < a or c + 6 < x or y + 24 < b or d + 2 < y for a, b, c, d in taken)
