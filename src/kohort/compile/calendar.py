"""Parts of local dates as whole-number arithmetic: engines' own date functions differ at the edges, remainders do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import ibis

from kohort.definitions.rules.tree import DatePartName
from kohort.model.clock import DAY_US, HOUR_US, SECOND_US, micros

_SINCE, _UNTIL = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Between these, clock changes are looked up. Before and after, the zone keeps its first and its last offset."""

# A multiple of 400 years: keeps numbers positive, where engines agree on remainders.
_SHIFT_YEARS = 4_800
_SHIFT_DAYS = _SHIFT_YEARS // 400 * 146_097
_EPOCH_DAYS = 719_468  # from 0000-03-01 to 1970-01-01


def local_time(instant: Any, zone: str) -> Any:
    """Microseconds since 1970-01-01 on the clocks of a zone."""
    moments, offsets = transitions(zone)
    return instant + _step(instant, moments, offsets)


def _step(instant: Any, moments: tuple[int, ...], offsets: tuple[int, ...]) -> Any:
    """The offset that holds at an instant, found by halving: eight comparisons for a century."""
    if not moments:
        return ibis.literal(offsets[0], "int64")
    half = len(moments) // 2
    earlier = _step(instant, moments[:half], offsets[: half + 1])
    later = _step(instant, moments[half + 1 :], offsets[half + 1 :])
    return (instant < moments[half]).ifelse(earlier, later)


@lru_cache(maxsize=32)
def transitions(zone: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """When the clocks of a zone change, and the offsets before, between and after, in microseconds."""
    place = ZoneInfo(zone)

    def offset(second: int) -> int:
        found = (epoch + timedelta(seconds=second)).astimezone(place).utcoffset()
        assert found is not None
        return found // timedelta(microseconds=1)

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    first, last = micros(_SINCE) // SECOND_US, micros(_UNTIL) // SECOND_US
    moments, offsets = [], [offset(first)]
    for day in range(first, last, DAY_US // SECOND_US):
        low, high = day, day + DAY_US // SECOND_US
        if offset(high) == offsets[-1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        moments.append(high * SECOND_US)
        offsets.append(offset(high))
    return tuple(moments), tuple(offsets)


def with_dates(table: Any, locals_: Mapping[str, Any]) -> Any:
    """A table with what `date_part` needs of some local times, step by step so that no step is written out twice.

    Args:
        table: Any table.
        locals_: Name → local time over that table. The columns that are added begin with these names.
    """
    table = table.mutate(**{name: local + _SHIFT_DAYS * DAY_US for name, local in locals_.items()})
    steps: tuple[Callable[[_Of], dict[str, Any]], ...] = (
        lambda t: {"in_day": t[""] % DAY_US},
        lambda t: {"days": _over(t[""] - t["in_day"], DAY_US) + _EPOCH_DAYS},
        lambda t: {"of_era": t["days"] % 146_097},
        lambda t: {"century": t["of_era"] - _over(t["of_era"], 1_460) + _over(t["of_era"], 36_524)},
        lambda t: {"year": _over(t["century"] - _over(t["of_era"], 146_096), 365)},
        lambda t: {"of_year": t["of_era"] - (t["year"] * 365 + _over(t["year"], 4) - _over(t["year"], 100))},
        lambda t: {"month": _over(t["of_year"] * 5 + 2, 153)},
    )
    for step in steps:
        added = ((name, step(_Of(table, name))) for name in locals_)
        table = table.mutate(**{f"{name}{part}": value for name, parts in added for part, value in parts.items()})
    return table


def date_part(table: Any, name: str, part: DatePartName) -> Any:
    """A part of a local time that `with_dates` has prepared: a whole number of the Gregorian calendar."""
    # Years begin in March here, so that leap days come last.
    t = _Of(table, name)
    match part:
        case "hour":
            return _over(t["in_day"], HOUR_US)
        case "weekday":
            return (t["days"] + 2) % 7 + 1
        case "day":
            return t["of_year"] - _over(t["month"] * 153 + 2, 5) + 1
        case "month":
            return (t["month"] < 10).ifelse(t["month"] + 3, t["month"] - 9)
        case "year":
            eras = _over(t["days"] - t["of_era"], 146_097) * 400
            return t["year"] + eras - _SHIFT_YEARS + (t["month"] >= 10).ifelse(1, 0)


@dataclass(frozen=True, slots=True)
class _Of:
    """The columns of a table that belong to one local time."""

    table: Any
    name: str

    def __getitem__(self, part: str) -> Any:
        return self.table[f"{self.name}{part}"]


def _over(number: Any, divisor: int) -> Any:
    """Whole division of what is not negative. Engines divide in float64 first, which is exact for these sizes."""
    return number // divisor
