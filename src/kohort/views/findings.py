"""What the pages and the report say, worked out from the documents: key figures, titles that are findings, evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from kohort.model.health import HealthReport
from kohort.model.segmentation import Candidate, Segment, Segmentation
from kohort.views import charts, words
from kohort.views.formats import UNKNOWN, formats

Figures = list[dict[str, Any]]


def listing(items: Sequence[str]) -> str:
    """A list in a sentence: "orders, spend and order value"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def largest(found: Segmentation) -> list[tuple[Segment, float]]:
    """The three segments that matter most, each with the length of its bar: by revenue, else by customers."""
    known = any(s.revenue_share is not None for s in found.segments)
    weights = [(s, (s.revenue_share or 0.0) if known else s.share) for s in found.segments]
    weights.sort(key=lambda x: -x[1])
    most = max((w for _, w in weights), default=0.0) or 1.0
    return [(s, w / most) for s, w in weights[:3]]


def based_on(labels: Sequence[str], most: int = 5) -> str:
    """What a grouping looked at, the telling facts first: "mostly on orders and spend, and 9 more facts"."""
    named = [label[:1].lower() + label[1:] if label[1:2].islower() else label for label in labels]
    if not named:
        return "on all columns"
    if len(named) <= most + 1:
        return f"on {listing(named)}"
    return f"mostly on {', '.join(named[:most])}, and on {len(named) - most} more facts"


def chosen(found: Segmentation) -> Candidate | None:
    """The candidate that became the segments."""
    return next((c for c in found.candidates if c.chosen), None)


def key_figures(summary: Mapping[str, Any]) -> Figures:
    """The four figures of the overview. A figure that is not known is left out, not shown as nought."""
    if not summary.get("monthly"):
        return []  # nothing was ever sold here, so there is no figure of sales, not even nought
    money = summary.get("currency", "")
    weekly = whole_weeks(summary)
    rows: Figures = []

    def line(key: str, sentence: str) -> Any:
        return charts.sparkline([w.get(key) for w in weekly], sentence) if len(weekly) > 2 else None

    def add(label: str, value: str, note: str, spark: Any, change: tuple[Any, Any] = (None, None)) -> None:
        now, before = change
        text = formats().change(now, before) if before else ""
        note = "vs the 30 days before" if text else note
        step = now - before if text else None
        rows.append({"label": label, "value": value, "change": step, "change_text": text, "note": note, "spark": spark})

    if (now := summary.get("revenue_30d")) is not None:
        change = (now, summary.get("revenue_30d_before"))
        add("Revenue, 30 days", formats().short_money(now, money), "", line("revenue", "Revenue per week"), change)
    if (now := summary.get("active_30d")) is not None:
        change = (now, summary.get("active_30d_before"))
        add(
            "Active customers, 30 days",
            formats().number(now),
            "",
            line("customers", "Active customers per week"),
            change,
        )
    if (share := summary.get("returning_share")) is not None:
        note = "of known customers, past 12 months"
        add("Revenue from returning customers", formats().percent(share), note, charts.bar(share, "c-accent"))
    if (share := summary.get("anonymous_share")) is not None:
        note = "past 12 months; in no segment"
        add("Revenue without a customer number", formats().percent(share), note, charts.bar(share, "c-accent"))
    return rows


