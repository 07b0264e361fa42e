"""The naive judge of clocks: what becomes of an event that comes in at the door (T6 in docs/semantics.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from kohort.model.clock import micros
from kohort.model.event import Event, Scalar
from kohort.testing.conformance.subject import Call


def at_the_door(call: Call, zone: str) -> Event | None:
    """The event with the time at which it happened; None where it is put aside."""
    received = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=call.received)
    happened = _happened(_read(call.stated), _read(call.sent), received)
    if happened > received + timedelta(days=1) or happened < datetime(1971, 1, 1, tzinfo=UTC):
        return None
    local = happened.astimezone(ZoneInfo(zone))
    values: dict[str, Scalar] = {"local_day": local.toordinal() - 719_163, "local_hour": local.hour}
    values["received_at"] = call.received
    return Event(call.event_id, call.customer, call.event, micros(happened), values)


def _happened(stated: datetime | None, sent: datetime | None, received: datetime) -> datetime:
    """The stated time, unless the client's clock was wrong when it sent: then what it says passed before sending."""
    if stated is None:
        return received
    if sent is None:
        return stated
    behind, waited = received - sent, sent - stated
    right = timedelta(0) <= behind <= timedelta(minutes=1)
    history = waited < timedelta(seconds=-1) or waited > timedelta(days=7)
    if right or history:
        return stated
    return received - max(waited, timedelta(0))


def _read(text: str) -> datetime | None:
    """A time as the cases write it, UTC unless it says otherwise; None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
