"""How long each kind of data is kept: what stands below `retention:` in `kohort.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kohort.definitions.windows import Span, parse_span
from kohort.definitions.yaml_text import Document, Path, nearest
from kohort.errors import RefusedDefinition
from kohort.model.event import CONSENT, IDENTIFY
from kohort.model.source import IDENTITY_KINDS

OTHERS = "*"
"""Every kind of event that is not named, but for those in `KNOWN`."""

KNOWN = (IDENTIFY, CONSENT)
"""What is known about somebody, and what she agreed to: no news that gets old. Named on their own where they shall go."""

_KEYS = ("events", "rejected_rows", "identifiers", "people", "hold")
_LONGEST_HOLD = 500
_EXAMPLE = "For example 25 months."


@dataclass(frozen=True, slots=True)
class Retention:
    """Periods; what has none is kept.

    Attributes:
        events: Name of an event, or `OTHERS` → how long its rows are kept, from the moment they happened.
        rejected_rows: How long rows are kept that could not be used, from the end of the day on which they came.
        identifiers: Kind of identifier, or `OTHERS` → how long it is kept after the last thing that happened with its person.
        people: How long a person is kept after that; then she is erased. None = as long as anything else of hers.
        hold: Why nothing may be deleted for now; empty = it may.
    """

    events: tuple[tuple[str, Span], ...] = ()
    rejected_rows: Span | None = None
    identifiers: tuple[tuple[str, Span], ...] = ()
    people: Span | None = None
    hold: str = ""


def read_retention(document: Document, data: Any) -> Retention:
    """What the text says; mistakes are noted in the document.

    Args:
        data: Below `retention`: `{events: 25 months, rejected_rows: 90 days}`, or events by name:
            `{events: {"*": 25 months, order_line: 7 years}}`.
    """
    path: Path = ("retention",)
    if data is None:
        return Retention()
    if not isinstance(data, dict):
        document.mistake(path, "retention says what is kept for how long.", "For example {events: 25 months}.")
        return Retention()
    for key in data.keys() - set(_KEYS):
        document.mistake((*path, key), f"{key!r} is not known here.", nearest(key, _KEYS), at_key=True)
    events = data.get("events", {})
    named = events if isinstance(events, dict) else {OTHERS: events}
    places = {name: (*path, "events", name) if isinstance(events, dict) else (*path, "events") for name in named}
    spans = {name: _span(document, value, places[name]) for name, value in named.items()}
    rejected = _span(document, data["rejected_rows"], (*path, "rejected_rows")) if "rejected_rows" in data else None
    people = _span(document, data["people"], (*path, "people")) if "people" in data else None
    hold = data.get("hold", "")
    if not isinstance(hold, str) or len(hold) > _LONGEST_HOLD or not hold.isprintable():
        document.mistake((*path, "hold"), "hold says in a line why nothing may be deleted.")
        hold = ""
    kept = tuple((name, span) for name, span in spans.items() if span)
    return Retention(kept, rejected, _identifiers(document, data.get("identifiers", {})), people, hold)


def write_retention(retention: Retention) -> dict[str, Any]:
    """The inverse of `read_retention`; empty where nothing is said.

    Example:
        >>> write_retention(Retention((("*", Span(25, "month")),)))
        {'events': '25 months'}
    """
    found = {
        "events": _short({name: str(span) for name, span in retention.events}),
        "rejected_rows": str(retention.rejected_rows or ""),
        "identifiers": _short({kind: str(span) for kind, span in retention.identifiers}),
        "people": str(retention.people or ""),
        "hold": retention.hold,
    }
    return {key: value for key, value in found.items() if value}


def _identifiers(document: Document, data: Any) -> tuple[tuple[str, Span], ...]:
    path: Path = ("retention", "identifiers")
    named = data if isinstance(data, dict) else {OTHERS: data}
    found = []
    for kind, value in named.items():
        place = (*path, kind) if isinstance(data, dict) else path
        if kind not in (*IDENTITY_KINDS, OTHERS):
            document.mistake(place, f"{kind!r} is no kind of identifier.", nearest(kind, IDENTITY_KINDS), at_key=True)
        elif span := _span(document, value, place):
            found.append((kind, span))
    return tuple(found)


def _short(named: dict[str, str]) -> Any:
    """One period for all is written without a name."""
    return named[OTHERS] if named.keys() == {OTHERS} else named


def _span(document: Document, value: Any, path: Path) -> Span | None:
    if not isinstance(value, str):
        document.mistake(path, "It is a length of time.", _EXAMPLE)
        return None
    try:
        span = parse_span(value)
    except RefusedDefinition as error:
        document.mistake(path, error.message, error.hint)
        return None
    if span.amount == 0:
        document.mistake(path, "Nothing would ever be kept.", _EXAMPLE)
        return None
    return span
