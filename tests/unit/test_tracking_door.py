"""The tracking door: every address, credential, limit and status of docs/tracking-http.md, without a server."""

import asyncio
import base64
import gzip
import json
import re
import threading
import zlib
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from kohort.errors import BadInput, Busy
from kohort.web.app import create
from kohort.web.tracking import Door, Limits, Tracking
from kohort.web.tracking.answers import GIF
from kohort.web.tracking.routes import CALLS, ROUTES

zipped = partial(gzip.compress, mtime=0)  # the same bytes in every process


EVENT = {"type": "track", "event": "Seen", "userId": "u1", "messageId": "m1"}
BATCH = {"batch": [EVENT, {**EVENT, "messageId": "m2"}], "sentAt": "2026-11-29T10:00:00Z"}


@dataclass
class Key:
    name: str
    scope: str = "ingest"
    revoked_us: int | None = None

    def may(self, scope):
        return self.scope == scope


KEYS = {"good": Key("shop"), "other": Key("app"), "reader": Key("bi", "read"), "old": Key("gone", "ingest", 5)}


class Keys:
    def known(self, text):
        return KEYS.get(text)


class Inbox:
    """Keeps what is appended; durable at once unless told otherwise."""

    def __init__(self):
        self.frames, self.full, self.error, self.waits = [], False, None, False
        self.pending = []

    def append(self, body, meta):
        if self.error is not None:
            raise self.error
        self.frames.append((body, meta))
        future = Future()
        self.pending.append(future)
        if not self.waits:
            future.set_result(len(self.frames))
        return future

    def room(self):
        return not self.full


class World:
    """A door with a settable clock, asked directly."""

    def __init__(self, limits=None, inbox=True):
        self.inbox = Inbox() if inbox else None
        self.now = 1000.0
        self.door = Door(
            self.inbox, Keys(), limits or Limits(), clock=lambda: self.now, wall=lambda: 1_700_000_000 + self.now
        )
        self.app = Tracking(self.pages, self.door)

    async def pages(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    def ask(self, method, url, **request):
        async def once():
            transport = httpx.ASGITransport(self.app, client=("10.1.2.3", 5))
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
                return await client.request(method, url, **request)

        return asyncio.run(once())

    def post(self, url, document, key="good", **request):
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {**(basic(key) if key else {}), **request.pop("headers", {})}
        return self.ask("POST", url, content=content, headers=headers, **request)

    @property
    def sent(self):
        return [json.loads(body) for body, _ in self.inbox.frames]


def basic(text, colon=":"):
    return {"Authorization": "Basic " + base64.b64encode(f"{text}{colon}".encode()).decode()}


@pytest.fixture
def world():
    return World()


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said["code"] == code
    assert isinstance(said["message"], str)
    assert said["message"].endswith(".")
    assert isinstance(said["hint"], str)
    assert answer.headers["content-type"] == "application/json"
    if "retry-after" in answer.headers:
        assert int(answer.headers["retry-after"]) >= 1


# -- addresses


@pytest.mark.parametrize("path", [p for p, r in ROUTES.items() if r.kind in {"single", "batch"}])
@pytest.mark.parametrize("end", ["", "/"])
def test_every_address_takes_its_body(world, path, end):
    many = ROUTES[path].kind == "batch"
    answer = world.post(path + end, BATCH if many else EVENT)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert world.sent == [BATCH if many else EVENT]
    assert world.door.events == (2 if many else 1)


def test_the_loop_is_told_what_was_called_by_whom_and_when(world):
    world.post("/v1/t", EVENT, headers={"User-Agent": "analytics-python/2.3.4"})
    assert world.inbox.frames[0][1] == {
        "received_us": 1_700_001_000_000_000,
        "source": "shop",
        "path": "track",
        "ip": "10.1.2.3",
        "user_agent": "analytics-python/2.3.4",
    }
    assert {ROUTES[f"/v1/{c[0]}"].name for c in CALLS} == set(CALLS)


def test_metrics_of_clients_are_accepted_and_thrown_away(world):
    assert world.post("/v1/m", {"series": []}, key=None).status_code == 200
    assert world.inbox.frames == []


@pytest.mark.parametrize("call", ["track", "page"])
def test_a_pixel_is_an_event_and_an_image(world, call):
    query = "writeKey=good&anonymousId=a1&event=Opened&properties.mail.id=7&context.locale=de&name=caf%C3%A9"
    answer = world.ask("GET", f"/pixel/v1/{call}?{query}")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, GIF, "image/gif")
    (event,) = world.sent
    assert event["properties"] == {"mail": {"id": "7"}}
    assert event["name"] == "café"
    assert "writeKey" not in event
    assert world.inbox.frames[0][1]["path"] == call


