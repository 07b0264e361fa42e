"""What the pages and the report say, worked out from the documents: key figures, titles that are findings, evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from kohort.locale import find, gettext, mark, ngettext
from kohort.model.health import HealthReport
from kohort.model.segmentation import Candidate, Segment, Segmentation
from kohort.views import charts, words
from kohort.views.formats import UNKNOWN, formats
from kohort.views.said import said

Figures = list[dict[str, Any]]


def listing(items: Sequence[str]) -> str:
    """A list in a sentence: "orders, spend and order value"."""
    if len(items) < 2:
        return "".join(items)
    return gettext("%(items)s and %(last)s", items=", ".join(items[:-1]), last=items[-1])


def largest(found: Segmentation) -> list[tuple[Segment, float]]:
    """The three segments that matter most, each with the length of its bar: by revenue, else by customers."""
    known = any(s.revenue_share is not None for s in found.segments)
    weights = [(s, (s.revenue_share or 0.0) if known else s.share) for s in found.segments]
    weights.sort(key=lambda x: -x[1])
    most = max((w for _, w in weights), default=0.0) or 1.0
    return [(s, w / most) for s, w in weights[:3]]


def based_on(labels: Sequence[str], most: int = 5) -> str:
    """What a grouping looked at, the telling facts first: "Based mostly on orders and spend, and on 9 more facts."."""
    named = [label[:1].lower() + label[1:] if label[1:2].islower() else label for label in labels]
    if not named:
        return gettext("Based on all columns.")
    if len(named) <= most + 1:
        return gettext("Based on %(facts)s.", facts=listing(named))
    rest = len(named) - most
    return gettext("Based mostly on %(facts)s, and on %(n)s more facts.", facts=", ".join(named[:most]), n=rest)


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
        note = gettext("vs the 30 days before") if text else note
        step = now - before if text else None
        rows.append({"label": label, "value": value, "change": step, "change_text": text, "note": note, "spark": spark})

    if (now := summary.get("revenue_30d")) is not None:
        change = (now, summary.get("revenue_30d_before"))
        spark = line("revenue", gettext("Revenue per week"))
        add(gettext("Revenue, 30 days"), formats().short_money(now, money), "", spark, change)
    if (now := summary.get("active_30d")) is not None:
        change = (now, summary.get("active_30d_before"))
        spark = line("customers", gettext("Active customers per week"))
        add(gettext("Active customers, 30 days"), formats().number(now), "", spark, change)
    if (share := summary.get("returning_share")) is not None:
        note = gettext("of known customers, past 12 months")
        spark = charts.bar(share, "c-accent")
        add(gettext("Revenue from returning customers"), formats().percent(share), note, spark)
    if (share := summary.get("anonymous_share")) is not None:
        note = gettext("past 12 months; in no segment")
        spark = charts.bar(share, "c-accent")
        add(gettext("Revenue without a customer number"), formats().percent(share), note, spark)
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
    of_all = gettext("%(share)s of all", share=formats().percent(s.share))
    rows: Figures = [
        {
            "label": gettext("Customers"),
            "value": formats().number(s.size),
            "change": change,
            "note": of_all if change is None else f"{formats().signed(change)} {since}",
        }
    ]

    def add(label: str, value: str, note: str) -> None:
        rows.append({"label": label, "value": value, "change": None, "note": note})

    add(gettext("Share of customers"), formats().percent(s.share), words.one_in(s.share))
    if s.revenue is not None:
        share = s.revenue_share
        note = "" if share is None else gettext("%(share)s of all revenue", share=formats().percent(share))
        add(gettext("Revenue"), formats().short_money(s.revenue, currency), note)
        each = formats().money(s.revenue / s.size if s.size else None, currency, 0)
        add(gettext("Per customer"), each, gettext("on average"))
    if s.stability is not None:
        add(gettext("Steadiness"), formats().percent(s.stability.value), gettext("stay when re-checked"))
    return rows


def flow_note(found: Segmentation, revenue: float) -> str:
    """Whom the picture of customers and revenue is about, and up to when.

    Args:
        revenue: Of all segments together; 0 = not known.
    """
    who, day = words.plural(found.customers, "customer"), words.dated(found.as_of)
    up_to = formats().date_of(day)
    if not revenue:
        return who if day is None else gettext("%(who)s, up to %(day)s", who=who, day=up_to)
    money = formats().short_money(revenue, found.currency)
    if day is None:
        return gettext("%(who)s and %(money)s of revenue that belongs to them", who=who, money=money)
    return gettext(
        "%(who)s and %(money)s of revenue that belongs to them, up to %(day)s", who=who, money=money, day=up_to
    )


def flow_title(found: Segmentation) -> str:
    """Who brings in the money, as a sentence."""
    known = [s for s in found.segments if s.revenue_share is not None]
    if not known:
        n = len(found.segments)
        count = words.count_word(n)
        return ngettext("%(n)s group by number of customers", "%(n)s groups by number of customers", n, n=count)
    top = max(known, key=lambda s: s.revenue_share or 0.0)
    share = formats().percent(top.revenue_share)
    rest = len(found.segments) - 1
    if rest < 1:
        return gettext("%(name)s bring in %(share)s of revenue", name=top.name, share=share)
    return ngettext(
        "%(name)s bring in %(share)s of revenue, the other group share the rest",
        "%(name)s bring in %(share)s of revenue, the other %(n)s groups share the rest",
        rest,
        name=top.name,
        share=share,
        n=words.count_word(rest).lower(),
    )


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
        first = s.trend[0]
        at_first = {"n": formats().number(first.size), "day": formats().date_of(first.at)}
        by = {"name": s.name, "n": formats().number(abs(change)), "size": formats().number(s.size)}
        rows.append(
            {
                "id": s.id,
                "icon": "up" if change > 0 else "down",
                "title": gettext("%(name)s grew by %(n)s, to %(size)s", **by)
                if change > 0
                else gettext("%(name)s shrank by %(n)s, to %(size)s", **by),
                "text": gettext("It was %(n)s on %(day)s.", **at_first) if len(s.trend) > 2 else "",
            }
        )
    return rows, since


def trend_title(s: Segment) -> str:
    """How the size of a segment changed over the whole trend."""
    if len(s.trend) < 2:
        return gettext("Customers over time")
    first, last = s.trend[0], s.trend[-1]
    if first.size == last.size:
        return gettext("As many as on %(day)s", day=formats().date_of(first.at))
    sizes = {"first": formats().number(first.size), "last": formats().number(last.size)}
    if last.size > first.size:
        return gettext("Grew from %(first)s to %(last)s since %(day)s", **sizes, day=formats().date_of(first.at))
    return gettext("Shrank from %(first)s to %(last)s since %(day)s", **sizes, day=formats().date_of(first.at))


def month_title(months: Sequence[tuple[str, float | None]], currency: str) -> str:
    """The best month, as a sentence. The last month may not be over and does not compete."""
    known = [(m, v) for m, v in months[:-1] if v is not None] or [(m, v) for m, v in months if v is not None]
    if not known:
        return gettext("Revenue per month")
    month, value = max(known, key=lambda x: x[1])
    best = formats().short_money(value, currency)
    return gettext("The best month was %(month)s with %(value)s", month=formats().month_of(month), value=best)


def methods(found: Segmentation) -> Figures:
    """The ways that were compared, each with its best result."""
    rows: Figures = []
    for algorithm, (name, text) in words.ALGORITHMS.items():
        best = words.best_of(found, algorithm)
        if best is None:
            continue
        steady = best.stability.value if best.stability else None
        figures = [
            (gettext("Groups"), formats().number(best.k) if best.k else gettext("none"), ""),
            (
                gettext("Holds when re-checked"),
                words.holds(best.stability),
                "warn" if steady is not None and steady < 0.75 else "",
            ),
            (
                gettext("Customers left out"),
                formats().percent(best.outlier_share) if best.outlier_share else gettext("none"),
                "warn" if best.outlier_share > 0.1 else "",
            ),
            (gettext("Easy to explain"), words.easy(best.explainability), ""),
        ]
        note = "" if best.chosen else words.sentence(best.note)
        told = {"name": find(name), "text": find(text), "note": note, "chosen": best.chosen, "figures": figures}
        rows.append({**told, "algorithm": algorithm, "k": best.k})
    return rows


def steps(found: Segmentation) -> Figures:
    """The numbers of groups tried for the chosen way."""
    rows: Figures = []
    tried = sorted((c for c in found.candidates if c.algorithm == found.algorithm), key=lambda c: c.k)
    for c in tried:
        value = c.stability.value if c.stability else None
        shaky = value is not None and value < 0.75
        rows.append(
            {
                "k": formats().number(c.k),
                "figure": words.holds(c.stability),
                "shaky": shaky,
                "word": _how_it_does(c),
                "chosen": c.chosen,
                "n": c.k,
            }
        )
    return rows


def _how_it_does(c: Candidate) -> str:
    """One word for a number of groups."""
    if c.stability is None:
        return gettext("not measured")
    if c.chosen:
        return gettext("chosen")
    if c.stability.value < 0.75:
        return gettext("shaky")
    return gettext("small groups") if c.smallest_share < 0.03 else gettext("holds")


def how_good(found: Segmentation) -> Figures:
    """The case for and against the grouping, in plain words."""
    rows: Figures = []
    best = chosen(found)

    def add(good: bool, title: str, text: str) -> None:
        rows.append(
            {"icon": "check" if good else "alert", "tone": "good" if good else "warn", "title": title, "text": text}
        )

    title, tone = words.told(words.VERDICT[found.structure.verdict])
    rows.append({"icon": "info", "tone": tone, "title": title, "text": said(found.structure.text)})
    if best and best.stability:
        holds = best.stability.value >= 0.75
        title = gettext("It holds") if holds else gettext("It does not hold well")
        text = gettext(
            "%(stay)s customers stay in the same group when we repeat it on reshuffled data.",
            stay=words.holds(best.stability),
        )
        add(holds, title, text)
    if best and best.value_spread is not None:
        matters = best.value_spread >= 0.05
        title = gettext("It matters for money") if matters else gettext("It says little about money")
        share = formats().percent(best.value_spread)
        text = gettext("The groups explain %(share)s of how spend differs between customers.", share=share)
        add(matters, title, text)
    if best and best.explainability is not None:
        placed = formats().in_100(best.explainability)
        text = gettext("A few short rules put %(placed)s customers in the right group.", placed=placed)
        add(best.explainability >= 0.7, gettext("It can be explained"), text)
    if found.warnings:
        add(False, gettext("Keep in mind"), said(*found.warnings))
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
                "label": find(PART_LABELS.get(p["code"], "")) or words.label_of(p["code"]),
                "share": p["points"] / p["of"] if p["of"] else 0.0,
                "figure": gettext("%(n)s of %(all)s", n=p["points"], all=p["of"]),
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
            "note": gettext("always filled")
            if share == 1
            else gettext("%(share)s of rows lack it", share=formats().percent(1 - share)),
            "tone": _tone(share, 0.95),
        }
        for column, share in sorted(columns, key=lambda x: x[1])[:6]
    ]


PART_LABELS = {
    "customers": mark("Enough customers"),
    "known": mark("Customers are known"),
    "complete": mark("Complete"),
    "usable": mark("Usable"),
    "history": mark("Long enough"),
    "plausible": mark("Makes sense"),
}


def _tone(share: float, good: float) -> str:
    return "c-good" if share >= good else "c-warn" if share >= 0.5 else "c-bad"


def coverage_title(health: HealthReport) -> str:
    """Whether every month between the first and the last has data."""
    months = [m["month"] for m in health.coverage]
    if not months:
        return gettext("No dated rows yet")
    missing = [m for m in _all_months(months[0], months[-1]) if m not in set(months)]
    empty = missing + [m["month"] for m in health.coverage if not m.get("events")]
    if not empty:
        ends = {"first": formats().month_of(months[0]), "last": formats().month_of(months[-1])}
        return gettext("Every month from %(first)s to %(last)s has data", **ends)
    return ngettext(
        "%(n)s month without data, the first in %(month)s",
        "%(n)s months without data, the first in %(month)s",
        len(empty),
        n=formats().number(len(empty)),
        month=formats().month_of(min(empty)),
    )


def _all_months(first: str, last: str) -> list[str]:
    (y, m), (y1, m1) = (map(int, x.split("-")[:2]) for x in (first, last))
    out = []
    while (y, m) <= (y1, m1):
        out.append(f"{y:04d}-{m:02d}")
        y, m = (y, m + 1) if m < 12 else (y + 1, 1)
    return out
