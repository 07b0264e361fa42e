"""The report: one self-contained HTML file that a shop owner understands and can print."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from kohort.locale import find, gettext, mark
from kohort.model.health import HealthReport
from kohort.model.segmentation import Segmentation
from kohort.views import charts, findings, pages, words
from kohort.views.chart import writing
from kohort.views.gallery import of_segment
from kohort.views.paper import STATIC, render

GLOSSARY = (
    (mark("Segment"), mark("A group of customers who behave alike, found in the data or cut from a continuous range.")),
    (mark("Typical customer"), mark("The one in the middle: half of all customers have more, half have less.")),
    (
        mark("Holds when re-checked"),
        mark("We repeat the grouping on reshuffled copies and count who lands in the same group."),
    ),
    (
        mark("Steady, shaky"),
        mark("Steady groups come out again nearly every time. Check shaky ones by hand before acting on them."),
    ),
    (mark("On the edge"), mark("A customer who sits almost as close to another group.")),
    (mark("Odd"), mark("A customer who is unlike the others in the group.")),
    (mark("Left out"), mark("Customers who fit no group; forcing them into one would blur it.")),
    (mark("Revenue"), mark("What was sold, less what came back. Postage, fees and corrections are told apart.")),
)


def render_report(
    segmentation: Segmentation,
    *,
    summary: Mapping[str, Any] | None = None,
    health: HealthReport | None = None,
    name: str = "",
    version: str = "",
) -> str:
    """The whole report as HTML text.

    Args:
        segmentation: What was found.
        summary: Key figures as `Workspace.summary` gives them; None or {} = left out (a plain table has none).
        health: The data-health report; None = left out.
        name: Whose customers these are.
        version: Of Kohort, for the last line.

    Returns:
        One HTML document with its styles inside, without script and without any outside address. It carries a policy
        that forbids both, so that hostile names in the data stay text.
    """
    writing.set(None)  # a file has no address that a chart could be asked for at
    picked = findings.chosen(segmentation)
    best = ""
    if picked and picked.stability:
        best = gettext(
            "%(stay)s customers stay in the same segment when we repeat the grouping on reshuffled copies of the data.",
            stay=words.holds(picked.stability),
        )
    return render(
        "report.html",
        found=segmentation,
        name=name or segmentation.name or gettext("Your customers"),
        version=version,
        summary=summary or {},
        health=health,
        styles=styles(),
        verdict=words.told(words.VERDICT[segmentation.structure.verdict]),
        position=pages.positions(segmentation),
        names=pages.names(segmentation),
        top=findings.largest(segmentation),
        kpis=findings.key_figures(summary or {}),
        best=best,
        choice=pages.choice(segmentation),
        flow=charts.share_flow(segmentation.segments, segmentation.currency, title=findings.flow_title(segmentation)),
        map=charts.customer_map(segmentation.map, segmentation.segments, axes=segmentation.map_axes),
        drawn={s.id: of_segment(segmentation, s, i) for i, s in enumerate(segmentation.segments)},
        people={s.id: pages.people(segmentation, s) for s in segmentation.segments},
        comparison=charts.comparison(segmentation.candidates),
        evidence=findings.evidence(segmentation),
        slices=findings.slices(segmentation),
        glossary=[(find(term), find(meaning)) for term, meaning in GLOSSARY],
    )


@functools.cache
def styles() -> str:
    """The style sheets of the pages, plus what paper needs."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in ("charts.css", "style.css", "report.css"))
