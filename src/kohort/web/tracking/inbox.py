"""What the door needs of the rest: somewhere durable to put requests, keys, and limits."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, Protocol


class Inbox(Protocol):
    """Takes requests and says when they are durable."""

    def append(self, body: bytes, meta: dict[str, Any], /) -> Future[int]:
        """Takes a request's body: JSON text, unpacked.

        Args:
            meta: "received_us" (µs UTC), "source" (the key's name), "path" (track, batch, …), "ip", "user_agent"; where a
                browser objects to something by itself, "signals" (`kohort.model.signals`).

        Returns:
            A future of its number, done when it is on disk.

        Raises:
            KohortError: It cannot be taken; here or in the future.
        """
        ...

    def room(self) -> bool:
        """Whether more can be taken now. Where not, the door sends everybody away for a moment."""
        ...


class Key(Protocol):
    """What the door knows of a key."""

    @property
    def name(self) -> str: ...
    @property
    def revoked_us(self) -> int | None: ...
    def may(self, scope: Literal["ingest"], /) -> bool: ...


class Keys(Protocol):
    """Finds keys by their text; `kohort.store.api_keys.ApiKeys` is one."""

    def known(self, text: str, /) -> Key | None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request, one key and the whole door may ask. Sizes are bytes, unpacked."""

    single_bytes: int = 32 * 1024
    batch_bytes: int = 4 * 1024**2
    batch_events: int = 20_000
    """Four megabytes of nothing but commas would be millions of rejected events."""
    values: int = 250_000
    """Commas in one body: so many values at most are made of it. Events have one in 20 bytes; nothing but zeros, two."""
    events_per_second: int = 10_000
    """Of one key."""
    requests_per_second: int = 1_000
    """Of one key."""
    points_per_second: int = 1_000
    """Of one key for reading and changing: a look-up costs one, what computes over everybody or changes something 50."""
    held_bytes: int = 256 * 1024**2
    """Of all requests that are being read or waited for."""
    read_seconds: float = 20.0
    """For a whole body to arrive."""
    drain_seconds: float = 5.0
    """For the rest of a refused body to arrive and be thrown away."""
    store_seconds: float = 30.0
    """For a body to become durable."""


DEFAULTS = Limits()
