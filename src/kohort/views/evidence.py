"""Plain words for what makes two ids one customer, and for what people decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.locale import find, gettext, mark
from kohort.views import own_words as say
from kohort.views.formats import formats

HOW = {
    "same email": mark("The same e-mail address"),
    "same phone": mark("The same telephone number"),
    "likely": mark("Much agrees"),
    "by hand": mark("Somebody said so"),
}
FIELDS = {
    "email": mark("E-mail address"),
    "phone": mark("Telephone number"),
    "name": mark("Name"),
    "given": mark("First name"),
    "surname": mark("Surname"),
    "street": mark("Street"),
    "address": mark("Address"),
    "door": mark("Street and number"),
    "birth": mark("Birthday"),
    "place": mark("Second address line"),
    "area": mark("Postcode and town"),
    "company": mark("Company"),
}
SAYS = {
    text[:1].lower() + text[1:]: text
    for text in (
        mark("Different"),
        mark("Not given"),
        mark("The same first name"),
        mark("The same surname"),
        mark("The same birthday"),
        mark("The same e-mail address"),
        mark("The same telephone number"),
        mark("The same street and number"),
        mark("The same street"),
        mark("The same house number"),
        mark("The same postcode"),
        mark("The same company"),
        mark("The same name before the @"),
        mark("The same first name, spelled otherwise"),
        mark("The same surname, spelled otherwise"),
        mark("First name and surname swapped"),
        mark("An initial that fits"),
        mark("A name that fits"),
        mark("A first name with a slip"),
        mark("A surname with a slip"),
        mark("A birthday with a slip"),
        mark("An e-mail address with a slip"),
        mark("A telephone number with a slip"),
        mark("A street with a slip"),
        mark("A postcode with a slip"),
        mark("A town with a slip"),
        mark("A company with a slip"),
        mark("Similar first names"),
        mark("Similar surnames"),
        mark("Similar e-mail addresses"),
        mark("Similar companies"),
    )
}
"""What a comparison says of two values, as `kohort.identity` writes it, and as a heading."""
WHAT = {
    "merge": mark("One customer"),
    "split": mark("Two customers again"),
    "reject": mark("Two customers"),
    "undo": mark("Taken back"),
}


def rows_of(evidence: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Field by field: what it is called, what it says, and whether that speaks for one customer."""
    return [
        {
            "field": find(FIELDS.get(one["field"], "")) or one["field"].replace("_", " ").capitalize(),
            "says": find(SAYS.get(one["says"], "")) or one["says"][:1].upper() + one["says"][1:],
            "mark": _mark(one),
        }
        for one in evidence
    ]


def _mark(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """Sign, word and colour."""
    if one["says"] == "not given":
        return "–", gettext("Says nothing"), "muted"
    speaks_for = one["says"] != "different" if one["weight"] is None else one["weight"] > 0
    return ("✓", gettext("For one"), "good") if speaks_for else ("✗", gettext("For two"), "warn")


def how(name: str) -> str:
    """What found a pair; the name itself where there are no words for it."""
    return find(HOW.get(name, "")) or name


def likely(score: float | None) -> str:
    """How sure a pair is: "84 in 100"; empty where none was worked out."""
    return "" if score is None else formats().in_100(score)


def decided(line: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """A decision as people read it."""
    what = find(WHAT[line["what"]])
    ended = line["what"] in ("merge", "reject") and not line["stands"]
    return {
        **line,
        "text": gettext("%(what)s, taken back", what=what) if ended else what,
        "found": how(line["how"]),
        "likely": likely(line["score"]),
        "day": say.day(line["at"], zone),
    }
