"""The web pages as HTML text, from stored documents only: a segmentation, a health report and a summary.

Doors fetch the documents and call these; nothing here reads a file or knows HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kohort.locale import find, gettext, mark, ngettext, nmark
from kohort.model.feature import FeatureInfo
from kohort.model.health import HealthReport
from kohort.model.segmentation import Segment, Segmentation
from kohort.views import charts, findings, words
from kohort.views.formats import formats
from kohort.views.gallery import of_segment
from kohort.views.paper import render
from kohort.views.working import Work

if TYPE_CHECKING:
    from kohort.segments.feedback import Evidence

Summary = Mapping[str, Any]

SORTS = (("revenue", mark("Revenue")), ("customers", mark("Customers")), ("growth", mark("Growth")))
MOST_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the menu, its label and `short` as marked: who shows them looks them up."""

    id: str
    href: str
    label: str
    icon: str
    go: str  # key after "g" that goes there
    needs: str = ""  # what has to be there: customers, a lifecycle, logins
    short: str = ""  # where there is little room; empty = the label
    count: str = ""


_MENU = (
    (
        mark("Understand"),
        (
            Place("overview", "/", mark("Overview"), "home", "o"),
            Place("segments", "/segments", mark("Segments"), "segments", "s"),
            Place("build", "/build", mark("Build with rules"), "rule", "b", "customers"),
            Place("lifecycle", "/lifecycle", mark("Lifecycle"), "stages", "l", "lifecycle"),
            Place("discover", "/discover", mark("Discover"), "discover", "d"),
            Place("customers", "/customers", mark("Customers"), "people", "c", "customers"),
            Place("predictions", "/predictions", mark("Predictions"), "ahead", "r", "customers"),
            Place("live", "/live", mark("Live"), "pulse", "v", "customers"),
            Place("map", "/map", mark("Customer map"), "map", "m", short=mark("Map")),
            Place("digest", "/digest", mark("Digest"), "clock", "n", "customers"),
        ),
    ),
    (
        mark("Trust"),
        (
            Place("health", "/data-health", mark("Data health"), "health", "h", short=mark("Health")),
            Place("identity", "/identity", mark("Same customer?"), "joined", "i", "customers"),
            Place("privacy", "/privacy", mark("Privacy"), "shield", "p", "customers"),
            Place("settings", "/settings", mark("Settings"), "gear", "t", "customers"),
            Place("audit-log", "/audit-log", mark("Who did what"), "doc", "w", "logins", short=mark("Log")),
        ),
    ),
)
_AT_HAND = ("overview", "segments", "customers", "live", "discover", "map", "health")
"""What a phone shows below its pages, as far as there is room; the rest is behind "More", which takes a place itself."""
_ROOM = 5


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds every page: whose workspace it is, how fresh, where one can go."""

    name: str
    is_demo: bool = False
    as_of: str | None = None
    segments: int | None = None
    score: int | None = None
    has_lifecycle: bool = False
    has_customers: bool = False
    live: str = ""
    """The time of day that memberships show, where a server keeps them current."""
    person: str = ""
    """Who is logged in; empty where nobody has to."""
    rights: frozenset[str] | None = None
    """What may be offered, each as "GET /segments"; None = everything."""
    word: str = ""
    """What proves that the form for logging out is ours."""
    no_login: bool = False
    """Whether everybody at this machine sees the pages, because there is no user yet. The demo, which holds no secret, is silent."""
    work: tuple[Work, ...] = ()
    """Long work that is going on, the latest first."""
    places: tuple[tuple[str, tuple[Place, ...]], ...] = field(init=False)

    def __post_init__(self) -> None:
        there = {
            "": True,
            "customers": self.has_customers,
            "lifecycle": self.has_lifecycle,
            "logins": self.rights is not None,
        }
        counts = {"segments": self.segments, "health": self.score}
        allowed = []
        for heading, menu in _MENU:
            places = [place for place in menu if there[place.needs] and self.may(place.href)]
            shown = [
                replace(place, count=str(count)) if (count := counts.get(place.id)) is not None else place
                for place in places
            ]
            allowed.append((heading, tuple(shown)))
        object.__setattr__(self, "places", tuple((heading, places) for heading, places in allowed if places))

    def may(self, pattern: str, method: str = "GET") -> bool:
        """Whether the one who reads may ask for an address, so that nothing is offered that would be refused."""
        return self.rights is None or f"{method} {pattern}" in self.rights

    @property
    def tabs(self) -> tuple[Place, ...]:
        """What a phone shows below its pages: the most used places of the menu."""
        every = {place.id: place for _, places in self.places for place in places}
        if len(every) <= _ROOM:
            return tuple(every.values())
        return tuple(every[name] for name in _AT_HAND if name in every)[: _ROOM - 1]

    @property
    def more(self) -> tuple[Place, ...]:
        """The rest of the menu, which a phone opens."""
        at_hand = {place.id for place in self.tabs}
        return tuple(place for _, places in self.places for place in places if place.id not in at_hand)


def positions(found: Segmentation) -> dict[str, int]:
    """Segment id → place of its letter and colour, which every page and chart shares."""
    return {s.id: i for i, s in enumerate(found.segments)}


def names(found: Segmentation) -> dict[str, str]:
    return {s.id: s.name for s in found.segments}


def page(template: str, shell: Shell, here: str, found: Segmentation | None = None, **values: Any) -> str:
    """A page in its surroundings, with what all pages about found segments share."""
    shared: dict[str, Any] = {"shell": shell, "here": here, "found": found, "position": {}, "names": {}}
    if found is not None:
        shared |= {
            "position": positions(found),
            "names": names(found),
            "verdict": words.told(words.VERDICT[found.structure.verdict]),
        }
    return render(template, **shared | values)


def overview(
    shell: Shell,
    found: Segmentation,
    summary: Summary,
    health: HealthReport | None,
    *,
    checked: Evidence | None = None,
) -> str:
    """The first page: the main finding, key figures, who brings in the money, and how far to trust it.

    Args:
        checked: What people say about single members; None = nothing is kept of that.
    """
    moves, since = findings.moves(found)
    months = [(m["month"], m.get("revenue")) for m in summary.get("monthly", ())]
    return page(
        "overview.html",
        shell,
        "overview",
        found,
        summary=summary,
        health=health,
        top=findings.largest(found),
        kpis=findings.key_figures(summary),
        flow=charts.share_flow(found.segments, found.currency, title=findings.flow_title(found)),
        flow_note=findings.flow_note(found, sum(s.revenue or 0.0 for s in found.segments)),
        chosen=findings.chosen(found),
        cautions=found.warnings,
        checked=checked,
        moves=moves,
        moves_since=since,
        months=charts.monthly(
            months,
            gettext("Revenue"),
            "money",
            summary.get("currency", ""),
            partial=findings.month_is_open(summary.get("as_of")),
            title=findings.month_title(months, summary.get("currency", "")),
        ),
    )


def segments(shell: Shell, found: Segmentation, *, sort: str = "revenue", own: Mapping[str, Any] | None = None) -> str:
    """The list of segments. `sort` is one of SORTS; anything else means revenue.

    Args:
        own: What people defined, from `kohort.views.own_list.listed`; None = the source knows of no definitions.
    """
    sort = sort if sort in dict(SORTS) else "revenue"
    keys = {
        "revenue": lambda s: -(s.revenue if s.revenue is not None else float("-inf")),
        "customers": lambda s: -s.size,
        "growth": lambda s: -(words.trend_words(s)[0] or 0),
    }
    rows = sorted(found.segments, key=keys[sort])
    return page(
        "segments.html",
        shell,
        "segments",
        found,
        rows=rows,
        sort=sort,
        sorts=[(name, find(label)) for name, label in SORTS],
        slices=findings.slices(found),
        own=own,
    )


def segment(shell: Shell, found: Segmentation, which: Segment, *, team: Mapping[str, Any] | None = None) -> str:
    """One segment: words, differences, customers to check, place on the map, rule and steadiness.

    Args:
        team: What people say about it, from `kohort.views.feedback.card`; None = the source keeps nothing of that.
    """
    shown = people(found, which)
    used = sorted((f for f in found.features if f.used), key=lambda f: -(f.relevance or 0.0))
    return page(
        "segment.html",
        shell,
        "segments",
        found,
        s=which,
        i=positions(found)[which.id],
        steady=words.steadiness(which.stability),
        kpis=findings.segment_figures(which, found.currency),
        tab="summary",
        used=findings.based_on([f.label for f in used]),
        people=shown["rows"],
        people_text=shown["text"],
        columns=shown["columns"],
        **segment_charts(found, which, positions(found)[which.id]),
        micro=[m for m in found.micro if m.parent == which.id],
        team=team,
    )


def segment_charts(found: Segmentation, which: Segment, place: int) -> dict[str, charts.Chart]:
    """What sets a segment apart, how many were in it over time, and where they sit; empty where there is nothing to draw."""
    apart, course = of_segment(found, which, place)
    return {
        "different": apart,
        "trend": course.small(),
        "place": charts.customer_map(
            found.map,
            found.segments,
            highlight=which.id,
            axes=found.map_axes,
            title=gettext("Where they sit among all customers"),
        ),
    }


def customers(shell: Shell, found: Segmentation, which: Segment, some: Mapping[str, Any], *, cursor: int = 0) -> str:
    """One page of a segment's customers, as `Workspace.members_page` returns it."""
    first = cursor + 1
    last = cursor + len(some["rows"])
    title = (
        gettext(
            "Customers %(first)s to %(last)s of %(all)s",
            first=formats().number(first),
            last=formats().number(last),
            all=formats().number(which.size),
        )
        if some["rows"]
        else gettext("Customers")
    )
    return page(
        "segment.html",
        shell,
        "segments",
        found,
        s=which,
        i=positions(found)[which.id],
        steady=words.steadiness(which.stability),
        kpis=findings.segment_figures(which, found.currency),
        tab="customers",
        page=some,
        page_title=title,
        page_columns=_columns(found, which, {c.name: c for c in some.get("columns", ())}),
        cursor=cursor,
    )


