"""Windows as constants: which instants a window holds, seen from one moment in one time zone."""

from __future__ import annotations

import calendar
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kohort.definitions.windows import Span, TimeUnit, Window
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
    after = None if window.start is None else ago(window.start, as_of, zone)
    until = as_of if window.end is None else ago(window.end, as_of, zone)
    return after, until


def fixed_length(span: Span) -> int:
    """Microseconds of a span that is not a calendar step."""
    return span.amount * _FIXED_US[span.unit]


def day_start(day: date, zone: str) -> int:
    """The instant at which a local day begins."""
    return micros(datetime.combine(day, time(), ZoneInfo(zone)))


def ago(span: Span, as_of: int, zone: str) -> int:
    """The instant a length before a moment; of calendar days the last instant of the local day before the first one."""
    if span.calendar:
        # The last instant of the local day `amount` days ago: 1 calendar day ago is the end of yesterday.
        return as_of if span.amount == 0 else day_start(_today(as_of, zone) - timedelta(days=span.amount - 1), zone) - 1
    if span.unit not in ("month", "year"):
        return as_of - fixed_length(span)
    return _step(as_of, -_months(span), zone)


def ahead(span: Span, as_of: int, zone: str) -> int:
    """The instant a length after a moment; of calendar days the end of the last local day, today being the first."""
    if span.calendar:
        return day_start(_today(as_of, zone) + timedelta(days=span.amount), zone) - 1
    if span.unit not in ("month", "year"):
        return as_of + fixed_length(span)
    return _step(as_of, _months(span), zone)


def period_start(unit: TimeUnit, back: int, as_of: int, zone: str) -> int:
    """The first instant of the local day, ISO week, month or year that lies `back` periods before the current one."""
    today = _today(as_of, zone)
    match unit:
        case "day":
            return day_start(today - timedelta(days=back), zone)
        case "week":
            return day_start(today - timedelta(days=today.isoweekday() - 1 + 7 * back), zone)
        case "month":
            year, month0 = divmod(today.year * 12 + today.month - 1 - back, 12)
            return day_start(date(year, month0 + 1, 1), zone)
        case "year":
            return day_start(date(today.year - back, 1, 1), zone)
        case _:
            raise ValueError(unit)  # refused when the rule is read


def _today(as_of: int, zone: str) -> date:
    return moment(as_of).astimezone(ZoneInfo(zone)).date()


def _months(span: Span) -> int:
    return span.amount * (12 if span.unit == "year" else 1)


def _step(as_of: int, months: int, zone: str) -> int:
    """The same local time `months` later; a day the month does not have becomes its last one."""
    local = moment(as_of).astimezone(ZoneInfo(zone))
    year, month0 = divmod(local.year * 12 + local.month - 1 + months, 12)
    last = calendar.monthrange(year, month0 + 1)[1]
    return micros(local.replace(year=year, month=month0 + 1, day=min(local.day, last)))
