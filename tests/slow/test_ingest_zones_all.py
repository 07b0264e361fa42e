"""Every zone of the database: stepping by two days misses no change of its offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest

from kohort.ingest import zones

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wrong_offsets(zone: str, years: int, *, every_hours: int = 12) -> int:
    """Moments, so many hours apart, at which the table of changes and Python disagree."""
    info = ZoneInfo(zone)
    steps = np.arange(0, years * 365 * 24 // every_hours, dtype=np.int64) * every_hours
    expected = np.array([(EPOCH + timedelta(hours=int(h))).astimezone(info).hour for h in steps])
    _, hours = zones.local(steps * 3_600_000_000, zone)
    return int((hours != expected).sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Amsterdam",
        "Africa/Casablanca",
        "Africa/Cairo",
        "Asia/Gaza",
        "America/Argentina/San_Luis",
        "Pacific/Apia",
    ],
)
def test_zones_that_changed_their_minds(zone: str) -> None:
    assert wrong_offsets(zone, 60) == 0


@pytest.mark.ci
@pytest.mark.parametrize("first", sorted({z[0] for z in available_timezones()}))
def test_all_zones(first: str) -> None:
    names = [z for z in available_timezones() if z[0] == first and z != "localtime"]
    assert {z: n for z in names if (n := wrong_offsets(z, 68, every_hours=60))} == {}