_KINDS = {
    "typical": nmark("%(n)s typical", "%(n)s typical"),
    "edge": nmark("%(n)s on the edge", "%(n)s on the edge"),
    "odd": nmark("%(n)s odd", "%(n)s odd"),
}


def people(found: Segmentation, which: Segment) -> dict[str, Any]:
    """Customers of a segment to check by hand: `rows` of (kind, row), `columns`, and a `text` that counts them."""
    rows = [(kind, row) for kind in _KINDS for row in getattr(which, kind)]
    counts = [
        ngettext(*forms, n, n=words.count_word(n).lower())
        for kind, forms in _KINDS.items()
        if (n := len(getattr(which, kind)))
    ]
    text = ", ".join(counts)
    return {
        "rows": rows,
        "columns": _columns(found, which, _info(found, [row for _, row in rows])),
        "text": f"{text[0].upper()}{text[1:]}." if text else "",
    }


def _columns(found: Segmentation, which: Segment, known: Mapping[str, FeatureInfo]) -> list[FeatureInfo]:
    """The few columns worth showing of a segment's customers: first what sets the segment apart."""
    order = [d.feature for d in which.different] + [f.feature for f in found.features] + list(known)
    return [known[name] for name in dict.fromkeys(order) if name in known][:MOST_COLUMNS]


