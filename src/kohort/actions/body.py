"""What a delivery says, in the shape its destination asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kohort.definitions.triggers import Format, Shape
from kohort.model.clock import iso
from kohort.model.delivery import CHANGED, Delivery


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a delivery is about, as the receiver may know her.

    Attributes:
        number: The company's own number; a short code where that is an identifier itself, or there is none.
        visitor: Nothing but an anonymous id is known.
        identifiers: Kind → values, where the destination asks for them.
    """

    number: str
    visitor: bool = False
    identifiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def body(
    delivery: Delivery,
    person: Person,
    shape: Shape,
    reason: str = "",
    format: Format = "json",  # noqa: A002
) -> bytes:
    """What a delivery says: the same each time it is sent, as long as the customer and the rule are the same.

    Args:
        reason: Why, in plain words; empty = it is not known.

    Raises:
        MissingExtra: It is to be Avro, and the library is not installed.
    """
    told = (_TRAITS if delivery.change == CHANGED else _SHAPES)[shape](delivery, person, reason)
    if format == "avro":
        from kohort.actions.avro_schema import as_avro

        return as_avro(told, shape)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def audience_key(name: str, part: str) -> str:
    """The name of a segment as other tools write them.

    Example:
        >>> audience_key("Big spenders", "Big spenders"), audience_key("value", "gold")
        ('big_spenders', 'value_gold')
    """
    whole = name if part == name else f"{name} {part}"
    return re.sub(r"\W+", "_", whole.lower()).strip("_")


def _plain(d: Delivery, person: Person, reason: str) -> dict[str, Any]:
    data: dict[str, Any] = {
        "trigger": d.trigger,
        "customer_id": person.number,
        "visitor": person.visitor,
        "segment": d.name,
        "part": d.segment,
        "from" if d.change == "entered" else "to": d.other or None,
        "change": d.change,
        "number": d.nth,
        "at": iso(d.at),
        "version": d.version,
        "reason": reason,
    }
    return _whole(f"segment.{d.change}", d, person, data)


def _track(d: Delivery, person: Person, _reason: str) -> dict[str, Any]:
    key = audience_key(d.name, d.segment)
    properties = {"audience_key": key, key: d.change == "entered"}
    event = "Audience Entered" if d.change == "entered" else "Audience Exited"
    told = {**_call("track", d, person), "event": event, "properties": properties}
    return told | ({"context": {"traits": _traits(person)}} if person.identifiers else {})


def _identify(d: Delivery, person: Person, _reason: str) -> dict[str, Any]:
    traits = _traits(person) | {audience_key(d.name, d.segment): d.change == "entered"}
    return {**_call("identify", d, person), "traits": traits}


def _call(kind: str, d: Delivery, person: Person) -> dict[str, Any]:
    who = {"anonymousId" if person.visitor else "userId": person.number}
    return {"type": kind, "messageId": d.id, **who, "timestamp": iso(d.at)}


def _traits(person: Person) -> dict[str, Any]:
    return {kind: values[0] for kind, values in person.identifiers.items() if values}


def _whole(kind: str, d: Delivery, person: Person, data: dict[str, Any]) -> dict[str, Any]:
    if person.identifiers:
        data["identifiers"] = {kind: list(values) for kind, values in person.identifiers.items()}
    return {"id": d.id, "type": kind, "timestamp": iso(d.at), "data": data}


# Changes of traits ----------------------------------------------------------------------------------------------------


def _plain_traits(d: Delivery, person: Person, _reason: str) -> dict[str, Any]:
    data = {
        "trigger": d.trigger,
        "customer_id": person.number,
        "visitor": person.visitor,
        "change": d.change,
        "at": iso(d.at),
        "traits": _values(d.segment),
        "previous": _values(d.other),
    }
    return _whole("traits.changed", d, person, data)


def _track_traits(d: Delivery, person: Person, _reason: str) -> dict[str, Any]:
    properties = _values(d.segment) | {f"previous_{name}": value for name, value in _values(d.other).items()}
    told = {**_call("track", d, person), "event": "Traits Changed", "properties": properties}
    return told | ({"context": {"traits": _traits(person)}} if person.identifiers else {})


def _identify_traits(d: Delivery, person: Person, _reason: str) -> dict[str, Any]:
    return {**_call("identify", d, person), "traits": _traits(person) | _values(d.segment)}


def _values(text: str) -> dict[str, Any]:
    """Values by the names of their traits; none where they were taken out with an erased person."""
    return {column.removeprefix("t_"): value for column, value in json.loads(text or "{}").items()}


_SHAPES = {"plain": _plain, "track": _track, "identify": _identify}
_TRAITS = {"plain": _plain_traits, "track": _track_traits, "identify": _identify_traits}
