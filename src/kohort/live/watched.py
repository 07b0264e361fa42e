"""A loop that others ask how it is doing: what `/ready` and `/metrics` say of it, whoever runs it."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError
from kohort.live.metrics import Metrics
from kohort.live.sources import Source, states
from kohort.model.clock import iso
from kohort.model.log import say

if TYPE_CHECKING:
    from kohort.live.loop import Done, Loop

log = logging.getLogger("kohort.live")

STARTING: dict[str, Any] = {
    "state": "starting",
    "as_of": None,
    "lag_seconds": None,
    "waiting_bytes": 0,
    "late": 0,
    "sources": {},
    "problem": "",
}
"""The state of a loop that is being made."""


class Watched:
    """Notes what a loop does, in its thread, and tells it in others.

    Args:
        loop: May be asked from any thread for its moment and for how many are late.
        waiting: Bytes that came in and have had no effect yet.
        sources: Those of the loop that something can happen to.

    Attributes:
        problem: What the last tick failed with; empty once one succeeds.
        ready: Set once memberships are read.
    """

    def __init__(self, loop: Loop, waiting: Callable[[], int], sources: Sequence[Source] = ()) -> None:
        self.loop, self._waiting, self._sources = loop, waiting, tuple(sources)
        self.metrics = Metrics()
        self.problem = ""
        self.ready = threading.Event()
        self._begun = threading.Event()

    def state(self) -> dict[str, Any]:
        """For `GET /ready`: what the loop is at."""
        as_of = self.loop.as_of if self.ready.is_set() else 0
        return {
            "state": self._state(),
            "as_of": iso(as_of) if as_of else None,
            "lag_seconds": round(max(0.0, time.time() - as_of / 1e6), 3) if as_of else None,
            "waiting_bytes": self._waiting(),
            "late": self.loop.late,
            "sources": {
                one.name: {"problem": one.problem, "gaps": one.gaps, "lost": one.lost} for one in states(self._sources)
            },
            "problem": self.problem,
        }

    def measured(self, waiting: int | None = None) -> bytes:
        """For `GET /metrics`: what the loop did, and where it is now.

        Args:
            waiting: Bytes that came in and have had no effect yet, where somebody else knows them.
        """
        as_of = self.loop.as_of if self.ready.is_set() else 0
        waiting = self._waiting() if waiting is None else waiting
        self.metrics.look(as_of, waiting, self.loop.late, states(self._sources))
        return self.metrics.as_text()

    def ticked(self, done: Done, seconds: float) -> None:
        """A tick is on disk, after so many seconds."""
        self.metrics.ticked(done, seconds, self.loop.position.batches)

    def _state(self) -> str:
        """idle: there is nothing to keep current yet. starting, current, failing: see `problem`."""
        if self.problem:
            return "failing"
        return "current" if self.ready.is_set() else "starting" if self._begun.is_set() else "idle"

    def _failed(self, error: Exception) -> None:
        """For the log: the kind of the error and places in our code. Messages of others can repeat values."""
        self.metrics.failed()
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        places = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames)
        code = error.code if isinstance(error, KohortError) else "unexpected"
        self.problem = f"{code}: {error.message}" if isinstance(error, KohortError) else type(error).__name__
        say(log, logging.ERROR, "tick failed", code=code, error=type(error).__name__, places=places)
