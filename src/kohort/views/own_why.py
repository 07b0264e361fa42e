"""The page that says why one customer is in a segment, or is not, and what time alone will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.views import own_words as say
from kohort.views.own import DEEP, Own, OwnSegment, Person
from kohort.views.pages import Shell, page

if TYPE_CHECKING:
    from kohort.segments.reasons import PartWhy, Why


def why(
    shell: Shell,
    own: Own,
    s: OwnSegment,
    person: Person,
    *,
    word: str = "",
    votes: Sequence[Mapping[str, Any]] = (),
    me: str = "",
) -> str:
    """Whether one customer is in, since when, condition by condition, what is missing, and what time alone will do.

    Args:
        word: What proves that a form is ours; empty = nobody is asked whether she belongs.
        votes: What people said about that, newest first, as `ws.feedback.list` tells.
        me: Who reads.
    """
    answer = person.answer
    labels = s.labels
    inside = answer.segment is not None
    return page(
        "own_why.html",
        shell,
        "segments",
        s=s,
        own=own,
        person=person,
        as_of=say.day(person.as_of, own.zone),
        inside=inside,
        where=labels.get(answer.segment or "", "") if inside else "",
        since=say.long_day(answer.since, own.zone) if answer.since is not None else "",
        reason=say.REASONS.get(answer.reason, answer.reason) if inside else "",
        left_out=labels.get(answer.left_out or "", "") if answer.left_out is not None else "",
        parts=[_part_why(p, answer, s) for p in _explained(answer)],
        notes=answer.notes,
        outlook=say.outlook(answer, labels, own.zone),
        changes=answer.change is not None,
        word=word,
        votes=[{**v, "on": say.day(v["at"], own.zone)} for v in votes],
        mine=next((v["said"] for v in votes if v["by"] == me), ""),
        elsewhere=[
            {
                "label": x.label,
                "href": f"{x.href}/customers/{person.code}",
                "part": x.labels.get(person.inside[x.name], "") if x.name in person.inside else "",
                "inside": x.name in person.inside,
                "several": len(x.about.parts) > 1,
            }
            for x in own.segments
            if x.name != s.name and x.definition is not None and x.about.kind != "accounts" and x.about.version
        ],
    )


def _explained(answer: Why) -> list[PartWhy]:
    """The part asked about first, then the others that have conditions."""
    others = [p for p in answer.parts if p.segment != answer.asked.segment]
    return [p for p in (answer.asked, *others) if p.conditions or p.keep]


def _part_why(part: PartWhy, answer: Why, s: OwnSegment) -> dict[str, Any]:
    hers = answer.segment == part.segment
    return {
        "label": s.labels.get(part.segment, part.label),
        "asked": part.segment == answer.asked.segment,
        "hers": hers,
        "true": say.truth(part.true),
        "conditions": _tree(part.conditions),
        "keep": _tree(part.keep) if hers else [],
        "missing": [
            {
                "sentence": say.sentence(m.sentence if m.wanted else f"not any more: {m.sentence}"),
                "distance": m.distance if m.possible else "nothing can bring this about",
            }
            for m in part.missing
        ]
        if not hers
        else [],
        "holding": [say.sentence(h.sentence) for h in part.holding] if hers and len(part.conditions) > 1 else [],
    }


def _tree(conditions: Sequence[Any], depth: int = 0) -> list[dict[str, Any]]:
    """Conditions with those inside them, in the order written."""
    rows = []
    for c in conditions:
        heads = {"all": "All of these", "any": "At least one of these", "not": "Not this"}
        rows.append(
            {
                "sentence": say.sentence(c.sentence) if c.how == "one" else heads[c.how],
                "text": c.text if c.how == "one" else "",
                "actual": c.actual,
                "true": say.truth(c.true),
                "deep": DEEP[min(depth, 3)],
            }
        )
        rows += _tree(c.items, depth + 1)
    return rows
