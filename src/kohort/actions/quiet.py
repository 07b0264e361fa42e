"""Quiet hours: until when nothing is sent, as the clocks of the workspace's zone show it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from kohort.definitions.triggers import QuietHours

_MINUTE_US = 60_000_000
_DAYS_MINUTES = 3 * 1_440


def quiet_until(quiet: QuietHours, zone: str, now: int) -> int | None:
    """The first instant from `now` on at which the local clock stands outside quiet hours; None = it does already.

    Clocks that are put forward or back are followed: an hour that does not exist ends quiet hours early, one that comes
    twice is quiet twice.

    Example:
        >>> quiet_until(QuietHours(21 * 60, 8 * 60), "UTC", 22 * 3_600_000_000) // 3_600_000_000
        32
    """
    minute = now // _MINUTE_US
    if not _inside(quiet, zone, minute):
        return None
    return _end(quiet, zone, minute) * _MINUTE_US


@lru_cache(maxsize=4_096)
def _end(quiet: QuietHours, zone: str, minute: int) -> int:
    # Minute by minute: zones change their clocks on whole minutes, and nothing is shorter to say or harder to get wrong.
    return next(m for m in range(minute, minute + _DAYS_MINUTES) if not _inside(quiet, zone, m))


def _inside(quiet: QuietHours, zone: str, minute: int) -> bool:
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))
    at = local.hour * 60 + local.minute
    if quiet.start < quiet.end:
        return quiet.start <= at < quiet.end
    return at >= quiet.start or at < quiet.end