def test_a_beacon_brings_its_key_in_the_address(world):
    assert world.post("/beacon/v1/batch?writeKey=good", BATCH, key=None).status_code == 200
    assert world.sent == [BATCH]


def test_the_version_is_told(world):
    assert world.ask("GET", "/version").json()["name"] == "kohort"


@pytest.mark.parametrize("path", ["/", "/segments", "/v1/customers/7", "/v1/stream", "/health", "/v1/batches"])
def test_other_addresses_are_those_of_the_pages(world, path):
    assert world.ask("GET", path).status_code == 299


@pytest.mark.parametrize("path", ["/pixel/v1/identify", "/beacon/v2/batch", "/pixel/"])
def test_an_unknown_address_says_so(world, path):
    refused(world.ask("GET", path), 404, "no_such_address")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track", "/beacon/v1/batch"])
def test_only_post_sends_events(world, method, path):
    answer = world.ask(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        refused(answer, 405, "wrong_method")


def test_no_answer_is_a_redirect_or_202_or_204_or_410(world):
    for method in ("GET", "POST", "OPTIONS", "DELETE"):
        for path in [*ROUTES, "/v1/batch/", "/pixel/x"]:
            assert world.ask(method, path).status_code not in {*range(300, 400), 202, 204, 408, 410}


# -- credentials


@pytest.mark.parametrize(
    ("headers", "query", "inside"),
    [
        (basic("good"), "", {}),
        (basic("good", colon=""), "", {}),
        (basic("good", colon=":secret"), "", {}),
        ({"Authorization": basic("good")["Authorization"].rstrip("=")}, "", {}),
        ({"Authorization": "Bearer good"}, "", {}),
        ({"Authorization": "bearer   good"}, "", {}),
        ({}, "", {"writeKey": "good"}),
        ({"Authorization": "Bearer eyJhbGciOi.of.theirs"}, "", {"writeKey": "good"}),
        (basic("good"), "", {"writeKey": "good"}),
        (basic(""), "", {"writeKey": "good"}),
        ({}, "?writeKey=good", {}),
    ],
)
def test_every_form_of_credentials_is_accepted(world, headers, query, inside):
    answer = world.post(f"/v1/batch{query}", {**BATCH, **inside}, key=None, headers=headers)
    assert answer.status_code == 200
    assert world.inbox.frames[0][1]["source"] == "shop"


@pytest.mark.parametrize(
    ("headers", "inside", "status", "code"),
    [
        ({}, {}, 401, "no_key"),
        (basic("wrong"), {}, 401, "unknown_key"),
        ({}, {"writeKey": "wrong"}, 401, "unknown_key"),
        ({}, {"writeKey": 7}, 401, "no_key"),
        ({"Authorization": b"Basic \x80\xff"}, {}, 401, "no_key"),
        ({"Authorization": "Digest good"}, {}, 401, "no_key"),
        (basic("reader"), {}, 403, "wrong_scope"),
        ({}, {"writeKey": "reader"}, 403, "wrong_scope"),
        (basic("old"), {}, 404, "source_disabled"),
    ],
)
def test_other_credentials_are_refused_for_good(world, headers, inside, status, code):
    answer = world.post("/v1/batch", {**BATCH, **inside}, key=None, headers=headers)
    refused(answer, status, code)
    assert "www-authenticate" not in answer.headers
    assert world.inbox.frames == []


# -- bodies


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "", b"x/\x80"])
def test_a_body_is_read_by_its_bytes_whatever_its_type(world, kind):
    assert world.post("/v1/batch", BATCH, headers={"Content-Type": kind}).status_code == 200
    assert world.sent == [BATCH]


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [
        (gzip.compress, "gzip"),
        (gzip.compress, "GZIP"),
        (gzip.compress, None),
        (zlib.compress, "deflate"),
        (lambda b: zlib.compress(b, wbits=-15), "deflate"),
        (lambda b: b, "identity"),
        (lambda b: zipped(b[:9]) + zipped(b[9:]), "gzip"),
    ],
)
def test_a_packed_body_is_unpacked(world, pack, encoding):
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | (
        {"Content-Encoding": encoding} if encoding else {}
    )
    assert world.post("/v1/batch", pack(json.dumps(BATCH).encode()), headers=headers).status_code == 200
    assert world.sent == [BATCH]


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"", "", 400, "bad_json"),
        (b"{", "", 400, "bad_json"),
        (b"\xff\xfe{\x00}\x00", "", 400, "bad_json"),
        (b"event=Seen&userId=1", "", 400, "bad_json"),
        (b'{"batch": {}}', "", 400, "bad_batch"),
        (b"{}", "", 400, "bad_batch"),
        (b"7", "", 400, "not_an_object"),
        (b'"text"', "", 400, "not_an_object"),
        (b"null", "", 400, "not_an_object"),
        (b"[" * 1_000_000, "", 400, "bad_json"),
        (b'{"a":' * 500_000, "", 400, "bad_json"),
        (b"{}", "br", 415, "unknown_encoding"),
        (b"{}", "zstd", 415, "unknown_encoding"),
        (b"{}", "gzip, gzip", 415, "unknown_encoding"),
        (zipped(b'{"batch": []}')[:-9], "gzip", 400, "bad_compression"),
        (b"\x1f\x8bnonsense", "gzip", 400, "bad_compression"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_for_good(world, body, encoding, status, code):
    for key in ("good", None):
        answer = world.post("/v1/batch", body, headers={"Content-Encoding": encoding}, key=key)
        refused(answer, status, code)
    assert world.inbox.frames == []


def test_a_spoiled_batch_that_is_nested_without_end_is_refused(world):
    for deep in (b"[" * 2_000 + b"]" * 2_000, b'{"a":' * 65 + b"NaN" + b"}" * 65):
        refused(world.post("/v1/batch", b'{"batch": [NaN, ' + deep + b"]}"), 400, "bad_json")
    assert world.post("/v1/batch", b'{"batch": [NaN, ' + b"[" * 20 + b"]" * 20 + b"]}").status_code == 200


@pytest.mark.parametrize("spoiled", ['{"event": "\\ud83d"}', '{"revenue": NaN}', '{"revenue": -Infinity}', "7", "null"])
def test_one_spoiled_event_does_not_lose_its_batch(world, spoiled):
    body = f'{{"batch": [{json.dumps(EVENT)}, {spoiled}]}}'.encode()
    assert world.post("/v1/batch", body).status_code == 200
    assert world.inbox.frames[0][0] == body
    assert world.door.events == 2


def test_strangers_do_not_make_the_door_read_slowly(world, monkeypatch):
    slow = []
    monkeypatch.setattr("kohort.web.tracking.door.bodies.parse", lambda text: slow.append(text) or {"batch": []})
    refused(world.post("/v1/batch", b'{"batch": [NaN]}', key=None), 400, "bad_json")
    refused(world.post("/v1/batch", b'{"writeKey": "wrong", "batch": [NaN]}', key=None), 401, "unknown_key")
    assert not slow
    assert world.post("/v1/batch", b'{"writeKey" : "good", "batch": [NaN]}', key=None).status_code == 200
    assert slow


def test_an_empty_batch_is_no_mistake_and_nothing_is_stored(world):
    assert world.post("/v1/batch", {"batch": []}).status_code == 200
    assert world.inbox.frames == []


# -- limits


def test_sizes_are_limited_as_sent_and_as_unpacked():
    world = World(Limits(single_bytes=100, batch_bytes=1_000))
    fits, beyond = b'{"x": "' + b"y" * 91 + b'"}', b'{"x": "' + b"y" * 92 + b'"}'
    assert len(fits) == 100
    assert world.post("/v1/track", fits).status_code == 200
    refused(world.post("/v1/track", beyond), 413, "body_too_large")
    refused(world.post("/v1/track", zipped(beyond)), 413, "body_too_large")
    assert world.post("/v1/batch", b'{"batch": [' + beyond + b"]}").status_code == 200
    refused(world.post("/v1/batch", b'{"batch": ["' + b"y" * 1_000 + b'"]}'), 413, "body_too_large")


def test_a_body_without_a_declared_size_is_limited_while_it_arrives():
    world, taken = World(Limits(batch_bytes=10_000)), []

    async def endless():
        for n in range(100_000):
            taken.append(n)
            yield b"[" * 10_000

    refused(world.ask("POST", "/v1/batch", content=endless(), headers=basic("good")), 413, "body_too_large")
    assert world.inbox.frames == []
    assert world.door._held.now == 0


def test_a_packed_bomb_stops_at_the_limit(world):
    bomb = zipped(b"0" * 200_000_000)
    refused(world.post("/v1/batch", bomb), 413, "body_too_large")
    assert world.door._held.now == 0


def test_a_batch_of_nothing_but_commas_is_refused():
    world = World(Limits(batch_events=3))
    assert world.post("/v1/batch", {"batch": [0, 0, 0]}).status_code == 200
    refused(world.post("/v1/batch", {"batch": [0, 0, 0, 0]}), 413, "too_many_events")


def test_all_requests_together_hold_no_more_than_allowed():
    world = World(Limits(held_bytes=1_000))
    refused(world.post("/v1/batch", b" " * 1_001), 503, "busy")
    assert world.post("/v1/batch", BATCH).status_code == 200
    assert world.door._held.now == 0


def test_a_body_that_does_not_arrive_is_not_waited_for():
    world, answers = World(Limits(read_seconds=0.01, drain_seconds=0.01)), []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        answers.append(message)

    headers = [(b"authorization", basic("good")["Authorization"].encode()), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/v1/batch", "query_string": b"", "headers": headers}
    asyncio.run(world.door(scope, receive, send))
    assert answers[0]["status"] == 503
    assert json.loads(answers[1]["body"])["code"] == "too_slow"


def test_a_key_may_send_so_many_events_a_second_and_not_one_more():
    world = World(Limits(events_per_second=10))
    first = world.post("/v1/batch", {"batch": [EVENT] * 8})
    assert first.status_code == 200
    assert first.headers["x-ratelimit-limit"] == "10"
    assert first.headers["x-ratelimit-remaining"] == "2"
    assert int(first.headers["x-ratelimit-reset"]) == 1_700_001_001
    world.now += 0.5
    answer = world.post("/v1/batch", {"batch": [EVENT] * 3})
    refused(answer, 429, "too_many_requests")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-ratelimit-remaining"] == "2"
    assert world.post("/v1/batch", {"batch": [EVENT] * 2}).status_code == 200
    assert world.post("/v1/batch", {"batch": [EVENT] * 8}, key="other").status_code == 200
    world.now += 0.5
    assert world.post("/v1/batch", {"batch": [EVENT] * 8}).headers["x-ratelimit-remaining"] == "0"


def test_requests_are_counted_too_before_their_bodies_are_read():
    world = World(Limits(requests_per_second=3))
    assert [world.post("/v1/track", EVENT).status_code for _ in range(4)] == [200, 200, 200, 429]
    world.now += 1
    assert world.post("/v1/track", EVENT).status_code == 200


def test_a_batch_larger_than_the_limit_passes_alone_instead_of_never():
    world = World(Limits(events_per_second=10))
    assert world.post("/v1/batch", {"batch": [EVENT] * 25}).status_code == 200
    refused(world.post("/v1/track", EVENT), 429, "too_many_requests")


def test_sixty_four_callers_at_once_get_exactly_the_limit():
    world = World(Limits(events_per_second=500, requests_per_second=10_000))

    async def storm():
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:

            async def caller():
                sent = [await client.post("/v1/track", json=EVENT, headers=basic("good")) for _ in range(10)]
                return [answer.status_code for answer in sent]

            return [code for codes in await asyncio.gather(*(caller() for _ in range(64))) for code in codes]

    codes = asyncio.run(storm())
    assert codes.count(200) == 500
    assert codes.count(429) == 140
    assert len(world.inbox.frames) == 500


# -- the inbox


def test_success_is_said_only_when_the_events_are_durable(world):
    world.inbox.waits = True

    async def ask():
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            asked = asyncio.create_task(client.post("/v1/batch", json=BATCH, headers=basic("good")))
            while not world.inbox.pending:
                await asyncio.sleep(0)
            for _ in range(50):
                await asyncio.sleep(0)
            early = asked.done()
            threading.Thread(target=world.inbox.pending[0].set_result, args=(1,)).start()
            return early, await asked

    early, answer = asyncio.run(ask())
    assert not early
    assert answer.status_code == 200


def test_overload_sheds_before_anything_is_read(world):
    world.inbox.full = True
    answer = world.post("/v1/batch", BATCH)
    refused(answer, 429, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert world.inbox.frames == []


def test_what_nobody_foresaw_is_told_without_its_values(world):
    world.inbox.error = RuntimeError("secret value")
    answer = world.post("/v1/batch", BATCH)
    refused(answer, 500, "unexpected")
    assert "secret" not in answer.text


@pytest.mark.parametrize("error", [Busy("state.db is locked."), BadInput("The disk is full.", code="cannot_write")])
def test_a_store_that_fails_keeps_events_with_the_client(world, error):
    world.inbox.error = error
    refused(world.post("/v1/batch", BATCH), 503, "not_stored")


def test_a_store_that_fails_later_is_told_too(world):
    def append(body, meta):
        future = Future()
        future.set_exception(Busy("state.db is locked."))
        return future

    world.inbox.append = append
    answer = world.post("/v1/batch", BATCH)
    refused(answer, 503, "not_stored")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_store_that_never_answers_is_not_waited_for_and_goes_on():
    world = World(Limits(store_seconds=0.01))
    world.inbox.waits = True
    refused(world.post("/v1/batch", BATCH), 503, "not_stored")
    assert not world.inbox.pending[0].cancelled()


def test_a_server_without_an_inbox_says_so():
    answer = World(inbox=False).post("/v1/batch", BATCH)
    refused(answer, 503, "not_live")
    assert int(answer.headers["retry-after"]) >= 1


# -- other origins


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/v1/m", "/beacon/v1/batch"])
def test_a_browser_may_ask_beforehand_for_a_quarter_of_an_hour(world, path):
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Headers": "authorization, x-mine"}
    answer = world.ask("OPTIONS", path, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-headers"] == "authorization, x-mine"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-max-age"] == "900"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("key", ["good", "wrong"])
def test_pages_of_any_origin_read_the_answer(world, key):
    answer = world.post("/v1/batch", BATCH, key=key, headers={"Origin": "null"})
    assert answer.headers["access-control-allow-origin"] == "null"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


# -- beside the pages


class Pages:
    name, is_demo = "Corner shop", False

    def summary(self):
        return {}

    def health(self, refresh=False):
        return None

    def segmentation(self, name=None):
        return None

    def members_page(self, segment_id, cursor=0, limit=50):
        return {}


@pytest.mark.parametrize("host", ["127.0.0.1", "events.shop.example"])
def test_in_the_whole_application_events_come_from_anywhere_and_pages_do_not(host):
    inbox = Inbox()
    app = create(Pages(), inbox=inbox, keys=Keys())

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            where = {"Host": host}
            sent = await client.post("/v1/batch", json=BATCH, headers={**basic("good"), **where})
            return sent, await client.get("/segments", headers=where), await client.post("/v1/nothing", headers=where)

    sent, page, nothing = asyncio.run(ask())
    assert sent.status_code == 200
    assert "content-security-policy" not in sent.headers
    assert page.status_code == (200 if host == "127.0.0.1" else 421)
    assert nothing.status_code == (404 if host == "127.0.0.1" else 421)
    assert {"code", "message", "hint"} <= nothing.json().keys()
    assert app.state.counts.as_text().count('answers_total{status="200"}') == 1


# -- the page


def test_every_address_code_and_limit_is_in_the_docs():
    root = Path(__file__).parents[2]
    docs = (root / "docs" / "tracking-http.md").read_text(encoding="utf-8")
    code = "".join(p.read_text(encoding="utf-8") for p in (root / "src" / "kohort" / "web" / "tracking").glob("*.py"))
    codes = set(re.findall(r'Refusal\(\s*\d{3}, "(\w+)"', code)) | {"bad_compression", "bad_query", "unknown_encoding"}
    assert codes - {c for c in codes if f"`{c}`" in docs} == set()
    for path in ROUTES:
        assert re.search(rf"[` ]({path}|/{path.removeprefix('/v1/')})`", docs), path
    limits = Limits()
    for figure in (limits.batch_events, limits.events_per_second, limits.requests_per_second):
        assert f"{figure:,}" in docs
    assert (limits.single_bytes, limits.batch_bytes, limits.held_bytes) == (32 << 10, 4 << 20, 256 << 20)


@pytest.mark.parametrize(
    ("headers", "signals"),
    [({"Sec-GPC": "1"}, ["gpc"]), ({"DNT": "1", "Sec-GPC": "1"}, ["gpc", "dnt"]), ({"Sec-GPC": "0", "DNT": ""}, None)],
)
def test_what_a_browser_objects_to_by_itself_is_handed_on(world, headers, signals):
    assert world.post("/v1/t", EVENT, headers=headers).status_code == 200
    assert world.inbox.frames[0][1].get("signals") == signals
