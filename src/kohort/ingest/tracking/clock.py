"""When an event happened: times as clients write them, and the correction of clocks that are wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

from kohort.ingest.limits import EARLIEST_US, FUTURE_US
from kohort.ingest.tracking.reasons import Wrong
from kohort.model.clock import DAY_US, SECOND_US

SKEW_US = 60 * SECOND_US
"""A client's clock that is behind by less is left alone: the difference may as well be the network, and a time that stays
as it was stated is the same on every retry."""

QUEUED_US = 7 * DAY_US
"""An event that was stated longer than this before it was sent is history with a time of its own, not a wrong clock."""

LATEST_US = 3_155_760_000 * SECOND_US
"""2070: beyond any clock of ours."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPACED = re.compile(
    r"(\d{4}-\d\d?-\d\d?)[T ](\d\d?:\d\d(?::\d\d)?)([.,]\d{1,12})? ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?(?: [A-Z]{1,5})?",
    re.I,
)
_JS = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d{4}) (\d\d:\d\d:\d\d) GMT([+-]\d{4})(?: \(.*\))?")
_NUMBER = re.compile(r"[+-]?\d{9,19}(?:\.\d{1,9})?")
_ISO_LIKE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)? ?(?:Z|[+-]\d\d:?\d\d)?)?")


def instant(value: Any) -> int | None:
    """Microseconds UTC of a time as clients write it; None where it cannot be read.

    Texts are ISO 8601 with any offset and precision (UTC without one), RFC 2822, or what JavaScript, Ruby and Go print;
    numbers, also as text, are seconds, milliseconds, microseconds or nanoseconds since 1970 by their size.

    Example:
        >>> instant("1970-01-01T01:00:00.5+01:00"), instant(1_700_000_000_000), instant("soon")
        (500000, 1700000000000000, None)
    """
    if type(value) is str:
        try:
            if not value[:9].isdigit():
                return _micros(datetime.fromisoformat(value))
        except (ValueError, OverflowError):
            pass
        return _odd(value.strip())
    if type(value) is int or type(value) is float:
        return _epoch(value)
    return None


def _micros(when: datetime) -> int:
    gap = (when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH
    return (gap.days * 86_400 + gap.seconds) * SECOND_US + gap.microseconds


def _epoch(value: float) -> int | None:
    size = abs(value)
    if not size < 1e19:
        return None
    if size < 1e11:
        return round(value * SECOND_US)
    if size < 1e14:
        return round(value * 1_000)
    return round(value) if size < 1e17 else round(value) // 1_000


def _odd(text: str) -> int | None:
    """A time in another spelling than ISO 8601 as Python reads it."""
    if len(text) > 80:
        return None
    if _NUMBER.fullmatch(text):
        return _epoch(float(text) if "." in text else int(text))
    try:
        return _worded(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _worded(text: str) -> int | None:
    if m := _SPACED.fullmatch(text):
        date, clock, fraction, offset = m.groups()
        year, month, day = map(int, date.split("-"))
        hour, minute, second = (*map(int, clock.split(":")), 0)[:3]
        micro = int(fraction[1:7].ljust(6, "0")) if fraction else 0
        # A leap second is the last one of its minute here: clocks that count from 1970 do not know it.
        when = datetime(year, month, day, hour, minute, 59 if second == 60 else second, micro, UTC)
        return _micros(when) - _offset(offset or "Z")
    if m := _JS.fullmatch(text):
        month_name, day_text, year_text, clock, zone = m.groups()
        said = f"{day_text} {month_name} {year_text} {clock} {zone}"
        return _micros(datetime.strptime(said, "%d %b %Y %H:%M:%S %z"))
    if text.isdigit() and len(text) == 8:
        return _micros(datetime.fromisoformat(text))
    return _micros(parsedate_to_datetime(text)) if text[:1].isalnum() else None


def _offset(zone: str) -> int:
    if zone.upper() in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    return (1 if zone[0] == "+" else -1) * (hours * 3_600 + minutes * 60) * SECOND_US


def property_instant(text: str, zone: ZoneInfo) -> int | None:
    """Microseconds UTC of a property that is one whole ISO date or date-time; None for every other text.

    A date alone is the start of that day in the workspace's zone; a time without an offset is UTC.
    """
    if not 10 <= len(text) <= 40 or text[4] != "-" or text[7] != "-" or not _ISO_LIKE.fullmatch(text):
        return None
    try:
        when = datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", ""))
        if len(text) == 10:
            when = when.replace(tzinfo=zone).astimezone(UTC)
        return _micros(when)
    except (ValueError, OverflowError):
        return None


def happened(payload: dict[str, Any], sent_at: Any, received: int) -> tuple[int, bool]:
    """When an event happened, and whether that depends on when it arrived (so that a retry may say another time).

    The stated time holds, unless the client's clock is wrong: ahead of ours, or more than a minute behind. Then it is
    received − (sent − stated). An event that states no time happened when it arrived.

    Raises:
        Wrong: bad_time, time_too_early, too_far_ahead.
    """
    name = "timestamp"
    said = payload.get("timestamp")
    if said is None or said == "":
        name = "originalTimestamp"
        said = payload.get("originalTimestamp")
    elif payload.get("originalTimestamp") is not None:
        sent_at = None  # a gateway before us has corrected the time already and kept the original beside it
    if not EARLIEST_US <= received < LATEST_US:
        raise Wrong("bad_time", "")
    if said is None or said == "":
        return received, True
    stated = instant(said)
    if stated is None:
        raise Wrong("bad_time", f"/{name}")
    ts, moved = stated, False
    if sent_at is not None and (sent := instant(sent_at)) is not None:
        behind, waited = received - sent, sent - stated
        if (behind < 0 or behind > SKEW_US) and -SECOND_US <= waited <= QUEUED_US:
            ts, moved = received - max(waited, 0), True
    if ts < EARLIEST_US:
        raise Wrong("time_too_early", f"/{name}")
    if ts > received + FUTURE_US:
        raise Wrong("too_far_ahead", f"/{name}")
    return ts, moved
