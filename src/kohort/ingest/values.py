"""What the values of a column look like: numbers in which notation, times in which format, e-mail addresses."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kohort.ingest.sqltext import FALSE, TRUE

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+\d[\d ()/.-]{6,}")
_CURRENCY_SIGN = re.compile(r"^[€£$¥]\s*|\s*(?:[€£$¥]|(?:eur|gbp|usd|dkk|kr\.?))$", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d+")
_POINT = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d*)\.\d+|[+-]?\d{1,3}(?:,\d{3}){2,}|[+-]?\d+\.?\d*[eE][+-]?\d+")
_COMMA = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}")
# 1,234 may be a thousand and more, or one and a bit. 0,234 and 1234,567 cannot be thousands.
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")

_ISO = re.compile(
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{0,2})?"
)
_PARTS = re.compile(
    r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?:([ T])(\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?( ?[AaPp][Mm])?)?"
)
_COMPACT = re.compile(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_SECONDS = re.compile(r"[1-9]\d{8,9}(?:\.\d+)?")
_MILLIS = re.compile(r"[1-9]\d{11,12}")
_WORDED = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y", "%d-%B-%Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Numbers:
    """How the numbers of a column are written. `decimal`: ".", ",", "either" (1,234), "" (whole numbers)."""

    share: float
    decimal: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Times:
    """How the times of a column are written.

    Attributes:
        share: Values that fit, 0 to 1.
        format: As in SourceMapping.time_format; empty where none fits.
        order: "day", "month", "mixed" or "undecided" for 03/04/2024; empty where the format leaves no choice.
    """

    share: float
    format: str
    order: str = ""


def numbers(values: Sequence[str]) -> Numbers:
    """How the numbers among some values are written."""
    marks = {"point": 0, "comma": 0, "either": 0, "whole": 0}
    for value in values:
        bare = re.sub(r"[ '\u00a0\u202f](?=\d{3})", "", _CURRENCY_SIGN.sub("", value.strip()))
        if _INTEGER.fullmatch(bare):
            marks["whole"] += 1
        elif _EITHER.fullmatch(bare):
            marks["either"] += 1
        elif _POINT.fullmatch(bare):
            marks["point"] += 1
        elif _COMMA.fullmatch(bare):
            marks["comma"] += 1
    share = sum(marks.values()) / len(values) if values else 0.0
    if marks["point"] and marks["comma"]:
        # Two notations in one column: the rarer one is not numbers.
        more, less = ("point", "comma") if marks["point"] >= marks["comma"] else ("comma", "point")
        share -= marks[less] / len(values)
        return Numbers(share, {"point": ".", "comma": ","}[more], whole=False)
    if marks["point"] or marks["comma"]:
        return Numbers(share, "." if marks["point"] else ",", whole=False)
    return Numbers(share, "either" if marks["either"] else "", whole=not marks["either"])


def times(values: Sequence[str], *, named: bool = False) -> Times:
    """How the times among some values are written.

    Args:
        values: Different values of one column.
        named: The column's name says that it is a time. Only then are bare numbers taken for one.
    """
    if not values:
        return Times(0.0, "")
    best = Times(_share(_ISO, values), "iso")
    parts = [m for m in map(_PARTS.fullmatch, values) if m]
    if len(parts) > best.share * len(values):
        best = Times(len(parts) / len(values), _parts_pattern(parts), _order(parts))
    if best.share < 0.5:
        best = max((best, *_worded(values)), key=lambda t: t.share)
    if named and best.share < 0.5:
        bare = ((_COMPACT, "%Y%m%d"), (_SECONDS, "epoch_s"), (_MILLIS, "epoch_ms"))
        best = max((best, *(Times(_share(p, values), f) for p, f in bare)), key=lambda t: t.share)
    return best if best.share > 0 else Times(0.0, "")


def with_order(time_format: str, *, day_first: bool) -> str:
    """A pattern of day and month in the order told."""
    m = re.fullmatch(r"%[dm](.)%[dm](.*)", time_format)
    if not m:
        return time_format
    first, second = ("%d", "%m") if day_first else ("%m", "%d")
    return f"{first}{m[1]}{second}{m[2]}"


def is_flag(values: Iterable[str]) -> bool:
    """Whether values are words for yes and no (bare 0 and 1 are numbers)."""
    words = {v.lower() for v in values}
    plain = set(TRUE) | set(FALSE)
    return bool(words) and words <= plain and not words <= {"0", "1", "0.0", "1.0"} and bool(words & {*TRUE, *FALSE})


def is_list(values: Iterable[str]) -> bool:
    """Whether values are JSON arrays of texts and numbers."""
    found = 0
    for value in values:
        if not value.startswith("["):
            return False
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            return False
        if not isinstance(items, list) or any(isinstance(i, dict | list) for i in items):
            return False
        found += 1
    return found > 0


def list_items_of(values: Iterable[str]) -> tuple[str, ...]:
    """All items of values that `is_list` says yes to, as text."""
    return tuple(str(item) for value in values for item in json.loads(value) if item is not None)


def email_share(values: Sequence[str]) -> float:
    return _share(_EMAIL, values)


def phone_share(values: Sequence[str]) -> float:
    return _share(_PHONE, values)


def has_leading_zero(values: Iterable[str]) -> bool:
    """Codes such as 01234 are no numbers."""
    return any(len(v) > 1 and v[0] == "0" and v.isdigit() for v in values)


def _share(pattern: re.Pattern[str], values: Sequence[str]) -> float:
    return sum(1 for v in values if pattern.fullmatch(v)) / len(values) if values else 0.0


def _parts_pattern(parts: Sequence[re.Match[str]]) -> str:
    """The fullest pattern among the values, day first; `with_order` turns it round."""
    mark = parts[0][2]
    year = "%Y" if len(parts[0][4]) == 4 else "%y"
    clocked = [m for m in parts if m[6]]
    if not clocked:
        return f"%d{mark}%m{mark}{year}"
    half = any(m[10] for m in clocked)
    clock = "%I:%M" if half else "%H:%M"
    if any(m[8] for m in clocked):
        clock += ":%S.%f" if any(m[9] for m in clocked) else ":%S"
    if half:
        clock += " %p" if any(m[10] and m[10][0] == " " for m in clocked) else "%p"
    return f"%d{mark}%m{mark}{year}{clocked[0][5]}{clock}"


def _order(parts: Sequence[re.Match[str]]) -> str:
    pairs = [(int(m[1]), int(m[3])) for m in parts]
    day_first = any(12 < a <= 31 and b <= 12 for a, b in pairs)  # 32.13.2024 is a mistake and says nothing
    month_first = any(12 < b <= 31 and a <= 12 for a, b in pairs)
    if day_first and month_first:
        return "mixed"
    if day_first or month_first:
        return "day" if day_first else "month"
    return "undecided"


def _worded(values: Sequence[str]) -> Iterable[Times]:
    """Formats with the month as an English word."""
    if not any(re.search(r"[A-Za-z]{3}", v) for v in values[:20]):
        return
    some = values[:200]
    for day in _WORDED:
        for clock in _CLOCKS:
            fits = sum(_reads(v, day + clock) for v in some)
            if fits:
                yield Times(fits / len(some), day + clock)


def _reads(value: str, pattern: str) -> bool:
    try:
        dt.datetime.strptime(value, pattern)  # noqa: DTZ007 - only the shape matters
    except ValueError:
        return False
    return True
