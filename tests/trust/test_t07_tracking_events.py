"""T7 for tracking: malformed events and Kafka records are rejected with a code and a place; nothing fails, nothing is lost,
no neighbour is harmed.

Every case is made from its number, so a failing one can be repeated alone. 300 of each kind run with the slow tests, 2,400
in continuous integration.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from kohort.errors import BadInput
from kohort.ingest.memory import MemoryLog, MemoryVault
from kohort.ingest.tracking import (
    REASONS,
    Normalised,
    Normaliser,
    arrival_of,
    arrival_of_value,
    arrivals,
    frame_arrivals,
    inflate,
    parse,
)
from kohort.model.arrival import Arrival
from kohort.model.event import event_schema

NOW = 1_750_000_000_000_000
META = {"received_us": NOW, "source": "web", "path": "/v1/batch"}
FEW, MANY = 300, 2_400
VOLUMES = [pytest.param(FEW, marks=pytest.mark.slow), pytest.param(MANY, marks=pytest.mark.ci)]
SECONDS = 5.0


def nested(levels: int, leaf: Any = 1) -> Any:
    value = leaf
    for n in range(levels):
        value = [value] if n % 2 else {"a": value}
    return value


# What stands in the place of a value. A string that begins with "\x01" is written into the JSON without its quotes.
RAW = "\x01"
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 1e308, -0.0, 5e-324,
    "", " ", "\0", "\n", "x" * 120, "x" * 40_000, "NaN", "1e999", "-9" * 30, "٣", "½", "true", "\u202e", "\ufeff", "\x1f", "日本",
    "2025-06-15T15:06:40Z", "2999-01-01", "0000-00-00", "2025-02-30T25:61:61Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59Z", "a@b.dk", "+45 12 34 56 78", "https://u:p@x.dk/?a#b",
    [], {}, [[]], [{}], {"": ""}, {"a": {"b": {"c": 1}}}, [1, "a", None, True], [{"sku": 1}], ["x"] * 400,
    {str(n): n for n in range(301)}, nested(31), nested(33), nested(300),
    RAW + "NaN", RAW + "-Infinity", RAW + "1e400", RAW + "9" * 30, RAW + "-" + "9" * 6_000, RAW + "0." + "1" * 400,
    RAW + '"\\ud800"', RAW + '"\\udc00x"', RAW + '{"\\ud800": 1}', RAW + '"a\tb"',
    RAW + "[" * 900 + "]" * 900, RAW + '{"a":' * 1_500 + "1" + "}" * 1_500, RAW + "[" * 3_000 + "]" * 3_000,
)  # fmt: skip
FIELDS = (
    "type", "event", "userId", "anonymousId", "previousId", "groupId", "messageId", "timestamp", "originalTimestamp",
    "sentAt", "context", "properties", "traits", "name", "category", "integrations", "$odd", "a@b.dk",
)  # fmt: skip


def good(rng: random.Random, n: int) -> dict[str, Any]:
    """A usable event."""
    event: dict[str, Any] = {
        "type": rng.choice(("track", "track", "identify", "page", "screen", "group", "alias")),
        "messageId": f"m{n}",
        "userId": f"u{rng.randrange(9)}",
        "event": rng.choice(("Seen", "Product Added", "Order Completed", "Order Refunded")),
        "timestamp": f"2025-06-{rng.randint(1, 15):02}T10:00:00.5Z",
        "previousId": "p",
        "groupId": "g",
        "context": {"page": {"path": "/a", "referrer": "https://x.dk/"}, "traits": {"email": "a@b.dk"}, "locale": "da"},
        "properties": {"order_id": "1", "revenue": 5.5, "currency": rng.choice(("DKK", "EUR", "XXX")), "tags": ["a"],
                       "products": [{"sku": "a", "price": 1.25, "quantity": 2}], "at": "2025-01-01", "flag": True},
        "traits": {"plan": "gold", "address": {"city": "Aarhus", "street": "x 1"}, "size": 3},
    }  # fmt: skip
    if rng.random() < 0.3:
        event["anonymousId"] = f"a{rng.randrange(9)}"
    return event


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value."""
    found = [path] if path else []
    if isinstance(value, dict):
        for name, item in value.items():
            found += places(item, (*path, name))
    elif isinstance(value, list):
        for n, item in enumerate(value):
            found += places(item, (*path, n))
    return found


