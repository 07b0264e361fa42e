"""What an edge passes over an interval is what it passes microsecond by microsecond, near every change of the clock."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from kohort.compile.clock import Edge
from kohort.definitions.windows import Span
from kohort.model.clock import DAY_US, HOUR_US, SECOND_US, micros
from kohort.segments.crossings import changes_of_clock
from kohort.segments.passages import Move, move
from kohort.segments.sweeps import Sweep, sweeps

ZONES = ("Europe/London", "America/Nuuk", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia")
EDGES = (
    *(Edge(d, span, "") for d in ("ago", "ahead") for span in (Span(1, "month"), Span(1, "year"), Span(13, "month"))),
    *(Edge(d, Span(n, "day", calendar=True), "") for d in ("ago", "ahead") for n in (1, 30)),
    *(Edge("period", Span(n, unit), "") for n, unit in ((0, "day"), (3, "week"), (1, "month"), (2, "year"))),
)


def at(text: str, zone: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def passed(found: tuple[Sweep, ...], value: int) -> list[int]:
    """The instants at which a value is passed."""
    return sorted(s.at if s.shift is None else value + s.shift for s in found if s.low < value <= s.high)


def moments(edge: Edge, value: int, first: int, last: int) -> list[int]:
    """The instants in (first, last] at which `value <= edge` changes: looked at around every half hour, halved between."""
    step = 30 * 60 * SECOND_US
    near = (t + n for t in range(first // step * step, last + step, step) for n in range(-3, 4))
    looked = sorted({first, last, *(t for t in near if first < t < last)})
    found = []
    for a, b in pairwise(looked):
        low, high = a, b
        if (edge.instant(low) >= value) == (edge.instant(high) >= value):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (middle, high) if (edge.instant(middle) >= value) == (edge.instant(a) >= value) else (low, middle)
            )
        found.append(high)
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", EDGES, ids=str)
def test_an_edge_passes_what_it_passes_moment_by_moment(zone: str, kind: Edge) -> None:
    edge, rng = Edge(kind.direction, kind.span, zone), Random(f"{zone} {kind}")
    changed = list(changes_of_clock(zone, at("2010-06-01", zone), at("2018-12-31", zone)))
    starts = [rng.choice(changed) + rng.randint(-2 * DAY_US, 2 * DAY_US) for _ in range(3)]
    assert edge.span is not None
    far = int(edge.span.nominal_minutes * 60 * SECOND_US) * (-1 if kind.direction == "ahead" else 1)
    starts += [t + far - DAY_US for t in rng.sample(changed, 2)]  # the edge itself meets the change of the clock
    starts += [at(day, zone) - rng.randint(0, HOUR_US) for day in ("2012-02-28", "2012-03-30T12:00", "2011-12-29")]
    for start in starts:
        end = start + rng.choice((HOUR_US, DAY_US)) + rng.randint(0, HOUR_US)
        found = sweeps(edge, start, end)
        borders = [edge.instant(t) for t in (start, end)] + [v for s in found for v in (s.low, s.high)]
        for border in rng.sample(borders, min(4, len(borders))):
            value = border + rng.choice((0, 1, -1, rng.randint(-HOUR_US, HOUR_US), rng.randint(-DAY_US, DAY_US)))
            assert passed(found, value) == moments(edge, value, start, end), (start, end, value)


def test_intervals_that_meet_pass_the_same_as_one() -> None:
    zone = "Europe/London"
    edge: Move = move(Span(1, "month"), zone)
    days = [at("2023-03-20", zone) + n * DAY_US // 2 for n in range(40)]
    whole = sweeps(edge, days[0], days[-1])
    for value in range(at("2023-02-10", zone), at("2023-03-20", zone), 7 * HOUR_US + 1):
        apart = [t for a, b in pairwise(days) for t in passed(sweeps(edge, a, b), value)]
        assert sorted(apart) == passed(whole, value)


def test_an_empty_interval_passes_nothing() -> None:
    assert sweeps(5, 10, 10) == ()
    assert sweeps(move(Span(1, "month"), "Europe/Paris"), 10, 10) == ()


def test_a_later_midnight_lets_a_whole_day_in_again_at_once() -> None:
    zone = "Europe/London"
    midnight = at("2023-03-29", zone)
    [sweep] = [s for s in sweeps(move(Span(1, "month"), zone), midnight - 1, midnight) if s.shift is None]
    assert (sweep.low, sweep.high) == (at("2023-02-28", zone), at("2023-03-01", zone) - 1)
    assert sweep.at == midnight
