"""Every chart, defined once: pages, the report and notebooks print the same object.

Each function takes model values and returns a `Chart`. The finding belongs in the title beside it; the chart's own
sentence says what the drawing shows to those who cannot see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kohort.model.segmentation import Candidate, Difference, Estimate, Segment
from kohort.views import words
from kohort.views.formats import EN, UNKNOWN
from kohort.views.shapes import customer_map, family_tree
from kohort.views.svg import CHAR_WIDTH, Chart, fit, n, picture, spread, text

__all__ = [
    "Chart",
    "bar",
    "comparison",
    "customer_map",
    "differences",
    "family_tree",
    "interval",
    "monthly",
    "ring",
    "share_flow",
    "sizes",
    "sparkline",
]

MOST_BANDS = 12  # more ribbons than this cannot be told apart


@dataclass(frozen=True, slots=True)
class Band:
    """One ribbon: a segment, or the smaller ones joined."""

    name: str
    letter: str
    colour: str
    size: int
    left: float  # share of customers
    right: float  # share of revenue, 0 where unknown
    revenue: float | None


def share_flow(segments: Sequence[Segment], currency: str) -> Chart:
    """Share of customers on the left, share of revenue on the right, one ribbon per segment; sizes without revenue.

    A segment without known revenue ends in a hairline and "–". From the 13th on they are joined into one band.
    """
    if all(s.revenue_share is None for s in segments):
        return sizes(segments)
    bands = _bands(segments)
    first = max(bands, key=lambda b: b.right, default=None)
    sentence = (
        f"{first.name}: {EN.percent(first.left)} of customers, {_worth(first)} of revenue. "
        "Values for every segment are in the table below."
        if first
        else "No segments."
    )
    rows = tuple(
        (b.name, EN.number(b.size), EN.percent(b.left), EN.short_money(b.revenue, currency), _worth(b)) for b in bands
    )
    return Chart(
        sentence,
        _flow(bands, sentence, currency, narrow=False),
        _flow(bands, sentence, currency, narrow=True),
        ("Segment", "Customers", "Share", "Revenue", "Share"),
        rows,
        tuple((b.letter, b.colour, b.name) for b in bands),
    )


def sizes(segments: Sequence[Segment]) -> Chart:
    """Share of customers in each segment, for populations whose revenue is not known."""
    most = max((s.share for s in segments), default=1.0) or 1.0
    drawn = [
        f'<div class="diff-row"><span>{text(s.name)}</span>'
        '<svg viewBox="0 0 100 22" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="fill {words.colour(i)}" x="0" y="5" width="{n(100 * s.share / most)}" height="12" rx="1.5"/>'
        "</svg>"
        f'<span class="v">{EN.percent(s.share)}<span class="w">{words.plural(s.size, "customer")}</span></span></div>'
        for i, s in enumerate(segments)
    ]
    sentence = "; ".join(f"{s.name}: {EN.percent(s.share)}" for s in segments) or "No segments."
    return Chart(sentence, f'<div class="diff">{"".join(drawn)}</div>')


def _worth(band: Band) -> str:
    return UNKNOWN if band.revenue is None else EN.percent(band.right)


def _bands(segments: Sequence[Segment]) -> list[Band]:
    bands = [
        Band(
            s.name,
            words.letter(i),
            words.colour(i),
            s.size,
            s.share,
            max(s.revenue_share or 0.0, 0.0),
            None if s.revenue_share is None else s.revenue,
        )
        for i, s in enumerate(segments)
    ]
    if len(bands) <= MOST_BANDS:
        return bands
    kept, rest = bands[: MOST_BANDS - 1], bands[MOST_BANDS - 1 :]
    known = [b.revenue for b in rest if b.revenue is not None]
    joined = Band(
        f"{len(rest)} more groups",
        "+",
        "c-n",
        sum(b.size for b in rest),
        sum(b.left for b in rest),
        sum(b.right for b in rest),
        sum(known) if known else None,
    )
    return [*kept, joined]


def _flow(bands: Sequence[Band], sentence: str, currency: str, *, narrow: bool) -> str:
    """Two stacks of blocks joined by ribbons; heights are shares of the same scale."""
    height, top, gap, block = 330.0, 24.0, 5.0, 10.0
    names = max((len(b.name) for b in bands), default=0)
    width, x0, x1 = (350.0, 46.0, 288.0) if narrow else (660.0, min(60 + names * CHAR_WIDTH, 230), 548.0)
    room = height - top - 2 - gap * (len(bands) - 1)
    left, right = (_stack(shares, room, top, gap) for shares in ([b.left for b in bands], [b.right for b in bands]))
    middle = (x0 + block + x1) / 2
    parts = []
    for b, (a0, a1), (b0, b1) in zip(bands, left, right, strict=True):
        c, xa, m = b.colour, n(x0 + block), n(middle)
        parts.append(
            f'<path class="ribbon {c}" d="M{xa} {n(a0)}C{m} {n(a0)} {m} {n(b0)} {n(x1)} {n(b0)}V{n(b1)}'
            f'C{m} {n(b1)} {m} {n(a1)} {xa} {n(a1)}Z"/>'
            f'<rect class="fill {c}" x="{n(x0)}" y="{n(a0)}" width="{n(block)}" height="{n(a1 - a0)}" rx="2"/>'
            f'<rect class="fill {c}" x="{n(x1)}" y="{n(b0)}" width="{n(block)}" height="{n(b1 - b0)}" rx="2"/>'
        )
    left_y = spread([(a + b) / 2 + 4 for a, b in left], 14, top + 4, height + 4)
    right_y = spread([(a + b) / 2 + 4 for a, b in right], 14, top + 4, height + 4)
    for b, ly, ry in zip(bands, left_y, right_y, strict=True):
        name = b.letter if narrow else fit(b.name, x0 - 50)
        share = f'<tspan class="t-strong">{EN.percent(b.left)}</tspan>'
        parts.append(f'<text x="{n(x0 - 9)}" y="{n(ly)}" text-anchor="end">{text(name)} {share}</text>')
        amount = "" if narrow or b.revenue is None else f" · {text(EN.short_money(b.revenue, currency))}"
        parts.append(f'<text x="{n(x1 + 19)}" y="{n(ry)}"><tspan class="t-strong">{_worth(b)}</tspan>{amount}</text>')
    heads = ("Customers", "Revenue") if narrow else ("Share of customers", "Share of revenue")
    parts.append(f'<text class="t-muted" x="{n(x0 + block)}" y="12" text-anchor="end">{heads[0]}</text>')
    parts.append(f'<text class="t-muted" x="{n(x1)}" y="12">{heads[1]}</text>')
    return picture(width, height + 6, sentence, parts)


def _stack(shares: Sequence[float], room: float, top: float, gap: float) -> list[tuple[float, float]]:
    total = sum(shares) or 1.0
    out, y = [], top
    for share in shares:
        size = max(room * share / total, 1.0)  # a share too small to see is still there
        out.append((y, y + size))
        y += size + gap
    return out


def sparkline(values: Sequence[float | None], sentence: str, colour: str = "c-accent", css: str = "") -> Chart:
    """A small line without axes. Unknown points are bridged; fewer than two known points draw nothing."""
    known = [(i, v) for i, v in enumerate(values) if v is not None]
    if len(known) < 2:
        return Chart(sentence, "")
    low, high = min(v for _, v in known), max(v for _, v in known)
    span = (high - low) or 1.0
    step = 104 / (len(values) - 1)
    points = " ".join(f"{n(i * step)} {n(27 - 24 * (v - low) / span if high > low else 15)}" for i, v in known)
    return Chart(
        sentence,
        f'<svg class="sparkline {colour} {css}" viewBox="0 0 104 30" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(sentence)}"><path class="line" d="M{points}"/></svg>',
    )


def bar(share: float | None, colour: str = "", css: str = "") -> Chart:
    """A bar of 0 to 1 beside a figure that says the same; so it is hidden from screen readers."""
    width = 0.0 if share is None else min(max(share, 0.0), 1.0) * 100
    return Chart(
        "",
        f'<svg class="bar {css} {colour}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{n(width)}" height="8"/></svg>',
    )


def differences(items: Sequence[Difference], colour: str, currency: str) -> Chart:
    """What sets a segment apart: one bar per feature, right of the thin line is more than the typical customer."""
    effects = [d.effect for d in items]
    low, high = min([0.0, *effects]), max([0.0, *effects])
    span = (high - low) or 1.0
    base = 6 + 88 * -low / span
    drawn = []
    for d in items:
        size = 88 * abs(d.effect) / span
        start = base - size if d.effect < 0 else base
        drawn.append(
            f'<div class="diff-row"><span>{text(d.label)}</span>'
            '<svg viewBox="0 0 100 22" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect class="fill c-n" x="{n(base - 0.2)}" y="0" width=".4" height="22"/>'
            f'<rect class="fill {colour}" x="{n(start)}" y="5" width="{n(max(size, 0.4))}" height="12" rx="1.5"/></svg>'
            f'<span class="v">{text(d.text)}{_beside(d, currency)}</span></div>'
        )
    sentence = "; ".join(f"{d.label}: {d.text}" for d in items) or "Nothing sets this group apart."
    return Chart(sentence, f'<div class="diff">{"".join(drawn)}</div>')


def _beside(d: Difference, currency: str) -> str:
    """Both values under the words, unless the words say them already."""
    return "" if " instead of " in d.text else f'<span class="w">{text(words.difference_words(d, currency))}</span>'


def interval(estimate: Estimate, sentence: str, colour: str = "c-accent") -> Chart:
    """A share of 0 to 1 with its likely range on a line from 0 to 100."""
    x = [8 + 184 * min(max(v, 0.0), 1.0) for v in (estimate.low, estimate.value, estimate.high)]
    ends = spread([x[0], x[2]], 26, 8, 192)
    parts = [
        '<rect class="fill c-n" x="8" y="11.4" width="184" height="1.2" opacity=".5"/>',
        f'<rect class="fill {colour}" x="{n(x[0])}" y="9" width="{n(max(x[2] - x[0], 2))}" height="6" rx="3" '
        'opacity=".38"/>',
        f'<circle class="fill {colour}" cx="{n(x[1])}" cy="12" r="5"/>',
        f'<text x="{n(ends[0])}" y="33" text-anchor="middle">{EN.number(estimate.low * 100)}</text>',
        f'<text x="{n(ends[1])}" y="33" text-anchor="middle">{EN.number(estimate.high * 100)}</text>',
    ]
    return Chart(sentence, picture(200, 36, sentence, parts, "ci"))


def ring(score: int) -> Chart:
    """A figure of 0 to 100 as an open ring."""
    tone = "c-good" if score >= 80 else "c-warn" if score >= 50 else "c-bad"
    around = 301.6
    parts = [
        '<circle class="track" cx="56" cy="56" r="48"/>',
        f'<circle class="arc {tone}" cx="56" cy="56" r="48" stroke-dasharray="{n(around * score / 100)} {around}" '
        'transform="rotate(-90 56 56)"/>',
        f'<text class="n" x="56" y="66" text-anchor="middle">{score}</text>',
    ]
    return Chart(f"{score} out of 100", picture(112, 112, f"{score} out of 100", parts, "ring"))


def monthly(
    rows: Sequence[tuple[str, float | None]], what: str, unit: str, currency: str = "", *, partial: bool = False
) -> Chart:
    """Columns per month.

    Args:
        rows: ("2011-12", value) in time order; unknown values leave a gap.
        what: Name of the value: "Revenue".
        unit: Unit of the value, as in features.
        currency: ISO 4217 for money.
        partial: The last month is not over; its column is drawn open.
    """
    write = (lambda v: EN.short_money(v, currency)) if unit == "money" else EN.number
    known = [v for _, v in rows if v is not None]
    if not known:
        return Chart(f"{what} per month: unknown.", "")
    best = max(rows, key=lambda r: r[1] if r[1] is not None else float("-inf"))
    sentence = (
        f"{what} per month from {EN.month_of(rows[0][0])} to {EN.month_of(rows[-1][0])}; "
        f"highest in {EN.month_of(best[0])} with {write(best[1])}."
    )
    table = tuple((EN.month_of(m), write(v)) for m, v in rows)
    wide, narrow = (_columns(rows, sentence, write, w, partial) for w in (660.0, 350.0))
    return Chart(sentence, wide, narrow, ("Month", what), table)


def _columns(rows: Sequence[tuple[str, float | None]], sentence: str, write: Any, width: float, partial: bool) -> str:
    left, top, bottom = 46.0, 12.0, 190.0
    top_value = nice_top(max(v for _, v in rows if v is not None))
    parts = []
    for i in range(3):
        y = bottom - (bottom - top) * i / 2
        css = "axis" if i == 0 else "grid-l"
        parts.append(
            f'<path class="{css}" d="M{n(left)} {n(y)}H{n(width)}"/>'
            f'<text class="t-muted t-s" x="{n(left - 8)}" y="{n(y + 4)}" text-anchor="end">'
            f"{text(write(top_value * i / 2))}</text>"
        )
    step = (width - left) / len(rows)
    every = next(e for e in (1, 2, 3, 6, 12, 10_000) if step * e >= 58)
    for i, (month, value) in enumerate(rows):
        x, size = left + i * step + step * 0.16, (bottom - top) * max(value or 0.0, 0.0) / top_value
        open_end = " open" if partial and i == len(rows) - 1 else ""
        if value is not None:
            parts.append(
                f'<rect class="col c-accent{open_end}" x="{n(x)}" y="{n(bottom - size)}" width="{n(step * 0.68)}" '
                f'height="{n(size)}" rx="2"/>'
            )
        if (len(rows) - 1 - i) % every == 0 and x + step * 0.34 - left > 20:
            parts.append(
                f'<text class="t-muted t-s" x="{n(min(x + step * 0.34, width - 24))}" y="208" text-anchor="middle">'
                f"{text(EN.month_of(month))}</text>"
            )
    return picture(width, 214, sentence, parts)


def nice_top(value: float) -> float:
    """The next round number at or above a value, for an axis: 1, 2, 4, 5, 6, 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 1.0
    return next((m * power for m in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if m * power >= value), value)


