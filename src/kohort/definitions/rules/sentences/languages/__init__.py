"""The words of each language: tables of text, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

LANGUAGES = ("en", "nl", "da", "de")


@dataclass(frozen=True, slots=True)
class Language:
    """Everything one language says.

    Attributes:
        code: ISO 639-1.
        decimal: The sign before decimals. Where it is a comma, semicolons stand between the values of a list with numbers.
        quotes: What opens and closes a text; straight "quotes" are read as well.
        date: With {day}, {month} and {year}; `months` are their texts, January first.
        units: Unit of a span (`calendar day` is one) → its word after 1 and after any other number.
        one: Unit → a window of one such unit that ends now, in words that cannot mean the calendar month before.
        periods: Unit → "full month" after 1 and after any other number.
        templates: Form → its words (`kohort.definitions.rules.sentences.forms`).
        events: Event → words that complete `has …`; columns: column of an event → its name in plain words.
    """

    code: str
    decimal: str
    quotes: tuple[str, str]
    date: str
    months: tuple[str, ...]
    units: Mapping[str, tuple[str, str]]
    one: Mapping[str, str]
    periods: Mapping[str, tuple[str, str]]
    templates: Mapping[str, str]
    events: Mapping[str, str]
    columns: Mapping[str, str]


def language(code: str) -> Language:
    """The words of one of LANGUAGES; loaded on first use."""
    found: Language = import_module(f"{__name__}.{code}").LANGUAGE
    return found
