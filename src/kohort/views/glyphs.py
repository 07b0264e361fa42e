"""Small drawings beside words: a bar, a line without axes, an interval, a ring, shares in one bar."""

from __future__ import annotations

from collections.abc import Sequence

from kohort.locale import gettext
from kohort.model.segmentation import Estimate
from kohort.views import words
from kohort.views.chart import Glyph
from kohort.views.formats import formats
from kohort.views.svg import n, picture, spread, text


def sparkline(values: Sequence[float | None], sentence: str, colour: str = "c-accent", css: str = "") -> Glyph:
    """A small line without axes. Unknown points are bridged; fewer than two known points draw nothing."""
    known = [(i, v) for i, v in enumerate(values) if v is not None]
    if len(known) < 2:
        return Glyph(sentence, "")
    low, high = min(v for _, v in known), max(v for _, v in known)
    span = (high - low) or 1.0
    step = 104 / (len(values) - 1)
    points = " ".join(f"{n(i * step)} {n(27 - 24 * (v - low) / span if high > low else 15)}" for i, v in known)
    return Glyph(
        sentence,
        f'<svg class="sparkline {colour} {css}" viewBox="0 0 104 30" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(sentence)}"><path class="line" d="M{points}"/></svg>',
    )


def bar(share: float | None, colour: str = "", css: str = "") -> Glyph:
    """A bar of 0 to 1 beside a figure that says the same; so it is hidden from screen readers."""
    width = 0.0 if share is None else min(max(share, 0.0), 1.0) * 100
    return Glyph(
        "",
        f'<svg class="bar {css} {colour}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{n(width)}" height="8"/></svg>',
    )


def interval(estimate: Estimate, sentence: str, colour: str = "c-accent") -> Glyph:
    """A share of 0 to 1 with its likely range on a line from 0 to 100."""
    x = [8 + 184 * min(max(v, 0.0), 1.0) for v in (estimate.low, estimate.value, estimate.high)]
    ends = spread([x[0], x[2]], 26, 8, 192)
    parts = [
        '<rect class="fill c-n" x="8" y="11.4" width="184" height="1.2" opacity=".5"/>',
        f'<rect class="fill {colour}" x="{n(x[0])}" y="9" width="{n(max(x[2] - x[0], 2))}" height="6" rx="3" '
        'opacity=".38"/>',
        f'<circle class="fill {colour}" cx="{n(x[1])}" cy="12" r="5"/>',
        f'<text x="{n(ends[0])}" y="33" text-anchor="middle">{formats().number(estimate.low * 100)}</text>',
        f'<text x="{n(ends[1])}" y="33" text-anchor="middle">{formats().number(estimate.high * 100)}</text>',
    ]
    return Glyph(sentence, picture(200, 36, sentence, parts, "ci"))


def ring(score: int) -> Glyph:
    """A figure of 0 to 100 as an open ring."""
    tone = "c-good" if score >= 80 else "c-warn" if score >= 50 else "c-bad"
    around = 301.6
    parts = [
        '<circle class="track" cx="56" cy="56" r="48"/>',
        f'<circle class="arc {tone}" cx="56" cy="56" r="48" stroke-dasharray="{n(around * score / 100)} {around}" '
        'transform="rotate(-90 56 56)"/>',
        f'<text class="n" x="56" y="66" text-anchor="middle">{score}</text>',
    ]
    sentence = gettext("%(score)s out of 100", score=score)
    return Glyph(sentence, picture(112, 112, sentence, parts, "ring"))


def share_bar(parts: Sequence[tuple[str, int]], everybody: int | None = None) -> Glyph:
    """Parts side by side in one bar, in order; what is left of `everybody` stays empty.

    Args:
        parts: Label and size.
        everybody: What the whole bar stands for; None = the parts together.
    """
    whole = everybody or sum(size for _, size in parts)
    if not whole:
        return Glyph(gettext("Nobody is in it."), "")
    drawn, x = [], 0.0
    for place, (_, size) in enumerate(parts):
        width = 100 * size / whole
        drawn.append(f'<rect class="{words.colour(place)}" x="{x:.2f}" width="{width:.2f}" height="8"/>')
        x += width
    sentence = ", ".join(f"{label} {formats().percent(size / whole)}" for label, size in parts)
    return Glyph(
        sentence,
        f'<svg class="bar parts" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(sentence)}">{"".join(drawn)}</svg>',
    )
