"""What the team says about a segment, and checking its members by hand, as HTML text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kohort.locale import find, gettext, mark, ngettext
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.formats import formats
from kohort.views.pages import Shell, page

if TYPE_CHECKING:
    from kohort.segments.feedback import Evidence

LATEST = 3
"""Comments on the page of the segment itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """The segment that is talked about.

    Attributes:
        label: What people read for it.
        href: Of its page; the pages of feedback are below.
        back: Address and name of the list it stands in.
        pattern: Of its address: "/definitions/{name}".
        parts: (key, what people read) where there are several to vote on.
        noun: What its members are.
        zone: IANA name, for days.
        currency: For values of what separates members.
    """

    label: str
    href: str
    back: tuple[str, str]
    pattern: str
    parts: tuple[tuple[str, str], ...]
    noun: str
    zone: str
    currency: str


@dataclass(frozen=True, slots=True)
class Opinions:
    """What was said about one segment.

    Attributes:
        rows: Of `ws.feedback.list`, newest first.
        evidence: Key of a part → what it adds up to; "" = the whole.
        proposals: (what people read for the part, `ws.feedback.refinement`).
    """

    rows: Sequence[Mapping[str, Any]]
    evidence: Mapping[str, Evidence]
    proposals: Sequence[tuple[str, Mapping[str, Any]]]


def card(place: Place, said: Opinions, *, me: str, word: str) -> dict[str, Any]:
    """What a page shows of the opinions on a segment.

    Args:
        me: Who reads, for her own votes.
        word: What proves that the forms are ours.
    """
    about = [row for row in said.rows if row["customer_id"] is None]
    subjects = [("", gettext("The whole segment") if place.parts else place.label), *place.parts]
    return {
        "place": place,
        "word": word,
        "votes": [_votes(key, label, about, said.evidence[key], me) for key, label in subjects],
        "comments": [_comment(row, dict(place.parts), me, place.zone) for row in about if row["text"]],
        "checked": checked(said.evidence[""], place.noun),
        "count": len(about),
        "proposals": [_proposal(label, found, place) for label, found in said.proposals],
    }


def feedback(shell: Shell, team: Mapping[str, Any], *, problem: str = "", done: int | None = None) -> str:
    """Everything that was said about a segment.

    Args:
        team: From `card`.
        problem: Why something was not taken.
        done: Number of what was just said, which can be taken back.
    """
    return page("feedback.html", shell, "segments", team=team, tab="feedback", problem=problem, done=done)


def check(
    shell: Shell,
    team: Mapping[str, Any],
    *,
    part: str,
    people: Sequence[Mapping[str, Any]],
    columns: Sequence[tuple[str, str]],
    wrong: Sequence[Mapping[str, Any]],
    decides: bool,
    problem: str = "",
    done: Mapping[str, Any] | None = None,
) -> str:
    """Members to be judged, and those of whom people say that they do not belong.

    Args:
        part: Key of the part that is looked at; "" = all.
        people: Of `ws.feedback.to_check`, each with `href` and `values`.
        columns: Name and label of the values shown of each.
        wrong: Of `ws.feedback.wrong`, each with `href` and, where she said it herself, `mine`.
        decides: Whether the one who reads may take customers out by hand.
        done: What was just said, with `customer_id`.
    """
    place: Place = team["place"]
    labels = dict(place.parts)
    return page(
        "feedback.html",
        shell,
        "segments",
        team=team,
        tab="check",
        part=part,
        people=[
            {
                **row,
                "part_label": labels.get(row["part"], ""),
                "since_text": say.day(row["since"], place.zone),
                "why": find(say.REASONS.get(row["reason"], row["reason"])),
            }
            for row in people
        ],
        columns=columns,
        wrong=[{**row, "part_label": labels.get(row["part"], ""), "text": _against(row)} for row in wrong],
        decides=decides,
        problem=problem,
        done=done,
    )


def checked(e: Evidence, noun: str) -> dict[str, str]:
    """How many were checked, and what that says about all; `rate` is empty while nobody was checked."""
    if noun == "account":
        return {"head": gettext("Accounts are not judged one by one"), "text": "", "rate": "", "gone": ""}
    figure = formats().number
    of = ngettext(
        "%(checked)s of %(n)s customer checked",
        "%(checked)s of %(n)s customers checked",
        e.members,
        checked=figure(e.checked),
        n=figure(e.members),
    )
    parts = [
        ngettext("%(n)s belongs", "%(n)s belong", e.belong, n=figure(e.belong)) if e.belong else "",
        ngettext("%(n)s does not", "%(n)s do not", e.wrong, n=figure(e.wrong)) if e.wrong else "",
        gettext("people are divided over %(n)s", n=figure(e.disputed)) if e.disputed else "",
    ]
    text = ", ".join(part for part in parts if part)
    rate = ""
    if e.members and e.belong + e.wrong == e.members:
        rate = gettext("Every customer was checked.")
    elif e.rate is not None:
        rate = _rate(e)
    elif e.checked:
        rate = gettext("People chose these customers themselves, so they say nothing about the others.")
    gone = ngettext(
        "%(n)s customer whom people judged before is not in it any more.",
        "%(n)s customers whom people judged before are not in it any more.",
        e.gone,
        n=figure(e.gone),
    )
    return {"head": of, "text": f"{text}." if text else "", "rate": rate, "gone": f" {gone}" if e.gone else ""}


