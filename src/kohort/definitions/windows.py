"""Windows as people write them: `365 days`, `12 months`, `30 calendar days`, `90 and 30 days ago`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from kohort.errors import RefusedDefinition

TimeUnit = Literal["minute", "hour", "day", "week", "month", "year"]

_SHORT: dict[str, TimeUnit] = {"d": "day", "h": "hour", "w": "week"}
_UNITS: tuple[TimeUnit, ...] = ("minute", "hour", "day", "week", "month", "year")
_NOMINAL_MINUTES: dict[TimeUnit, float] = {
    "minute": 1,
    "hour": 60,
    "day": 1440,
    "week": 10_080,
    "month": 43_829,
    "year": 525_949,
}
_LONGEST_YEARS = 100
_SPAN = re.compile(r"\s*(\d{1,9})\s*(calendar\s+)?([A-Za-z]+)?\s*")
_BETWEEN = re.compile(r"(?P<old>.*?)\s+and\s+(?P<new>.*?)\s+ago\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as written. Months and years step in the workspace's calendar, all else is a fixed length.

    `calendar` (days only) counts whole local days, today included.
    """

    amount: int
    unit: TimeUnit
    calendar: bool = False

    def __str__(self) -> str:
        return f"{self.amount} {'calendar ' if self.calendar else ''}{self.unit}{'' if self.amount == 1 else 's'}"

    @property
    def nominal_minutes(self) -> float:
        """About how long it is, to compare two spans."""
        return self.amount * _NOMINAL_MINUTES[self.unit]


@dataclass(frozen=True, slots=True)
class Window:
    """Events later than `start` ago and not later than `end` ago; None = no limit on that side but `as_of`."""

    start: Span | None = None
    end: Span | None = None

    def __str__(self) -> str:
        if self.start is None:
            return "ever"
        return f"within {self.start}" if self.end is None else f"between {self.start} and {self.end} ago"


EVER = Window()


def parse_span(text: str) -> Span:
    """A length of time, for example `30 days`, `12 months`, `36 h`, `7 calendar days`.

    Raises:
        RefusedDefinition: Not a length, a one-letter unit other than d, h, w, zero, or more than 100 years.
    """
    found = _SPAN.fullmatch(text)
    if found is None or found[3] is None:
        raise _refused(text, f"{text!r} is not a length of time.", "Write for example: 30 days.")
    amount, word = int(found[1]), found[3].lower()
    unit = _SHORT.get(word) or next((u for u in _UNITS if word in (u, u + "s")), None)
    if unit is None:
        hint = "Write the unit out: minutes, hours, days, weeks, months or years."
        raise _refused(text, f"{found[3]!r} is not a unit of time.", hint, at=found.start(3), length=len(found[3]))
    if found[2] and unit != "day":
        raise _refused(text, "Only days can be calendar days.", "Months and years already follow the calendar.")
    span = Span(amount, unit, bool(found[2]))
    if span.nominal_minutes > _LONGEST_YEARS * _NOMINAL_MINUTES["year"]:
        raise _refused(text, "A window can be 100 years long at most.", "Leave the window out to count everything.")
    return span


def parse_within(text: str) -> Window:
    """`30 days` → the window that ends now.

    Example:
        >>> str(parse_within("12 months"))
        'within 12 months'
    """
    span = parse_span(text)
    if span.amount == 0:
        raise _refused(text, "A window of no length holds nothing.", "Write at least 1.")
    return Window(span)


def parse_between(text: str) -> Window:
    """`90 and 30 days ago` → the window from 90 days ago to 30 days ago.

    Example:
        >>> str(parse_between("90 and 30 days ago"))
        'between 90 days and 30 days ago'
    """
    found = _BETWEEN.fullmatch(text.strip())
    if found is None:
        raise _refused(text, f"{text!r} is not a window.", "Write for example: 90 and 30 days ago.")
    new = parse_span(found["new"])
    words = f"{'calendar ' if new.calendar else ''}{new.unit}"
    old = parse_span(f"{found['old']} {words}" if found["old"].strip().isdigit() else found["old"])
    if old.nominal_minutes <= new.nominal_minutes:
        raise _refused(text, "The first length must be the longer one.", f"Write: {new} and {old} ago.")
    return Window(old, new)


def _refused(text: str, message: str, hint: str, *, at: int = 0, length: int | None = None) -> RefusedDefinition:
    end = len(text) if length is None else at + length
    return RefusedDefinition(message, text=text, start=at, end=end, hint=hint, code="bad_window")
