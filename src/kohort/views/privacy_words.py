"""Plain words for what people may ask about their data, and for what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

ASKED: Mapping[str, str] = {
    "access": "See what is kept",
    "rectification": "Correct what is wrong",
    "erasure": "Erase everything",
    "objection": "Do not profile me",
    "restriction": "Keep it, but do not use it",
    "consent": "Agree to a use, or take it back",
}
CAME: Mapping[str, str] = {
    "e-mail": "by e-mail",
    "letter": "by letter",
    "phone": "by phone",
    "account": "in the shop account",
    "in person": "in person",
    "other": "in another way",
}
BECAME: Mapping[str, str] = {
    "done": "Done",
    "refused": "Refused, with a reason she was told",
    "withdrawn": "Withdrawn by her",
    "mistake": "Written down by mistake",
}
WENT: Mapping[str, str] = {
    "vault": "ids with their keys",
    "events": "events",
    "transitions": "entries and exits",
    "memberships": "memberships that went on",
    "rejected_rows": "rejected rows",
    "links": "links between ids",
    "merges": "decisions about who is one customer",
    "reasons": "reasons of other decisions",
    "by_hand": "mentions in lists by hand",
    "feedback": "votes about where somebody belongs",
    "deliveries": "deliveries",
    "examples": "example customers",
    "model_rows": "rows in saved models",
    "looks": "entries of the audit log",
    "cases": "requests of theirs, which stay without them",
}
"""Part of an erasure's receipt → what it is."""
WILL_GO: Sequence[tuple[str, str]] = (
    ("Names, e-mail, phone, address and every id", "Their keys are destroyed: nobody can read them any more."),
    ("Orders, visits and all other events", "Files are written anew without them; the old ones are deleted at once."),
    ("Segments, past and present, and lists by hand", "She leaves all of them, and their history."),
    ("Predictions, examples and rows in saved models", "Her rows go. What was learned with her has to be made again."),
    ("Deliveries to other systems", "They are deleted here. Who was told is on the receipt, for you to tell."),
    ("Rejected rows and decisions about who is one customer", "They go where they are about her."),
    ("The audit log and this request", "They stay, about nobody."),
)
KINDS_OF_DATA: Mapping[str, str] = {"identifier": "Direct identifiers, sealed", "event": "Events", "trait": "Traits"}
RECEIPTS: Mapping[str, str] = {
    "erasure": "People erased",
    "objection": "Objection to profiling",
    "restriction": "Restriction of use",
    "rectification": "Correction",
    "retention": "Deleted because it was too old",
}


def clock(one: Mapping[str, Any], *, alone: bool = False) -> str:
    """What a clock of `retention:` is about. `alone`: it is the only one of this kind of data."""
    rest = "All" if alone else "All other"
    match one["data"]:
        case "rejected_rows":
            return "Rows that could not be used"
        case "people":
            return "People with whom nothing happens any more"
        case "identifiers":
            return f"{rest} identifiers" if one["kind"] == "*" else f"Identifiers: {one['kind']}"
    return f"{rest} events" if one["event"] == "*" else f"Events: {one['event']}"


def kept_for(retention: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each period of `retention:` with what it is about, from `kohort.definitions.retention.write_retention`."""

    def rows(data: str, key: str) -> list[tuple[str, str]]:
        said = retention.get(data, {})
        named = said if isinstance(said, Mapping) else {"*": said}
        return [
            (clock({"data": data, key: name}, alone=len(named) == 1), period)
            for name, period in named.items()
            if period
        ]

    single = [(clock({"data": n}), str(retention[n])) for n in ("rejected_rows", "people") if retention.get(n)]
    return [*rows("events", "event"), *rows("identifiers", "kind"), *single]


def deadline(due: date, today: date) -> tuple[str, str]:
    """How long is left, and how urgent that is.

    Example:
        >>> deadline(date(2026, 3, 9), date(2026, 3, 5)), deadline(date(2026, 3, 1), date(2026, 3, 5))
        (('4 days left', 'warn'), ('4 days late', 'bad'))
    """
    days = (due - today).days
    if days < 0:
        return f"{-days} day{'' if days == -1 else 's'} late", "bad"
    if days == 0:
        return "Today", "bad"
    return f"{days} day{'' if days == 1 else 's'} left", "warn" if days <= 7 else ""
