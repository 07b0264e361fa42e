"""Answers of the door: always JSON, always readable from other origins, never a redirect, never 202 or 204.

Older Python clients send a batch eleven times when an error's body is not an object with the texts `code` and `message`,
or when a success is anything but 200.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

import orjson
from starlette.types import Scope, Send

Header = tuple[bytes, bytes]

SUCCESS = b'{"success": true}'
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent dot."""

JSON: Header = (b"content-type", b"application/json")
_SAFE: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
_EXPOSED = b"Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
_ORIGIN = re.compile(rb"[\x21-\x7e]{1,300}")
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~ ,-]{1,2000}")


class Refusal(Exception):
    """A request that is not taken: status, code, one sentence, what to do, and after how many whole seconds to retry."""

    def __init__(self, status: int, code: str, message: str, hint: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint, self.retry_after = status, code, message, hint, retry_after

    def body(self) -> bytes:
        return orjson.dumps({"code": self.code, "message": self.message, "hint": self.hint})

    def headers(self) -> list[Header]:
        return [(b"retry-after", b"%d" % max(self.retry_after, 1))] if self.retry_after is not None else []


def header(scope: Scope, name: bytes) -> bytes:
    """A header's first value; empty where it was not sent."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


def shared(scope: Scope) -> list[Header]:
    """Headers that let a page of any origin read the answer: credentials are keys, there is no cookie to misuse."""
    origin = header(scope, b"origin")
    if not _ORIGIN.fullmatch(origin):
        return [(b"vary", b"Origin")]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    ]


def preflight(scope: Scope, method: str) -> list[Header]:
    """Headers that answer a browser's question beforehand, for a quarter of an hour; RudderStack's choice."""
    asked = header(scope, b"access-control-request-headers")
    return [
        (b"access-control-allow-methods", f"{method}, OPTIONS".encode()),
        (b"access-control-allow-headers", asked if _HEADER_NAMES.fullmatch(asked) else b"Authorization, Content-Type"),
        (b"access-control-max-age", b"900"),
    ]


async def answer(scope: Scope, send: Send, status: int, body: bytes, headers: Iterable[Header] = (JSON,)) -> None:
    """Sends a whole answer."""
    all_headers = [(b"content-length", b"%d" % len(body)), *_SAFE, *shared(scope), *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
