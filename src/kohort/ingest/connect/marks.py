"""How far a growing column was read: the largest value of a page, and what goes into the next question."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kohort.model.clock import iso, micros, moment
from kohort.model.connection import Mark, SinceForm


def mark_of(value: object) -> Mark | None:  # noqa: PLR0911 - one answer per kind of value
    """A time or a whole number as a mark; None for everything else.

    Example:
        >>> mark_of("2024-03-01T00:00:01Z").value, mark_of(17), mark_of("soon")
        (1709251201000000, Mark(value=17, is_time=False, zoned=True), None)
    """
    match value:
        case bool() | None:
            return None
        case int():
            return Mark(value, is_time=False)
        case Decimal():
            return Mark(int(value), is_time=False) if value.is_finite() and value == value.to_integral_value() else None
        case dt.datetime():
            return _instant(value)
        case dt.date():
            return _instant(dt.datetime(value.year, value.month, value.day))  # noqa: DTZ001 - a day on the wall
        case str() if value.isascii() and value.lstrip("-").isdigit() and len(value) < 19:
            return Mark(int(value), is_time=False)
        case str():
            try:
                return _instant(dt.datetime.fromisoformat(value.strip()))
            except ValueError:
                return None
        case _:
            return None


def _instant(moment: dt.datetime) -> Mark:
    zoned = moment.tzinfo is not None
    return Mark(micros(moment if zoned else moment.replace(tzinfo=dt.UTC)), is_time=True, zoned=zoned)


def furthest(records: Iterable[Any], column: str, so_far: Mark | None, *, now: int) -> Mark | None:
    """The largest mark of some records and of those before.

    A time ahead of our clock is taken as now: a record of the year 2099 must not hide all that follow.
    """
    best = so_far
    for record in records:
        found = mark_of(reached(record, column))
        if found is None or (best is not None and found.is_time != best.is_time):
            continue
        if found.is_time and found.value > now:
            found = Mark(now, True, found.zoned)
        if best is None or found.value > best.value:
            best = found
    return best


def reached(record: Any, path: str) -> Any:
    """A value of a record: by its whole name, else along the dots; None where there is none."""
    if isinstance(record, dict) and path in record:
        return record[path]
    for name in path.split("."):
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record


def asked(mark: Mark, form: SinceForm) -> str:
    """A mark as the parameter of an API takes it."""
    if not mark.is_time:
        return str(mark.value)
    match form:
        case "epoch_s":
            return str(mark.value // 1_000_000)
        case "epoch_ms":
            return str(mark.value // 1_000)
        case "iso":
            text = iso(mark.value - mark.value % 1_000_000)  # whole seconds, down: more is refused by many
            return text if mark.zoned else text.removesuffix("Z")


def written(mark: Mark) -> dt.datetime | int:
    """A mark as a database compares it: a number, or a time with or without its zone, as it was read."""
    if not mark.is_time:
        return mark.value
    return moment(mark.value) if mark.zoned else moment(mark.value).replace(tzinfo=None)
