"""What clients send in a case, through the same normaliser that a workspace has at its door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kohort.ingest.tracking.normalise import Normaliser
from kohort.model.arrival import Arrival
from kohort.model.event import Event
from kohort.testing.conformance import CaseTurn

_OWN = ("event_id", "customer", "event", "ts")


def came_in(turn: CaseTurn) -> CaseTurn:
    """The turn with events in place of its calls; what the door refuses is not among them."""
    if not turn.calls:
        return turn
    arrivals = [
        Arrival(
            {
                "type": call.event,
                "messageId": call.event_id,
                "userId": str(call.customer),
                **({"timestamp": call.stated} if call.stated else {}),
            },
            call.received,
            "cases",
            f"{n}",
            call.sent or None,
        )
        for n, call in enumerate(turn.calls)
    ]
    made = Normaliser(_Pseudonyms(), {}, turn.zone, turn.currency).normalise(arrivals)
    events = []
    for row in made.table.to_pylist():
        values = {k: v for k, v in row.items() if k not in _OWN and v is not None}
        events.append(Event(row["event_id"], row["customer"], row["event"], row["ts"], values))
    return replace(turn, arrived=(*turn.arrived, *events), calls=())


class _Pseudonyms:
    """Cases name customers by their pseudonyms; nobody is erased at the door."""

    def customers(self, refs: Sequence[str]) -> np.ndarray:
        return np.array([int(ref) for ref in refs], dtype=np.int64)

    def visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray:
        return -self.customers(anonymous_ids)

    def erased_refs(self, refs: Sequence[str]) -> np.ndarray:
        return np.zeros(len(refs), dtype=bool)

    erased_visitors = erased_refs

    def bot_ids(self, keys: Sequence[int] | np.ndarray) -> list[str]:
        return [str(int(key)) for key in keys]

    def seal(self, keys: Sequence[int], kind: str, values: Sequence[str]) -> object:
        return None
