"""Dates of birth in one form, and the ones that stand for "not given"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date

from kohort.identity import junk
from kohort.identity.letters import fold
from kohort.identity.reading import IS_JUNK, NOT_READABLE, NOTHING, Read

PLACEHOLDERS = frozenset(
    {
        "0001-01-01",  # the zero of .NET and SQL
        "1111-11-11",
        "1753-01-01",  # the earliest DATETIME of SQL Server
        "1800-01-01",
        "1899-12-30",  # the zero of spreadsheets
        "1899-12-31",
        "1900-01-00",
        "1900-01-01",
        "1900-12-31",
        "1901-01-01",
        "1970-01-01",  # the zero of Unix
        "2099-12-31",
        "2999-12-31",
        "9999-12-31",
    }
)
"""What forms and systems write where no birthday is known."""

_FEWEST = 20
_SHARE = 0.005
"""Of all birthdays one date has about 1 in 25,000; a hundred times that is a default of some form."""

_YEAR_FIRST = re.compile(r"(\d{4})[-/. ]?(\d{1,2})[-/. ]?(\d{1,2})(?:[T ].*)?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})(?:[T ].*)?")


def birth_date(text: str | None, *, month_first: bool = False) -> Read:
    """A date of birth as ISO 8601.

    Args:
        text: Year first ("1970-05-17", "19700517") or last ("17-05-1970", "17.5.1970"). Two digits do not say a year.
        month_first: 05/17/1970 is how the source writes the seventeenth of May.

    Returns:
        The date, or why there is none: placeholders are junk, the thirtieth of February cannot be read.

    Example:
        >>> birth_date("17.5.1970").value, birth_date("1900-01-01").problem, birth_date("1970-02-30").problem
        ('1970-05-17', 'junk', 'unreadable')
    """
    if text is None or not (bare := text.strip()):
        return NOTHING
    parts = _parts(bare, month_first)
    if parts is None:
        if set(bare) <= set("0-/. "):
            return IS_JUNK
        return IS_JUNK if junk.no_answer(fold(bare)) else NOT_READABLE
    year, month, day = parts
    if f"{year:04}-{month:02}-{day:02}" in PLACEHOLDERS or year == 0:
        return IS_JUNK
    try:
        found = date(year, month, day)
    except ValueError:
        return NOT_READABLE
    return Read(found.isoformat()) if 1850 <= year <= 2100 else NOT_READABLE


def birth_digits(text: str | None, *, month_first: bool = False) -> str | None:
    """Eight digits of a date as it was written, real or not: a mistyped date still resembles the right one."""
    said = birth_date(text, month_first=month_first)
    if said.value is not None:
        return said.value.replace("-", "")
    if said.problem != "unreadable" or text is None or (parts := _parts(text.strip(), month_first)) is None:
        return None
    return f"{parts[0]:04}{parts[1]:02}{parts[2]:02}"


def crowded(values: Sequence[str | None]) -> set[str]:
    """Dates so frequent in a column that they must be some form's default.

    Example:
        >>> crowded(["1980-01-01"] * 30 + [f"19{year}-05-17" for year in range(30, 99)])
        {'1980-01-01'}
    """
    counts = Counter(value for value in values if value is not None)
    limit = max(_FEWEST, _SHARE * counts.total())
    return {value for value, number in counts.items() if number > limit}


def _parts(bare: str, month_first: bool) -> tuple[int, int, int] | None:
    if found := _YEAR_FIRST.fullmatch(bare):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _YEAR_LAST.fullmatch(bare):
        first, second = int(found[1]), int(found[2])
        month, day = (first, second) if month_first else (second, first)
        return int(found[3]), month, day
    return None
