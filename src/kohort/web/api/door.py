"""The way in for programs: their key, how much it may ask, and that nothing is changed twice.

It stands before the routes, so nothing of a request is read before it is known whose it is.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kohort.errors import KohortError
from kohort.web.access import Rule
from kohort.web.api.problems import KNOWN, problem
from kohort.web.guard import asked_of
from kohort.web.middleware import for_programs, told
from kohort.web.tracking.answers import Refusal
from kohort.web.tracking.credentials import of_header
from kohort.web.tracking.inbox import DEFAULTS, Limits
from kohort.web.tracking.rates import Rates
from kohort.web.tracking.reading import Gone, Held, Reading
from kohort.web.who import Who, current

if TYPE_CHECKING:
    from kohort.store.answered import Answered
    from kohort.store.api_keys import ApiKey
    from kohort.store.store import Store

BODY_BYTES = 256 * 1024
HELD_BYTES = 64 * 1024**2
IDEMPOTENCY = "idempotency-key"
READING = ("GET", "HEAD")
_WORDS = re.compile(r"[\x21-\x7e]{1,255}")


class ApiDoor:
    """Middleware around the routes for programs; other addresses pass through it.

    Args:
        limits: How many points a key may use in a second, and for how long a body may arrive.
        clock: Seconds that only grow.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        app: ASGIApp,
        store: Store,
        limits: Limits = DEFAULTS,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.app, self._store = app, store
        self._rates = Rates(limits.points_per_second, limits.points_per_second, clock, wall)
        self._held = Held(HELD_BYTES)
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mine = scope["type"] == "http" and for_programs(scope["path"])
        rule = asked_of(scope).rule if mine else None
        if rule is None or not rule.key:
            await self.app(scope, receive, send)
            return
        try:
            key = self._key(scope, rule)
        except Refusal as refusal:
            await _refuse(refusal)(scope, receive, send)
            return
        wait = self._rates.events(key.lookup, rule.cost_of(scope["query_string"]))
        counted = _with_headers(send, self._rates.allowance(key.lookup).headers())
        if wait:
            await _refuse(_refusal("too_many_requests", retry_after=math.ceil(wait)))(scope, receive, counted)
            return
        current.set(Who(name=f"the key {key.name}"))
        await self._serve(scope, receive, counted, rule, key)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, rule: Rule, key: ApiKey) -> None:
        with Reading(scope, receive, self._held, self._limits) as reading:
            try:
                body = await reading.all(BODY_BYTES) if scope["method"] not in READING else b""
            except Gone:
                return
            except Refusal as refusal:
                told_so = refusal if refusal.code == "busy" else _refusal(refusal.code, refusal.retry_after)
                await _refuse(told_so)(scope, receive, send)
                return
            _call_json(scope)
            asked = _Asked(scope, body)
            changes = rule.key == "admin" and scope["method"] not in READING
            name = Headers(scope=scope).get(IDEMPOTENCY) if changes else None
            if name is None:
                await self.app(asked.scope, asked.receive, send)
            elif not _WORDS.fullmatch(name):
                await _refuse(_refusal("bad_idempotency_key"))(scope, receive, send)
            else:
                await self._once(asked, send, key.lookup, name)

    async def _once(self, asked: _Asked, send: Send, who: str, name: str) -> None:
        """Carries a change out, or answers what was answered when it was carried out under this key."""
        kept = self._store.answered
        try:
            found = await run_in_threadpool(kept.begin, who, name, asked.whole())
        except KohortError as error:
            await problem(error)(asked.scope, asked.receive, send)
            return
        match found.state:
            case "other":
                await _refuse(_refusal("idempotency_key_reused"))(asked.scope, asked.receive, send)
            case "busy":
                refusal = _refusal("same_request_under_way", retry_after=1)
                await _refuse(refusal)(asked.scope, asked.receive, send)
            case "unknown":
                await _refuse(_refusal("outcome_unknown"))(asked.scope, asked.receive, send)
            case "done":
                again = Response(found.answer, found.status, {"Idempotency-Replayed": "true"}, "application/json")
                await again(asked.scope, asked.receive, send)
            case "new":
                await self._carry_out(asked, send, kept, who, name)

    async def _carry_out(self, asked: _Asked, send: Send, kept: Answered, who: str, name: str) -> None:
        """What was refused changed nothing, so only what was done is kept. It is kept before it is told.

        Of an error that nobody foresaw nobody knows whether it came before the change or after it, so the word stays taken;
        also where the server ends in the middle, as after a power cut.
        """
        answer = _Answer()
        try:
            await self.app(asked.scope, asked.receive, answer.take)
        except Exception:
            with suppress(KohortError):
                await run_in_threadpool(kept.lose, who, name)
            raise
        with suppress(KohortError):  # what was done is told also where it cannot be kept
            if 200 <= answer.status < 300:
                await run_in_threadpool(kept.keep, who, name, answer.status, answer.body())
            else:
                await run_in_threadpool(kept.forget, who, name)
        for message in answer.messages:
            await send(message)

    def _key(self, scope: Scope, rule: Rule) -> ApiKey:
        """Whose key it is.

        Raises:
            Refusal: There is none, or it is not for this.
        """
        text = of_header(Headers(scope=scope).get("authorization", "").encode("latin-1", "replace"))
        key = self._store.api_keys.known(text) if text else None
        # Without WWW-Authenticate: a browser would ask the visitor of a page for a password.
        if key is None or key.revoked_us is not None:
            raise _refusal("unauthorized")
        if not key.may("read"):
            raise Refusal(403, "wrong_scope", "This key is not for reading.", "Use a key of scope read.")
        if rule.key == "admin" and not key.may("admin"):
            raise _refusal("wrong_scope")
        return key


@dataclass(slots=True)
class _Asked:
    """A request whose body is here."""

    scope: Scope
    body: bytes

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self.body, "more_body": False}

    def whole(self) -> bytes:
        """All that makes it this request."""
        address = self.scope.get("raw_path") or str(self.scope["path"]).encode()
        return b"\n".join((self.scope["method"].encode(), address, self.scope["query_string"], self.body))


@dataclass(slots=True)
class _Answer:
    """What the routes answered, before it is sent."""

    messages: list[Message] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return next((int(m["status"]) for m in self.messages if m["type"] == "http.response.start"), 500)

    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")


def _call_json(scope: Scope) -> None:
    """A body is JSON, whatever the client calls it: `curl -d` says it is a form.

    A key is in a header that no page of another site can make a browser send, so nothing depends on the type.
    """
    others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    scope["headers"] = [*others, (b"content-type", b"application/json")]


def _refusal(code: str, retry_after: int | None = None) -> Refusal:
    known = KNOWN[code]
    return Refusal(known.status, code, known.message, known.hint, retry_after)


def _refuse(refusal: Refusal) -> Response:
    answer = told(refusal.code, refusal.message, refusal.hint, refusal.status)
    for name, value in refusal.headers():
        answer.headers[name.decode()] = value.decode()
    return answer


def _with_headers(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            told_so = MutableHeaders(scope=message)
            for name, value in headers:
                told_so[name.decode()] = value.decode()
        await send(message)

    return sending
