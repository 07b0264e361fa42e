"""`GET /v1/stream`: every entry and exit as server-sent events, from any point of the log on.

A reader costs one page of rows at a time, however far behind it is: the log is in the store, and each reader has its own
place in it. One watcher per process looks whether there is news.
"""

from __future__ import annotations

import asyncio
import json
import time
import weakref
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from kohort.definitions.triggers import is_hidden
from kohort.errors import KohortError
from kohort.model.clock import iso
from kohort.web.tracking.credentials import of_header

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

PATH = "/v1/stream"
PAGE = 500
"""Transitions read at once for one reader."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, and how many readers.

    Attributes:
        look: How often the watcher looks for news.
        beat: A comment is sent where there is no news for so long: whoever is between keeps the connection open.
        patience: A reader that does not take a page in this time is behind.
        grace: How long it has to take it all the same, to be told that it is cut off.
    """

    look: float = 0.1
    beat: float = 15.0
    patience: float = 30.0
    grace: float = 5.0
    most: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Events as they go over the line, and the last transition that was looked at for them."""

    text: bytes
    last: int


@dataclass(frozen=True, slots=True)
class Following:
    """What one reader is sent. The functions run in threads.

    Attributes:
        page: What is sent of the transitions after one.
        every: Seconds without news after which `beat` is sent.
        beat: What is sent then, beside a comment.
        goes_on: Whether she may still read; asked before every page.
        seconds: How long it lasts at most.
        over: What is sent where it ends because of these two.
    """

    page: Callable[[int], Page]
    every: float
    beat: Callable[[], bytes] = bytes
    goes_on: Callable[[], bool] = lambda: True
    seconds: float = float("inf")
    over: bytes = b""


class Streams:
    """All readers of one process."""

    def __init__(self, workspace: Workspace, pace: Pace | None = None) -> None:
        self._ws, self._pace = workspace, pace or Pace()
        self._readers = 0
        self.behind = 0
        """How many readers did not take a page in time, since the process began."""
        self._last = 0
        self._news = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False
        _all.add(self)

    @property
    def readers(self) -> int:
        """How many are connected now."""
        return self._readers

    def add_to(self, app: Starlette) -> None:
        """Answers `GET /v1/stream` in an application."""
        app.add_route(PATH, self.answer, methods=["GET"])

    def stop(self) -> None:
        """Ends all streams: a server that is going down does not wait for readers that stay."""
        self._stopping = True
        self._news.set()

    async def answer(self, request: Request) -> Response:
        """The stream, or why there is none."""
        key = of_header(request.headers.get("authorization", "").encode("latin-1"))
        if not key or await asyncio.to_thread(self._ws.store.api_keys.find, key, "read") is None:
            hint = "Send Authorization: Bearer, with a key made by: kohort keys add NAME --scope read"
            return _refusal(401, "unauthorized", "This needs an API key of the scope read.", hint, "WWW-Authenticate")
        if self._stopping or self._readers >= self._pace.most:
            return _refusal(503, "busy", "There are too many readers.", "Try again in a minute.", "Retry-After")
        after = request.headers.get("last-event-id", request.query_params.get("after", "")).strip()
        if after and not (after.isascii() and after.isdigit() and len(after) < 19):
            return _refusal(400, "wrong_usage", "Last-Event-ID is the number of an event.", "")
        last = await asyncio.to_thread(self._ws.store.members.last_transition)
        start = int(after) if after else last
        if start > last:
            hint = "Leave Last-Event-ID out to begin with news."
            return _refusal(400, "wrong_usage", "There is no such event yet.", hint)
        named = {name.strip() for name in request.query_params.get("segment", "").split(",") if name.strip()}
        return _EventStream(self, start, Following(partial(self._page, named=named), self._pace.beat))

    def following(self, start: int, how: Following) -> Response:
        """A stream for a page, from the transition that is the last one it knows."""
        if self._stopping or self._readers >= self._pace.most:
            return _refusal(503, "busy", "There are too many readers.", "Try again in a minute.", "Retry-After")
        return _EventStream(self, start, how)

    # -- what a stream asks ------------------------------------------------------------------------------------------

    async def serve(self, start: int, how: Following, receive: Receive, send: Send) -> None:
        """Sends events until the reader goes, falls behind, or the server stops."""
        self._readers += 1
        gone = asyncio.ensure_future(_gone(receive))
        try:
            self._watch()
            await self._told(send, b": kohort\nretry: 2000\n\n")
            await self._run(start, how, send, gone)
        except (OSError, _Stalled):
            pass  # the reader is gone, or does not take anything at all
        finally:
            gone.cancel()
            self._readers -= 1

    async def _run(self, start: int, how: Following, send: Send, gone: asyncio.Future[None]) -> None:
        at, until = start, time.monotonic() + how.seconds
        while not gone.done() and not self._stopping:
            news = self._news
            if time.monotonic() > until or not await asyncio.to_thread(how.goes_on):
                await self._told(send, how.over)
                break
            page = await asyncio.to_thread(how.page, at)
            moved, at = page.last > at, page.last
            if page.text and not await self._told(send, page.text):
                note = json.dumps({"last": at, "message": "You read too slowly. Come back with this Last-Event-ID."})
                await self._told(send, f"event: behind\ndata: {note}\n\n".encode())
                break
            if moved:
                continue
            waiter = asyncio.ensure_future(news.wait())
            first: set[asyncio.Future[Any]] = {waiter, gone}
            done, _ = await asyncio.wait(first, timeout=how.every, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            if not done:
                # The comment carries how far we have looked: with a filter that can be far beyond the last event.
                more = await asyncio.to_thread(how.beat)
                await self._told(send, f": still here\nid: {at}\n\n".encode() + more)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _told(self, send: Send, text: bytes) -> bool:
        """Sends; says whether the reader took it in time.

        Raises:
            _Stalled: It does not take anything.
        """
        sending = asyncio.ensure_future(send({"type": "http.response.body", "body": text, "more_body": True}))
        done, _ = await asyncio.wait({sending}, timeout=self._pace.patience)
        if done:
            sending.result()
            return True
        self.behind += 1
        done, _ = await asyncio.wait({sending}, timeout=self._pace.grace)
        if not done:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            raise _Stalled
        sending.result()
        return False

    def _page(self, after: int, named: Collection[str]) -> Page:
        """The next events. Runs in a thread: it reads the store, and opens customer numbers."""
        from kohort.workspace.triggers import VaultPeople

        rows = self._ws.store.members.transitions(after=after, limit=PAGE).to_pylist()
        if not rows:
            return Page(b"", after)
        wanted = [r for r in rows if (r["name"] in named if named else not is_hidden(r["name"]))]
        people = VaultPeople(self._ws)
        known: dict[tuple[str, int], Any] = {}
        for name in {r["name"] for r in wanted}:
            found = people.named(name, [r["customer"] for r in wanted if r["name"] == name], ())
            known |= {(name, customer): person for customer, person in found.items()}
        texts = [_event(r, known.get((r["name"], r["customer"]))) for r in wanted]
        return Page("".join(texts).encode(), int(rows[-1]["seq"]))

    # -- news --------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        """Looks for news while anybody reads."""
        while self._readers and not self._stopping:
            with suppress(KohortError):
                last = await asyncio.to_thread(self._ws.store.members.last_transition)
                if last != self._last:
                    self._last = last
                    news, self._news = self._news, asyncio.Event()
                    news.set()
            await asyncio.sleep(self._pace.look)


_all: weakref.WeakSet[Streams] = weakref.WeakSet()


def stop_all() -> None:
    """Ends all streams of this process; for a server that is told to go down, which otherwise waits for them."""
    for streams in _all:
        streams.stop()


class _EventStream(Response):
    media_type = "text/event-stream"

    def __init__(self, streams: Streams, start: int, how: Following) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._start, self._how = streams, start, how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._streams.serve(self._start, self._how, receive, send)


class _Stalled(Exception):
    """A reader takes nothing."""


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(row: dict[str, Any], person: Any) -> str:
    data = {
        "seq": row["seq"],
        "segment": row["name"],
        "part": row["segment"],
        "customer_id": person.number if person else None,
        "visitor": row["customer"] < 0,
        "change": row["change"],
        "number": row["number"],
        "at": iso(row["at"]),
        "version": row["version"],
        "backfill": row["backfill"],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {row['seq']}\nevent: {row['change']}\ndata: {text}\n\n"


def _refusal(status: int, code: str, message: str, hint: str, header: str = "") -> Response:
    values = {"WWW-Authenticate": "Bearer", "Retry-After": "60"}
    headers = {header: values[header]} if header else {}
    return JSONResponse({"code": code, "message": message, "hint": hint}, status, headers)
