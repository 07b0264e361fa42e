"""The tracking door: from an HTTP request to a durable one. Plain ASGI, because it has to be quick.

Here a request is judged as a whole: its key, its size, its JSON, its shape. Each event is judged later, by itself, so
that one bad event never loses its batch. 200 is said only after the inbox has said that it is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from kohort import __version__
from kohort.errors import BadInput, KohortError
from kohort.ingest.tracking import bodies
from kohort.model.log import say
from kohort.model.signals import HEADERS
from kohort.web.tracking import credentials
from kohort.web.tracking.answers import GIF, JSON, SUCCESS, Header, Refusal, answer, header, preflight
from kohort.web.tracking.inbox import DEFAULTS, Inbox, Key, Keys, Limits
from kohort.web.tracking.rates import Rates
from kohort.web.tracking.reading import Gone, Held, Reading
from kohort.web.tracking.routes import OURS, Route, route
from kohort.web.tracking.shallow import is_shallow

log = logging.getLogger("kohort.web")

_LARGE = 256 * 1024
"""Bodies beyond this are read one at a time: each takes milliseconds in which nobody else is served."""
_MENDED = 512 * 1024
"""A text that is almost JSON is read up to here: Segment's clients send 480 KB at most."""
_AGENT_CHARS = 500
_STATUS = {"body_too_large": 413, "unknown_encoding": 415} | dict.fromkeys(
    ("bad_json", "bad_compression", "bad_query"), 400
)
"""Of errors that are the request's own fault; whatever else fails is ours."""
_VERSION = orjson.dumps({"name": "kohort", "version": __version__})
_GIF: Header = (b"content-type", b"image/gif")


@dataclass(slots=True)
class Asked:
    """Whose a request is, as far as it is known yet."""

    tried: list[str]
    """Texts that may be a key and were not looked up yet."""
    given: bool = False
    """Whether there was any."""
    key: Key | None = None


