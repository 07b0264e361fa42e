"""Answers about all the data, kept for as long as they hold; while events come in, for a little while.

A page that counts a million customers takes seconds, and with live events every answer is outdated when it is given. So an
answer of the last half minute is good enough while a server keeps the workspace current: it says of which moment it is. A
server asks again in the background where it has been a little longer, so that nobody waits; and the longer an answer takes,
the longer it is good, so that asking again never takes more than a small share of a core.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kohort.errors import Busy, CannotWrite, KohortError
from kohort.locale import speaking

if TYPE_CHECKING:
    from kohort.store.store import Store

GOOD_SECONDS = 30.0
STALE_SECONDS = 600.0
"""Up to here a server gives the answer it has, and makes the next one meanwhile."""
GOOD_SHARE, STALE_SHARE = 20.0, 200.0
"""The same, in times of what the answer took to make, where that is longer."""
LONGEST_SECONDS = 3_600.0
"""No answer that took long is given for longer than this."""

THREAD = "kohort-kept"


class Kept:
    """Kept answers of one workspace, for all processes.

    Attributes:
        behind: Whether new answers may be made in the background: in servers, not in commands that end.
        elsewhere: Has the answer of a name made by another process, which keeps it, or says that it cannot. None = there is
            no such process.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self.behind = False
        self.elsewhere: Callable[[str], bool] | None = None
        self._making: set[str] = set()
        self._lock = threading.Lock()

    def get(self, name: str, steady: str, look: Callable[[], Any], *, refresh: bool = False) -> Any:
        """The kept answer to a question, or a new one.

        Args:
            steady: What the answer depends on beside the data; another text = ask again.
            look: Makes an answer, ready for JSON.
            refresh: Ask again anyway.
        """
        stamp = f"{steady}|{self._store.version()}"
        kept = None if refresh else self._store.state.get(f"kept.{name}")
        if kept is not None and kept["stamp"] == stamp:
            return kept["answer"]
        if kept is not None and kept["stamp"].startswith(f"{steady}|") and self._store.kept_current() is not None:
            age, took = self._clock() - kept.get("at", 0.0), kept.get("took", 0.0)
            if 0 <= age < _held(GOOD_SECONDS, GOOD_SHARE * took):
                return kept["answer"]
            if self.behind and 0 <= age < _held(STALE_SECONDS, STALE_SHARE * took):
                self._make_behind(name, stamp, look)
                return kept["answer"]
        return self._make(name, stamp, look)

    def _make(self, name: str, stamp: str, look: Callable[[], Any]) -> Any:
        at = self._clock()
        with speaking("en"):  # it is kept for readers of every language
            answer = look()
        kept = {"stamp": stamp, "at": at, "took": round(max(0.0, self._clock() - at), 3), "answer": answer}
        # A reader needs neither the writer's turn nor room on the disk: without them the next one looks again.
        with suppress(Busy, CannotWrite):
            self._store.state.set(f"kept.{name}", kept)
        return answer

    def _make_behind(self, name: str, stamp: str, look: Callable[[], Any]) -> None:
        if self.elsewhere is not None and self.elsewhere(name):
            return
        with self._lock:
            if name in self._making:
                return
            self._making.add(name)

        def make() -> None:
            try:
                with suppress(KohortError):  # whoever asks when the answer is too old is told
                    self._make(name, stamp, look)
            finally:
                self._making.discard(name)

        threading.Thread(target=make, name=THREAD, daemon=True).start()


def _held(least: float, wanted: float) -> float:
    """Seconds that an answer is given."""
    return max(least, min(wanted, LONGEST_SECONDS))
