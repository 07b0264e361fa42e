"""Wall-clock times to instants and back, for whole columns at once.

Python's zone database is asked for the moments at which a zone's offset changes; columns are then converted by binary
search. This agrees with `datetime` and `zoneinfo` to the microsecond (fold 0): a time that happens twice is the first
one, a time that is skipped is read with the offset before the jump.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from kohort.errors import BadInput
from kohort.model.clock import DAY_US, HOUR_US, moment

_FIRST_DAY = -2  # 1969-12-30: `since ever` (0) and EARLIEST_US lie inside with room for every offset
_STEP_DAYS = 2
_LAST_DAY = 36_525  # 2070: an event is at most a day ahead of our clock


def to_utc(wall: np.ndarray, zone: str) -> np.ndarray:
    """Instants (µs UTC) of local wall-clock times (µs since 1970-01-01T00:00 on the wall).

    Example:
        >>> to_utc(np.array([1_301_187_600_000_000]), "Europe/London")  # 2011-03-27T01:00, skipped there
        array([1301187600000000])
    """
    changes, offsets = _changes(zone)
    before, after = offsets[:-1], offsets[1:]
    return np.asarray(wall - offsets[np.searchsorted(changes + np.maximum(before, after), wall, side="right")])


def local(ts: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Local day (int32, days since 1970-01-01) and hour (int32, 0 to 23) of instants."""
    changes, offsets = _changes(zone)
    wall = ts + offsets[np.searchsorted(changes, ts, side="right")]
    return (wall // DAY_US).astype(np.int32), (wall % DAY_US // HOUR_US).astype(np.int32)


def known_zone(zone: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        BadInput: There is no such zone.
    """
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(
            f"There is no time zone {zone!r}.", code="unknown_zone", hint="Use an IANA name such as Europe/Copenhagen."
        ) from error


@lru_cache(maxsize=16)
def _changes(zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Instants at which the offset changes, and the offsets (µs) before the first, between, and after the last."""
    info = known_zone(zone)

    def offset(us: int) -> int:
        return (moment(us).astimezone(info).utcoffset() or timedelta()) // timedelta(microseconds=1)

    changes, offsets = [], [offset(_FIRST_DAY * DAY_US)]
    # In the zone database no zone has gone there and back again within two days since 1970; a test tries them all.
    for day in range(_FIRST_DAY + _STEP_DAYS, _LAST_DAY, _STEP_DAYS):
        end = day * DAY_US
        if offset(end) == offsets[-1]:
            continue
        low, high = end - _STEP_DAYS * DAY_US, end
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        changes.append(high)
        offsets.append(offset(end))
    return np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64)
