"""Deliveries as plain values: one change of one customer on its way to one destination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeliveryState = Literal["pending", "held", "waiting", "done", "dead", "suppressed"]
"""pending: to be sent, or to be tried again, at `next_at`. held: quiet hours, until `next_at`. waiting: behind an
earlier one of the same customer at the same destination. done: the receiver said yes. dead: given up; can be replayed.
suppressed: not sent on purpose, `reason` says why."""

CHANGED = "changed"
"""What a delivery about a change of traits says in place of entered and left."""

OPEN: tuple[DeliveryState, ...] = ("pending", "held", "waiting")
DELIVERY_STATES: tuple[DeliveryState, ...] = (*OPEN, "done", "dead", "suppressed")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One change on its way. Instants are microseconds UTC; None = not yet, or never.

    Attributes:
        number: Order of creation; of one customer at one destination also the order of sending.
        id: The same for ever, for this trigger, destination and transition: receivers tell repetitions by it.
        trigger: Its name.
        seq: Of the transition that fired it; negative where it was a change of traits.
        name: The definition.
        segment: The key of its part; of a change of traits their values now, as JSON by column.
        other: The part before (of an entry) or after (of an exit) where she moved between parts; else empty. Of a change
            of traits their values before.
        customer: Pseudonym.
        change: entered, left or changed.
        nth: `number` of the transition: odd = entry; 0 where there is none.
        at: When it took effect.
        version: Of the definition that decided it.
        state: See `DeliveryState`.
        reason: Why it is in this state: "cap", "consent", "quiet hours", "status 503", "timeout" …; empty where plain.
        attempts: How often it was sent.
        status: The last answer's HTTP status.
        created_at: When it was made.
        due_at: When it was first to be sent: frequency caps count by it.
        first_at: When it was sent first.
        next_at: When it is to be sent.
        ended_at: When it became done, dead or suppressed.
    """

    number: int
    id: str
    trigger: str
    destination: str
    seq: int
    name: str
    segment: str
    other: str
    customer: int
    change: str
    nth: int
    at: int
    version: int
    state: DeliveryState
    reason: str
    attempts: int
    status: int | None
    created_at: int
    due_at: int
    first_at: int | None
    next_at: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A delivery that a trigger asks for.

    Attributes:
        hold_until: End of the quiet hours it falls into; None = it falls into none.
        suppressed: Why it is not to be sent at all; empty = it is.
        most: At most so many per customer, trigger and destination …
        most_us: … in any stretch of so many microseconds; 0 = no limit.
    """

    id: str
    trigger: str
    destination: str
    seq: int
    name: str
    segment: str
    other: str
    customer: int
    change: str
    nth: int
    at: int
    version: int
    hold_until: int | None = None
    suppressed: str = ""
    most: int = 0
    most_us: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A customer left what a trigger told of: what is still held for quiet hours is not to be sent any more."""

    trigger: str
    customer: int
    seq: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt to send, or of the decision not to.

    Attributes:
        state: pending (again at `next_at`), held, done, dead or suppressed.
        sent: Whether it was an attempt that counts.
        began_at: When it began.
    """

    number: int
    state: DeliveryState
    reason: str = ""
    status: int | None = None
    next_at: int | None = None
    sent: bool = True
    began_at: int | None = None
