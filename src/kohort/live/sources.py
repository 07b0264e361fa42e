"""Where arrivals come from: each source hands out what is not yet in the store, and is told what is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kohort.ingest.tracking.bodies import frame_arrivals
from kohort.model.arrival import Arrival
from kohort.model.source import RejectedRow

if TYPE_CHECKING:
    from kohort.live.fed import Frames

JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a source handed out.

    Attributes:
        arrivals: In the order in which they came.
        positions: Where each part of the source is to be read from once these are stored.
        rejected: What is no event at all, so that not even its fields can be judged.
        more: Whether more is waiting.
    """

    arrivals: Sequence[Arrival] = ()
    positions: Mapping[str, int] = field(default_factory=dict)
    rejected: Sequence[RejectedRow] = ()
    more: bool = False


def together(found: Iterable[Taken]) -> Taken:
    """What several sources handed out, as one."""
    every = list(found)
    return Taken(
        [arrival for one in every for arrival in one.arrivals],
        {name: at for one in every for name, at in one.positions.items()},
        [row for one in every for row in one.rejected],
        any(one.more for one in every),
    )


class Source(Protocol):
    """A log that can be read again from a position: the journal of the HTTP door, or a topic."""

    def take(self, positions: Mapping[str, int], limit: int) -> Taken:
        """About `limit` arrivals after the stored positions; none where nothing is waiting. Never waits."""
        ...

    def wait(self, positions: Mapping[str, int], seconds: float) -> bool:
        """Waits until something is there, and says whether it is."""
        ...

    def stored(self, positions: Mapping[str, int]) -> None:
        """Everything up to these positions has had its effect and may be forgotten."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing.

    Attributes:
        name: As those who watch know it, such as "kafka:orders".
        problem: A name for what went wrong last; empty once it works again.
        gaps: How often arrivals were gone before they were read, since this process began.
        lost: Arrivals that were, as far as can be known.
    """

    name: str
    problem: str = ""
    gaps: int = 0
    lost: int = 0


@runtime_checkable
class Telling(Protocol):
    """A source that something can happen to. Any thread may ask."""

    def state(self) -> SourceState: ...


def states(sources: Iterable[object]) -> list[SourceState]:
    """How those sources are doing that tell it."""
    return [source.state() for source in sources if isinstance(source, Telling)]


class JournalSource:
    """The journal of the HTTP door: its frames are requests, with one or many events each."""

    def __init__(self, journal: Frames) -> None:
        self._journal = journal

    def take(self, positions: Mapping[str, int], limit: int) -> Taken:
        after = positions.get(JOURNAL, 0)
        frames = self._journal.read(after, limit * _BYTES_PER_EVENT)
        arrivals: list[Arrival] = []
        for frame in frames:
            arrivals += frame_arrivals(frame.body, frame.meta, frame.number)
            after = frame.number
            if len(arrivals) >= limit:
                break
        return Taken(arrivals, {JOURNAL: after} if frames else {}, more=self._journal.last > after)

    def wait(self, positions: Mapping[str, int], seconds: float) -> bool:
        return self._journal.wait(positions.get(JOURNAL, 0), seconds)

    def stored(self, positions: Mapping[str, int]) -> None:
        self._journal.forget(positions.get(JOURNAL, 0))

    def close(self) -> None:
        self._journal.close()


_BYTES_PER_EVENT = 2_000
"""How much of the journal is looked at for one event; a request with more is taken whole."""
