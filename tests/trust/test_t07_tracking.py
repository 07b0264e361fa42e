"""T7 for REST: thousands of malformed tracking requests are refused with a code and a sentence, and nothing half-taken."""

import asyncio
import base64
import gzip
import json
import random
import zlib
from collections import Counter
from concurrent.futures import Future

from kohort.web.tracking import Door, Limits, Tracking
from kohort.web.tracking.routes import ROUTES

WANTED = 2_000
EVENT = {
    "type": "track",
    "event": "Seen",
    "userId": "ü1",
    "messageId": "m1",
    "properties": {"price": 1.5, "a": [1, None]},
}
GOOD = json.dumps({"batch": [EVENT] * 3, "sentAt": "2026-11-29T10:00:00Z"}).encode()
BASIC = b"Basic " + base64.b64encode(b"key:")


class Key:
    name, revoked_us = "shop", None

    def may(self, scope):
        return True


class Keys:
    def known(self, text):
        return Key() if text == "key" else None


class Inbox:
    def __init__(self):
        self.bodies = []

    def append(self, body, meta):
        self.bodies.append(body)
        future = Future()
        future.set_result(1)
        return future

    def room(self):
        return True


def cut(r, body):
    return body[: r.randrange(len(body))], {}


def flipped(r, body):
    changed = bytearray(body)
    for _ in range(r.randrange(1, 6)):
        changed[r.randrange(len(changed))] ^= 1 << r.randrange(8)
    return bytes(changed), {}


def noise(r, _body):
    return r.randbytes(r.randrange(1, 300)), {}


def spliced(r, body):
    at = r.randrange(len(body))
    junk = [
        b"}",
        b"]",
        b'"',
        b",",
        b"\x00",
        b"\xff",
        b"\\u12",
        b"NaN",
        b"1e999",
        b"[" * 2_000,
        b"\xed\xa0\x80",
        b"\\ud800",
    ]
    return body[:at] + r.choice(junk) + body[at:], {}


def reshaped(r, _body):
    odd = [
        7,
        None,
        "text",
        [],
        {},
        True,
        {"batch": 7},
        {"batch": None},
        {"batch": {}},
        {"batch": "x"},
        {"events": []},
        -1.5,
    ]
    return json.dumps(r.choice(odd)).encode(), {}


def badly_packed(r, body):
    packed = bytearray(r.choice([gzip.compress(body), zlib.compress(body)]))
    for _ in range(r.randrange(1, 4)):
        packed[r.randrange(len(packed))] ^= 1 << r.randrange(8)
    return bytes(packed[: r.randrange(2, len(packed) + 1)]), {"encoding": r.choice([b"gzip", b"deflate", b""])}


def oddly_named(r, body):
    encoding = r.choice([b"br", b"zstd", b"gzip, br", b"\xff", b"x" * 500, b"compress"])
    return body, {"encoding": encoding}


def large(r, _body):
    return b'{"batch": ["' + b"x" * r.randrange(40_000, 60_000) + b'"]}', {}


def strangely_keyed(r, body):
    odd = [
        b"",
        b"Basic",
        b"Basic =",
        b"Basic \xff\xfe",
        b"Bearer",
        b"Bearer x",
        b"Digest key",
        b"Basic " + b"A" * 5_000,
    ]
    return body, {"authorization": r.choice(odd), "query": r.randbytes(r.randrange(60))}


def crowded(r, body):
    return body, {"query": b"&".join(b"%d=%%%d" % (n, n) for n in range(r.randrange(201, 400)))}


MUTATIONS = (cut, flipped, noise, spliced, reshaped, badly_packed, oddly_named, large, strangely_keyed, crowded)


def test_thousands_of_malformed_requests_are_refused_with_a_code_and_a_sentence():
    inbox, random_ = Inbox(), random.Random(7)
    door = Door(inbox, Keys(), Limits(batch_bytes=32_768, events_per_second=10**9, requests_per_second=10**9))
    app = Tracking(None, door)
    paths = [p for p, route in ROUTES.items() if route.kind in {"single", "batch", "pixel"}]
    refused, codes, taken = 0, Counter(), 0

    async def ask(body, path, how):
        method = ROUTES[path].method
        headers = [(b"authorization", how.get("authorization", BASIC)), (b"content-encoding", how.get("encoding", b""))]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": how.get("query", b""),
            "headers": headers,
        }
        said = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            said.append(message)

        await app(scope, receive, send)
        return said[0]["status"], said[1]["body"]

    async def storm():
        nonlocal refused, taken
        n = 0
        while refused < WANTED:
            n += 1
            assert n < 4 * WANTED, "too many of these are not malformed"
            body, how = MUTATIONS[n % len(MUTATIONS)](random_, GOOD)
            status, said = await ask(body, random_.choice(paths), how)
            if status == 200:
                taken += 1
                continue
            assert 400 <= status < 500, (status, body[:200], how)
            document = json.loads(said)
            assert isinstance(document["code"], str)
            assert isinstance(document["message"], str)
            assert document["code"]
            assert document["message"]
            refused += 1
            codes[document["code"]] += 1

    asyncio.run(asyncio.wait_for(storm(), 120))
    assert door.outcomes["taken"] == taken
    assert len(inbox.bodies) <= taken  # an empty batch is taken and not stored
    assert codes.keys() >= {
        "bad_json",
        "bad_batch",
        "bad_compression",
        "unknown_encoding",
        "body_too_large",
        "bad_query",
    }
    assert codes.keys() >= {"no_key", "unknown_key", "not_an_object"}
    assert door._held.now == 0
