"""Series about the world around customers (weather, prices, trends): what they hold, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ContextKind = Literal["last", "mean", "sum", "min", "max"]
DAY_S = 86_400
KNOWN_SINCE = "known_since"
"""Column of fetched rows: when a correction became known, which the API does not say; empty = the delay says it."""


@dataclass(frozen=True, slots=True)
class ContextFeature:
    """One number that every customer gets from a series, as it was known at the moment asked about.

    Attributes:
        name: The feature's.
        kind: last = the newest observation; the others are over the window.
        column: Of the series.
        within_s: Observations of so many seconds before the moment; of `last`, none older counts.
    """

    name: str
    kind: ContextKind
    column: str
    within_s: int


@dataclass(frozen=True, slots=True)
class ContextSeries:
    """A table of observations: each about a time and, mostly, an area; each known from some moment on.

    Attributes:
        file: Its path, from the workspace's folder; empty = it is fetched by a connection.
        time: Column of the time an observation is about.
        area: Column of the area; empty = the series holds for everybody.
        published: Column of when an observation became known; empty = `delay_s` after its time. Of several about the same
            time and area, the one that was published last counts, from then on.
        delay_s: Seconds from the time of an observation to its being known.
        time_format, zone: As of sources.
        customer_area: The customers' column that says where they are: `t_city`.
        areas: Path of a table that leads from what customers say to areas of the series; empty = they are the same.
        features: What is asked.
        connection: Name of the connection that gives its rows (`kohort.ingest.context_fetch`).
        refresh_s: Seconds for which fetched rows are taken for new.
        requests_per_day: Requests to the API on one UTC day at most; 0 = as many as it needs.
        rules_s: Rules may name its features; a figure that was noted for a customer counts for so many seconds. 0 = they may not.
    """

    name: str
    file: str
    time: str
    features: tuple[ContextFeature, ...]
    area: str = ""
    published: str = ""
    delay_s: int = 0
    time_format: str = "iso"
    zone: str = ""
    customer_area: str = ""
    areas: str = ""
    connection: str = ""
    refresh_s: int = 0
    requests_per_day: int = 0
    rules_s: int = 0

    @property
    def place(self) -> str:
        """The file that it is read from, from the workspace's folder: its own, or the one that fetched rows are kept in."""
        return self.file or f"context/fetched/{self.name}.jsonl"


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of a series, for the naive evaluator: `number` in millionths, instants in microseconds UTC."""

    area: str
    ts: int
    known: int
    number: int
