"""The page that says why one customer is in a segment, or is not, and what time alone will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.locale import find, gettext, mark
from kohort.views import own_words as say
from kohort.views.own import DEEP, Own, OwnSegment, Person
from kohort.views.pages import Shell, page

if TYPE_CHECKING:
    from kohort.segments.reasons import PartWhy, Why


HAPPENINGS = {"order_line": mark("a new order"), "page": mark("a new visit"), "screen": mark("a new visit")}
"""What is said for the events that most workspaces have; others are named as they are called."""


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
        reason=find(say.REASONS.get(answer.reason, answer.reason)) if inside else "",
        left_out=labels.get(answer.left_out or "", "") if answer.left_out is not None else "",
        parts=[_part_why(p, answer, s) for p in _explained(answer)],
        notes=answer.notes,
        outlook=outlook(answer, labels, own.zone),
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
                "sentence": say.sentence(
                    m.sentence if m.wanted else gettext("not any more: %(rule)s", rule=m.sentence)
                ),
                "distance": m.distance if m.possible else gettext("nothing can bring this about"),
            }
            for m in part.missing
        ]
        if not hers
        else [],
        "holding": [say.sentence(h.sentence) for h in part.holding] if hers and len(part.conditions) > 1 else [],
    }


_HEADS = {"all": mark("All of these"), "any": mark("At least one of these"), "not": mark("Not this")}


def _tree(conditions: Sequence[Any], depth: int = 0) -> list[dict[str, Any]]:
    """Conditions with those inside them, in the order written."""
    rows = []
    for c in conditions:
        rows.append(
            {
                "sentence": say.sentence(c.sentence) if c.how == "one" else find(_HEADS[c.how]),
                "text": c.text if c.how == "one" else "",
                "actual": c.actual,
                "true": say.truth(c.true),
                "deep": DEEP[min(depth, 3)],
            }
        )
        rows += _tree(c.items, depth + 1)
    return rows


def outlook(answer: Why, labels: Mapping[str, str], zone: str) -> str:
    """What time alone will do to one customer, with its date: "Leaves Loyal on 12 June 2011, unless there is a new order".

    Args:
        labels: Key of each part → what people read.
    """
    from kohort.segments.why_words import change as change_words

    step = answer.change
    if step is None:
        return gettext(
            "If nothing new happens, nothing changes until %(day)s; we looked no further.",
            day=say.long_day(answer.looked_until, zone),
        )
    before, after = (labels.get(k or "", k or "") for k in (step.before, step.after.segment))
    when = change_words(before, after, say.long_day(step.at, zone))
    if step.by_event:
        return gettext("%(change)s, when something that is dated then takes effect.", change=when)
    if not before:  # what is new may be what lets her in at once, or what keeps her out
        return gettext("%(change)s, if nothing new happens before.", change=when)
    happenings = _happenings(answer)
    if not happenings:
        return gettext("%(change)s, unless something new happens before.", change=when)
    return gettext("%(change)s, unless there is %(happenings)s before.", change=when, happenings=happenings)


def _happenings(answer: Why) -> str:
    """What could prevent a change, as far as its conditions name it; empty where that is too much to tell."""
    from kohort.definitions.rules import events_and_columns

    assert answer.change is not None
    names = sorted({name for clause in answer.change.flipped for name in events_and_columns(clause.leaf)[0]})
    if not names or len(names) > 3:
        return ""
    told = list(
        dict.fromkeys(
            find(HAPPENINGS[name]) if name in HAPPENINGS else gettext("a new “%(event)s”", event=name) for name in names
        )
    )
    if len(told) == 1:
        return told[0]
    return gettext("%(some)s or %(last)s", some=", ".join(told[:-1]), last=told[-1])
