"""Reading a request's body: no more than allowed, for no longer than allowed, counted among all that is held."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive, Scope

from kohort.web.tracking.answers import Refusal, header
from kohort.web.tracking.inbox import Limits

DRAINED_BYTES = 8 * 1024**2
"""So much of a refused body is still read and thrown away. A client that is cut off while it sends sees a broken
connection and sends again; one that may finish sees the refusal. Beyond that, the connection is worth less."""


class Held:
    """Bytes of all bodies that are in memory."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = 0


class Gone(Exception):
    """The client left before its body was complete: there is nobody to answer."""


class Reading:
    """One request's body. In a `with` block; what it holds is given back at the end."""

    def __init__(self, scope: Scope, receive: Receive, held: Held, limits: Limits) -> None:
        self._receive = receive
        self._held = held
        self._limits = limits
        self._mine = 0
        self.ended = False
        declared = header(scope, b"content-length")
        self.declared = int(declared) if declared.isdigit() and len(declared) < 19 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        self._held.now -= self._mine

    def hold(self, n: int) -> None:
        """Counts bytes among those held until the block ends.

        Raises:
            Refusal: All requests together hold too much.
        """
        if self._held.now + n > self._held.limit:
            raise Refusal(503, "busy", "Too many requests are being read right now.", "Try again in a moment.", 1)
        self._held.now += n
        self._mine += n

    async def all(self, limit: int) -> bytes:
        """The body as it was sent.

        Raises:
            Refusal: It is larger than `limit`, or did not arrive in time.
            Gone: The client left.
        """
        if self.declared is not None and self.declared > limit:
            raise large(limit)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                while not self.ended:
                    part = await self._part()
                    size += len(part)
                    if size > limit:
                        raise large(limit)
                    self.hold(len(part))
                    parts.append(part)
        except TimeoutError:
            # 408 would say it best, but older clients drop what was answered with it. They send again after 503.
            raise Refusal(
                503, "too_slow", "The body did not arrive in time.", "Send fewer events at once.", 1
            ) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def drain(self) -> None:
        """Throws away what a client still sends, within reason, so that it lives to read the refusal."""
        if self.ended or (self.declared or 0) > DRAINED_BYTES:
            return
        size = 0
        try:
            async with asyncio.timeout(self._limits.drain_seconds):
                while not self.ended and size <= DRAINED_BYTES:
                    size += len(await self._part())
        except TimeoutError:
            return

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.ended = True
            raise Gone
        self.ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))


def large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"The body is larger than {limit:,} bytes.", "Send fewer events at once.")