def _rate(e: Evidence) -> str:
    """How many of all do not belong, by those who were drawn by lot."""
    assert e.rate is not None
    rate = ngettext(
        "Of %(drawn)s drawn by lot, %(n)s does not belong: %(likely)s among all.",
        "Of %(drawn)s drawn by lot, %(n)s do not belong: %(likely)s among all.",
        e.drawn_wrong,
        drawn=words.plural(e.drawn, "customer"),
        n=formats().number(e.drawn_wrong),
        likely=say.likely(e.rate),
    )
    if not e.unanswered:
        return rate
    return f"{rate} " + ngettext(
        "%(n)s drawn one got no answer, so it is less sure than that.",
        "%(n)s drawn ones got no answer, so it is less sure than that.",
        e.unanswered,
        n=formats().number(e.unanswered),
    )


def _votes(key: str, label: str, about: Sequence[Mapping[str, Any]], e: Evidence, me: str) -> dict[str, Any]:
    mine = next((r for r in about if r["by"] == me and r["part"] == key and r["said"] != "comment"), None)
    return {
        "part": key,
        "label": label,
        "agree": e.agree,
        "disagree": e.disagree,
        "share": gettext("%(likely)s disagree", likely=say.likely(e.share))
        if e.share and e.agree + e.disagree > 1
        else "",
        "mine": mine["said"] if mine else "",
    }


def _comment(row: Mapping[str, Any], labels: Mapping[str, str], me: str, zone: str) -> dict[str, Any]:
    name = str(row["by"])
    return {
        "number": row["number"],
        "by": name,
        "initials": "".join(part[0] for part in name.split()[:2]).upper() or "?",
        "on": say.day(row["at"], zone),
        "about": labels.get(row["part"], ""),
        "said": {"agree": gettext("agrees"), "disagree": gettext("disagrees")}.get(row["said"], ""),
        "text": row["text"],
        "mine": name == me,
    }


def _against(row: Mapping[str, Any]) -> str:
    """Who says that somebody does not belong."""
    names = list(dict.fromkeys(row["by"]))
    who = ", ".join(names[:3])
    if len(names) > 3:
        who = gettext("%(names)s and %(n)s more", names=who, n=len(names) - 3)
    if row["verdict"] == "disputed":
        return gettext("%(who)s would take this one out; as many would not", who=who)
    return who


def _proposal(label: str, found: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A proposal for the next refinement in words, or why there is none."""
    told: dict[str, Any] = {"label": label, "state": found["state"], "rule": "", "build": ""}
    if found["state"] == "not_enough":
        needed = found["needed"]
        text = gettext(
            "Not enough answers yet: %(needed)s customers who belong and %(needed)s who do not are needed; there are "
            "%(belong)s and %(wrong)s.",
            needed=needed,
            belong=found["belong"],
            wrong=found["wrong"],
        )
        return {**told, "text": text, "detail": ""}
    tried = words.plural(found["tried"], "condition")
    if found["state"] == "by_chance":
        odds = gettext("The best of %(conditions)s is no better than chance often is.", conditions=tried)
        text = gettext("Nothing separates those who do not belong from those who do.")
        return {**told, "text": text, "detail": "" if found["by_chance"] is None else odds}
    own = re.findall("^/definitions(/.+)", place.href) if found["rule"] and not place.parts else []
    often = 1000 * found["by_chance"]
    odds = gettext("fewer than 1") if often < 1 else gettext("about %(n)s", n=formats().number(often))
    return {
        **told,
        "text": gettext("Keep only those of whom this is so: %(condition)s.", condition=_condition(found, place)),
        "detail": gettext(
            "By the %(answers)s answers it was found with, it takes out %(out)s of those who do not belong, and keeps %(kept)s of "
            "those who do. We compared %(conditions)s; on answers dealt out at random the best one is as good in %(odds)s of "
            "1,000 tries.",
            answers=found["wrong"] + found["belong"],
            out=say.likely(found["wrong_out"]),
            kept=say.likely(found["right_kept"]),
            conditions=tried,
            odds=odds,
        ),
        "rule": found["rule"],
        "build": f"/build{own[0]}?{urlencode({'rule': found['rule']})}" if own else "",
    }


def _condition(found: Mapping[str, Any], place: Place) -> str:
    if found["sentence"]:
        return str(found["sentence"]).rstrip(".")
    name = found["label"] or found["about"]
    value = formats().value(found["value"], found["unit"], place.currency) if found["value"] is not None else ""
    return gettext(_HOW[found["how"]], name=name, value=value)


_HOW = {
    "above": mark("%(name)s more than %(value)s"),
    "at_most": mark("%(name)s at most %(value)s"),
    "is": mark("%(name)s is %(value)s"),
    "is_not": mark("%(name)s is not %(value)s"),
    "known": mark("%(name)s is known"),
    "unknown": mark("%(name)s is not known"),
    "meets": mark("%(name)s holds"),
    "fails": mark("%(name)s does not hold"),
}
