"""Moments relative to the one asked about, as constants (everybody at one moment) or as columns (one at many moments).

A plan never sees `as_of`: it asks a clock for edges. With fixed edges the instants stand in the SQL as numbers. With
moving edges the relation `moments` carries them, one row per moment, so that the text of a query stays the same whatever
moment is asked about, and many moments are answered at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import ibis

from kohort.compile.windows import ago, ahead, period_start
from kohort.definitions.windows import Span

Instant = int | str
"""A number of microseconds, or the name of a column of `moments`."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An instant that follows from the moment asked about.

    `period`: the last instant before the local period that lies `span` before the current one. `span` None = now.
    """

    direction: Literal["ago", "ahead", "period"] = "ago"
    span: Span | None = None
    zone: str = "UTC"

    def instant(self, as_of: int) -> int:
        """The edge as seen from one moment."""
        if self.span is None:
            return as_of
        match self.direction:
            case "ago":
                return ago(self.span, as_of, self.zone)
            case "ahead":
                return ahead(self.span, as_of, self.zone)
            case "period":
                return period_start(self.span.unit, self.span.amount, as_of, self.zone) - 1


NOW = Edge()


@dataclass(frozen=True, slots=True)
class FixedClock:
    """One moment for everybody."""

    as_of: int

    def at(self, edge: Edge) -> Instant:
        return edge.instant(self.as_of)


@dataclass(frozen=True, slots=True)
class MovingClock:
    """Every moment has its own row in `moments`; `edges` says what the columns of that relation hold."""

    edges: dict[Edge, str] = field(default_factory=dict)

    def at(self, edge: Edge) -> Instant:
        return self.edges.setdefault(edge, f"m{len(self.edges)}")

    def row(self, as_of: int) -> dict[str, int]:
        """The columns of one moment."""
        return {name: edge.instant(as_of) for edge, name in self.edges.items()}


Clock = FixedClock | MovingClock


def on(table: Any, instant: Instant) -> Any:
    """An instant as an expression over a table that carries the edges."""
    return table[instant] if isinstance(instant, str) else ibis.literal(instant, "int64")
