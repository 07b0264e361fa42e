"""The Avro schemas of what is delivered, one per shape: the fields of the JSON under the same names, absent ones null.

They are part of what receivers rely on: whoever changes one gives it another fingerprint, and must say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kohort.definitions.triggers import Shape
from kohort.live.avro import encoded, parsed

NAMESPACE = "kohort.v1"
_TEXT, _FLAG = "string", "boolean"
_VALUE = ["null", "boolean", "long", "double", "string", {"type": "array", "items": "string"}]
_VALUES = {"type": "map", "values": _VALUE}


def schema_of(shape: Shape) -> dict[str, Any]:
    """The schema of a shape, ready to be written as JSON."""
    return {"type": "record", "namespace": NAMESPACE, **_SCHEMAS[shape]}


def as_avro(told: Mapping[str, Any], shape: Shape) -> bytes:
    """What a delivery says in Avro's framing of single messages: C3 01, the fingerprint of the schema, the object.

    Args:
        told: As the JSON has it.

    Raises:
        MissingExtra: The Avro library is not installed.
    """
    return encoded(told, _ready(shape))


@lru_cache(maxsize=3)
def _ready(shape: Shape) -> Any:
    import json

    return parsed(json.dumps(schema_of(shape)))


def _field(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind}


def _maybe(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}


_DATA = {
    "type": "record",
    "name": "Data",
    "fields": [
        _field("trigger", _TEXT),
        _field("customer_id", _TEXT),
        _field("visitor", _FLAG),
        _field("change", _TEXT),
        _field("at", _TEXT),
        *(_maybe(name, _TEXT) for name in ("segment", "part", "from", "to", "reason")),
        *(_maybe(name, "long") for name in ("number", "version")),
        *(_maybe(name, _VALUES) for name in ("traits", "previous")),
        _maybe("identifiers", {"type": "map", "values": {"type": "array", "items": "string"}}),
    ],
}
_CALL = [
    _field("type", _TEXT),
    _field("messageId", _TEXT),
    _maybe("userId", _TEXT),
    _maybe("anonymousId", _TEXT),
    _field("timestamp", _TEXT),
]
_CONTEXT = {"type": "record", "name": "Context", "fields": [_field("traits", _VALUES)]}
_SCHEMAS: dict[Shape, dict[str, Any]] = {
    "plain": {
        "name": "Delivery",
        "fields": [*(_field(name, _TEXT) for name in ("id", "type", "timestamp")), _field("data", _DATA)],
    },
    "track": {
        "name": "Track",
        "fields": [*_CALL, _field("event", _TEXT), _field("properties", _VALUES), _maybe("context", _CONTEXT)],
    },
    "identify": {"name": "Identify", "fields": [*_CALL, _field("traits", _VALUES)]},
}
