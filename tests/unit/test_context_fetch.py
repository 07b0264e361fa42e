"""Series that are fetched: within a budget, not sooner than they may have changed, and without changing what was known before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kohort
from kohort.definitions.workspace_file import parse, write
from kohort.errors import BadInput, NotFound, RefusedDefinition, SourceFailed, WrongUsage
from kohort.ingest.context import read_series
from kohort.ingest.context_fetch import Fetched, fetch, kept_of
from kohort.ingest.memory import MemoryStore
from kohort.model.clock import parse_instant
from kohort.model.connection import Mark
from kohort.model.context import ContextSeries

SERIES = """
connections:
  knmi: {rest: "https://weather.example/days", pages: none, since: {column: day, param: from, overlap: 0 minutes%s}}
  files: {files: "s3://bucket/*.csv"}
context:
  weather:
    connection: knmi
    refresh: 6 hours
    requests_per_day: 3
    time: day
    area: station
    delay: 1 day
    customer_area: t_city
    features: {rain_7d: {sum: rain_mm, within: 7 days}}
"""
NOW = parse_instant("2024-03-10T12:00:00Z")
HOUR, DAY = 3_600_000_000, 86_400_000_000


def day(n: int, rain: object, station: str = "a") -> dict[str, Any]:
    return {"day": f"2024-03-{n:02}", "station": station, "rain_mm": rain, "about": {"us": "nothing"}}


class World:
    """A series, the API that gives it, and what is remembered of it."""

    def __init__(self, root: Path, more: str = "") -> None:
        config = parse("name: T\n" + SERIES % more)
        (self.series,), self.connection = config.context, config.connections[0]
        self.root, self.state, self.now = root, MemoryStore().state, NOW
        self.pages: list[list[Any] | SourceFailed] = []
        self.asked: list[Mark | None] = []

    def feed(self, spend: Callable[[], None]) -> Callable[[Mark | None], Iterator[list[Any]]]:
        def pages(since: Mark | None) -> Iterator[list[Any]]:
            self.asked.append(since)
            for page in self.pages:
                spend()
                if isinstance(page, SourceFailed):
                    raise page
                yield page

        return pages

    def fetch(self, *pages: list[Any] | SourceFailed, again: bool = False) -> Fetched:
        self.pages = list(pages)
        return fetch(
            self.series, self.connection, self.feed, state=self.state, root=self.root, now=self.now, again=again
        )

    def known(self, as_of: str, series: ContextSeries | None = None) -> dict[str, float]:
        """Day → what a moment knows of it."""
        table = read_series(series or self.series, self.root, zone="UTC").observations.to_pylist()
        moment = parse_instant(as_of)
        seen = sorted((row for row in table if row["known"] <= moment), key=lambda row: row["known"])
        return {f"{row['area']}{row['ts'] // DAY}": row["rain_mm"] / 1e6 for row in seen}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_came_is_kept_in_a_file_and_read_from_there(world: World) -> None:
    with pytest.raises(BadInput) as refused:
        read_series(world.series, world.root, zone="UTC")
    assert refused.value.code == "not_fetched"
    told = world.fetch([day(1, 2.5), day(2, 0)], [day(1, 1, "b"), "odd"])
    assert (told.asked, told.new, told.corrected, told.unusable, told.requests) == (True, 3, 0, 1, 2)
    assert told.error is None
    assert len(world.known("2024-03-09T00:00:00Z")) == 3
    assert "nothing" not in (world.root / world.series.place).read_text()


def test_what_is_new_enough_is_not_asked_for_and_then_only_what_is_newer(world: World) -> None:
    world.fetch([day(1, 2.5), day(2, 0)])
    world.now = NOW + 6 * HOUR - 1
    assert world.fetch([day(3, 1)]).asked is False
    world.now = NOW + 6 * HOUR
    assert world.fetch([day(2, 0), day(3, 1)]).new == 1
    assert [mark.value if mark else None for mark in world.asked] == [None, parse_instant("2024-03-02T00:00:00Z")]
    assert world.fetch(again=True).asked is True
    assert world.asked[-1] is None


def test_no_day_sees_more_requests_than_it_may_and_none_is_forgotten(world: World) -> None:
    pages = [[day(n, n)] for n in range(1, 6)]
    told = world.fetch(*pages)
    assert (told.new, told.requests) == (3, 3)
    assert told.error is not None
    assert (told.error.code, told.error.retry) == ("budget_spent", True)
    assert kept_of(world.state, world.series).used_on(world.now) == 3
    assert world.fetch(*pages, again=True).requests == 0, "not even from the beginning"
    world.now = NOW + DAY
    assert kept_of(world.state, world.series).used_on(world.now) == 0
    assert world.fetch(*pages).new == 0, "the first three again: nobody promised an order"
    assert world.asked[-1] is None


def test_an_api_that_gives_older_rows_first_goes_on_from_where_it_was(tmp_path: Path) -> None:
    world = World(tmp_path, ", ascending: true")
    world.fetch([day(1, 1)], [day(2, 2)], SourceFailed("It fails.", retry=True))
    assert kept_of(world.state, world.series).fetched_us == 0
    world.now = NOW + DAY
    assert world.fetch([day(2, 2)], [day(3, 3)]).error is None
    assert world.asked[-1] == Mark(parse_instant("2024-03-02T00:00:00Z"), True, zoned=False)
    assert len(world.known("2024-03-20T00:00:00Z")) == 3


def test_a_correction_is_known_from_its_fetch_on_and_the_past_stays_as_it_was(world: World) -> None:
    world.fetch([day(1, 2.5), day(9, 4)])
    world.now = NOW + DAY
    told = world.fetch([day(1, 3.5), day(9, 4)])
    assert (told.new, told.corrected) == (0, 1)
    first = f"a{parse_instant('2024-03-01T00:00:00Z') // DAY}"
    assert world.known("2024-03-01T12:00:00Z") == {}
    assert world.known("2024-03-10T11:00:00Z")[first] == 2.5
    assert world.known("2024-03-11T12:00:00Z")[first] == 3.5
    world.now = NOW + 2 * DAY
    assert world.fetch([day(1, 3.5)], again=True).corrected == 0


def test_another_question_begins_at_the_beginning(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.fetch([day(1, 1)])
    world.connection = parse("name: T\n" + (SERIES % "").replace("days", "hours")).connections[0]
    world.fetch(SourceFailed("It fails.", retry=True))
    assert len(world.known("2024-03-20T00:00:00Z")) == 1, "what was there stays until there is an answer"
    told = world.fetch([day(2, 1)])
    assert (told.asked, told.new) == (True, 1)
    assert world.asked[-1] is None
    assert len(world.known("2024-03-20T00:00:00Z")) == 1, "what the other one brought is no part of it"


def test_what_is_read_is_written_back_and_mistakes_are_told() -> None:
    config = parse("name: T\n" + SERIES % "")
    assert parse(write(config)) == config
    series = config.context[0]
    assert (series.connection, series.refresh_s, series.requests_per_day) == ("knmi", 21_600, 3)
    for old, new, said in (
        ("connection: knmi", "connection: knmo", "No API and no table"),
        ("connection: knmi", "connection: files", "No API and no table"),
        ("connection: knmi", "connection: knmi\n    file: w.csv", "needs a file, or a connection"),
        ("connection: knmi", "file: w.csv", "belongs to a series with a connection"),
        ("requests_per_day: 3", "requests_per_day: many", "whole number"),
    ):
        with pytest.raises(RefusedDefinition, match=said):
            parse("name: T\n" + (SERIES % "").replace(old, new))


def test_a_connection_of_a_series_brings_no_customers(tmp_path: Path) -> None:
    with kohort.create(tmp_path / "ws") as ws:
        file = ws.root / "kohort.yaml"
        file.write_text(file.read_text() + (SERIES % "").replace('  files: {files: "s3://bucket/*.csv"}\n', ""))
        assert ws.connections.pull() == []
        with pytest.raises(WrongUsage, match="about no customers"):
            ws.connections.pull(["knmi"])
        (told,) = ws.context.listed()
        assert told["fetched"] == {"at": None, "requests_today": 0, "requests_per_day": 3}
        assert (told["read"], told["first"]) == (0, None)
        with pytest.raises(NotFound):
            ws.context.fetch(["rain"])
        json.dumps(told)