def mutated(rng: random.Random, event: dict[str, Any]) -> Any:
    """The event with one to four wounds that keep its structure, or something else altogether."""
    if rng.random() < 0.04:
        return rng.choice(ODD)
    event = copy.deepcopy(event)
    for _ in range(rng.randint(1, 4)):
        spots = places(event)
        if not spots:
            break
        *way, last = rng.choice(spots)
        inside: Any = event
        for step in way:
            inside = inside[step]
        action = rng.random()
        if action < 0.6:
            inside[last] = copy.deepcopy(rng.choice(ODD))
        elif action < 0.75 and isinstance(inside, dict):
            del inside[last]
        elif isinstance(inside, dict):
            inside[rng.choice(FIELDS)] = copy.deepcopy(rng.choice(ODD))
    return event


def written(value: Any) -> bytes:
    """JSON, with raw pieces in it."""
    if isinstance(value, str) and value.startswith(RAW):
        return value[1:].encode()
    if isinstance(value, dict):
        return b"{" + b",".join(json.dumps(str(k)).encode() + b":" + written(v) for k, v in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(written, value)) + b"]"
    return json.dumps(value).encode()


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a few wounds: cut, flipped, doubled, poked."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(out) + 1), rng.randrange(1, 60)
        match rng.randrange(5):
            case 0:
                del out[at : at + size]
            case 1:
                out[at:at] = out[at : at + size]
            case 2:
                out[at:at] = rng.randbytes(rng.randrange(1, 8))
            case 3:
                out[at : at + 1] = rng.choice(
                    (b'"', b"\\", b"{", b"]", b",", b"\xff", b"\0", b"\\ud800", b"e999", b"-")
                )
            case _:
                out = out[:at] if rng.random() < 0.3 else out
    return bytes(out)


class Bench:
    """One normaliser for many cases, a log behind it, and the law after every call."""

    def __init__(self) -> None:
        self.vault, self.log = MemoryVault(erased={"u8", "a8"}), MemoryLog()
        self.normaliser = Normaliser(self.vault, {}, "Europe/Copenhagen", "DKK")
        self.codes: dict[str, int] = {}
        self.usable = 0

    def judge(self, found: list[Arrival]) -> Normalised:
        started = time.process_time()
        out = self.normaliser.normalise(found)
        assert time.process_time() - started < SECONDS
        self.log.declare(out.columns)
        self.normaliser.know(out.columns)
        schema = event_schema(self.log.columns)
        for field in out.table.schema:
            assert field.type == schema.field(field.name).type
            assert schema.field(field.name).nullable or not out.table.column(field.name).null_count
        heads = out.table.filter(out.head)
        stored = self.log.append(heads, batch=1)
        assert len(found) == out.received == heads.num_rows + len(out.rejected)
        assert heads.num_rows == stored.stored + stored.duplicate + stored.conflicts.num_rows
        assert sum(received for received, _ in out.by_source.values()) == len(found)
        assert sum(lost for _, lost in out.by_source.values()) == len(out.rejected)
        for letter in out.rejected:
            assert letter.reason == REASONS[letter.code]
            assert letter.column.startswith("/")
            assert bool(letter.raw) == (letter.code != "erased")
            json.dumps(letter.raw).encode()
            self.codes[letter.code] = self.codes.get(letter.code, 0) + 1
        self.usable += heads.num_rows
        return out


@pytest.mark.parametrize("cases", VOLUMES)
def test_events_in_batches(cases: int) -> None:
    """A batch of two usable events with a malformed one between them, written as JSON."""
    bench = Bench()
    for case in range(cases):
        rng = random.Random(case)
        before, after = ({**good(rng, 0), "messageId": f"{side}{case}", "userId": "u1"} for side in "ba")
        bad = mutated(rng, good(rng, case))
        body = b'{"sentAt": "2025-06-15T15:06:40Z", "batch": [' + b",".join(map(written, (before, bad, after))) + b"]}"
        found = frame_arrivals(gzip.compress(body, 1) if rng.random() < 0.2 else body, META, case)
        assert len(found) == 3, case
        out = bench.judge(found)
        assert out.arrival[out.head].tolist() in ([0, 1, 2], [0, 2]), case
        assert all((letter.line, letter.column[:8]) == (case, "/batch/1") for letter in out.rejected), case
    assert len(bench.codes) >= (12 if cases == FEW else 15), bench.codes
    assert bench.usable > 2.3 * cases


