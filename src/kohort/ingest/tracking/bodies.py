"""From the bytes of a request to arrivals: unpacked within a limit, read strictly, one arrival per event of a batch.

What the bytes are is seen from the bytes: clients send JSON as text/plain, and gzip as a form. A body in which one event
holds what is no JSON (NaN, half a surrogate pair, a nesting without end) is read once more, slower, so that only that
event is lost and not its neighbours.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from kohort.errors import BadInput, TooLarge
from kohort.ingest.tracking.reasons import Poison
from kohort.model.arrival import Arrival
from kohort.model.signals import SIGNALS, Signal

BODY_BYTES = 4 * 1024**2
"""What one body may unpack to, unless the door says otherwise."""

TYPES = ("identify", "track", "page", "screen", "group", "alias")
_BY_PATH = {name: name for name in TYPES} | {name[0]: name for name in TYPES}
_MANY = frozenset(["batch", "b", "import", "beacon"])
_SHARED = ("context", "integrations")
"""What a batch says once for all of its events."""

_GZIP = b"\x1f\x8b"
_SMALL_INT = 18  # digits that surely fit 64 bits
_KEPT_DEPTH = 40  # of nesting beyond this nothing is kept; the event is refused anyway
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def inflate(body: bytes, encoding: str = "", limit: int = BODY_BYTES) -> bytes:
    """The body without its compression; never more than `limit` bytes are unpacked.

    Args:
        encoding: The Content-Encoding: gzip, deflate, identity or nothing. Gzip is recognised without it.

    Raises:
        TooLarge: It is, or unpacks to, more than `limit` bytes (`body_too_large`).
        BadInput: The encoding is unknown (`unknown_encoding`), or the bytes are not what it says (`bad_compression`).

    Example:
        >>> inflate(zlib.compress(b"{}"), "deflate")
        b'{}'
    """
    named = encoding.strip().lower()
    if named not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise BadInput(
            "This compression is not understood.",
            code="unknown_encoding",
            hint="Send gzip, deflate, or no compression.",
        )
    if body[:2] == _GZIP:
        return _unzipped(body, 31, limit)
    if named == "deflate" and body and body[:1] not in b"{[":
        # By the standard deflate has a zlib header; some clients send it bare.
        return _unzipped(body, 15 if body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0 else -15, limit)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _unzipped(body: bytes, window: int, limit: int) -> bytes:
    found, rest = b"", body
    try:
        while rest:
            one = zlib.decompressobj(window)
            found += one.decompress(rest, limit + 1 - len(found))
            if len(found) > limit:
                raise _too_large(limit)
            if not one.eof:
                raise BadInput("The compressed body ends too early.", code="bad_compression")
            # A second gzip member may follow; padding with zeros is none.
            rest = one.unused_data.lstrip(b"\0") if window == 31 else b""
    except zlib.error as error:
        raise BadInput(
            "The body cannot be unpacked.", code="bad_compression", hint="Check the Content-Encoding."
        ) from error
    return found


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {limit:,} bytes.", code="body_too_large", hint="Send fewer events at once."
    )


def parse(body: bytes) -> Any:
    """The JSON of a body. Where strict reading fails, what is no JSON inside it stays as `Poison` for `normalise` to refuse.

    Raises:
        BadInput: It is not JSON at all (`bad_json`).
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    text = body.decode("utf-8", errors="surrogateescape")
    try:
        try:
            return _marked(_tolerant(text))
        except RecursionError:
            return _marked(_tolerant(_shallow(text)))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            "The body is not JSON.", code="bad_json", hint="Send one event, or an object with a list called batch."
        ) from error


def _tolerant(text: str) -> Any:
    return json.loads(
        text,
        strict=False,
        parse_constant=lambda name: Poison("bad_number", name),
        parse_int=lambda digits: int(digits) if len(digits) <= _SMALL_INT else _long(digits),
        parse_float=_float,
    )


def _long(digits: str) -> int | Poison:
    value = int(digits) if len(digits) <= 20 else 1 << 64
    return value if -(1 << 63) <= value < 1 << 63 else Poison("number_out_of_range", digits[:40])


def _float(digits: str) -> float | Poison:
    value = float(digits)
    return value if abs(value) < float("inf") else Poison("bad_number", digits[:40])


def _shallow(text: str) -> str:
    """The text without what is nested deeper than anything that is accepted."""
    kept, depth, end = [], 0, 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == _KEPT_DEPTH:
                kept.append(text[end : token.end()])
        elif mark in "]}":
            if depth == _KEPT_DEPTH:
                end = token.start()
            depth -= 1
    return "".join(kept) + text[end:] if depth < _KEPT_DEPTH else text[:0]