def comparison(candidates: Sequence[Candidate]) -> Chart:
    """How often each grouping comes out again when re-checked, over the number of groups; one line per way."""
    shown = [c for c in candidates if c.stability is not None and c.k >= 2]
    chosen = next((c for c in candidates if c.chosen), None)
    sentence = "Share of customers that stay with their group when the grouping is repeated on reshuffled data"
    if chosen:
        name = words.ALGORITHMS[chosen.algorithm][0]
        sentence += f". Chosen: {name}, {chosen.k} groups, {words.holds(chosen.stability)}"
    rows = tuple(
        (
            words.ALGORITHMS[c.algorithm][0] + (" (chosen)" if c.chosen else ""),
            EN.number(c.k),
            words.holds(c.stability),
            words.clear_cut(c.separation),
            EN.percent(c.smallest_share),
            EN.percent(c.value_spread),
            words.easy(c.explainability),
            EN.percent(c.outlier_share),
            c.note,
        )
        for c in candidates
    )
    head = ("Way", "Groups", "Holds when re-checked", "Groups differ", "Smallest group")
    more = ("Says about spend", "Easy to explain", "Left out", "Note")
    wide, narrow = (_lines(shown, sentence, w) for w in (660.0, 350.0))
    return Chart(sentence + ".", wide if shown else "", narrow if shown else "", head + more, rows)


