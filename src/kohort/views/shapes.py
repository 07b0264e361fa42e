"""Two drawings of the whole population: the map of customers and the family tree of groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median

from kohort.model.segmentation import MapPoint, Segment
from kohort.views import words
from kohort.views.formats import EN
from kohort.views.svg import CHAR_WIDTH, Chart, fit, n, picture, text

MOST_POINTS = 5_000  # about 90 kB of path; a page stays quick


def customer_map(
    points: Sequence[MapPoint], segments: Sequence[Segment], *, highlight: str = "", axes: Sequence[str] = ()
) -> Chart:
    """Sampled customers as dots, near each other when they behave alike, coloured and labelled by segment.

    Args:
        points: At most `MOST_POINTS` are drawn, spread evenly over the list.
        segments: In the order of their letters.
        highlight: Id of one segment; the others are dimmed.
        axes: What it means to stand further right and further up; empty where places mean nothing by themselves.
    """
    if not points:
        return Chart("No map was made.", "")
    step = -(-len(points) // MOST_POINTS)
    shown = points[::step]
    counts: dict[str, int] = defaultdict(int)
    for p in shown:
        counts[p.segment] += 1
    sentence = f"Map of a sample of {EN.number(len(shown))} customers. Customers close together behave alike."
    named = next((s.name for s in segments if s.id == highlight), "")
    if named:
        sentence += f" {named} is highlighted."
    rows = [(s.name, EN.number(counts[s.id]), EN.percent(counts[s.id] / len(shown))) for s in segments]
    if counts[""]:
        rows.append(("Left out", EN.number(counts[""]), EN.percent(counts[""] / len(shown))))
    return Chart(
        sentence,
        _scatter(shown, segments, sentence, size=(700.0, 470.0), highlight=highlight, axes=axes),
        _scatter(shown, segments, sentence, size=(350.0, 350.0), highlight=highlight, axes=axes),
        ("Segment", "Dots on the map", "Share"),
        tuple(rows),
        tuple((words.letter(i), words.colour(i), s.name) for i, s in enumerate(segments)),
    )


def _scatter(
    points: Sequence[MapPoint],
    segments: Sequence[Segment],
    sentence: str,
    *,
    size: tuple[float, float],
    highlight: str,
    axes: Sequence[str],
) -> str:
    width, height = size
    narrow = width < 400
    head, foot = (20.0, 26.0) if len(axes) == 2 else (0.0, 0.0)
    project = _projection(points, width, (head, height - foot))
    places: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for p in points:
        places[p.segment].append(project(p))
    parts = []
    colours = {s.id: words.colour(i) for i, s in enumerate(segments)}
    drawn = sorted(places, key=lambda s: (s == highlight, -len(places[s])))  # the highlighted and the small on top
    for sid in drawn:
        css = f"pts {colours.get(sid, 'c-n')}" + (" dim" if highlight and sid != highlight else "")
        path = "".join(f"M{n(x)} {n(y)}h0" for x, y in places[sid])
        parts.append(f'<path class="{css}" d="{path}"/>')
    taken: list[tuple[float, float, float, float]] = []
    for i, s in enumerate(segments):
        if s.id in places and (not highlight or s.id == highlight):
            label = words.letter(i) if narrow else fit(s.name, 180)
            parts.append(_label(places[s.id], label, words.colour(i), taken, size))
    if len(axes) == 2:
        room = width - 30
        parts.append(
            f'<path class="axis" d="M8 {n(height - 20)}H{n(width - 8)}"/>'
            f'<text class="t-muted t-s" x="8" y="12">↑ {text(fit(axes[1], room))}</text>'
            f'<text class="t-muted t-s" x="{n(width - 8)}" y="{n(height - 5)}" text-anchor="end">'
            f"{text(fit(axes[0], room))} →</text>"
        )
    return picture(width, height, sentence, parts)


def _projection(
    points: Sequence[MapPoint], width: float, between: tuple[float, float]
) -> Callable[[MapPoint], tuple[float, float]]:
    """Map units → pixels. A few far-out customers would squeeze all others into a corner, so the outermost half per
    cent on each side is drawn at the edge."""

    def edges(values: list[float]) -> tuple[float, float]:
        values = sorted(values)
        cut = len(values) // 200
        low, high = values[cut], values[-1 - cut]
        return low, high if high > low else low + 1.0

    (x0, x1), (y0, y1) = edges([p.x for p in points]), edges([p.y for p in points])
    margin = 14.0
    high, low = between

    def project(p: MapPoint) -> tuple[float, float]:
        x, y = min(max((p.x - x0) / (x1 - x0), 0.0), 1.0), min(max((p.y - y0) / (y1 - y0), 0.0), 1.0)
        return margin + x * (width - 2 * margin), low - margin - y * (low - high - 2 * margin)

    return project


def _label(
    places: Sequence[tuple[float, float]],
    label: str,
    colour: str,
    taken: list[tuple[float, float, float, float]],
    size: tuple[float, float],
) -> str:
    """A name on a plate at the middle of its dots, moved to the nearest free place, with a line back if it moved."""
    width, height = size
    cx, cy = median(x for x, _ in places), median(y for _, y in places)
    w = len(label) * CHAR_WIDTH + 24
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


def family_tree(tree: Sequence[tuple[int, int, float, int]], segments: Sequence[Segment]) -> Chart:
    """Which groups are most alike: they join early, from right to left.

    Args:
        tree: Linkage over the segments in their order: (left, right, height, size); numbers from len(segments) on
            name earlier joins, as in scipy.
        segments: In the order of the linkage.
    """
    k = len(segments)
    if k < 2 or len(tree) != k - 1:
        return Chart("No family tree.", "")
    order = _leaves(k + len(tree) - 1, tree, k)
    first = min(tree, key=lambda t: t[2])
    alike = [segments[_leaves(side, tree, k)[0]].name for side in first[:2]]
    sentence = f"Most alike are {alike[0]} and {alike[1]}."
    rows = tuple(
        (
            f"{_names(a, tree, segments)} + {_names(b, tree, segments)}",
            EN.number(size),
            EN.number(height, 2),
        )
        for a, b, height, size in tree
    )
    wide, narrow = (_branches(tree, segments, order, sentence, w) for w in (660.0, 350.0))
    return Chart(sentence, wide, narrow, ("Joined", "Customers", "How unlike"), rows)


def _branches(
    tree: Sequence[tuple[int, int, float, int]], segments: Sequence[Segment], order: list[int], sentence: str, w: float
) -> str:
    k, row, top = len(segments), 30.0, 16.0
    text_room = min(max(len(s.name) for s in segments) * CHAR_WIDTH + 34, w * 0.56)
    right = w - text_room
    highest = max(t[2] for t in tree) or 1.0
    place: dict[int, tuple[float, float]] = {s: (right, top + i * row) for i, s in enumerate(order)}
    parts = []
    for i, (a, b, height, _) in enumerate(tree):
        (xa, ya), (xb, yb), x = place[a], place[b], right - (right - 12) * height / highest
        parts.append(f'<path class="branch" d="M{n(xa)} {n(ya)}H{n(x)}V{n(yb)}H{n(xb)}"/>')
        place[k + i] = (x, (ya + yb) / 2)
    for s in order:
        y = place[s][1]
        parts.append(
            f'<rect class="fill {words.colour(s)}" x="{n(right + 6)}" y="{n(y - 5)}" width="10" height="10" rx="2"/>'
            f'<text x="{n(right + 22)}" y="{n(y + 4)}">{text(fit(segments[s].name, text_room - 24))}</text>'
        )
    return picture(w, top * 2 + row * (k - 1), sentence, parts)


def _leaves(node: int, tree: Sequence[tuple[int, int, float, int]], k: int) -> list[int]:
    if node < k:
        return [node]
    left, right, *_ = tree[node - k]
    return _leaves(left, tree, k) + _leaves(right, tree, k)


def _names(node: int, tree: Sequence[tuple[int, int, float, int]], segments: Sequence[Segment]) -> str:
    return " and ".join(segments[i].name for i in _leaves(node, tree, len(segments)))