def _info(found: Segmentation, rows: Sequence[Mapping[str, Any]]) -> dict[str, FeatureInfo]:
    """What the keys of some customers' rows mean, as far as the segmentation tells: labels and units used elsewhere."""
    labels = {f.feature: f.label for f in found.features}
    units: dict[str, str] = {}
    for s in found.segments:
        for d in s.different:
            labels.setdefault(d.feature, d.label)
            units[d.feature] = d.unit
    return {
        name: FeatureInfo(name, words.label_of(name, labels), unit=words.unit_of(name, units))  # type: ignore[arg-type]
        for row in rows
        for name in row
        if name not in {"customer", "other", "why"}
    }


def customer_map(shell: Shell, found: Segmentation, *, highlight: str = "") -> str:
    """The whole map with its legend, or one segment of it."""
    highlight = highlight if highlight in names(found) else ""
    lead = charts.how_to_read(found.map)
    if highlight:
        lead = " ".join([gettext("%(name)s among all customers.", name=names(found)[highlight]), lead])
    kept = found.map_explained
    how = (
        gettext(
            "A flat picture of many facts: it keeps %(kept)s parts of the differences between customers.",
            kept=formats().in_100(kept),
        )
        if found.map_method == "pca" and kept is not None
        else gettext("A flat picture of many facts: near neighbours are kept near, far distances mean little.")
    )
    drawing = charts.customer_map(found.map, found.segments, highlight=highlight, axes=found.map_axes)
    return page("map.html", shell, "map", found, map=drawing, highlight=highlight, lead=lead, how=how)


def choice(found: Segmentation) -> str:
    """Which grouping came out best and on what grounds, or was asked for; empty where none was measured."""
    picked = findings.chosen(found)
    if picked is None or picked.stability is None:
        return ""
    name = gettext("%(way)s with %(k)s groups", way=find(words.ALGORITHMS[picked.algorithm][0]), k=picked.k)
    stay = words.holds(picked.stability)
    holds = gettext("%(stay)s customers stay in their group when we check again.", stay=stay)
    if len(found.candidates) == 1:
        return f"{name}: {holds}"
    best = gettext(
        "%(way)s came out best when everything is weighed: how well groups hold when re-checked, how clearly they "
        "differ, their sizes, what they say about money and how easily they are explained.",
        way=name,
    )
    return f"{best} {holds}"


def data_health(shell: Shell, health: HealthReport) -> str:
    """What the data is like and what was done to it."""
    return page(
        "health.html",
        shell,
        "health",
        health=health,
        verdict=words.told(words.HEALTH[health.verdict]),
        complete=findings.parts(health),
        open_findings=[x for x in health.findings if x.severity != "info"],
        handled=[x for x in health.findings if x.severity == "info"],
        coverage=charts.monthly(
            [(m["month"], m.get("events")) for m in health.coverage],
            gettext("Rows"),
            "count",
            partial=findings.month_is_open(health.as_of),
            title=findings.coverage_title(health),
            name="coverage",
        ),
    )


def problem(shell: Shell, title: str, text: str, hint: str = "") -> str:
    """A page that could not be shown, and the way back."""
    return page("problem.html", shell, "", title=title, text=text, hint=hint)
