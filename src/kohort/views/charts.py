"""Every chart about found segments and about time, defined once: pages, the report, notebooks and files print the same object.

Each function takes model values and returns a `Chart` (or a `Glyph`, a small drawing beside words). A title given is the
finding; without one a chart is called by what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kohort.locale import find, gettext
from kohort.model.segmentation import Candidate, Difference, Segment
from kohort.views import words
from kohort.views.chart import Axis, Chart, Column, Glyph
from kohort.views.formats import UNKNOWN, formats
from kohort.views.glyphs import bar, interval, ring, share_bar, sparkline
from kohort.views.maps import customer_map, how_to_read
from kohort.views.plot import NARROW, WIDE, Bar, Columns, Line, Scale, bars, in_100, one_each, plot, up_to
from kohort.views.shapes import family_tree
from kohort.views.svg import CHAR_WIDTH, fit, n, picture, spread, text

__all__ = [
    "Chart",
    "Glyph",
    "bar",
    "comparison",
    "customer_map",
    "differences",
    "family_tree",
    "how_to_read",
    "interval",
    "monthly",
    "ring",
    "share_bar",
    "share_flow",
    "sizes",
    "sparkline",
    "trend",
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

    @property
    def worth(self) -> float | None:
        return None if self.revenue is None else self.right


# Customers and revenue -----------------------------------------------------------------------------------------------


def share_flow(segments: Sequence[Segment], currency: str, *, title: str = "") -> Chart:
    """Share of customers on the left, share of revenue on the right, one ribbon per segment; sizes without revenue.

    A segment without known revenue ends in a hairline and "–". From the 13th on they are joined into one band.
    """
    if all(s.revenue_share is None for s in segments):
        return sizes(segments, title=title)
    bands = _bands(segments)
    first = max(bands, key=lambda b: b.right, default=None)
    sentence = (
        gettext(
            "%(name)s: %(customers)s of customers, %(revenue)s of revenue.",
            name=first.name,
            customers=formats().percent(first.left),
            revenue=_worth(first),
        )
        if first
        else gettext("No segments.")
    )
    wide, narrow = (_flow(bands, sentence, currency, narrow=small) for small in (False, True))
    return Chart(
        "flow",
        title or gettext("Customers and revenue"),
        sentence,
        wide,
        narrow,
        columns=(
            Column(gettext("Segment")),
            Column(gettext("Customers"), "count"),
            Column(gettext("Share of customers"), "share"),
            Column(gettext("Revenue"), "money", currency),
            Column(gettext("Share of revenue"), "share"),
        ),
        rows=tuple((b.name, b.size, b.left, b.revenue, b.worth) for b in bands),
        legend=tuple((b.letter, b.colour, b.name) for b in bands),
    )


def sizes(segments: Sequence[Segment], *, title: str = "") -> Chart:
    """Share of customers in each segment, for populations whose revenue is not known."""
    sentence = "; ".join(f"{s.name}: {formats().percent(s.share)}" for s in segments) or gettext("No segments.")
    rows = [
        Bar(s.name, s.share, formats().percent(s.share), words.plural(s.size, "customer"), words.colour(i))
        for i, s in enumerate(segments)
    ]
    wide, narrow = (bars(rows, sentence, width) if rows else "" for width in (WIDE, NARROW))
    return Chart(
        "flow",
        title or gettext("Customers in each segment"),
        sentence,
        wide,
        narrow,
        across=Axis(gettext("Share of customers"), gettext("in 100")),
        columns=(
            Column(gettext("Segment")),
            Column(gettext("Customers"), "count"),
            Column(gettext("Share of customers"), "share"),
        ),
        rows=tuple((s.name, s.size, s.share) for s in segments),
    )


def _worth(band: Band) -> str:
    return UNKNOWN if band.revenue is None else formats().percent(band.right)


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
        gettext("%(n)s more groups", n=len(rest)),
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
    amounts = ["" if narrow or b.revenue is None else f" · {formats().short_money(b.revenue, currency)}" for b in bands]
    told = max((len(_worth(b) + amount) for b, amount in zip(bands, amounts, strict=True)), default=0)
    x1 = 288.0 if narrow else min(548.0, WIDE - 19 - told * CHAR_WIDTH)  # some languages write money longer
    width, x0 = (NARROW, 46.0) if narrow else (WIDE, min(60 + names * CHAR_WIDTH, 230))
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
    for b, amount, ly, ry in zip(bands, amounts, left_y, right_y, strict=True):
        name = b.letter if narrow else fit(b.name, x0 - 50)
        share = f'<tspan class="t-strong">{formats().percent(b.left)}</tspan>'
        parts.append(f'<text x="{n(x0 - 9)}" y="{n(ly)}" text-anchor="end">{text(name)} {share}</text>')
        parts.append(
            f'<text x="{n(x1 + 19)}" y="{n(ry)}"><tspan class="t-strong">{_worth(b)}</tspan>{text(amount)}</text>'
        )
    who, what = (
        (gettext("Customers"), gettext("Revenue"))
        if narrow
        else (gettext("Share of customers"), gettext("Share of revenue"))
    )
    parts.append(f'<text class="t-muted" x="{n(x0 + block)}" y="12" text-anchor="end">{text(who)}</text>')
    parts.append(f'<text class="t-muted" x="{n(x1)}" y="12">{text(what)}</text>')
    return picture(width, height + 6, sentence, parts)


def _stack(shares: Sequence[float], room: float, top: float, gap: float) -> list[tuple[float, float]]:
    total = sum(shares) or 1.0
    out, y = [], top
    for share in shares:
        size = max(room * share / total, 1.0)  # a share too small to see is still there
        out.append((y, y + size))
        y += size + gap
    return out


# What sets a segment apart -------------------------------------------------------------------------------------------


def differences(
    items: Sequence[Difference],
    colour: str,
    currency: str,
    *,
    title: str = "",
    name: str = "differences",
) -> Chart:
    """What sets a segment apart: one bar per feature, right of the thin line is more than the typical customer."""
    sentence = "; ".join(f"{d.label}: {words.differs(d, currency)}" for d in items) or gettext(
        "Nothing sets this group apart."
    )
    rows = [Bar(d.label, d.effect, words.differs(d, currency), _beside(d, currency), colour) for d in items]
    wide, narrow = (bars(rows, sentence, width) if rows else "" for width in (WIDE, NARROW))
    head = (gettext("Fact"), gettext("Typical member"), gettext("Typical customer"), gettext("In words"))
    return Chart(
        name,
        title or gettext("What makes them different"),
        sentence,
        wide,
        narrow,
        across=Axis(gettext("Difference from the typical customer"), gettext("standard deviations")),
        columns=(*(Column(label) for label in head), Column(gettext("Difference in standard deviations"), "decimal")),
        rows=tuple(
            (
                d.label,
                formats().value(d.value, d.unit, currency),
                formats().value(d.average, d.unit, currency),
                words.differs(d, currency),
                d.effect,
            )
            for d in items
        ),
    )


def _beside(d: Difference, currency: str) -> str:
    """Both values under the words, unless the words say them already."""
    return "" if " instead of " in d.text else words.difference_words(d, currency)


# Over time -----------------------------------------------------------------------------------------------------------


def monthly(
    rows: Sequence[tuple[str, float | None]],
    what: str,
    unit: str,
    currency: str = "",
    *,
    partial: bool = False,
    title: str = "",
    name: str = "months",
) -> Chart:
    """Columns per month.

    Args:
        rows: ("2011-12", value) in time order; unknown values leave a gap.
        what: Name of the value: "Revenue".
        unit: Unit of the value, as in features.
        currency: ISO 4217 for money.
        partial: The last month is not over; its column is drawn open.
    """
    column = Column(what, "money" if unit == "money" else "count", currency)
    title = title or gettext("%(what)s per month", what=what)
    known = [v for _, v in rows if v is not None]
    if not known:
        return Chart(name, title, gettext("%(what)s per month: unknown.", what=what), "")
    best = max(rows, key=lambda r: r[1] if r[1] is not None else float("-inf"))
    sentence = gettext(
        "%(what)s per month from %(first)s to %(last)s; highest in %(best)s with %(value)s.",
        what=what,
        first=formats().month_of(rows[0][0]),
        last=formats().month_of(rows[-1][0]),
        best=formats().month_of(best[0]),
        value=column.say(best[1]),
    )
    across = one_each(Axis(gettext("Month")), [formats().month_of(m) for m, _ in rows])
    up = up_to(Axis(what, currency if unit == "money" else ""), max(known), column.say)
    mark = Columns([[(v, "c-accent")] for _, v in rows], open_end=partial)
    wide, narrow = (plot([mark], across, up, sentence, (width, 226.0)) for width in (WIDE, NARROW))
    return Chart(
        name,
        title,
        sentence,
        wide,
        narrow,
        across.axis,
        up.axis,
        (Column(gettext("Month"), "month"), column),
        tuple((month[:7], value) for month, value in rows),
    )


def trend(s: Segment, currency: str, colour: str, *, title: str = "", name: str = "trend") -> Chart:
    """Customers of one segment at the moments that were looked at; fewer than two draw nothing."""
    title = title or gettext("Customers over time")
    if len(s.trend) < 2:
        return Chart(name, title, gettext("%(name)s: one moment only.", name=s.name), "")
    first, last = s.trend[0], s.trend[-1]
    sentence = gettext(
        "%(name)s: %(first)s customers on %(first_day)s, %(last)s on %(last_day)s.",
        name=s.name,
        first=formats().number(first.size),
        first_day=formats().date_of(first.at),
        last=formats().number(last.size),
        last_day=formats().date_of(last.at),
    )
    across = one_each(Axis(gettext("Day")), [formats().date_of(t.at) for t in s.trend])
    up = up_to(Axis(gettext("Customers")), max(t.size for t in s.trend), formats().number, least=2.0)
    line = Line([(float(i), float(t.size)) for i, t in enumerate(s.trend)], colour)
    wide, narrow = (plot([line], across, up, sentence, (width, 190.0)) for width in (WIDE, NARROW))
    columns = (
        Column(gettext("On"), "day"),
        Column(gettext("Customers"), "count"),
        Column(gettext("Revenue"), "money", currency),
    )
    rows = tuple((t.at[:10], t.size, t.revenue) for t in s.trend)
    return Chart(name, title, sentence, wide, narrow, across.axis, up.axis, columns, rows)


# How the grouping was chosen -----------------------------------------------------------------------------------------


def comparison(candidates: Sequence[Candidate], *, title: str = "") -> Chart:
    """How often each grouping comes out again when re-checked, over the number of groups; one line per way."""
    shown = [c for c in candidates if c.stability is not None and c.k >= 2]
    chosen = next((c for c in candidates if c.chosen), None)
    title = title or gettext("Which groupings come out again")
    sentence = gettext("Share of customers that stay with their group when the grouping is repeated on reshuffled data")
    if chosen:
        way, holds = find(words.ALGORITHMS[chosen.algorithm][0]), words.holds(chosen.stability)
        picked = gettext("Chosen: %(way)s, %(k)s groups, %(holds)s", way=way, k=chosen.k, holds=holds)
        sentence = f"{sentence}. {picked}"
    across, up = Axis(gettext("Groups")), Axis(gettext("Customers who stay in their group"), gettext("in 100"))
    wide, narrow = (_lines(shown, across, up, sentence, width) if shown else "" for width in (WIDE, NARROW))
    return Chart(
        "comparison", title, f"{sentence}.", wide, narrow, across, up, _compared_by(), tuple(_compared(candidates))
    )


def _compared_by() -> tuple[Column, ...]:
    return (
        Column(gettext("Way")),
        Column(gettext("Groups"), "count"),
        Column(gettext("Holds when re-checked"), "chance"),
        Column(gettext("Groups differ")),
        Column(gettext("Smallest group"), "share"),
        Column(gettext("Says about spend"), "share"),
        Column(gettext("Easy to explain")),
        Column(gettext("Left out"), "share"),
        Column(gettext("Note")),
    )


def _compared(candidates: Sequence[Candidate]) -> list[tuple[str | int | float | None, ...]]:
    return [
        (
            _way(c),
            c.k,
            None if c.stability is None else c.stability.value,
            words.clear_cut(c.separation),
            c.smallest_share,
            c.value_spread,
            words.easy(c.explainability),
            c.outlier_share,
            c.note,
        )
        for c in candidates
    ]


def _way(c: Candidate) -> str:
    name = find(words.ALGORITHMS[c.algorithm][0])
    return gettext("%(way)s (chosen)", way=name) if c.chosen else name


def _lines(shown: Sequence[Candidate], across: Axis, up: Axis, sentence: str, width: float) -> str:
    ks = sorted({c.k for c in shown})
    scale = Scale(across, ks[0] - 0.5, max(ks[-1], ks[0] + 1) + 0.5, tuple((k, formats().number(k)) for k in ks))
    marks = []
    for i, way in enumerate(w for w in words.ALGORITHMS if any(c.algorithm == w for c in shown)):
        mine = sorted((c for c in shown if c.algorithm == way), key=lambda c: c.k)
        points = [(float(c.k), c.stability.value if c.stability else 0.0) for c in mine]
        ringed = frozenset(place for place, c in enumerate(mine) if c.chosen)
        marks.append(Line(points, words.colour(i), find(words.ALGORITHMS[way][0]), ringed, 3.0))
    return plot(marks, scale, in_100(up), sentence, (width, 280.0), right=150.0 if width > 400 else 92.0)
