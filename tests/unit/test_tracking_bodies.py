"""From the bytes of a request to arrivals: whatever the header says, never more than the limit, neighbours unharmed."""

import base64
import gzip
import json
import zlib
from functools import partial
from typing import Any

import pytest

from kohort.errors import BadInput, TooLarge
from kohort.ingest.tracking import arrivals, frame_arrivals, inflate, parse, query_body
from kohort.ingest.tracking.judge import judge
from kohort.ingest.tracking.reasons import Poison, Wrong

zipped = partial(gzip.compress, mtime=0)  # the same bytes in every process


META = {"received_us": 1_750_000_000_000_000, "source": "web", "path": "/v1/batch"}
BODY = b'{"type":"track"}'


def raw_deflate(data: bytes) -> bytes:
    one = zlib.compressobj(wbits=-15)
    return one.compress(data) + one.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (zipped(BODY), "gzip"),
        (zipped(BODY), ""),  # a form, says one client; the bytes say gzip
        (zipped(BODY), "X-GZIP"),
        (BODY, "gzip"),  # unpacked on the way, the header left as it was
        (zipped(BODY[:5]) + zipped(BODY[5:]), "gzip"),
        (zipped(BODY) + b"\0" * 10, "gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
    ],
)
def test_a_body_is_unpacked_by_what_its_bytes_are(body: bytes, encoding: str) -> None:
    assert inflate(body, encoding) == BODY


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (BODY, "br", "unknown_encoding"),
        (BODY, "zstd", "unknown_encoding"),
        (BODY, "gzip, gzip", "unknown_encoding"),
        (zipped(BODY)[:-5], "gzip", "bad_compression"),
        (b"\x1f\x8bnot really", "gzip", "bad_compression"),
        (b"\xff\xff\xff", "deflate", "bad_compression"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_with_a_code(body: bytes, encoding: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        inflate(body, encoding)
    assert refused.value.code == code


@pytest.mark.timeout(60)
def test_a_bomb_is_never_unpacked_beyond_the_limit() -> None:
    bomb = zipped(b"0" * 200_000_000, 9)
    for body in (bomb, bomb + bomb):
        with pytest.raises(TooLarge) as refused:
            inflate(body, "gzip", 1_000_000)
        assert refused.value.code == "body_too_large"
    assert len(inflate(zipped(b"0" * 1_000), "gzip", 1_000)) == 1_000
    with pytest.raises(TooLarge):
        inflate(b"0" * 1_001, "", 1_000)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"n": NaN}',
        b'{"n": -Infinity}',
        b'{"n": 1e400}',
        b'{"n": "\\ud800"}',
        b'{"n": "a\xff"}',
        b'{"\\udfff": 1}',
        b'{"n": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"n": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        b'{"n": 1' + b"0" * 5_000 + b"}",
    ],
)
def test_one_event_that_is_no_json_does_not_spoil_its_neighbours(bad: bytes) -> None:
    found = parse(b'{"batch": [{"a": 1}, ' + bad + b', {"b": "]}\\""}]}')["batch"]
    assert len(found) == 3
    assert (found[0], found[2]) == ({"a": 1}, {"b": ']}"'})


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "bad", [b"", b"{", b"a=1", b'{"a": }', b"[" * 1_000_000, b'"' + b"\\" * 100_001, b'["' * 300_000]
)
def test_what_is_no_json_at_all_is_refused_and_soon(bad: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        parse(bad)
    assert refused.value.code == "bad_json"


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/t", "track"),
        ("/v1/i", "identify"),
        ("v1/p", "page"),
        ("s", "screen"),
        ("/v1/g/", "group"),
        ("a", "alias"),
        ("/pixel/v1/track", "track"),
        ("/V1/Track", "track"),
    ],
)
def test_the_path_says_the_type_of_a_single_event(path: str, kind: str) -> None:
    (found,) = arrivals({"type": "other", "sentAt": "now"}, path, 5, "web", "41")
    assert (found.payload["type"], found.place, found.received_at, found.sent_at) == (kind, "41", 5, "now")


@pytest.mark.parametrize("path", ["merge", "audiencelist"])
def test_what_only_rudderstack_knows_is_one_event_refused_for_its_type(path: str) -> None:
    (found,) = arrivals({"type": path, "mergeProperties": []}, f"/v1/{path}", 5, "web", "41")
    assert (found.payload["type"], found.place) == (path, "41")
    with pytest.raises(Wrong) as refused:
        judge(found, 0, max_bytes=1_000, max_properties=10)
    assert refused.value.code == "unknown_type"


def test_a_batch_gives_its_events_what_it_says_once() -> None:
    body: dict[str, Any] = {
        "sentAt": "S",
        "context": {"library": {"name": "x"}, "locale": "da"},
        "integrations": {"All": True},
        "batch": [{"type": "track", "context": {"locale": "nl"}}, {"type": "page", "sentAt": "own"}, 7, None],
    }
    found = arrivals(body, "/v1/batch", 5, "web", "41")
    assert [a.place for a in found] == ["41:0", "41:1", "41:2", "41:3"]
    assert found[0].payload["context"] == {"library": {"name": "x"}, "locale": "nl"}
    assert found[1].payload["context"] == body["context"]
    assert found[1].payload["integrations"] == {"All": True}
    assert [a.sent_at for a in found] == ["S", "own", "S", "S"]
    assert [a.payload for a in found[2:]] == [7, None]
    assert body["batch"][0] == {"type": "track", "context": {"locale": "nl"}}, "what was read is left as it was"
    assert len(arrivals([{"type": "page"}], "/v1/import", 5, "web", "4")) == 1


@pytest.mark.parametrize(
    ("body", "code"), [({}, "bad_batch"), ({"batch": {}}, "bad_batch"), (5, "not_an_object"), ("x", "not_an_object")]
)
def test_a_body_without_events_is_refused(body: Any, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        arrivals(body, "/v1/batch", 5, "web", "41")
    assert refused.value.code == code


def test_a_frame_of_the_journal_never_fails() -> None:
    good = json.dumps({"batch": [{"type": "track"}] * 2}).encode()
    assert [a.place for a in frame_arrivals(zipped(good), META, 7)] == ["7:0", "7:1"]
    for body in (b"\xff\xfe", zipped(good)[:-3], b"{}", b"7", b""):
        (found,) = frame_arrivals(body, META, 7)
        payload: Any = found.payload
        assert isinstance(payload, Poison)
        assert payload.code in ("bad_json", "not_an_object")


def test_a_pixel_brings_its_event_in_the_query() -> None:
    event = {"event": "Seen", "properties": {"å": "ü?>"}}
    plain = json.dumps(event, ensure_ascii=False).encode()
    for data in (base64.b64encode(plain), base64.urlsafe_b64encode(plain), base64.b64encode(plain).rstrip(b"=")):
        assert json.loads(query_body({"data": data.decode(), "writeKey": "k"})) == event
    spelled = query_body({"writeKey": "k", "userId": "7", "context.page.path": "/a", "userId.x": "odd"})
    assert json.loads(spelled) == {"userId": "7", "context": {"page": {"path": "/a"}}}
    for data in ("%%%", base64.b64encode(b"[1]").decode(), base64.b64encode(b"{").decode()):
        with pytest.raises(BadInput):
            query_body({"data": data})
