"""Avro without a registry: three framings, and bytes or schemas that mean harm."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from kohort.errors import BadInput
from kohort.ingest.tracking.records import arrival_of_value
from kohort.live.avro import NotAvro, Schemas, encoded, fingerprint, is_avro, parsed

fastavro = pytest.importorskip("fastavro")

WRITTEN = {
    "type": "record",
    "name": "Change",
    "namespace": "shop",
    "fields": [
        {"name": "customer", "type": "string"},
        {"name": "event", "type": {"type": "enum", "name": "Kind", "symbols": ["seen", "bought"]}},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}
VALUE = {
    "customer": "c1",
    "event": "bought",
    "time": datetime(2025, 6, 15, 15, tzinfo=UTC),
    "id": UUID(int=7),
    "price": Decimal("12.50"),
    "tags": ["a", "b"],
}


def body(value: Any = None, schema: Any = None) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema or WRITTEN), VALUE if value is None else value)
    return out.getvalue()


def container(*values: Any, schema: Any = None, codec: str = "null") -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(schema or WRITTEN), values, codec=codec)
    return out.getvalue()


@pytest.fixture
def schemas(tmp_path: Path) -> Schemas:
    (tmp_path / "change.avsc").write_text(json.dumps(WRITTEN))
    return Schemas.read(tmp_path / "change.avsc")


def test_three_framings_hold_the_same_event(schemas: Schemas) -> None:
    single = encoded(VALUE, parsed(json.dumps(WRITTEN)))
    for framed in (b"\x00\x00\x00\x00\x09" + body(), single, container(VALUE)):
        assert is_avro(framed)
        found = schemas.object_of(framed)
        arrival = arrival_of_value(found, topic="t", partition=0, offset=1, timestamp_us=1)
        assert arrival.payload == {
            "type": "track",
            "userId": "c1",
            "event": "bought",
            "timestamp": "2025-06-15T15:00:00+00:00",
            "messageId": str(UUID(int=7)),
            "properties": {"price": 12.5, "tags": ["a", "b"]},
        }


def test_a_container_brings_its_schema() -> None:
    assert Schemas.read(None).object_of(container(VALUE))["customer"] == "c1"


def test_numbers_choose_among_the_schemas_of_a_folder(tmp_path: Path) -> None:
    other = {"type": "record", "name": "Other", "fields": [{"name": "customer", "type": "long"}]}
    (tmp_path / "3.avsc").write_text(json.dumps(WRITTEN))
    (tmp_path / "12.avsc").write_text(json.dumps(other))
    schemas = Schemas.read(tmp_path)
    assert schemas.object_of(b"\x00\x00\x00\x00\x03" + body())["customer"] == "c1"
    assert schemas.object_of(b"\x00\x00\x00\x00\x0c" + body({"customer": 5}, other)) == {"customer": 5}
    with pytest.raises(NotAvro):
        schemas.object_of(b"\x00\x00\x00\x00\x04" + body())


def test_a_fingerprint_is_the_one_of_the_specification() -> None:
    # CRC-64-AVRO of the canonical form "int", of the specification's own test data, little endian.
    assert int.from_bytes(fingerprint("int"), "little") == 0x7275D51A3F395C8F


def test_bytes_of_another_schema_are_refused(schemas: Schemas) -> None:
    good = b"\x00\x00\x00\x00\x01" + body()
    bad = [good[:n] for n in range(1, len(good))] + [good + b"\x00", b"\xc3\x01" + bytes(8) + body()]
    bad += [container(VALUE, VALUE), container(), container(VALUE)[:-1], container(VALUE, codec="deflate")]
    for value in bad:
        with pytest.raises(NotAvro):
            schemas.object_of(value)


def test_no_bytes_do_harm(schemas: Schemas) -> None:
    rng, refused = Random(5), 0
    good = [b"\x00\x00\x00\x00\x01" + body(), encoded(VALUE, parsed(json.dumps(WRITTEN))), container(VALUE)]
    for _ in range(3_000):
        value = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            value[rng.randrange(4, len(value))] = rng.randrange(256)
        try:
            assert isinstance(schemas.object_of(bytes(value)), dict)
        except NotAvro:
            refused += 1
    assert 100 < refused < 3_000, "some are objects still: a flipped letter in a text is another text"


ENDLESS: dict[str, Any] = {
    "refers to itself": {
        "type": "record",
        "name": "Node",
        "fields": [{"name": "next", "type": ["null", "Node"]}],
    },
    "refers to itself by its space": {
        "type": "record",
        "name": "Node",
        "namespace": "a.b",
        "fields": [{"name": "next", "type": {"type": "array", "items": "a.b.Node"}}],
    },
    "lists of nothing": {"type": "array", "items": "null"},
    "lists of empty records": {"type": "array", "items": {"type": "record", "name": "E", "fields": []}},
    "lists of what is nothing by name": {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "a", "type": {"type": "fixed", "name": "F", "size": 0}},
            {"name": "b", "type": {"type": "array", "items": "F"}},
        ],
    },
    "unknown name": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "Missing"}]},
    "not a schema": {"type": 7},
    "a number": 7,
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_schemas_that_a_few_bytes_could_make_endless_are_refused(kind: str) -> None:
    with pytest.raises(BadInput) as caught:
        parsed(json.dumps(ENDLESS[kind]))
    assert caught.value.code == "bad_schema"


def test_a_deep_schema_is_refused(tmp_path: Path) -> None:
    text = '{"type": "array", "items": ' * 5_000 + '"string"' + "}" * 5_000
    for schema in (text, '{"type":' * 100_000):
        with pytest.raises(BadInput):
            parsed(schema)
    with pytest.raises(BadInput):
        Schemas.read(tmp_path)  # an empty folder
    with pytest.raises(BadInput):
        Schemas.read(tmp_path / "missing.avsc")


def test_the_same_name_may_be_used_twice() -> None:
    both = [{"name": n, "type": "shop.Price"} for n in ("b", "c")]
    price = {"type": "record", "name": "shop.Price", "fields": [{"name": "amount", "type": "double"}]}
    schema = {"type": "record", "name": "Order", "fields": [{"name": "a", "type": price}, *both]}
    value = {"a": {"amount": 1.5}, "b": {"amount": 2.5}, "c": {"amount": 3.5}}
    assert Schemas(None, {}, {}).object_of(container(value, schema=schema)) == value
    assert encoded(value, parsed(json.dumps(schema)))[:2] == b"\xc3\x01"
