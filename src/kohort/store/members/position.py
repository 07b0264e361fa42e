"""Where the live loop is: one document of the state that every tick replaces, and that says how far members are current."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.model.source import BatchReport
from kohort.store import schema
from kohort.store.sealed import SealedTable

live_states = SealedTable(schema.live_state)
_NAME = "position"


@dataclass(frozen=True, slots=True)
class Head:
    """A definition that the loop keeps current: what has happened since its latest run.

    Attributes:
        run: That run; where another one is stored, somebody else published and this says nothing.
        version: Of the definition that decides.
        size: Members now.
        entered, left, moved: Customers since that run.
    """

    run: int
    version: int
    size: int
    entered: int = 0
    left: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Holds:
    """What the event log holds: other figures mean that somebody else brought in or took out something.

    Moving events from the hot part to the base, or merging files, changes nothing of it.
    """

    events: int = 0
    links: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Where the live loop is.

    Attributes:
        as_of: The moment that memberships show, microseconds UTC; 0 = it never ran.
        sources: Source → number of the last frame, or next offset, whose effects are in the store.
        log: What the event log held when memberships were made from it.
        heads: Definitions that are kept current.
        batches: Source → what became of its events today.
        late: Customers with so many events that they wait for being evaluated; members show them as they were.
        decided: Number of the latest action by hand that members show.
        behind: Whether events were stored that no definition has been asked about: a full run is due.
    """

    as_of: int = 0
    sources: Mapping[str, int] = field(default_factory=dict)
    log: Holds = Holds()
    heads: Mapping[str, Head] = field(default_factory=dict)
    batches: Mapping[str, BatchReport] = field(default_factory=dict)
    late: tuple[int, ...] = ()
    decided: int = 0
    behind: bool = False


def read_position(con: Connection) -> Position:
    """The stored position; that of a loop that never ran where there is none."""
    # Other rows beside it wait for others (`kohort.store.trait_changes`); there may be many.
    for row in live_states.some(con, sa.select(schema.live_state).where(schema.live_state.c.name == _NAME)):
        found: dict[str, Any] = orjson.loads(row["value"])
        heads = {name: Head(**head) for name, head in found["heads"].items()}
        batches = {s: BatchReport(**{**b, "notes": tuple(b["notes"])}) for s, b in found["batches"].items()}
        late = tuple(found.get("late", ()))
        more = found.get("decided", 0), found.get("behind", False)
        return Position(found["as_of"], found["sources"], Holds(**found["log"]), heads, batches, late, *more)
    return Position()


def put_position(con: Connection, position: Position) -> None:
    """Replaces the stored position, inside the caller's transaction."""
    value = orjson.dumps(position, default=dict, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
    if not live_states.update(con, schema.live_state.c.name == _NAME, value=value):
        live_states.insert(con, [{"name": _NAME, "value": value}])
