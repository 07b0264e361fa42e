"""When a span of time before (or after) a moment passes an instant: calendars and clocks, inverted exactly."""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from kohort.compile.windows import fixed_length
from kohort.definitions.windows import Span, TimeUnit
from kohort.model.clock import DAY_US, HOUR_US, SECOND_US, micros, moment


def crossings(span: Span, value: int, zone: str, *, ahead: bool = False) -> set[int]:
    """Every moment at which the instant one span before it may pass `value`, or after it with `ahead`.

    Stepping months back is not monotone (28 March and 31 March both step to 28 February; a repeated hour steps back
    twice), so that there may be more than one.

    Example:
        >>> sorted(crossings(Span(1, "day"), 5, "UTC"))
        [86400000005]
    """
    sign = -1 if ahead else 1
    if span.calendar:
        day = wall_time(value, zone).date()
        near = range(sign * span.amount - 1, sign * span.amount + 2)
        return {t for n in near for t in midnights(day + timedelta(days=n), zone)}
    if span.unit not in ("month", "year"):
        return {value + sign * fixed_length(span)}
    return _month_crossings(sign * span.amount * (12 if span.unit == "year" else 1), value, zone)


def _month_crossings(months: int, value: int, zone: str) -> set[int]:
    walls = {wall_time(value, zone)}
    for change in changes_of_clock(zone, value - 2 * DAY_US, value + 2 * DAY_US):
        before, after = wall_time(change - 1, zone) + timedelta(microseconds=1), wall_time(change, zone)
        own, step = wall_time(value, zone), after - before
        walls |= {before, after, own + step, own - step}
    found: set[int] = set()
    for wall in walls:
        days = _days_that_step_to(wall.date(), months)
        for day in days[:-1]:
            found |= _instants(datetime.combine(day, wall.time()), zone)
        for day in days:
            found |= midnights(day, zone)
    near = changes_of_clock(zone, min(found) - 4 * DAY_US, max(found) + 4 * DAY_US)
    return found | set(near)


@lru_cache(maxsize=32_768)
def _days_that_step_to(day: date, months: int) -> tuple[date, ...]:
    """Days from which stepping `months` back leads to a day, then the day after the last of them.

    The last days of a longer month all step to the last day of a shorter one; a day may have none.
    """
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month0 + 1)[1]
    is_last = day.day == calendar.monthrange(day.year, day.month)[1]
    days = [date(year, month0 + 1, n) for n in range(day.day, (last if is_last else min(day.day, last)) + 1)]
    return (*days, (days[-1] if days else date(year, month0 + 1, last)) + timedelta(days=1))


@lru_cache(maxsize=32_768)
def midnights(day: date, zone: str) -> frozenset[int]:
    """Where a local day begins: more than one instant where the clock changes then."""
    start = datetime.combine(day, time())
    found = _instants(start, zone)
    return frozenset(found) | set(changes_of_clock(zone, min(found) - DAY_US // 8, max(found) + DAY_US // 8))


def changes_of_clock(zone: str, first: int, last: int) -> Iterator[int]:
    """When a zone's clock changes, from `first` to `last`."""
    for year in range(moment(first).year, moment(last).year + 1):
        yield from (t for t in _changes_in(zone, year) if first <= t <= last)


@lru_cache(maxsize=2048)
def _changes_in(zone: str, year: int) -> tuple[int, ...]:
    tz = ZoneInfo(zone)

    def offset(t: int) -> timedelta | None:
        return moment(t).astimezone(tz).utcoffset()

    start, end = (micros(datetime(y, 1, 1, tzinfo=UTC)) for y in (year, year + 1))
    found = []
    for noon in range(start, end, DAY_US // 2):
        low, high = noon, min(noon + DAY_US // 2, end)
        if offset(low) == offset(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        found.append(high)
    return tuple(found)


def hours(zone: str, first: int, last: int) -> Iterator[int]:
    """Where local hours begin."""
    borders = [first, *changes_of_clock(zone, first + 1, last), last]
    for start, end in itertools.pairwise(borders):
        yield start
        wall = wall_time(start, zone)
        into_hour = (wall.minute * 60 + wall.second) * SECOND_US + wall.microsecond
        yield from range(start + HOUR_US - into_hour, end, HOUR_US)


def wall_time(t: int, zone: str) -> datetime:
    """What the clock on the wall shows."""
    return moment(t).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def _instants(wall: datetime, zone: str) -> set[int]:
    """The instants at which a clock on the wall shows a time; where it never does, those on both sides."""
    tz = ZoneInfo(zone)
    return {micros(wall.replace(tzinfo=tz, fold=fold)) for fold in (0, 1)}


def period_start(day: date, n: int, period: TimeUnit) -> date:
    """First day of the n-th period after the one that contains a day."""
    match period:
        case "week":
            return day - timedelta(days=day.weekday()) + timedelta(weeks=n)
        case "month":
            year, month0 = divmod(day.year * 12 + day.month - 1 + n, 12)
            return date(year, month0 + 1, 1)
        case "year":
            return date(day.year + n, 1, 1)
        case _:
            return day + timedelta(days=n)