def _marked(value: Any, depth: int = 0) -> Any:
    """With poison in place of each text that is not valid Unicode."""
    if depth > _KEPT_DEPTH:
        return Poison("too_deep")
    if isinstance(value, str):
        return value if _is_text(value) else Poison("bad_text", value)
    if isinstance(value, list):
        return [_marked(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {
            key if _is_text(key) else "": _marked(item, depth + 1) if _is_text(key) else Poison("bad_text", key)
            for key, item in value.items()
        }
    return value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def arrivals(
    body: Any,
    path: str,
    received_us: int,
    source: str,
    place: str,
    *,
    user_agent: str = "",
    signals: tuple[Signal, ...] = (),
) -> list[Arrival]:
    """The events of one parsed body, none of them judged yet.

    Args:
        body: As `parse` gave it.
        path: Where it was sent: "/v1/batch", "track", "t". The path of a single event says its type.
        received_us, source, user_agent, signals: As in `Arrival`.
        place: Of the request. Events of a batch are found at "PLACE:0", "PLACE:1", …

    Raises:
        BadInput: A batch has no list of events (`bad_batch`), or a single event is not an object (`not_an_object`).
    """
    kind = path.rstrip("/").rpartition("/")[2].lower()
    if isinstance(body, list):
        body = {"batch": body}
    if not isinstance(body, dict):
        raise BadInput("The body is not an object with named values.", code="not_an_object")
    if "batch" not in body and kind not in _MANY:
        typed = _BY_PATH.get(kind)
        payload = body if typed is None or body.get("type") == typed else {**body, "type": typed}
        return [Arrival(payload, received_us, source, place, body.get("sentAt"), user_agent, signals)]
    events = body.get("batch")
    if not isinstance(events, list):
        raise BadInput("The batch has no list of events.", place="/batch", code="bad_batch")
    shared = {name: body[name] for name in _SHARED if isinstance(body.get(name), dict) and body[name]}
    sent = body.get("sentAt")
    found = []
    for n, event in enumerate(events):
        own_sent = sent
        if isinstance(event, dict):
            if shared:
                event = {**event, **{k: _joined(v, event.get(k)) for k, v in shared.items()}}  # noqa: PLW2901
            own_sent = event.get("sentAt") or sent
        found.append(Arrival(event, received_us, source, f"{place}:{n}", own_sent, user_agent, signals))
    return found


def _joined(shared: dict[str, Any], own: Any) -> Any:
    if own is None:
        return shared
    return {**shared, **own} if isinstance(own, dict) else own


def frame_arrivals(body: bytes, meta: Mapping[str, Any], number: int, *, limit: int = BODY_BYTES) -> list[Arrival]:
    """The arrivals of one frame of the journal. Never fails: what cannot be read is one arrival to be refused.

    Args:
        meta: Of the request: `received_us`, `source`, `path`, `user_agent`, `signals`.
        number: Of the frame.
    """
    received, source = int(meta["received_us"]), str(meta["source"])
    try:
        read = parse(inflate(body, limit=limit))
        agent = str(meta.get("user_agent") or "")
        told = meta.get("signals") or ()
        signals = tuple(signal for signal in SIGNALS if signal in told)
        path = str(meta["path"])
        return arrivals(read, path, received, source, str(number), user_agent=agent, signals=signals)
    except BadInput as error:
        code = error.code if error.code == "not_an_object" else "bad_json"
        poison: Any = Poison(code, body[:1_000].decode("utf-8", errors="backslashreplace"))
        return [Arrival(poison, received, source, str(number))]


def query_body(query: Mapping[str, str]) -> bytes:
    """The event of a pixel's query as JSON: base64 in `data`, else one value per name ("properties.price").

    Raises:
        BadInput: `data` is not base64 of an object (`bad_json`).

    Example:
        >>> query_body({"writeKey": "k", "event": "Seen", "properties.colour": "red"})
        b'{"event":"Seen","properties":{"colour":"red"}}'
    """
    if data := query.get("data"):
        try:
            plain = base64.b64decode(data.translate({45: 43, 95: 47, 32: 43}) + "=" * (-len(data) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadInput("The data of the pixel is not base64.", place="data", code="bad_json") from error
        if not isinstance(parse(plain), dict):
            raise BadInput("The data of the pixel is not an object.", place="data", code="bad_json")
        return plain
    event: dict[str, Any] = {}
    for name, value in query.items():
        if name == "writeKey":
            continue
        *parents, last = name.split(".")[:8]
        level = event
        for parent in parents:
            inner = level.setdefault(parent, {})
            if not isinstance(inner, dict):
                break
            level = inner
        else:
            level[last] = value
    return orjson.dumps(event)
