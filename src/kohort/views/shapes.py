"""The family tree of groups: which of them are most alike."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from kohort.locale import gettext
from kohort.model.segmentation import Segment
from kohort.views import words
from kohort.views.chart import Axis, Chart, Column
from kohort.views.plot import NARROW, WIDE
from kohort.views.svg import CHAR_WIDTH, fit, n, picture, text


def family_tree(
    tree: Sequence[tuple[int, int, float, int]],
    segments: Sequence[Segment],
    *,
    title: str = "",
) -> Chart:
    """Which groups are most alike: they join early, from right to left.

    Args:
        tree: Linkage over the segments in their order: (left, right, height, size); numbers from len(segments) on
            name earlier joins, as in scipy.
        segments: In the order of the linkage.
    """
    title = title or gettext("Which groups are most alike")
    k = len(segments)
    if k < 2 or len(tree) != k - 1:
        return Chart("tree", title, gettext("No family tree."), "")
    order = _leaves(k + len(tree) - 1, tree, k)
    first = min(tree, key=lambda t: t[2])
    alike = [segments[_leaves(side, tree, k)[0]].name for side in first[:2]]
    sentence = gettext("Most alike are %(one)s and %(other)s.", one=alike[0], other=alike[1])
    wide, narrow = (_branches(tree, segments, order, sentence, w) for w in (WIDE, NARROW))
    return Chart(
        "tree",
        title,
        sentence,
        wide,
        narrow,
        across=Axis(gettext("How unlike"), gettext("distance in the space of what we look at")),
        columns=(
            Column(gettext("Joined")),
            Column(gettext("Customers"), "count"),
            Column(gettext("How unlike"), "decimal"),
        ),
        rows=tuple(
            (f"{_names(a, tree, segments)} + {_names(b, tree, segments)}", size, height) for a, b, height, size in tree
        ),
    )


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
    names = [segments[i].name for i in _leaves(node, tree, len(segments))]
    return functools.reduce(lambda items, last: gettext("%(items)s and %(last)s", items=items, last=last), names)
