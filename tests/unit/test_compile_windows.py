"""Windows as instants: exact edges, calendar steps in the workspace's zone, local days across clock changes."""

import pytest

from kohort.compile.windows import bounds
from kohort.definitions.windows import parse_between, parse_within
from kohort.model.clock import DAY_US, HOUR_US, iso, parse_instant

AS_OF = parse_instant("2024-03-31T10:30:00Z")


def after(text: str, as_of: str, zone: str) -> str:
    start, until = bounds(parse_within(text), parse_instant(as_of), zone)
    assert until == parse_instant(as_of)
    assert start is not None
    return iso(start)


def test_fixed_lengths_are_exact() -> None:
    assert bounds(parse_within("30 days"), AS_OF, "Europe/London") == (AS_OF - 30 * DAY_US, AS_OF)
    assert bounds(parse_within("90 minutes"), AS_OF, "Europe/London") == (AS_OF - HOUR_US * 3 // 2, AS_OF)


def test_adjacent_windows_never_share_or_miss_an_event() -> None:
    near = bounds(parse_within("1 month"), AS_OF, "Europe/London")
    far = bounds(parse_between("2 and 1 months ago"), AS_OF, "Europe/London")
    assert far[1] == near[0]


@pytest.mark.parametrize(
    ("text", "as_of", "zone", "expected"),
    [
        # 31 March minus one month is the last day of February, leap year or not.
        ("1 month", "2024-03-31T12:00:00Z", "UTC", "2024-02-29T12:00:00Z"),
        ("1 month", "2023-03-31T12:00:00Z", "UTC", "2023-02-28T12:00:00Z"),
        ("1 year", "2024-02-29T12:00:00Z", "UTC", "2023-02-28T12:00:00Z"),
        ("13 months", "2024-01-15T00:00:00Z", "UTC", "2022-12-15T00:00:00Z"),
        # The local time stays: half past eleven summer time, half past eleven winter time.
        ("1 month", "2024-04-15T10:30:00Z", "Europe/London", "2024-03-15T11:30:00Z"),
        # Whole local days, today included: from local midnight, one microsecond later than the limit.
        ("1 calendar day", "2024-03-31T10:30:00Z", "Europe/London", "2024-03-30T23:59:59.999999Z"),
        ("7 calendar days", "2024-03-31T22:30:00Z", "Europe/Berlin", "2024-03-25T22:59:59.999999Z"),
        ("2 calendar days", "2024-11-03T12:00:00Z", "America/New_York", "2024-11-02T03:59:59.999999Z"),
    ],
)
def test_calendar_steps(text: str, as_of: str, zone: str, expected: str) -> None:
    assert after(text, as_of, zone) == expected