def _lines(shown: Sequence[Candidate], sentence: str, width: float) -> str:
    left, top, bottom, right = 40.0, 14.0, 236.0, width - (150.0 if width > 400 else 92.0)
    ks = sorted({c.k for c in shown})
    if not ks:
        return ""
    span = max(ks[-1] - ks[0], 1)

    def at(k: int) -> float:
        return left + 12 + (right - left - 24) * (k - ks[0]) / span

    def high(share: float) -> float:
        return bottom - (bottom - top) * min(max(share, 0.0), 1.0)

    parts = []
    for share in (0.0, 0.5, 1.0):
        css = "axis" if share == 0 else "grid-l"
        parts.append(
            f'<path class="{css}" d="M{n(left)} {n(high(share))}H{n(right)}"/>'
            f'<text class="t-muted t-s" x="{n(left - 8)}" y="{n(high(share) + 4)}" text-anchor="end">'
            f"{EN.percent(share)}</text>"
        )
    every = 1 if width > 400 else 2
    parts += [
        f'<text class="t-muted t-s" x="{n(at(k))}" y="{n(bottom + 17)}" text-anchor="middle">{EN.number(k)}</text>'
        for k in ks[::every]
    ]
    parts.append(f'<text class="t-muted t-s" x="{n(right)}" y="{n(bottom + 33)}" text-anchor="end">groups</text>')
    ways = [w for w in words.ALGORITHMS if any(c.algorithm == w for c in shown)]
    ends = []
    for i, way in enumerate(ways):
        mine = sorted((c for c in shown if c.algorithm == way), key=lambda c: c.k)
        points = [(at(c.k), high(c.stability.value if c.stability else 0.0), c) for c in mine]
        path = " ".join(f"{n(x)} {n(y)}" for x, y, _ in points)
        parts.append(f'<path class="line {words.colour(i)}" d="M{path}"/>')
        for x, y, c in points:
            ringed = f'<circle class="ringed" cx="{n(x)}" cy="{n(y)}" r="8"/>' if c.chosen else ""
            parts.append(f'{ringed}<circle class="fill {words.colour(i)}" cx="{n(x)}" cy="{n(y)}" r="3"/>')
        ends.append((points[-1][1], points[-1][0], way, words.colour(i)))
    ends.sort()
    for (_, x, way, css), y in zip(ends, spread([e[0] for e in ends], 16, top, bottom), strict=True):
        name = words.ALGORITHMS[way][0] if width > 400 else words.ALGORITHMS[way][0].split()[0]
        parts.append(
            f'<path class="lead {css}" d="M{n(x + 5)} {n(_end_y(ends, way))}L{n(right + 2)} {n(y)}"/>'
            f'<text class="t-s" x="{n(right + 8)}" y="{n(y + 4)}">{text(name)}</text>'
        )
    return picture(width, bottom + 38, sentence, parts)


def _end_y(ends: Sequence[tuple[float, float, Any, str]], way: str) -> float:
    return next(y for y, _, w, _ in ends if w == way)
