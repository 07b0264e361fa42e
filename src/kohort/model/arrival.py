"""What came in by the tracking API or a Kafka topic, before anything was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kohort.model.signals import Signal


@dataclass(frozen=True, slots=True)
class Arrival:
    """One tracking call (one event), parsed but not yet judged.

    Attributes:
        payload: The event as JSON: {"type": "track", "event": …}. What a batch says once for all of its events
            (`context`, `integrations`) is merged in already.
        received_at: When we took it, microseconds UTC.
        source: Who sent it: the name of a write key, or "kafka:TOPIC".
        place: Where it can be found again: "41:3" (request, place in its batch), "TOPIC/0/42".
        sent_at: When the client says it sent the request, as written; None where it does not say.
        user_agent: Of the request that brought it; empty where there was none. It is looked at and never stored.
        signals: What the request objected to by itself (`kohort.model.signals`).
    """

    payload: dict[str, Any]
    received_at: int
    source: str
    place: str = ""
    sent_at: Any = None
    user_agent: str = ""
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """An event that says that two ids are one customer; `kohort.model.arrival` events carry them, the store keeps them.

    Attributes:
        event_id: Of the event that says so; one event links at most one pair.
        customer: Pseudonym that is led …
        root: … to this one.
        ts: Since when, microseconds UTC.
    """

    event_id: str
    customer: int
    root: int
    ts: int
