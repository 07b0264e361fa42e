"""What the rows of the rule builder let people choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kohort.definitions.rules.rows import ANY_EVENT, UNITS
from kohort.locale import find, mark

KINDS = (
    ("did", mark("did")),
    ("did_not", mark("did not")),
    ("has", mark("has")),
    ("is_in", mark("is in")),
    ("is_not_in", mark("is not in")),
    ("text", mark("text form")),
)
COUNTED = (("at_least", mark("at least")), ("at_most", mark("at most")), ("exactly", mark("exactly")))
UNIT_WORDS = {
    "hours": mark("hours"),
    "days": mark("days"),
    "calendar days": mark("calendar days"),
    "weeks": mark("weeks"),
    "months": mark("months"),
    "years": mark("years"),
}
WINDOWS = (("", mark("ever")), *((unit, UNIT_WORDS[unit]) for unit in UNITS))
TESTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "number": (
        ("more", mark("more than")),
        ("at_least", mark("at least")),
        ("less", mark("less than")),
        ("at_most", mark("at most")),
        ("is", mark("exactly")),
        ("is_not", mark("anything but")),
        ("among", mark("one of")),
        ("not_among", mark("none of")),
    ),
    "text": (
        ("is", mark("is")),
        ("is_not", mark("is not")),
        ("among", mark("is one of")),
        ("not_among", mark("is none of")),
        ("starts", mark("begins with")),
        ("contains", mark("contains")),
        ("ends", mark("ends with")),
    ),
    "time": (
        ("more", mark("after")),
        ("at_least", mark("on or after")),
        ("less", mark("before")),
        ("at_most", mark("on or before")),
    ),
    "flag": (("yes", mark("yes")), ("no", mark("no"))),
    "list": (
        ("is", mark("has")),
        ("is_not", mark("has not")),
        ("starts", mark("has one that begins with")),
        ("contains", mark("has one with")),
    ),
}
GIVEN = (("known", mark("is known")), ("not_known", mark("is not known")))
HINTS = {"number": mark("for example 250"), "text": "", "time": "2011-12-09", "list": ""}
EVENTS = {
    "order_line": mark("order something"),
    "page": mark("visit a page"),
    "screen": mark("open a screen"),
    ANY_EVENT: mark("do anything"),
}
"""What is said for the events that most workspaces have; others are named as they are called."""


def read(choices: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What somebody can choose, in her language."""
    return [(key, find(label)) for key, label in choices]
