"""What is asked of an implementation: to take turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.model.arrival import Link
from kohort.model.event import ColumnType, Event
from kohort.model.membership import Change as Direction


@dataclass(frozen=True, slots=True)
class HandMove:
    """A person puts somebody in (True), takes her out (False) or leaves it to the rule again (None)."""

    name: str
    part: str
    customer: int
    added: bool | None


@dataclass(frozen=True, slots=True)
class Call:
    """What a client sent: an event as it comes to the door, with the times of the client's own clock as it wrote them.

    Attributes:
        event_id, customer, event: As in `Event`.
        stated: When it happened; empty = not said.
        sent: When the client sent it; empty = not said.
        received: When it came in, by our clock (µs UTC).
    """

    event_id: str
    customer: int
    event: str
    stated: str
    sent: str
    received: int


@dataclass(frozen=True, slots=True)
class CaseTurn:
    """One turn of one case, ready to be taken. Cases know nothing of each other.

    Attributes:
        case: Turns of one case follow each other and share what was stored.
        definitions: All that there are from now on, checked.
        arrived: Events, whenever they happened.
        links: What says that two ids are one customer, whenever that was.
        taken_back: Event ids of links that were a mistake.
        erased: Customers who ask to be erased, before the evaluation; what arrives about them later stays outside.
        by_hand: Moves of people, in order.
        removed: Names of definitions to delete before.
        ask_past: Earlier moments to ask the members of, after the evaluation.
        calls: What came in at the door and has to be made events of, or put aside.
        alone: Counts would mix with those of other cases in one workspace.
    """

    case: str
    as_of: int
    definitions: tuple[SegmentDefinition, ...]
    arrived: tuple[Event, ...] = ()
    by_hand: tuple[HandMove, ...] = ()
    removed: tuple[str, ...] = ()
    ask_past: tuple[int, ...] = ()
    zone: str = "UTC"
    currency: str = "EUR"
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    features: tuple[FeatureDefinition, ...] = ()
    settings: SegmentSettings = field(default_factory=SegmentSettings)
    alone: bool = False
    links: tuple[Link, ...] = ()
    taken_back: tuple[str, ...] = ()
    erased: tuple[int, ...] = ()
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One entry or exit; accounts go by their name."""

    name: str
    part: str
    who: int | str
    change: Direction
    number: int
    backfill: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one turn.

    Attributes:
        members: Definition → customer (or account) → part.
        changes: Entries and exits of this turn.
        left_out: Definition → customers without consent who would be in.
        past: Moment asked → as `members`.
        counted: Customers with a visible event, and visitors where a definition includes them.
        error: Code of what was refused or failed; empty otherwise.
    """

    members: Mapping[str, Mapping[int | str, str]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    past: Mapping[int, Mapping[str, Mapping[int | str, str]]] = field(default_factory=dict)
    counted: tuple[int, int] = (0, 0)
    error: str = ""


class Subject(Protocol):
    """An implementation under test: evaluates definitions and keeps who is where."""

    def take(self, turns: Sequence[CaseTurn]) -> Sequence[Answer]:
        """One turn of each of several cases, in any order or all at once; one answer each."""
        ...
