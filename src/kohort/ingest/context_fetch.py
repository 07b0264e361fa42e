"""Series fetched by a connection: what is new is added to a file of the workspace, politely.

The file is the cache: features are read from it and never from the network. It is fetched again once it is older than `refresh`, and no
day sees more requests than `requests_per_day`; each is counted before it is sent, so that an interruption forgets none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError, SourceFailed, TooLarge
from kohort.ingest.connect.marks import furthest
from kohort.ingest.jsonlines import flat
from kohort.model.clock import DAY_US, iso
from kohort.model.connection import Connection, Mark
from kohort.model.context import KNOWN_SINCE, ContextSeries
from kohort.store.files import flush_folder, write_whole

if TYPE_CHECKING:
    from kohort.ingest.connect.run import Fetch
    from kohort.ingest.sink import StateSink

MOST_ROWS = 2_000_000
"""Of one series: it is read as a whole."""

Row = dict[str, str]
Spend = Callable[[], None]
"""Counts one request.

Raises:
    SourceFailed: None is left today (`budget_spent`).
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of a series between two fetches.

    Attributes:
        digest: Of the connection.
        mark: Where the next fetch begins; None = at the beginning.
        fetched_us: When it last came to its end; 0 = never.
        day, used: A UTC day (days since 1970) and the requests that it saw.
    """

    digest: str = ""
    mark: Mark | None = None
    fetched_us: int = 0
    day: int = 0
    used: int = 0

    def used_on(self, now: int) -> int:
        """Requests of the day of a moment."""
        return self.used if self.day == now // DAY_US else 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one fetch came to.

    Attributes:
        asked: False = what is there is new enough: nothing was asked.
        new, corrected: Rows about times and areas that were not known, and about known ones with other values.
        unusable: Rows that are no objects with values.
        requests: Sent by this fetch, failed ones included.
        error: Why it ended early; what came before is kept. None = it came to its end.
    """

    series: str
    asked: bool = True
    new: int = 0
    corrected: int = 0
    unusable: int = 0
    requests: int = 0
    error: KohortError | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the doors."""
        return {
            "name": self.series,
            "asked": self.asked,
            "new": self.new,
            "corrected": self.corrected,
            "unusable": self.unusable,
            "requests": self.requests,
            "error": None if self.error is None else self.error.as_dict(),
        }


def kept_of(state: StateSink, series: ContextSeries) -> Kept:
    """What is remembered of a series."""
    found = state.bookmark(_bookmark(series))
    if not isinstance(found, dict):
        return Kept()
    return Kept(**{**found, "mark": None if found["mark"] is None else Mark(**found["mark"])})


def fetch(
    series: ContextSeries,
    connection: Connection,
    feed: Callable[[Spend], Fetch],
    *,
    state: StateSink,
    root: Path,
    now: int,
    again: bool = False,
) -> Fetched:
    """Fetch what a series has that is new, and add it to its file.

    Args:
        feed: Given what counts requests, what gives the rows (`kohort.ingest.connect.feeds.open_feed`).
        root: The workspace's folder.
        now: Microseconds UTC.
        again: From the beginning, however new it is; the budget holds all the same.

    Raises:
        TooLarge: It has more rows than are read. Nothing of it is kept.
    """
    place, kept = root / series.place, kept_of(state, series)
    # What another question brought is no part of this series; it stays until this one brings something.
    same = kept.digest == connection.digest
    begin = None if again or not same or not place.exists() else kept.mark
    if same and not again and place.exists() and now < kept.fetched_us + series.refresh_s * 1_000_000:
        return Fetched(series.name, asked=False)
    budget, shelf = _Budget(series, kept, state, now), _Shelf(series, _read(place) if same else [])
    reached, failed = begin, None
    try:
        for page in feed(budget.spend)(begin):
            shelf.add(page, now)
            if connection.since is not None:
                reached = furthest(page, connection.since.column, reached, now=now)
    except TooLarge:
        raise
    except KohortError as error:
        failed = error
    if shelf.rows:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, *_lines(shelf.rows))
        flush_folder(place.parent)
    elif failed is None:
        place.unlink(missing_ok=True)
    if failed is None:
        budget.keep(digest=connection.digest, mark=reached, fetched_us=now)
    elif shelf.rows:
        # An API that gives older rows first goes on from where it was; any other begins where this fetch began.
        in_order = connection.since is not None and connection.since.ascending
        mark, ended = reached if in_order else begin, kept.fetched_us if same else 0
        budget.keep(digest=connection.digest, mark=mark, fetched_us=ended)
    return Fetched(series.name, True, shelf.new, shelf.corrected, shelf.unusable, budget.sent, failed)


class _Budget:
    """Requests of a series on one day."""

    def __init__(self, series: ContextSeries, kept: Kept, state: StateSink, now: int) -> None:
        self._series, self._state = series, state
        self.kept = replace(kept, day=now // DAY_US, used=kept.used_on(now))
        self.sent = 0

    def spend(self) -> None:
        most = self._series.requests_per_day
        if most and self.kept.used >= most:
            raise SourceFailed(
                f"{self._series.name!r} has had its {most:,} requests of today.",
                code="budget_spent",
                hint="What came before is stored; run it again tomorrow, or raise requests_per_day.",
                retry=True,
            )
        self.sent += 1
        self.keep(used=self.kept.used + 1)

    def keep(self, **changed: Any) -> None:
        """Remembers it, on disk."""
        self.kept = replace(self.kept, **changed)
        self._state.set_bookmark(_bookmark(self._series), asdict(self.kept))


class _Shelf:
    """The rows of a series: what is known of each area and time, and what came to correct it."""

    def __init__(self, series: ContextSeries, rows: list[Row]) -> None:
        self.rows = rows
        self.new = self.corrected = self.unusable = 0
        self._keys = tuple(name for name in (series.area, series.time) if name)
        self._said = sorted({f.column for f in series.features} | ({series.published} - {""}))
        # Where the API says when a row became known, a correction is a row like any other.
        self._dated = bool(series.published)
        self._last = {self._key(row): self._values(row) for row in rows}

    def add(self, page: Iterable[Any], now: int) -> None:
        for record in page:
            row, _ = flat(record)
            if row is None:
                self.unusable += 1
                continue
            key, values = self._key(row), self._values(row)
            before = self._last.get(key)
            if before == values:
                continue
            self._last[key] = values
            if before is None:
                self.new += 1
            else:
                self.corrected += 1
            since = iso(now) if before is not None and not self._dated else ""
            self.rows.append({**dict(zip(self._keys, key, strict=True)), **values, KNOWN_SINCE: since})
            if len(self.rows) > MOST_ROWS:
                raise TooLarge(f"The series has more than {MOST_ROWS:,} rows.", hint="Ask the API for less: params.")

    def _key(self, row: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(row.get(name, "") for name in self._keys)

    def _values(self, row: Mapping[str, str]) -> Row:
        return {name: row.get(name, "") for name in self._said}


def _read(place: Path) -> list[Row]:
    if not place.exists():
        return []
    with place.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _lines(rows: Sequence[Row]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _bookmark(series: ContextSeries) -> str:
    return f"context {series.name}"
