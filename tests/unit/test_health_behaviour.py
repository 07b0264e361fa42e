"""Visits that look like a machine's are counted by rule; those of people in a hurry are not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from kohort.engines.duck import connect
from kohort.health.behaviour import RULES, suspicious

SECOND = 1_000_000
DAY = 86_400 * SECOND


def seen(*times: float, event: str = "page", customer: int | None = 1) -> dict[str, int]:
    """What is found when somebody looks at pages at these seconds of a day."""
    ts = [int(20_000 * DAY + t * SECOND) for t in times]
    table = pa.table(
        {
            "customer": pa.array([customer] * len(ts), pa.int64()),
            "ts": ts,
            "event": [event] * len(ts),
            "local_day": [t // DAY for t in ts],
        }
    )
    with connect(folders=()) as con:
        con.register("core", table)
        found = suspicious(con)
    assert found["visits"] <= sum(found[rule] for rule in RULES)
    return {name: n for name, n in found.items() if n and name in RULES}


def uneven(n: int, step: float) -> list[float]:
    """Times that no clock would keep."""
    return [step * i + (i * i % 7) * step / 10 for i in range(n)]


def test_thirty_pages_in_a_minute_are_fast_and_twenty_nine_are_not() -> None:
    times = [i * i * 0.0713 for i in range(30)]  # the last after 59.96 seconds
    assert seen(*times) == {"fast": 1}
    assert seen(*times[:-1]) == {}
    assert seen(*[t * 1.001 for t in times]) == {}


def test_the_same_pause_after_each_of_twenty_pages_is_regular() -> None:
    assert seen(*[5.0 * i for i in range(20)]) == {"regular": 1}
    assert seen(*[5.0 * i for i in range(19)]) == {}
    assert seen(*uneven(20, 5)) == {}


def test_five_hundred_pages_are_deep_and_a_pause_begins_a_new_visit() -> None:
    times = uneven(500, 20)
    assert seen(*times) == {"deep": 1}
    assert seen(*times[:499]) == {}
    pause = [t if n < 250 else t + 1_801 for n, t in enumerate(times)]
    assert seen(*pause) == {}


def test_twelve_hours_without_a_pause_are_endless_also_over_midnight() -> None:
    times = uneven(40, 1_150)
    assert times[-1] - times[0] >= 12 * 3600
    assert seen(*times) == {"endless": 1}
    assert seen(*[t + 18 * 3600 for t in times]) == {"endless": 1}
    assert seen(*[t * 0.8 for t in times]) == {}


@pytest.mark.parametrize("how", [{"event": "order_line"}, {"event": "Seen"}, {"customer": None}])
def test_only_pages_of_somebody_are_looked_at(how: dict[str, object]) -> None:
    assert seen(*[5.0 * i for i in range(20)], **how) == {}  # type: ignore[arg-type]


def test_visits_of_two_people_are_not_one() -> None:
    ts = [20_000 * DAY + i * 2 * SECOND for i in range(40)]
    table = pa.table({"customer": [1, 2] * 20, "ts": ts, "event": ["screen"] * 40, "local_day": [20_000] * 40})
    with connect(folders=()) as con:
        con.register("core", table)
        found = suspicious(con)
    assert (found["visits"], found["visitors"], found["pages"], found["fast"]) == (2, 2, 40, 0)
