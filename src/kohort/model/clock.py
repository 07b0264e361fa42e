"""Instants: integer microseconds since 1970-01-01 UTC, everywhere inside; ISO 8601 text at the doors."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from kohort.errors import BadInput

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_ONLY = re.compile(r"\d{4}-\d{2}-\d{2}")


def micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware moment.

    Example:
        >>> micros(datetime(1970, 1, 2, tzinfo=UTC))
        86400000000
    """
    if moment.tzinfo is None:
        raise BadInput("A moment needs a time zone.", code="naive_time", hint="Add one, for example +00:00.")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(us: int) -> datetime:
    """The aware UTC moment of an instant.

    Example:
        >>> moment(86400000000)
        datetime.datetime(1970, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return _EPOCH + timedelta(microseconds=us)


def iso(us: int) -> str:
    """ISO 8601 UTC text of an instant, with microseconds only where there are any.

    Example:
        >>> iso(86400000000)
        '1970-01-02T00:00:00Z'
    """
    return moment(us).isoformat().replace("+00:00", "Z")


def parse_start(text: str, *, zone: str = "UTC") -> int:
    """As `parse_instant`, for the beginning of a stretch of time: a date alone means the *beginning* of that local day.

    Example:
        >>> iso(parse_start("2011-12-09")), iso(parse_start("2011-12-09T12:50Z"))
        ('2011-12-09T00:00:00Z', '2011-12-09T12:50:00Z')
    """
    day = text.strip()
    return parse_instant(f"{day}T00:00" if _DATE_ONLY.fullmatch(day) else day, zone=zone)


def parse_instant(text: str, *, zone: str = "UTC") -> int:
    """An instant from what a person types: an ISO date or date-time.

    A date alone means the *end* of that local day, so that `--as-of 2011-12-09` sees everything that happened
    on 9 December. A time without an offset is local to `zone`.

    Args:
        text: For example `2011-12-09`, `2011-12-09T12:50`, `2011-12-09T12:50:00Z`.
        zone: IANA name of the workspace's time zone.

    Raises:
        BadInput: The text is not an ISO 8601 date or date-time.

    Example:
        >>> iso(parse_instant("2011-12-09"))
        '2011-12-09T23:59:59.999999Z'
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
        if _DATE_ONLY.fullmatch(text.strip()):
            parsed = parsed + timedelta(days=1)
            return micros(parsed.replace(tzinfo=ZoneInfo(zone))) - 1
        return micros(parsed if parsed.tzinfo else parsed.replace(tzinfo=ZoneInfo(zone)))
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{text!r} is not a date or time.", code="bad_time", hint="Write 2011-12-09 or 2011-12-09T12:50:00Z."
        ) from error
