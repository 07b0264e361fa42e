"""Plain words for what makes two ids one customer, and for what people decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.views import own_words as say
from kohort.views.formats import formats

HOW = {
    "same email": "The same e-mail address",
    "same phone": "The same telephone number",
    "likely": "Much agrees",
    "by hand": "Somebody said so",
}
FIELDS = {
    "email": "E-mail address",
    "phone": "Telephone number",
    "name": "Name",
    "given": "First name",
    "surname": "Surname",
    "street": "Street",
    "address": "Address",
}
WHAT = {
    "merge": "One customer",
    "split": "Two customers again",
    "reject": "Two customers",
    "undo": "Taken back",
}


def rows_of(evidence: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Field by field: what it is called, what it says, and whether that speaks for one customer."""
    return [
        {
            "field": FIELDS.get(one["field"], one["field"].replace("_", " ").capitalize()),
            "says": one["says"][:1].upper() + one["says"][1:],
            "mark": _mark(one),
        }
        for one in evidence
    ]


def _mark(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """Sign, word and colour."""
    if one["says"] == "not given":
        return "–", "Says nothing", "muted"
    speaks_for = one["says"] != "different" if one["weight"] is None else one["weight"] > 0
    return ("✓", "For one", "good") if speaks_for else ("✗", "For two", "warn")


def likely(score: float | None) -> str:
    """How sure a pair is: "84 in 100"; empty where none was worked out."""
    return "" if score is None else formats().in_100(score)


def decided(line: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """A decision as people read it."""
    ended = line["what"] in ("merge", "reject") and not line["stands"]
    return {
        **line,
        "text": WHAT[line["what"]] + (", taken back" if ended else ""),
        "found": HOW.get(line["how"], line["how"]),
        "likely": likely(line["score"]),
        "day": say.day(line["at"], zone),
    }
