"""The list of the segments that people define: sorted, picked by how they are doing, with one that was just deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kohort.locale import find, mark
from kohort.views import own_words as say
from kohort.views.formats import formats
from kohort.views.glyphs import share_bar
from kohort.views.own import Own, OwnSegment, everybody, links
from kohort.views.pages import Shell, page

if TYPE_CHECKING:
    from kohort.model.edits import Edit, Removed
    from kohort.model.segmentation import Segmentation

SORTS = (("written", mark("As written")), ("customers", mark("Customers")), ("name", mark("Name")))
SHOWN = (
    ("all", mark("All")),
    ("live", mark("Live")),
    ("draft", mark("Drafts")),
    ("paused", mark("Paused")),
    ("attention", mark("Needs attention")),
)
ATTENTION = ("failed", "unread", "gone", "waiting")


def listed(
    own: Own, sort: str, show: str = "all", *, edits: Mapping[str, Edit] | None = None, removed: Removed | None = None
) -> dict[str, Any]:
    """What the list of own segments shows.

    Args:
        sort: One of SORTS; anything else means as written.
        show: One of SHOWN; anything else means all.
        edits: Definition → who changed it last.
        removed: One that was just deleted.
    """
    sort = sort if sort in dict(SORTS) else "written"
    keys = {"customers": lambda s: -s.about.size, "name": lambda s: s.label.lower()}
    segments = sorted(own.segments, key=keys[sort]) if sort in keys else own.segments
    states = {s.name: say.state(s.about) for s in segments}
    counted = [(id_, find(label), sum(_shown(id_, state) for state in states.values())) for id_, label in SHOWN]
    show = show if any(id_ == show and n for id_, _, n in counted) else "all"
    return {
        "rows": [_row(s, own, (edits or {}).get(s.name)) for s in segments if _shown(show, states[s.name])],
        "sort": sort,
        "sorts": [(id_, find(label)) for id_, label in SORTS],
        "show": show,
        "shown": [one for one in counted if one[2] or one[0] == "all"],
        "many": len(segments),
        "removed": removed,
    }


def _shown(show: str, state: str) -> bool:
    return show in ("all", state) or (show == "attention" and state in ATTENTION)


def _row(s: OwnSegment, own: Own, edit: Edit | None) -> dict[str, Any]:
    several = len(s.about.parts) > 1
    word, tone = say.STATES[say.state(s.about)]
    return {
        "s": s,
        "state": say.state(s.about),
        "badge": (find(word), tone),
        "why": say.state_why(s.about, edit, own.zone),
        "text": say.about(s.definition, s.said),
        "bar": share_bar([(p.label, p.size) for p in s.about.parts], everybody(s)) if several else None,
        "parts": [
            (b.letter, b.colour, p.label, formats().number(p.size)) for b, p in zip(s.bands, s.about.parts, strict=True)
        ]
        if several
        else [],
        "fresh": say.fresh(s.about, own.zone, live=own.live),
        "failure": say.failure(s.about, own.zone),
        "paused": s.about.evaluation == "paused",
        "used_by": links(s.about.used_by, own),
    }


def segments(shell: Shell, found: Segmentation | None, mine: Mapping[str, Any]) -> str:
    """The list where no groups were found: what people defined stands alone, as `listed` says."""
    return page("own_segments.html", shell, "segments", found, own=mine, sort="revenue")
