"""Ways to a destination: each sends one delivery and says what was answered."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from kohort import __version__
from kohort.actions.outbound import Answer, NotSent, Outbound
from kohort.actions.sign import keys_of, signature
from kohort.definitions.triggers import Destination
from kohort.model.clock import SECOND_US


class Channel(Protocol):
    """One destination's way. Safe to use from many threads."""

    def send(self, id: str, body: bytes, now: int, key: str) -> Answer:  # noqa: A002
        """Sends and waits for the answer.

        Args:
            id: Of the delivery.
            now: Wall clock, µs UTC.
            key: What keeps its order: the customer's number.

        Raises:
            NotSent: There is no answer.
        """
        ...

    def close(self) -> None:
        """Lets go of what is open."""
        ...


class Webhook:
    """Posts signed JSON. The secret is looked up each time: it may be replaced while we run."""

    def __init__(self, destination: Destination, out: Outbound, environment: Mapping[str, str] = os.environ) -> None:
        self._destination, self._out, self._environment = destination, out, environment

    def send(self, id: str, body: bytes, now: int, key: str) -> Answer:  # noqa: A002
        """See `Channel.send`."""
        keys = keys_of(self._environment.get(self._destination.secret_env, ""))
        if not keys:
            raise NotSent("no secret to sign with")
        timestamp = now // SECOND_US
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"kohort/{__version__}",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(keys, id, timestamp, body),
        }
        return self._out.post(self._destination.url, headers, body)

    def close(self) -> None:
        """Nothing is kept open."""


Open = Callable[[Destination], Channel]
"""Makes the way to a destination."""
