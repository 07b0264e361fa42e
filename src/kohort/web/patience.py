"""Patience with connections: whoever does not finish asking is let go, and the one waiting longest makes room.

uvicorn waits for ever for a request's head. Five hundred clients that send a letter now and then (a "slow loris") would
keep their connections, and with them the process's file handles, until nobody else is let in. Bodies have a time limit of
their own, see `kohort.web.tracking.reading`.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable
from functools import cache
from typing import Any

HEAD_SECONDS = 10.0
"""For the head of a request to arrive, from the opening of the connection or from its first byte."""
SPARE_HANDLES = 256
"""File handles that are left to files."""


def most_connections() -> int:
    """How many connections may be open at once: what the system allows this process, less what files need."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 10_000 if allowed == resource.RLIM_INFINITY else max(min(allowed - SPARE_HANDLES, 10_000), 64)


@cache
def patient(http: str = "auto") -> type[asyncio.Protocol]:
    """The class that uvicorn's setting `http` takes: its own protocol with our patience.

    Args:
        http: "h11", "httptools", or "auto" for the quicker one that is installed.
    """
    from uvicorn.config import HTTP_PROTOCOLS
    from uvicorn.importer import import_from_string

    base: Any = HTTP_PROTOCOLS[http]
    base = import_from_string(base) if isinstance(base, str) else base

    class Patient(base):  # type: ignore[misc]
        """One connection. It waits while no request of it is being answered."""

        waiting: dict[Patient, asyncio.TimerHandle] = {}  # noqa: RUF012  (all connections share it; oldest first)
        head_seconds = HEAD_SECONDS
        most = most_connections()

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > self.most and self.waiting:
                next(iter(self.waiting)).let_go()
            self.wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self.ready()
            else:
                self.wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self.ready()
            super().connection_lost(exc)

        def wait(self) -> None:
            if self not in self.waiting and not self.transport.is_closing():
                self.waiting[self] = self.loop.call_later(self.head_seconds, self.let_go)

        def ready(self) -> None:
            timer = self.waiting.pop(self, None)
            if timer is not None:
                timer.cancel()

        def let_go(self) -> None:
            self.ready()
            self.transport.abort()

    return Patient


def let_go_of_halves(connections: Iterable[Any]) -> None:
    """Ends connections whose request has not come in as a whole; what is being answered goes on.

    Args:
        connections: Of uvicorn.
    """
    for connection in list(connections):
        cycle = connection.cycle
        if cycle is not None and cycle.more_body and not cycle.response_complete:
            connection.transport.abort()


def __getattr__(name: str) -> Any:
    """`Patient`, by name for uvicorn's setting `http`: `"kohort.web.patience:Patient"`. Made when it is asked for."""
    if name == "Patient":
        return patient()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
