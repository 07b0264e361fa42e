"""Reading JSON that nobody has checked: every refusal begins with the JSON pointer of what is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from math import isfinite
from typing import Any, TypeVar

from kohort.definitions.conditions import Value
from kohort.definitions.sql_text import LONGEST_TEXT, MOST_VALUES, plain_number, text_problem
from kohort.errors import RefusedDefinition

T = TypeVar("T")
Path = tuple[str | int, ...]
DEEPEST = 120
"""Levels of JSON; a rule that is not too deep for text has fewer."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def refused(path: Path, message: str, hint: str = "", code: str = "bad_json") -> RefusedDefinition:
    """The error for a place in the JSON; an empty pointer, the whole, is written as `/`."""
    steps = (str(step)[:80].replace("~", "~0").replace("/", "~1") for step in path)
    pointer = ("/" + "/".join(steps)).encode("utf-8", "replace").decode()
    return RefusedDefinition(f"{pointer}: {message}", hint=hint, code=code)


def an_object(data: Any, path: Path) -> dict[str, Any]:
    if len(path) > DEEPEST:
        raise refused(path[:8], "The rule is nested too deeply.", code="too_deep")
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise refused(path, "This must be an object.")
    return data


def one_key(data: Any, path: Path, what: str, known: Iterable[str]) -> tuple[str, Any]:
    """The only key of an object, one of those known, and its value."""
    found, words = an_object(data, path), list(known)
    if len(found) != 1:
        raise refused(path, f"{what} is an object with one key.", f"One of: {', '.join(words)}.")
    key, value = next(iter(found.items()))
    if key not in words:
        raise refused((*path, key), f"This is not {what.lower()}.", nearest(key, words))
    return key, value


def fields(data: Any, path: Path, needed: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """An object with all of the needed keys and no others than those named."""
    found, required = an_object(data, path), list(needed)
    known = [*required, *optional]
    for key in found:
        if key not in known:
            raise refused((*path, key), "This key has no meaning here.", nearest(key, known))
    for key in required:
        if key not in found:
            raise refused(path, f"The key {key!r} is missing.")
    return found


def a_list(data: Any, path: Path, most: int = MOST_VALUES) -> list[Any]:
    if not isinstance(data, list) or not data:
        raise refused(path, "This must be a list that is not empty.")
    if len(data) > most:
        raise refused(path, f"A list can hold {most:,} values at most.", code="too_many")
    return data


def a_text(data: Any, path: Path) -> str:
    if not isinstance(data, str) or not data.strip():
        raise refused(path, "This must be a text that is not empty.")
    return _plain(data, path)


def _plain(text: str, path: Path) -> str:
    if len(text) > LONGEST_TEXT:
        raise refused(path, f"A text can be {LONGEST_TEXT} letters long at most.", code="too_long")
    problem = text_problem(text)
    if problem:
        raise refused(path, problem, code="bad_character")
    return text


def a_name(data: Any, path: Path) -> str:
    if not isinstance(data, str) or not _NAME.fullmatch(data):
        raise refused(path, "This must be a name: letters, digits and _.", code="bad_name")
    return data


def one_of(data: Any, path: Path, words: tuple[str, ...]) -> Any:
    if not isinstance(data, str) or data not in words:
        raise refused(path, "This must be one of some words.", f"One of: {', '.join(words)}.")
    return data


def a_flag(data: Any, path: Path) -> bool:
    if not isinstance(data, bool):
        raise refused(path, "This must be true or false.")
    return data


def a_whole_number(data: Any, path: Path, least: int, most: int) -> int:
    whole = isinstance(data, int) and not isinstance(data, bool)
    if not whole or not least <= data <= most:
        raise refused(path, f"This must be a whole number from {least:,} to {most:,}.", code="bad_count")
    return int(data)


def a_value(data: Any, path: Path) -> Value:
    """A text, a number, a flag, or `{"decimal": "…"}`."""
    if isinstance(data, str):
        return _plain(data, path)
    return data if isinstance(data, bool) else a_number(data, path)


def a_number(data: Any, path: Path) -> Decimal:
    if isinstance(data, dict):
        text = fields(data, path, ("decimal",))["decimal"]
        written = text if isinstance(text, str) and len(text) <= 40 else ""
    elif (
        isinstance(data, bool) or not isinstance(data, int | float) or (isinstance(data, float) and not isfinite(data))
    ):
        raise refused(path, "This must be a text, a number, true or false.")
    else:
        written = repr(data) if abs(data) < 10**12 else ""
    number = plain_number(written)
    if number is None:
        message = "A number can have 12 digits before and 12 after the point at most."
        raise refused(path, message, code="bad_value")
    return number


def parsed(data: Any, path: Path, read: Callable[[str], T]) -> T:
    """A text that has a reader of its own."""
    text = a_text(data, path)
    try:
        return read(text)
    except RefusedDefinition as error:
        raise refused(path, error.message, error.hint, error.code) from None


def nearest(word: str, known: Iterable[str]) -> str:
    words = list(known)
    near = difflib.get_close_matches(word[:80], words, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"One of: {', '.join(words)}."
