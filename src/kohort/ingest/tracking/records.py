"""Kafka records as arrivals: events of the tracking specification, or flat objects of one event each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from kohort.errors import BadInput
from kohort.ingest.limits import MAX_JSON_DEPTH
from kohort.ingest.tracking.bodies import parse
from kohort.ingest.tracking.reasons import Poison
from kohort.model.arrival import Arrival

FLAT = {
    "customer": "userId",
    "visitor": "anonymousId",
    "event": "event",
    "time": "timestamp",
    "id": "messageId",
    "traits": "traits",
}
"""Names of a flat record → fields of an event. All other names are its properties."""


def arrival_of(value: bytes | None, *, topic: str, partition: int, offset: int, timestamp_us: int) -> Arrival:
    """The arrival of one record whose value is JSON. Never fails: what cannot be read is refused later, with its place.

    Args:
        value: Of the record; None is a tombstone.
        timestamp_us: Of the record, µs UTC: it counts as the moment of arrival, so that reading it again gives the same.

    Example:
        >>> arrival_of(b'{"customer": 7, "event": "Seen", "colour": "red"}', topic="t", partition=0, offset=5,
        ...            timestamp_us=1).payload
        {'type': 'track', 'properties': {'colour': 'red'}, 'userId': 7, 'event': 'Seen'}
    """
    read: Any = Poison("empty_record")
    if value is not None:
        try:
            read = parse(value)
        except BadInput:
            read = Poison("bad_json", value[:1_000].decode("utf-8", errors="backslashreplace"))
    return _arrival(read, topic, partition, offset, timestamp_us)


def arrival_of_value(value: Any, *, topic: str, partition: int, offset: int, timestamp_us: int) -> Arrival:
    """The same for a value that is decoded already (Avro): an object, or anything else to be refused.

    Moments become ISO 8601, exact decimals numbers; bytes are refused later as no JSON.
    """
    return _arrival(_plain(value), topic, partition, offset, timestamp_us)


def _arrival(value: Any, topic: str, partition: int, offset: int, timestamp_us: int) -> Arrival:
    payload: Any = value if not isinstance(value, dict) or "type" in value else flat_event(value)
    sent = payload.get("sentAt") if isinstance(payload, dict) else None
    return Arrival(payload, timestamp_us, f"kafka:{topic}", f"{topic}/{partition}/{offset}", sent)


def _plain(value: Any, left: int = MAX_JSON_DEPTH + 8) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item, left - 1) for name, item in value.items()} if left else {}
    if isinstance(value, list | tuple):
        return [_plain(item, left - 1) for item in value] if left else []
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return Poison("bad_json") if isinstance(value, bytes | bytearray) else value


def flat_event(record: Mapping[str, Any]) -> dict[str, Any]:
    """The event that a flat record says: {"customer", "visitor", "event", "time", "id", "traits", properties…}.

    Without an event, but with traits, it is an `identify`.
    """
    known = {FLAT[name]: value for name, value in record.items() if name in FLAT}
    if known.get("event") is None and "traits" in known:
        known.pop("event", None)
        return {"type": "identify", **known}
    own = ("properties", "context", "userId", "anonymousId", "messageId", "timestamp", "sentAt", "originalTimestamp")
    fields = {name: record[name] for name in own if name in record}
    rest = {name: value for name, value in record.items() if name not in FLAT and name not in own}
    given = fields.get("properties")
    if rest or given is None:
        fields["properties"] = {**given, **rest} if isinstance(given, dict) else rest
    return {"type": "track", **fields, **known}
