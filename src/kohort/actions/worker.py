"""The worker: reads transitions, makes deliveries and sends them, until it is told to stop. One per workspace works."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.actions.against import StoredConsent
from kohort.actions.channel import Channel
from kohort.actions.deliver import Now, People, Sender
from kohort.actions.plan import Planned, Planner, Rules
from kohort.definitions.triggers import Destination
from kohort.errors import Busy, KohortError
from kohort.model.clock import DAY_US, SECOND_US
from kohort.model.log import say
from kohort.store.lock import WriteLock

if TYPE_CHECKING:
    from kohort.actions.against import Consent
    from kohort.store.store import Store

LOOK_SECONDS = 0.1
"""How often new transitions are looked for where nobody tells that there are some."""

KEPT_US = 30 * DAY_US
"""How long deliveries that ended can be looked at and replayed."""

STOP_SECONDS = 20.0
_TIDY_US = 3_600 * SECOND_US
_AGAIN_SECONDS = 2.0
_BREATH_SECONDS = 0.05

log = logging.getLogger("kohort.actions")


class Actions:
    """Everything about triggers that one process does for a workspace. `step` does what there is to do now.

    Args:
        rules: What is defined now; asked each time.
        destinations: Likewise.
        open_channel: Makes the way to a destination.
        clock: Microseconds UTC.
        chance: From 0 to 1; spreads waits.
        wake: Called when something ended that is under way.
        ended: Called last, by `close`.
    """

    def __init__(
        self,
        store: Store,
        rules: Callable[[], Rules],
        destinations: Callable[[], Iterable[Destination]],
        open_channel: Callable[[Destination], Channel],
        people: People,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
        chance: Callable[[], float] = random.random,
        consent: Consent | None = None,
        wake: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._ended = ended
        self._store, self._rules, self._destinations = store, rules, destinations
        self._open, self._people, self._clock, self._chance, self._wake = open_channel, people, clock, chance, wake
        self._consent = consent or StoredConsent(store)
        self._planner = Planner(store, self._consent)
        self._senders: dict[str, Sender] = {}
        self._tidied_at: int | None = None

    def step(self) -> int | None:
        """Makes deliveries of what is new, and sends what is due.

        Returns:
            The instant at which time alone may bring something to do; None = never.
        """
        rules = self._rules()
        planned = self.plan(rules)
        self._keep_senders()
        now = Now({t.name: t for t in rules.triggers}, rules.zone, rules)
        nexts = [sender.step(now) for sender in self._senders.values()]
        self._tidy()
        soonest = min((t for t in nexts if t is not None), default=None)
        return self._clock() if planned.looked_at else soonest

    def plan(self, rules: Rules | None = None) -> Planned:
        """Makes deliveries of the next transitions, and sends nothing."""
        return self._planner.step(rules or self._rules(), self._clock())

    def drain(self, seconds: float = 60.0) -> None:
        """Works until nothing is due now and nothing is under way.

        Raises:
            Busy: That takes too long.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            due = self.step()
            under_way = [s for s in self._senders.values() if s.wait(1.0)]
            if not under_way and (due is None or due > self._clock()):
                return
        raise Busy("Deliveries are still under way.", hint="Look at: kohort deliveries list")

    def close(self, seconds: float = STOP_SECONDS) -> None:
        """Waits for what is under way and notes what came of it."""
        for sender in self._senders.values():
            with suppress(KohortError):
                sender.close(seconds)
        self._senders.clear()
        with suppress(KohortError):
            self._planner.note(self._clock())
        self._ended()

    def _keep_senders(self) -> None:
        wanted = {d.name: d for d in self._destinations()}
        for name, sender in list(self._senders.items()):
            if wanted.get(name) != sender.destination:
                self._senders.pop(name).close(STOP_SECONDS)
        for name, destination in wanted.items():
            if name not in self._senders:
                self._senders[name] = Sender(
                    self._store.deliveries,
                    destination,
                    self._open(destination),
                    self._people,
                    self._consent,
                    clock=self._clock,
                    chance=self._chance,
                    wake=self._wake,
                )

    def _tidy(self) -> None:
        now = self._clock()
        if self._tidied_at is None or now - self._tidied_at >= _TIDY_US:
            self._tidied_at = now
            self._store.deliveries.forget(now - KEPT_US)


class Worker:
    """Runs `Actions` in a thread, as long as no other process of this workspace does; then it waits for its turn."""

    def __init__(self, root: Path, make: Callable[[Callable[[], None]], Actions]) -> None:
        self._lock = WriteLock(root / ".deliveries.lock", timeout_seconds=0.0)
        self._make = make
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self.working = False

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """Something new is there: there is no need to wait for the next look."""
        self._awake.set()

    def stop(self, seconds: float = STOP_SECONDS + 5) -> None:
        """Begins nothing more, notes what is under way, and ends."""
        self._stopping.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._lock():
                    self._work()
            except Busy:
                self._stopping.wait(_AGAIN_SECONDS)  # another process sends; it may end
            except Exception as error:  # whatever it was, the queue is in the store: begin anew from there
                say(log, logging.ERROR, "deliveries stopped", error=type(error).__name__)
                self._stopping.wait(_AGAIN_SECONDS)

    def _work(self) -> None:
        actions = self._make(self.wake)
        self.working = True
        try:
            while not self._stopping.is_set():
                self._awake.clear()
                due = actions.step()
                left = LOOK_SECONDS if due is None else (due - time.time_ns() // 1_000) / SECOND_US
                if left > 0:
                    self._awake.wait(min(left, LOOK_SECONDS))
                    self._stopping.wait(_BREATH_SECONDS)  # what comes with the next ticks is looked at together
        finally:
            self.working = False
            actions.close()