class Door:
    """Answers tracking requests.

    Args:
        inbox: Where requests become durable; None = this server takes no events and says so with 503.
        keys: Who may send.
        limits: Sizes, rates and patience.
        clock: Seconds that only grow.
        wall: Seconds since 1970.

    Attributes:
        outcomes: Answers by code since the start; "taken" for those that were stored.
        events: Events taken since the start.
    """

    def __init__(
        self,
        inbox: Inbox | None,
        keys: Keys | None,
        limits: Limits = DEFAULTS,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self.outcomes: Counter[str] = Counter()
        self.events = 0
        self._inbox, self._keys, self._wall = inbox, keys, wall
        self._rates = Rates(limits.events_per_second, limits.requests_per_second, clock, wall)
        self._held = Held(limits.held_bytes)
        self._one_at_a_time = asyncio.Semaphore(1)

    def answers(self, path: str) -> bool:
        """Whether an address is the door's."""
        return route(path) is not None or path.startswith(OURS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        where, method = route(scope["path"]), scope["method"]
        if where is None:
            await self._refuse(scope, send, Refusal(404, "no_such_address", "There is nothing at this address."))
        elif method == "OPTIONS":
            await answer(scope, send, 200, b"", preflight(scope, where.method))
        elif method != where.method:
            wrong = Refusal(405, "wrong_method", f"This address takes {where.method}.")
            await self._refuse(scope, send, wrong, [(b"allow", f"{where.method}, OPTIONS".encode())])
        elif where.kind == "version":
            await answer(scope, send, 200, _VERSION)
        else:
            await self._serve(where, scope, receive, send)

    async def _serve(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        told: list[Header] = []
        with Reading(scope, receive, self._held, self.limits) as reading:
            try:
                await self._take(where, scope, reading, told)
            except Gone:
                self.outcomes["gone"] += 1
                return
            except Exception as error:
                refusal = self._refusal(error)
                try:
                    await reading.drain()
                except Gone:
                    return
                if not reading.ended:
                    told.append((b"connection", b"close"))  # else the server would read on to the end
                await self._refuse(scope, send, refusal, told)
                return
        gif = where.kind == "pixel"
        await answer(scope, send, 200, GIF if gif else SUCCESS, [_GIF if gif else JSON, *told])

    async def _take(self, where: Route, scope: Scope, reading: Reading, told: list[Header]) -> None:
        """Everything between the request and its being durable; what the answer should say of limits goes to `told`."""
        if where.kind == "ignored":
            await reading.all(self.limits.single_bytes)
            return
        inbox = self._inbox
        if inbox is None or self._keys is None:
            raise Refusal(503, "not_live", "This server takes no events.", "Start it with: kohort serve", 10)
        if not inbox.room():
            raise Refusal(429, "overloaded", "Events arrive faster than they can be worked on.", "Send them again.", 1)
        fields = credentials.query(scope["query_string"]) if scope["query_string"] else {}
        asked = Asked([credentials.of_header(header(scope, b"authorization")), credentials.of_query(fields)])
        self._recognise(asked)
        if where.kind == "pixel":
            text, n = bodies.query_body(fields), 1
        else:
            text, n = await self._read(where, scope, reading, asked)
        key = self._sure(asked)
        wait = self._rates.events(key.name, n)
        told += self._rates.allowance(key.name).headers()
        if wait:
            raise too_many(wait, f"{self.limits.events_per_second:,} events")
        if n:
            await self._store(inbox, text, _meta(where, scope, key, self._wall()))
        self.outcomes["taken"] += 1
        self.events += n

    async def _read(self, where: Route, scope: Scope, reading: Reading, asked: Asked) -> tuple[bytes, int]:
        """The request as text, unpacked, and how many events are in it. What the text says is let go at once."""
        limit = self.limits.batch_bytes if where.kind == "batch" else self.limits.single_bytes
        raw = await reading.all(limit)
        encoding = header(scope, b"content-encoding").decode("latin-1")
        if len(raw) <= _LARGE:
            text = bodies.inflate(raw, encoding, limit)
            return text, await self._judged(where, text, reading, asked)
        async with self._one_at_a_time:
            await asyncio.sleep(0)  # whoever waits meanwhile, a health check say, has its turn
            text = bodies.inflate(raw, encoding, limit)
            if text.count(b",") > self.limits.values:
                raise Refusal(413, "too_many_values", f"A body has {self.limits.values:,} values at most.")
            return text, await self._judged(where, text, reading, asked)

    async def _judged(self, where: Route, text: bytes, reading: Reading, asked: Asked) -> int:
        """How many events there are. Finds the key in the text where it was nowhere else."""
        reading.hold(len(text))
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            # Reading what is almost JSON takes its time: not for strangers, not for bombs, and not in a thread. A thread
            # that computes makes this one wait 5 ms at every socket, which is seconds where five hundred are open.
            asked.tried.append(credentials.of_text(text))
            self._recognise(asked)
            if asked.key is None and asked.given:
                raise unknown_key(given=True) from None
            if asked.key is None or len(text) > _MENDED or not is_shallow(text):
                raise
            document = bodies.parse(text)
        else:
            asked.tried.append(credentials.of_body(document))
            self._recognise(asked)
        return self._count(document, where)

    def _recognise(self, asked: Asked) -> None:
        """The first of the texts tried that is a key. A client may send a token of its own beside it, so all are tried.

        Raises:
            Refusal: The key may not send events, or not so many requests.
        """
        assert self._keys is not None
        while asked.key is None and asked.tried:
            text = asked.tried.pop(0)
            asked.given = asked.given or bool(text)
            asked.key = self._keys.known(text) if text else None
            if asked.key is not None:
                self._may(asked.key)

    def _sure(self, asked: Asked) -> Key:
        if asked.key is None:
            raise unknown_key(asked.given)
        return asked.key

    def _may(self, key: Key) -> None:
        if key.revoked_us is not None:
            raise Refusal(404, "source_disabled", "This key was revoked.", "Make a new one with: kohort keys add")
        if not key.may("ingest"):
            raise Refusal(403, "wrong_scope", "This key is not for sending events.", "Use a key of scope ingest.")
        if wait := self._rates.request(key.name):
            raise too_many(wait, f"{self.limits.requests_per_second:,} requests")

    def _count(self, document: Any, where: Route) -> int:
        """How many events there are, as `bodies.arrivals` will find them."""
        events = document
        if isinstance(document, dict):
            if "batch" not in document and where.kind == "single":
                return 1
            events = document.get("batch")
        elif not isinstance(document, list):
            raise Refusal(400, "not_an_object", "The body is not an object with named values.")
        if not isinstance(events, list):
            raise Refusal(400, "bad_batch", "The batch has no list of events.")
        if len(events) > self.limits.batch_events:
            raise Refusal(413, "too_many_events", f"A batch has {self.limits.batch_events:,} events at most.")
        return len(events)

    async def _store(self, inbox: Inbox, text: bytes, meta: dict[str, Any]) -> None:
        stored = inbox.append(text, meta)
        if not stored.done():
            waiting = asyncio.get_running_loop().create_future()
            stored.add_done_callback(partial(_wake, waiting))
            try:
                # Waiting ends, storing does not: a request answered too early is sent again and recognised by its ids.
                async with asyncio.timeout(self.limits.store_seconds):
                    await waiting
            except TimeoutError:
                hint = "Send them again."
                raise Refusal(503, "not_stored", "The events could not be stored in time.", hint, 1) from None
        stored.result()

    def _refusal(self, error: Exception) -> Refusal:
        """Any error in the words of the door. What nobody foresaw is logged by its place, without values."""
        if isinstance(error, Refusal):
            return error
        if isinstance(error, orjson.JSONDecodeError):
            return Refusal(
                400, "bad_json", "The body is not JSON.", "Send one event, or an object with a list called batch."
            )
        if isinstance(error, BadInput) and error.code in _STATUS:
            return Refusal(_STATUS[error.code], error.code, error.message, error.hint)
        if isinstance(error, KohortError):
            # Whatever ails the store, the client should keep its events: never a 4xx.
            say(log, logging.ERROR, "events not stored", code=error.code)
            return Refusal(503, "not_stored", "The events cannot be stored right now.", "Send them again.", 1)
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "?"
        say(log, logging.ERROR, "tracking failed", error=type(error).__name__, places=place)
        return Refusal(500, "unexpected", "Something went wrong here.", "Send the events again.", 1)

    async def _refuse(self, scope: Scope, send: Send, refusal: Refusal, headers: list[Header] | None = None) -> None:
        self.outcomes[refusal.code] += 1
        all_headers = [JSON, *refusal.headers(), *(headers or [])]
        await answer(scope, send, refusal.status, refusal.body(), all_headers)


def too_many(wait: float, what: str) -> Refusal:
    seconds = max(math.ceil(wait), 1)
    return Refusal(429, "too_many_requests", f"A key may send {what} a second.", "Wait and send them again.", seconds)


def unknown_key(given: bool) -> Refusal:
    # No WWW-Authenticate: a browser would ask the visitor of the page for a password.
    hint = "Make one with: kohort keys add NAME --scope ingest"
    if given:
        return Refusal(401, "unknown_key", "This write key is not known here.", hint)
    return Refusal(401, "no_key", "The request has no write key.", hint)


def _signals(scope: Scope) -> dict[str, Any]:
    """What a browser objects to by itself; nothing where it does not."""
    told = [signal for signal, name in HEADERS.items() if header(scope, name.lower().encode()).strip() == b"1"]
    return {"signals": told} if told else {}


def _wake(waiting: asyncio.Future[None], _stored: Future[int]) -> None:
    """Called in the thread of whoever stores."""

    def wake() -> None:
        if not waiting.done():  # its patience may have ended first
            waiting.set_result(None)

    with suppress(RuntimeError):  # the server has stopped meanwhile
        waiting.get_loop().call_soon_threadsafe(wake)


def _meta(where: Route, scope: Scope, key: Key, now: float) -> dict[str, Any]:
    agent = header(scope, b"user-agent")[:_AGENT_CHARS].decode("latin-1")
    client = scope.get("client")
    return {
        "received_us": int(now * 1e6),
        "source": key.name,
        "path": where.name,
        "ip": client[0] if client else "",
        "user_agent": agent,
        **_signals(scope),
    }
