"""A browser's signal becomes a statement about the purposes that the company named: she objects.

It is an event of its own, like any other consent that is written down, so evaluation knows one mechanism and it is kept for as long
as she is. It is said once a day, and again with the next event after she said something about the purpose herself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.ingest.tracking.columns import Columns, Row
from kohort.ingest.tracking.judge import Judged
from kohort.model.arrival import Arrival
from kohort.model.clock import DAY_US
from kohort.model.event import CONSENT, CONSENT_BY
from kohort.model.signals import CONTEXT, HEADERS, Signal

_REMEMBERED = 200_000
_YES = (True, 1, "1", "true", "yes")


class Objections:
    """Makes the statements of one workspace's signals.

    What was said before is remembered until this goes: where a step fails, its maker goes with it, so nothing is passed over that
    was not stored. Said twice, it means the same.

    Args:
        signals: Signal → traits of the purposes it objects to.
    """

    def __init__(self, columns: Columns, signals: Mapping[Signal, Sequence[str]]) -> None:
        self._columns = columns
        self._signals = {signal: tuple(traits) for signal, traits in signals.items() if traits}
        self._said: set[tuple[int, str, int]] = set()

    def of(self, event: Judged, row: Row, arrival: Arrival) -> list[Row]:
        """The statements that an event brings along; none where nothing new is said.

        Args:
            row: Of the event, filled. What it says of a purpose itself counts for this event.
        """
        found: list[Row] = []
        for signal, traits in self._signals.items():
            if not says(signal, arrival, event.context):
                continue
            for trait in traits:
                key = row["customer"], trait, event.ts // DAY_US
                if row.get(trait) is not None:
                    self._said.discard(key)
                elif key not in self._said:
                    self._remember(key)
                    found.append(self._statement(event, row, signal, trait))
        return found

    def _statement(self, event: Judged, row: Row, signal: Signal, trait: str) -> Row:
        said: Row = {name: row[name] for name in ("customer", "ts", "received_at")}
        said |= {"event_id": f"{event.event_id}~{signal}~{trait}", "event": CONSENT}
        self._columns.put(said, trait, False)
        self._columns.put(said, CONSENT_BY, HEADERS[signal])
        return said

    def _remember(self, key: tuple[int, str, int]) -> None:
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said.add(key)


def says(signal: Signal, arrival: Arrival, context: Mapping[str, Any]) -> bool:
    """Whether a request, or the context of its event, carries a signal.

    Example:
        >>> says("gpc", Arrival({}, 0, "web"), {"globalPrivacyControl": True})
        True
    """
    return signal in arrival.signals or any(_is_yes(context.get(name)) for name in CONTEXT[signal])


def _is_yes(value: Any) -> bool:
    return isinstance(value, bool | int | str) and value in _YES
