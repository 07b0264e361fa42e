"""Membership as plain values: who is in which part of which definition, since when, and every change exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

Change = Literal["entered", "left"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry or exit. (name, segment, customer, number) is unique for ever.

    Attributes:
        seq: Position in the log of all transitions of the workspace, growing.
        name: The definition.
        segment: The key of its part.
        customer: Pseudonym (of an account for definitions of accounts).
        change: entered or left.
        number: 1 for the first entry, 2 for the exit after it, 3 for the next entry …
        at: When it took effect, microseconds UTC.
        version: Version of the definition that decided it.
        backfill: Caused by a new or edited definition, not by the customer: triggers leave it alone by default.
    """

    seq: int
    name: str
    segment: str
    customer: int
    change: Change
    number: int
    at: int
    version: int
    backfill: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """Who is where in one definition, as one evaluation found it.

    Attributes:
        rows: `customer` int64 (each once), `segment` text, `confidence` float64 or null, `reason` text or null; or what
            makes them when they are needed, so that many definitions take the memory of one.
        backfill: See `Transition`.
    """

    name: str
    version: int
    rows: pa.Table | Callable[[], pa.Table]
    backfill: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """How a run differs from the one before: customers who entered, left, moved to another part, or stayed."""

    entered: int
    left: int
    moved: int
    stayed: int


@dataclass(frozen=True, slots=True)
class Status:
    """How a definition is doing. Instants are microseconds UTC; None = never.

    Attributes:
        version: Version of the definition that the members follow; 0 = never evaluated.
        size: Members now.
        evaluated_at: When the last evaluation succeeded (wall clock).
        as_of: The moment that its members show.
        duration_ms: Of that evaluation; shared ones count the whole run's.
        failed_at: When the last evaluation failed, if none has succeeded since.
        error: Its code and sentence, empty otherwise.
    """

    name: str
    version: int = 0
    size: int = 0
    evaluated_at: int | None = None
    as_of: int | None = None
    duration_ms: int | None = None
    failed_at: int | None = None
    error: str = ""

    @property
    def problem(self) -> str:
        """The sentence of the error, for people."""
        code, _, sentence = self.error.partition(": ")
        return sentence if sentence and " " not in code else self.error
