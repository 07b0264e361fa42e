"""Cleaning rules of `kohort.yaml`: which rows of files are put aside, why, and how often that must be right."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kohort.definitions.columns import vocabulary
from kohort.definitions.conditions import check_condition, format_condition
from kohort.definitions.features import Where
from kohort.definitions.yaml_text import Document, nearest
from kohort.errors import RefusedDefinition
from kohort.model.event import ColumnType

THRESHOLD = 90
MOST_RULES = 50
PUT_ASIDE = "cleaned_by_"
"""What the code of a row begins with that a rule put aside; the name of the rule and its version follow."""

NO_RULE = -1
"""Place of the rule that takes an event which none takes."""

_KEYS = ("event", "where", "because", "threshold")


@dataclass(frozen=True, slots=True)
class CleaningRule:
    """Rows of files that are put aside.

    Attributes:
        name: A usable name.
        where: The condition that a row meets.
        events: Names of the events that it looks at; empty = all.
        because: Why, in plain words.
        threshold: Of 100 rows that it puts aside so many must be right, or it is switched off.
    """

    name: str
    where: Where
    events: tuple[str, ...] = ()
    because: str = ""
    threshold: int = THRESHOLD

    def code(self, version: int) -> str:
        """The code of rejected rows that one version of it put aside."""
        return f"{PUT_ASIDE}{self.name}_v{version}"

    @property
    def meaning(self) -> str:
        """Which rows it takes, in one canonical line."""
        on = f"on {', '.join(self.events)} " if self.events else ""
        return f"{on}where {format_condition(self.where.condition)}"

    @property
    def digest(self) -> str:
        """Sixteen letters that differ where the meaning does: another meaning is another version."""
        return hashlib.blake2b(self.meaning.encode(), digest_size=8).hexdigest()


def read_cleaning(document: Document, data: Any, columns: Mapping[str, ColumnType]) -> tuple[CleaningRule, ...]:
    """Rules from the value of `cleaning`; mistakes go to the document.

    Args:
        columns: Declared columns of the log.
    """
    if data is None:
        return ()
    if not isinstance(data, dict):
        document.mistake(("cleaning",), "Cleaning rules are written as name: {where: …}.")
        return ()
    if len(data) > MOST_RULES:
        document.mistake(("cleaning",), f"There can be {MOST_RULES} cleaning rules at most.")
        return ()
    found = (_rule(document, name, body, columns) for name, body in data.items())
    return tuple(rule for rule in found if rule is not None)


def write_cleaning(rules: tuple[CleaningRule, ...]) -> dict[str, dict[str, Any]]:
    """The inverse of `read_cleaning`."""
    return {rule.name: _written(rule) for rule in rules}


def _written(rule: CleaningRule) -> dict[str, Any]:
    events = rule.events
    written: dict[str, Any] = {"event": events[0] if len(events) == 1 else list(events)} if events else {}
    written["where"] = rule.where.text
    if rule.because:
        written["because"] = rule.because
    return written | ({"threshold": f"{rule.threshold}%"} if rule.threshold != THRESHOLD else {})


def _rule(document: Document, name: str, body: Any, columns: Mapping[str, ColumnType]) -> CleaningRule | None:
    path = ("cleaning", name)
    if not (name.isidentifier() and name.isascii()) or name.startswith("_") or len(name) > 60:
        document.mistake(path, f"{name!r} is not a usable name.", "Use letters, digits and _ (at most 60).")
        return None
    if not isinstance(body, dict):
        document.mistake(path, "A cleaning rule is written as {where: …}.")
        return None
    for key in body.keys() - set(_KEYS):
        document.mistake((*path, key), f"{key!r} is not known here.", nearest(key, _KEYS), at_key=True)
    where = _where(document, body.get("where"), (*path, "where"), columns)
    events = body.get("event", [])
    events = [events] if isinstance(events, str) else events
    if not isinstance(events, list) or not all(isinstance(e, str) and e for e in events):
        document.mistake((*path, "event"), "event is a name or a list of names.")
        return None
    because = body.get("because", "")
    if not isinstance(because, str) or len(because) > 200:
        document.mistake((*path, "because"), "because is a short text.")
        return None
    threshold = _percent(body.get("threshold", THRESHOLD))
    if threshold is None:
        document.mistake((*path, "threshold"), "threshold is a percentage from 1 to 100.", "Write for example 90%.")
    if where is None or threshold is None:
        return None
    return CleaningRule(name, where, tuple(dict.fromkeys(events)), because, threshold)


def _where(document: Document, text: Any, path: tuple[str, ...], columns: Mapping[str, ColumnType]) -> Where | None:
    if not isinstance(text, str):
        document.mistake(path, "where is a condition in quotes.", 'For example "amount = 0".')
        return None
    try:
        where = Where.parse(text)
        check_condition(where.condition, vocabulary(columns), text)
    except RefusedDefinition as error:
        document.refused(path, error)
        return None
    return where


def _percent(value: Any) -> int | None:
    text = str(value).removesuffix("%").strip()
    good = (
        not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100
    )
    return int(text) if good else None
