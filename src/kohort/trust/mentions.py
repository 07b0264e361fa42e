"""Which rejected rows, and which words that somebody wrote, are about a person: her ids are looked for in what stands there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kohort.identity.names import PARTICLES
from kohort.model.source import RejectedRow
from kohort.store.vault import normalised

_TELLING = 5
"""An id of fewer characters is looked for only where ids stand: "12" is also a quantity."""
_SHORT = 3
"""A part of a name of so many characters is looked for as a word only, and an id of fewer not at all."""
_ID_FIELDS = frozenset({"userId", "anonymousId", "previousId"})
_TOKEN = re.compile(r"[^\s,;|\"'<>()\[\]{}]+")
_PHONE = re.compile(r"[+0-9 ()/.-]{7,}")
_WORD = re.compile(r"[\w-]+")
_WHOLE = ("name", "address")
_IDS = ("ref", "anonymous_id")
"""Kinds of `Vault.open_person` that are ids and not identifiers."""


@dataclass(slots=True)
class Mentions:
    """Ids and identifiers of the persons to be found.

    Args:
        id_columns: Source → its column of customer numbers, as far as mappings say it.
    """

    id_columns: Mapping[str, str] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _values: dict[str, set[str]] = field(default_factory=dict)

    def add(self, person: Mapping[str, list[str]]) -> None:
        """Adds what is sealed about a person (`Vault.open_person`)."""
        for kind, values in person.items():
            if kind in _IDS:
                self._ids.update(value.strip() for value in values)
                self._add("email", [value for value in values if "@" in value])
            else:
                self._add(kind, values)

    def in_row(self, row: RejectedRow) -> bool:
        """Whether a rejected row is about one of them."""
        id_column = self.id_columns.get(row.source)
        return any(self._is(name, text, id_column) for name, text in _cells(row.raw))

    def in_text(self, text: str) -> bool:
        """Whether words that somebody wrote name one of them, a part of a name alone included."""
        if self._is("", text, ""):
            return True
        folded = normalised("name", text)
        words = set(_WORD.findall(folded))
        if any(len(id_) >= _SHORT and normalised("name", id_) in words for id_ in self._ids):
            return True
        parts = {part for name in self._values.get("name", ()) for part in name.split() if len(part) > 1} - PARTICLES
        telling = (part for part in (*parts, *self._values.get("address", ())) if len(part) > _SHORT)
        return bool(parts & words) or any(part in folded for part in telling)

    def _add(self, kind: str, values: list[str]) -> None:
        self._values.setdefault(kind, set()).update(normalised(kind, value) for value in values if value.strip())

    def _is(self, name: str, text: str, id_column: str | None) -> bool:
        value = text.strip()
        if value in self._ids and (len(value) >= _TELLING or name in _ID_FIELDS or id_column in (name, None)):
            return True
        if any(normalised(kind, value) in self._values.get(kind, ()) for kind in _WHOLE):
            return True
        phones, emails = self._values.get("phone", ()), self._values.get("email", ())
        if phones and any(normalised("phone", found) in phones for found in _PHONE.findall(value)):
            return True
        tokens = {token.strip(".:") for token in _TOKEN.findall(value)}
        if any(len(token) >= _TELLING and token in self._ids for token in tokens):
            return True
        return bool(emails) and any("@" in token and normalised("email", token) in emails for token in tokens)


def _cells(raw: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(field, text) of everything in a row; an event's JSON is looked into."""
    for name, text in raw.items():
        if text[:1] in "{[":
            try:
                yield from _leaves(name, json.loads(text))
                continue
            except (ValueError, RecursionError):
                pass
        yield name, text


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield "", str(key)
            yield from _leaves(str(key), item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(name, item)
    elif value is not None and not isinstance(value, bool):
        yield name, str(value)
