"""Times that are none are told per source: one instant for everything, midnight for everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohort.health import report
from kohort.ingest import ingest_files
from kohort.model.source import SourceMapping
from kohort.store import create_store

NOW = 1_750_000_000_000_000
VISITS = SourceMapping("visits", "events", {"customer": "who", "time": "when"}, event="page", time_format="iso")


def found(tmp_path: Path, *times: str, zone: str = "UTC", parts: int = 1) -> dict[str, int]:
    """Findings about times of a source with these times, read as some files."""
    tmp_path.mkdir(exist_ok=True)
    with create_store(tmp_path / "shop", buckets=2) as store:
        for part in range(parts):
            path = tmp_path / f"{part}.csv"
            lines = [f"{n},{when}" for n, when in list(enumerate(times))[part::parts]]
            path.write_text("\n".join(["who,when", *lines]) + "\n", encoding="utf-8")
            ingest_files(path, VISITS, store=store, zone=zone, currency="EUR", now=NOW)
        findings = report(store, zone=zone, currency="EUR", controls={}).findings
    codes = ("one_instant", "dates_only")
    assert all(f.source == "visits" for f in findings if f.code in codes)
    return {f.code: f.rows for f in findings if f.code in codes}


def minutes(n: int) -> list[str]:
    return [f"2025-01-{1 + i // 600:02}T{8 + i // 60 % 10:02}:{i % 60:02}:01" for i in range(n)]


@pytest.mark.parametrize("parts", [1, 3])
def test_more_than_a_fifth_at_one_instant_is_no_time(tmp_path: Path, parts: int) -> None:
    assert found(tmp_path, *minutes(90), *["2025-02-01T12:00"] * 30, parts=parts) == {"one_instant": 30}


def test_a_busy_minute_and_a_small_source_are_nothing_odd(tmp_path: Path) -> None:
    assert found(tmp_path / "busy", *minutes(96), *["2025-02-01T12:00"] * 24) == {}
    assert found(tmp_path / "small", *["2025-02-01T12:00"] * 99) == {}


def test_dates_are_told_also_in_another_zone(tmp_path: Path) -> None:
    dates = [f"2024-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(120)]
    assert found(tmp_path / "utc", *dates) == {"dates_only": 120}
    assert found(tmp_path / "zone", *dates, zone="America/New_York") == {"dates_only": 120}
    assert found(tmp_path / "mixed", *dates[:100], *minutes(20)) == {}
