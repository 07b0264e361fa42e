"""A loop in a thread of its own, with its housekeeping beside it: what a server keeps running while it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError
from kohort.live.fed import Frames
from kohort.live.loop import Loop, Pace
from kohort.live.profile import Profiles
from kohort.live.program import Given
from kohort.live.room import Room
from kohort.live.sources import JOURNAL, JournalSource, Source
from kohort.live.watched import Watched

if TYPE_CHECKING:
    from kohort.live.loop import Done
    from kohort.store.journal import Journal
    from kohort.store.store import Store

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
"""Seconds before a tick that failed is tried again; twice as long each time."""


class Inbox:
    """What the tracking door puts requests into: the journal, as long as what waits in it is bounded.

    Args:
        backlog: Bytes that may wait to have their effect at most; it may be less, see `kohort.live.room`. With more the
            door sends senders away for a moment.
    """

    def __init__(self, journal: Journal, reached: Callable[[], int], *, backlog: int = 64 << 20) -> None:
        self._journal, self._reached, self._room = journal, reached, Room(backlog)

    def append(self, body: bytes, meta: dict[str, Any], /) -> Future[int]:
        """Takes a request; the future is done when it is on disk."""
        self._room.take(len(body))
        return self._journal.append(body, meta)

    def room(self) -> bool:
        """Whether more can be taken now."""
        return self._room.left(self.waiting())

    def waiting(self) -> int:
        """Bytes that came in and have had no effect yet."""
        return self._journal.backlog_bytes(self._reached())


class Running(Watched):
    """Keeps one workspace current until it is stopped, from requests that somebody hands it.

    Args:
        store: A store of the service's own: nobody else uses its connections.
        look: What the workspace says now.
        requests: The workspace's journal, or what is fed from it.
        sources: Where arrivals come from, beside them.
        pace: See `kohort.live.loop.Pace`.

    Attributes:
        stored: Called after each tick, once it is on disk.
    """

    def __init__(
        self,
        store: Store,
        look: Callable[[], Given],
        requests: Frames,
        *,
        sources: Sequence[Source] = (),
        pace: Pace | None = None,
    ) -> None:
        self.store = store
        self._requests = requests
        loop = Loop(store, look, [JournalSource(requests), *sources], pace=pace)
        self.profiles = Profiles(lambda: self.loop.glance)
        super().__init__(loop, lambda: requests.backlog_bytes(self.reached()), sources)
        self.stored: Callable[[Done], object] = lambda _done: None
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="kohort-live", daemon=True),
            threading.Thread(target=self._keep, name="kohort-keeping", daemon=True),
        ]

    def start(self, when: Callable[[], bool] = lambda: True) -> None:
        """Begins, as soon as there is something to keep current; `ready` says when memberships are.

        Args:
            when: Asked once a second until it says yes.
        """
        self._when = when
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 20.0) -> None:
        """Ends after the tick that is going on; what came in and waits stays in the journal.

        A tick that takes longer is left alone: it ends with the process, and what it did not store the next loop does.
        """
        self._stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self._requests.close()
            return
        self.loop.close()
        self.store.close()

    # -- the two threads -------------------------------------------------------------------------------------------

    def reached(self) -> int:
        """The last request that has had its effect."""
        return int(self.loop.position.sources.get(JOURNAL, 0))

    def _run(self) -> None:
        while not self._wanted() and not self._stopping.wait(1.0):
            pass
        self._begun.set()
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                self._tick()
                pause = _FIRST_PAUSE
            except Exception as error:  # the loop must outlive whatever a tick meets
                self._failed(error)
                self._stopping.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _wanted(self) -> bool:
        try:
            return self._when()
        except KohortError as error:
            self._failed(error)
            return False

    def _tick(self) -> None:
        started = time.perf_counter()
        done = self.loop.tick()
        self.ticked(done, time.perf_counter() - started)
        self.problem = ""
        self.ready.set()
        self.stored(done)
        self.loop.rest(done)

    def _keep(self) -> None:
        """Moves recent events into the base, joins small parts, and says what came in where others look for it."""
        from kohort.ingest.rates import load
        from kohort.live.keeping import Keeping

        keeping = Keeping(self.store, self.loop)
        load()  # most of a second, which the first order in another currency would wait for
        while not self._stopping.wait(1.0):
            try:
                if self.ready.is_set():
                    self.profiles.warm()
                    keeping.step()
            except Exception as error:  # tried again in a second; nothing is half done
                self._failed(error)
        try:
            keeping.last()
        except Exception as error:
            self._failed(error)


class Service(Running):
    """As `Running`, from the workspace's journal, which it writes itself: all in one process.

    Attributes:
        inbox: Takes requests.
        moved: Called when entries and exits were stored; for whoever tells of them.

    Raises:
        Busy: Another process keeps this workspace current.
    """

    def __init__(
        self, store: Store, look: Callable[[], Given], *, sources: Sequence[Source] = (), pace: Pace | None = None
    ) -> None:
        journal = store.journal()
        super().__init__(store, look, journal, sources=sources, pace=pace)
        self.inbox = Inbox(journal, self.reached)
        self.moved: Callable[[], object] = lambda: None
        self.stored = lambda done: self.moved() if done.moves else None
