"""What time alone will do to one customer next: quick, for answers that somebody waits for.

The same question as `kohort.segments.next_change`, which replays conditions and says why. Here the compiled definitions are
asked at the instants that the clock's plan names, earliest first, several moments in one call, until a part differs. Where
somebody stands does not change before the first change, so all moments up to it may be asked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kohort.compile.windows import ahead
from kohort.definitions.windows import Span
from kohort.engines.segments import STANDING_SCHEMA

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.engines.pairs import Pairs
    from kohort.live.moments import TimePlan
    from kohort.live.shown import Place

HORIZON_YEARS = 10
MOST_ROWS = 30_000
"""Moments times events that are asked about at most, about 10 ms: who did very much is answered for the near future."""
_FIRST, _MOST = 32, 1_024
_LATEST_US = 32_472_144_000_000_000  # the year 2999: engines answer no later moments


@dataclass(frozen=True, slots=True)
class Change:
    """One definition in which somebody will be elsewhere; None = in none of its parts."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What time alone will do.

    Attributes:
        at: The first instant at which anything differs, microseconds UTC; None = nothing does up to `looked_until`.
        changes: What differs then, in the order of the definitions.
        looked_until: The last instant that is spoken for.
    """

    at: int | None
    changes: tuple[Change, ...]
    looked_until: int


Beside = Callable[[np.ndarray], "pa.Table | None"]
"""What decides beside events at some moments, see `BY_HAND_SCHEMA`; with `pair` in place of `customer`, the place of a moment,
where it is not the same at all of them. None = nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """One customer as she is now.

    Attributes:
        events: All of hers, those of the future too.
        beside: What decides beside her events.
        places: Where she is, by definition.
    """

    customer: int
    as_of: int
    events: pa.Table
    beside: Beside
    places: Mapping[str, Place]
    zone: str


def outlook(
    first: Pairs, pairs: Pairs, plan: TimePlan, definitions: Sequence[SegmentDefinition], asked: Question
) -> tuple[pa.Table, Outlook]:
    """The first instant after `asked.as_of` at which she is elsewhere in one of the definitions without a new event.

    Args:
        first: Asked once, about `asked.as_of` and the first instants together; may answer more than `pairs` does.
        pairs: Both are made of (at least) these definitions.
        plan: Of the same. What it calls drifting may change between the instants it names.
        definitions: Those looked at.

    Returns:
        The answer of `first`, whose first row is about `asked.as_of`, and what time will do.
    """
    standing = standing_of(asked)
    place = {d.name: i for i, d in enumerate(pairs.compiled.definitions)}

    def ask(which: Pairs, moments: np.ndarray) -> pa.Table:
        people = np.full(len(moments), asked.customer)
        beside = asked.beside(moments)
        return which.evaluate(pa.table({"person": people, "as_of": moments}), asked.events, beside, standing)

    now: pa.Table | None = None
    rows, looked = 0, asked.as_of
    for until, some in _chunks(_windows(plan, standing, asked)):
        if now is None:
            now = found = ask(first, np.concatenate([[asked.as_of], some]))
            found = found.slice(1)
        elif len(some):
            found = ask(pairs, some)
        if len(some):
            parts = {d.name: found[f"s{place[d.name]}"].to_numpy() for d in definitions}
            change = _first(definitions, parts, some, asked)
            if change is not None:
                return now, change
        rows, looked = rows + len(some) * asked.events.num_rows, until
        if rows > MOST_ROWS:
            break
    assert now is not None
    return now, Outlook(None, (), looked)


def _chunks(windows: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Instants in portions that grow, each with the last instant that it speaks for; at least one portion."""
    size, waiting, end = _FIRST, np.empty(0, np.int64), 0
    for until, moments in windows:
        waiting, end = np.concatenate([waiting, moments]), until
        while len(waiting) >= size:
            some, waiting = waiting[:size], waiting[size:]
            yield (end if not len(waiting) else int(some[-1])), some
            size = min(size * 4, _MOST)
    yield end, waiting


def standing_of(asked: Question) -> pa.Table:
    """Where she is, as the relation that rules with memory ask."""
    rows = [(asked.customer, name, place.part, place.since) for name, place in asked.places.items()]
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, STANDING_SCHEMA, strict=True)], schema=STANDING_SCHEMA
    )


def _windows(plan: TimePlan, standing: pa.Table, asked: Question) -> Iterator[tuple[int, np.ndarray]]:
    """Ends of ever longer times to come, each with the instants in it at which something may change."""
    after = asked.as_of
    for span in (Span(32, "day"), Span(1, "year"), Span(HORIZON_YEARS, "year")):
        until = min(ahead(span, asked.as_of, asked.zone), _LATEST_US)
        if until <= after:
            return
        due = plan.due(asked.events, after, until).at
        over = plan.stays_over(standing, after, until).at
        common = np.array(list(plan.everybody(after, until)), np.int64)
        yield until, np.unique(np.concatenate([due, over, common]))
        after = until


def _first(
    definitions: Sequence[SegmentDefinition], parts: Mapping[str, np.ndarray], moments: np.ndarray, asked: Question
) -> Outlook | None:
    """The first of some moments at which any part differs from where she is now."""
    first = len(moments)
    for definition in definitions:
        now = asked.places.get(definition.name)
        keys = [p.key for p in definition.parts]
        code = -1 if now is None else keys.index(now.part) if now.part in keys else None
        differs = np.flatnonzero(parts[definition.name] != code) if code is not None else np.zeros(1, np.int64)
        first = min(first, int(differs[0])) if len(differs) else first
    if first == len(moments):
        return None
    changes = []
    for definition in definitions:
        now = asked.places.get(definition.name)
        code = int(parts[definition.name][first])
        before, after = now.part if now else None, definition.parts[code].key if code >= 0 else None
        if before != after:
            changes.append(Change(definition.name, before, after))
    at = int(moments[first])
    return Outlook(at, tuple(changes), at)
