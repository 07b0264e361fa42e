"""Kafka records as arrivals: events, flat objects, values that another format's reader decoded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from kohort.ingest.memory import MemoryVault
from kohort.ingest.tracking import Normaliser, arrival_of, arrival_of_value
from kohort.ingest.tracking.records import flat_event
from kohort.model.arrival import Arrival

NOW = 1_750_000_000_000_000
AT: dict[str, Any] = {"topic": "shop", "partition": 3, "offset": 42, "timestamp_us": NOW}


def rows(*found: Arrival) -> list[dict[str, Any]]:
    out = Normaliser(MemoryVault(), {}, "UTC", "EUR").normalise(found)
    assert not out.rejected
    return [{n: v for n, v in row.items() if v is not None} for row in out.table.to_pylist()]


def test_an_event_of_the_specification_is_taken_as_it_is() -> None:
    event = {"type": "track", "userId": "u", "event": "Seen", "sentAt": "2025-06-15T15:06:40Z", "messageId": "m"}
    found = arrival_of(json.dumps(event).encode(), **AT)
    assert (found.payload, found.place, found.source) == (event, "shop/3/42", "kafka:shop")
    assert (found.received_at, found.sent_at) == (NOW, "2025-06-15T15:06:40Z")


def test_a_flat_record_is_an_event_and_its_properties() -> None:
    record = {"customer": 17850, "event": "Seen", "time": "2025-06-15T15:00:00Z", "id": "c-1", "plan": "gold", "n": 2}
    (row,) = rows(arrival_of(json.dumps(record).encode(), **AT))
    assert (row["event"], row["event_id"], row["ts"]) == ("Seen", "c-1", NOW - 400_000_000)
    assert (row["p_plan"], row["p_n"], row["customer"] > 0) == ("gold", 2_000_000, True)
    (row,) = rows(arrival_of(json.dumps({"visitor": "a", "event": "Seen"}).encode(), **AT))
    assert row["customer"] < 0
    (row,) = rows(arrival_of(json.dumps({"customer": "u", "traits": {"plan": "gold"}}).encode(), **AT))
    assert (row["event"], row["t_plan"]) == ("identify", "gold")


def test_properties_may_stand_inside_a_flat_record_too() -> None:
    assert flat_event({"userId": "u", "event": "Seen", "properties": {"a": 1}, "b": 2}) == {
        "type": "track",
        "userId": "u",
        "event": "Seen",
        "properties": {"a": 1, "b": 2},
    }


def test_a_decoded_value_says_the_same_as_its_json() -> None:
    decoded = {
        "customer": "u",
        "event": "Seen",
        "time": datetime(2025, 6, 15, 15, tzinfo=UTC),
        "price": Decimal("1.25"),
    }
    written = {"customer": "u", "event": "Seen", "time": "2025-06-15T15:00:00Z", "price": 1.25, "tags": ["a"]}
    one, two = rows(arrival_of_value({**decoded, "tags": ("a",)}, **AT), arrival_of(json.dumps(written).encode(), **AT))
    differ = {name for name in one if one[name] != two[name]}
    assert differ == {"event_id"}, "without an id of its own it is named after its content"


def test_the_same_record_read_again_is_the_same_event() -> None:
    value = b'{"customer": "u", "event": "Seen"}'
    once, again = rows(arrival_of(value, **AT)), rows(arrival_of(value, **AT))
    assert once[0]["event_id"] == again[0]["event_id"]
    assert rows(arrival_of(value, **{**AT, "offset": 43}))[0]["event_id"] != once[0]["event_id"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "empty_record"),
        (b"", "bad_json"),
        (b"\x00\x00\x00\x01avro", "bad_json"),
        (b"[1]", "not_an_object"),
        (b"{}", "missing_id"),
        (b'{"customer": "u"}', "missing_event"),
        (b'{"customer": "u", "event": "Seen", "n": NaN}', "bad_number"),
        (b'{"type": "track", "userId": "u", "event": "Seen", "batch": 1, "timestamp": "x"}', "bad_time"),
    ],
)
def test_what_cannot_be_used_is_refused_with_topic_partition_and_offset(value: bytes | None, code: str) -> None:
    (letter,) = Normaliser(MemoryVault(), {}, "UTC", "EUR").normalise([arrival_of(value, **AT)]).rejected
    assert (letter.code, letter.source, letter.file, letter.line) == (code, "kafka:shop", "shop/3", 42)


def test_bytes_inside_a_decoded_value_refuse_it() -> None:
    found = arrival_of_value({"customer": "u", "event": "Seen", "blob": b"\xff"}, **AT)
    (letter,) = Normaliser(MemoryVault(), {}, "UTC", "EUR").normalise([found]).rejected
    assert (letter.code, letter.column) == ("bad_json", "/properties/blob")