def whole_weeks(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Weeks without the first and, before its Sunday, the last one: half a week looks like a slump and is none."""
    weeks = list(summary.get("weekly") or [])[1:]
    today = _day(summary.get("as_of"))
    if weeks and today is not None and today < date.fromisoformat(weeks[-1]["week"]) + timedelta(days=6):
        weeks.pop()
    return weeks


def month_is_open(as_of: str | None) -> bool:
    """Whether the month of an instant goes on after it."""
    today = _day(as_of)
    return today is not None and (today + timedelta(days=1)).month == today.month


def _day(instant: str | None) -> date | None:
    return datetime.fromisoformat(instant).date() if instant else None


def segment_figures(s: Segment, currency: str) -> Figures:
    """The figures at the head of a segment's page."""
    change, since = words.trend_words(s)
    rows: Figures = [
        {
            "label": "Customers",
            "value": formats().number(s.size),
            "change": change,
            "note": f"{formats().signed(change)} {since}"
            if change is not None
            else f"{formats().percent(s.share)} of all",
        },
        {
            "label": "Share of customers",
            "value": formats().percent(s.share),
            "change": None,
            "note": words.one_in(s.share),
        },
    ]
    if s.revenue is not None:
        share = "" if s.revenue_share is None else f"{formats().percent(s.revenue_share)} of all revenue"
        rows.append(
            {"label": "Revenue", "value": formats().short_money(s.revenue, currency), "change": None, "note": share}
        )
        each = formats().money(s.revenue / s.size if s.size else None, currency, 0)
        rows.append({"label": "Per customer", "value": each, "change": None, "note": "on average"})
    if s.stability is not None:
        value = formats().percent(s.stability.value)
        rows.append({"label": "Steadiness", "value": value, "change": None, "note": "stay when re-checked"})
    return rows


def flow_title(found: Segmentation) -> str:
    """Who brings in the money, as a sentence."""
    known = [s for s in found.segments if s.revenue_share is not None]
    if not known:
        return f"{words.count_word(len(found.segments))} groups by number of customers"
    top = max(known, key=lambda s: s.revenue_share or 0.0)
    rest = len(found.segments) - 1
    if rest < 1:
        return f"{top.name} bring in {formats().percent(top.revenue_share)} of revenue"
    others = f"the other {words.count_word(rest).lower()} groups" if rest > 1 else "the other group"
    return f"{top.name} bring in {formats().percent(top.revenue_share)} of revenue, {others} share the rest"


def moves(found: Segmentation) -> tuple[Figures, str]:
    """Segments whose size changed most since the step before, and since when."""
    changed = []
    since = ""
    for s in found.segments:
        change, when = words.trend_words(s)
        since = when or since
        if change:
            changed.append((change, s))
    changed.sort(key=lambda x: -abs(x[0]) / max(x[1].size, 1))
    rows = []
    for change, s in changed[:4]:
        verb = "grew" if change > 0 else "shrank"
        first = s.trend[0]
        long_ago = (
            f"It was {formats().number(first.size)} on {formats().date_of(first.at)}." if len(s.trend) > 2 else ""
        )
        rows.append(
            {
                "id": s.id,
                "icon": "up" if change > 0 else "down",
                "title": f"{s.name} {verb} by {formats().number(abs(change))}, to {formats().number(s.size)}",
                "text": long_ago,
            }
        )
    return rows, since


def trend_title(s: Segment) -> str:
    """How the size of a segment changed over the whole trend."""
    if len(s.trend) < 2:
        return "Customers over time"
    first, last = s.trend[0], s.trend[-1]
    if first.size == last.size:
        return f"As many as on {formats().date_of(first.at)}"
    verb = "Grew" if last.size > first.size else "Shrank"
    return f"{verb} from {formats().number(first.size)} to {formats().number(last.size)} since {formats().date_of(first.at)}"


def month_title(months: Sequence[tuple[str, float | None]], currency: str) -> str:
    """The best month, as a sentence. The last month may not be over and does not compete."""
    known = [(m, v) for m, v in months[:-1] if v is not None] or [(m, v) for m, v in months if v is not None]
    if not known:
        return "Revenue per month"
    month, value = max(known, key=lambda x: x[1])
    return f"The best month was {formats().month_of(month)} with {formats().short_money(value, currency)}"


def methods(found: Segmentation) -> Figures:
    """The ways that were compared, each with its best result."""
    rows: Figures = []
    for algorithm, (name, text) in words.ALGORITHMS.items():
        best = words.best_of(found, algorithm)
        if best is None:
            continue
        steady = best.stability.value if best.stability else None
        figures = [
            ("Groups", formats().number(best.k) if best.k else "none", ""),
            (
                "Holds when re-checked",
                words.holds(best.stability),
                "warn" if steady is not None and steady < 0.75 else "",
            ),
            (
                "Customers left out",
                formats().percent(best.outlier_share) if best.outlier_share else "none",
                "warn" if best.outlier_share > 0.1 else "",
            ),
            ("Easy to explain", words.easy(best.explainability), ""),
        ]
        note = "" if best.chosen else words.sentence(best.note)
        told = {"name": name, "text": text, "note": note, "chosen": best.chosen, "figures": figures}
        rows.append({**told, "algorithm": algorithm, "k": best.k})
    return rows


def steps(found: Segmentation) -> Figures:
    """The numbers of groups tried for the chosen way."""
    rows: Figures = []
    tried = sorted((c for c in found.candidates if c.algorithm == found.algorithm), key=lambda c: c.k)
    for c in tried:
        value = c.stability.value if c.stability else None
        shaky = value is not None and value < 0.75
        word = "chosen" if c.chosen else "shaky" if shaky else "small groups" if c.smallest_share < 0.03 else "holds"
        if value is None:
            word = "not measured"
        rows.append(
            {
                "k": formats().number(c.k),
                "figure": words.holds(c.stability),
                "shaky": shaky,
                "word": word,
                "chosen": c.chosen,
                "n": c.k,
            }
        )
    return rows


def how_good(found: Segmentation) -> Figures:
    """The case for and against the grouping, in plain words."""
    rows: Figures = []
    best = chosen(found)

    def add(good: bool, title: str, text: str) -> None:
        rows.append(
            {"icon": "check" if good else "alert", "tone": "good" if good else "warn", "title": title, "text": text}
        )

    verdict = words.VERDICT[found.structure.verdict]
    tone = {"good": "good", "info": "info", "warn": "warn"}[verdict[1]]
    rows.append({"icon": "info", "tone": tone, "title": verdict[0], "text": found.structure.text})
    if best and best.stability:
        holds = best.stability.value >= 0.75
        of = f"{words.holds(best.stability)} customers stay in the same group when we repeat it on reshuffled data."
        add(holds, "It holds" if holds else "It does not hold well", of)
    if best and best.value_spread is not None:
        matters = best.value_spread >= 0.05
        share = formats().percent(best.value_spread)
        add(
            matters,
            "It matters for money" if matters else "It says little about money",
            f"The groups explain {share} of how spend differs between customers.",
        )
    if best and best.explainability is not None:
        add(
            best.explainability >= 0.7,
            "It can be explained",
            f"A few short rules put {formats().in_100(best.explainability)} customers in the right group.",
        )
    if found.warnings:
        add(False, "Keep in mind", " ".join(found.warnings))
    return rows


def slices(found: Segmentation) -> list[tuple[Segment, list[Segment]]]:
    """Finer slices by the segment they are cut from, in the order of the segments."""
    groups = [(s, [m for m in found.micro if m.parent == s.id]) for s in found.segments]
    return [(parent, group) for parent, group in groups if group]


def evidence(found: Segmentation) -> list[tuple[str, str]]:
    """The figures behind the verdict and the run, for data people: names and values as they are."""
    rows = [("method", found.algorithm), ("groups", str(found.k)), ("seed", str(found.seed))]
    if found.seconds is not None:
        rows.append(("seconds", f"{found.seconds:.1f}"))
    rows += [(str(k), _figure(v)) for k, v in found.structure.evidence.items()]
    rows.append(("map", found.map_method + (f" {found.map_explained:.3f}" if found.map_explained is not None else "")))
    return rows


def _figure(value: object) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_figure(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {_figure(v)}" for k, v in value.items())
    return str(value)


def parts(health: HealthReport) -> Figures:
    """What the figure of 0 to 100 is made of; without parts, how full the columns are, emptiest first."""
    if health.score_parts:
        return [
            {
                "label": PART_LABELS.get(p["code"], words.label_of(p["code"])),
                "share": p["points"] / p["of"] if p["of"] else 0.0,
                "figure": f"{p['points']} of {p['of']}",
                "note": p["text"],
                "tone": _tone(p["points"] / p["of"] if p["of"] else 1.0, 0.8),
            }
            for p in health.score_parts
        ]
    columns = [(c, share) for s in health.sources for c, share in s.completeness.items()]
    return [
        {
            "label": words.label_of(column),
            "share": share,
            "figure": formats().percent(share),
            "note": "always filled" if share == 1 else f"{formats().percent(1 - share)} of rows lack it",
            "tone": _tone(share, 0.95),
        }
        for column, share in sorted(columns, key=lambda x: x[1])[:6]
    ]


PART_LABELS = {
    "customers": "Enough customers",
    "known": "Customers are known",
    "complete": "Complete",
    "usable": "Usable",
    "history": "Long enough",
    "plausible": "Makes sense",
}


def _tone(share: float, good: float) -> str:
    return "c-good" if share >= good else "c-warn" if share >= 0.5 else "c-bad"


def coverage_title(health: HealthReport) -> str:
    """Whether every month between the first and the last has data."""
    months = [m["month"] for m in health.coverage]
    if not months:
        return "No dated rows yet"
    missing = [m for m in _all_months(months[0], months[-1]) if m not in set(months)]
    empty = missing + [m["month"] for m in health.coverage if not m.get("events")]
    if not empty:
        return f"Every month from {formats().month_of(months[0])} to {formats().month_of(months[-1])} has data"
    return f"{words.plural(len(empty), 'month')} without data, the first in {formats().month_of(min(empty))}"


def _all_months(first: str, last: str) -> list[str]:
    (y, m), (y1, m1) = (map(int, x.split("-")[:2]) for x in (first, last))
    out = []
    while (y, m) <= (y1, m1):
        out.append(f"{y:04d}-{m:02d}")
        y, m = (y, m + 1) if m < 12 else (y + 1, 1)
    return out