@pytest.mark.parametrize("cases", VOLUMES)
def test_bodies_with_damaged_bytes(cases: int) -> None:
    """Whatever the bytes are: the door refuses them with a code, or the journal's reader makes arrivals of them."""
    bench, codes = Bench(), Counter[str]()
    for case in range(cases):
        rng = random.Random(case)
        body = written({"batch": [good(rng, case * 10 + n) for n in range(rng.randrange(4))]})
        path = rng.choice(("/v1/batch", "/v1/t", "/v1/identify"))
        packed = rng.random() < 0.2
        data = spoiled(gzip.compress(body) if packed else body, rng)
        try:
            arrivals(parse(inflate(data, rng.choice(("", "gzip", "deflate")))), path, NOW, "web", "1")
        except BadInput as error:
            codes[error.code] += 1
        bench.judge(frame_arrivals(data, {**META, "path": path}, case))
    assert codes.keys() <= {"bad_json", "bad_batch", "not_an_object", "bad_compression", "body_too_large"}
    assert 0.2 * cases < codes.total() < 0.95 * cases


def flat(rng: random.Random, n: int) -> dict[str, Any]:
    return {"customer": f"u{n % 9}", "event": "Seen", "time": "2025-06-01T10:00:00Z", "id": f"m{n}", "plan": "gold", "size": 5,
            "address": {"city": "Aarhus"}, "traits": {"plan": "gold"}}  # fmt: skip


@pytest.mark.parametrize("cases", VOLUMES)
@pytest.mark.parametrize("make", [good, flat])
def test_kafka_records(make: Callable[[random.Random, int], dict[str, Any]], cases: int) -> None:
    """Structure-aware mutations and byte noise in turn; also values that another format's reader decoded."""
    bench = Bench()
    for case in range(cases):
        rng = random.Random(case)
        value = mutated(rng, make(rng, case))
        data = spoiled(written(value), rng) if case % 2 else written(value)
        stamp = rng.choice((NOW, NOW, NOW, 0, -1, 2**63 - 1))
        record = {"topic": "orders", "partition": 2, "offset": case, "timestamp_us": stamp}
        batch = [
            arrival_of(written(make(rng, case)), **{**record, "timestamp_us": NOW}),
            arrival_of(None if case % 97 == 0 else data, **record),
            arrival_of_value(b"\xff" if case % 89 == 0 else value, **record),
        ]
        out = bench.judge(batch)
        erased = any(letter.code == "erased" for letter in out.rejected)
        assert erased or out.arrival[0] == 0, case
        for letter in out.rejected:
            assert (letter.source, letter.file, letter.line) == ("kafka:orders", "orders/2", case)
    assert {"bad_json", "empty_record", "bad_time", "erased", "too_deep"} <= bench.codes.keys(), bench.codes


def test_the_generator_makes_what_it_should() -> None:
    """Without a mutation every event is usable."""
    bench = Bench()
    for case in range(200):
        rng = random.Random(case)
        event = {**good(rng, case), "userId": "u1", "anonymousId": "a1"}
        assert not bench.judge(frame_arrivals(written({"batch": [event]}), META, case)).rejected


class Losing:
    """A normaliser that forgets the last arrival."""

    def __init__(self, honest: Normaliser) -> None:
        self.normalise = lambda found: honest.normalise(found[:-1])
        self.know = honest.know


def test_the_law_notices_a_lost_event() -> None:
    bench = Bench()
    found = frame_arrivals(written({"batch": [{"type": "track", "event": "x", "userId": "u1"}] * 2}), META, 1)
    bench.judge(found)
    bench.normaliser = Losing(bench.normaliser)  # type: ignore[assignment]
    with pytest.raises(AssertionError):
        bench.judge(found)
