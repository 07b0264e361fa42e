"""Windows as constants: which instants a window holds, seen from one moment in one time zone."""

from __future__ import annotations

import calendar
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kohort.definitions.windows import Span, Window
from kohort.model.clock import HOUR_US, micros, moment

_FIXED_US = {"minute": HOUR_US // 60, "hour": HOUR_US, "day": 24 * HOUR_US, "week": 168 * HOUR_US}


def bounds(window: Window, as_of: int, zone: str) -> tuple[int | None, int]:
    """The window as (after, until]: events with after < ts <= until; after None = no lower limit.

    Args:
        window: As written.
        as_of: The moment asked about, microseconds UTC. Nothing later is ever inside.
        zone: Zone of calendar days, months and years.

    Example:
        >>> from kohort.definitions.windows import parse_within
        >>> bounds(parse_within("1 day"), 86_400_000_000, "UTC")
        (0, 86400000000)
    """
    after = None if window.start is None else _ago(window.start, as_of, zone)
    until = as_of if window.end is None else _ago(window.end, as_of, zone)
    return after, until


def fixed_length(span: Span) -> int:
    """Microseconds of a span that is not a calendar step."""
    return span.amount * _FIXED_US[span.unit]


def day_start(day: date, zone: str) -> int:
    """The instant at which a local day begins."""
    return micros(datetime.combine(day, time(), ZoneInfo(zone)))


def _ago(span: Span, as_of: int, zone: str) -> int:
    if span.calendar:
        # The last instant of the local day `amount` days ago: 1 calendar day ago is the end of yesterday.
        today = moment(as_of).astimezone(ZoneInfo(zone)).date()
        return as_of if span.amount == 0 else day_start(today - timedelta(days=span.amount - 1), zone) - 1
    if span.unit not in ("month", "year"):
        return as_of - fixed_length(span)
    return _step_back(as_of, span.amount * (12 if span.unit == "year" else 1), zone)


def _step_back(as_of: int, months: int, zone: str) -> int:
    """The same local time `months` earlier; a day the month does not have becomes its last one."""
    local = moment(as_of).astimezone(ZoneInfo(zone))
    year, month0 = divmod(local.year * 12 + local.month - 1 - months, 12)
    last = calendar.monthrange(year, month0 + 1)[1]
    return micros(local.replace(year=year, month=month0 + 1, day=min(local.day, last)))
