"""Sending the deliveries of one destination: in order for each customer, side by side for different ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kohort.actions.against import About, Consent, Kinds, standing_against
from kohort.actions.body import Person, body
from kohort.actions.channel import Channel
from kohort.actions.outbound import NotSent
from kohort.actions.policy import Sent, outcome
from kohort.actions.quiet import quiet_until
from kohort.definitions.triggers import Destination, Trigger
from kohort.model.clock import SECOND_US
from kohort.model.delivery import CHANGED, Delivery, Outcome
from kohort.model.log import say

if TYPE_CHECKING:
    from kohort.store.deliveries import Deliveries

LONGEST_PAUSE_US = 900 * SECOND_US
"""A destination that says it has too much to do is left alone as a whole for so long at most."""

_BUSY_STATUSES = frozenset({429, 503})
log = logging.getLogger("kohort.actions")


class People(Protocol):
    """Pseudonyms as receivers may know them, asked at the moment of sending."""

    def named(self, name: str, customers: Sequence[int], kinds: Sequence[str]) -> dict[int, Person]:
        """Members of a definition; who was forgotten is missing.

        Args:
            name: The definition, to tell accounts from customers.
            kinds: Identifiers that the destination asks for.
        """
        ...

    def reason(self, name: str, segment: str, change: str) -> str:
        """Why somebody entered or left, in plain words; empty = it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Now:
    """What is asked at the moment of sending.

    Attributes:
        triggers: By name, as they are now.
        kinds: What definitions are.
    """

    triggers: Mapping[str, Trigger]
    zone: str
    kinds: Kinds


class Sender:
    """Takes what is due, sends it, and notes what came of it.

    What is under way is in memory, what is to be done in the store: a process that ends in between sends again, under
    the same id.
    """

    def __init__(
        self,
        queue: Deliveries,
        destination: Destination,
        channel: Channel,
        people: People,
        consent: Consent,
        *,
        clock: Callable[[], int],
        chance: Callable[[], float],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.destination = destination
        self._queue, self._channel, self._people, self._consent = queue, channel, people, consent
        self._clock, self._chance, self._wake = clock, chance, wake
        self._pool = ThreadPoolExecutor(destination.at_once, thread_name_prefix=f"deliver {destination.name}")
        self._under_way: dict[int, tuple[Delivery, Future[Sent]]] = {}
        self._paused_until = 0
        self._tokens, self._filled_at = float(destination.per_second), clock()

    def step(self, now: Now) -> int | None:
        """Notes what has ended and begins what is due.

        Returns:
            The instant at which there may be something to do again, as far as time alone brings it about; None = never.
        """
        self._settle()
        moment = self._clock()
        if moment < self._paused_until:
            return self._paused_until
        room = min(self.destination.at_once - len(self._under_way), self._allowance(moment))
        for delivery, ready in self._ready(
            self._queue.due(self.destination.name, moment, room, without=self._under_way), now, moment
        ):
            self._begin(delivery, ready)
        return self._next(moment)

    def wait(self, seconds: float) -> bool:
        """Waits until something that is under way ends; says whether anything is under way still."""
        if self._under_way:
            wait([future for _, future in self._under_way.values()], seconds, FIRST_COMPLETED)
        return bool(self._under_way)

    def close(self, seconds: float) -> None:
        """Waits for what is under way, notes it, and begins nothing more."""
        futures = [future for _, future in self._under_way.values()]
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait(futures, seconds)
        self._settle()
        self._channel.close()

    # -- before --------------------------------------------------------------------------------------------------------

    def _ready(self, due: Sequence[Delivery], now: Now, moment: int) -> list[tuple[Delivery, bytes]]:
        """What may be sent, with what it says; what may not is noted with why."""
        if not due:
            return []
        people = self._named(due)
        refused = self._refused(due, now)
        against: list[Outcome] = []
        ready = []
        for delivery in due:
            trigger = now.triggers.get(delivery.trigger)
            person = people.get((delivery.name, delivery.customer))
            quiet = quiet_until(trigger.quiet_hours, now.zone, moment) if trigger and trigger.quiet_hours else None
            if trigger is None:
                against.append(_not(delivery, "trigger removed"))
            elif person is None:
                against.append(_not(delivery, "forgotten"))
            elif refused[delivery.number]:
                against.append(_not(delivery, refused[delivery.number]))
            elif quiet is not None:
                against.append(Outcome(delivery.number, "held", "quiet hours", delivery.status, quiet, sent=False))
            else:
                ready.append((delivery, self._said(delivery, person)))
        self._queue.settle(against, now=moment)
        if against and not ready:
            self._wake()  # somebody else may be next in their place
        return ready

    def _said(self, delivery: Delivery, person: Person) -> bytes:
        """What a delivery says. What a change of traits says for itself needs no reason."""
        told = delivery.change != CHANGED
        reason = self._people.reason(delivery.name, delivery.segment, delivery.change) if told else ""
        return body(delivery, person, self.destination.shape, reason, self.destination.format)

    def _named(self, due: Sequence[Delivery]) -> dict[tuple[str, int], Person]:
        names = dict.fromkeys(d.name for d in due)
        return {
            (name, customer): person
            for name in names
            for customer, person in self._people.named(
                name, [d.customer for d in due if d.name == name], self.destination.identifiers
            ).items()
        }

    def _refused(self, due: Sequence[Delivery], now: Now) -> dict[int, str]:
        """Why each may not be sent any more; empty = it may."""
        purposes = [trigger.purpose if (trigger := now.triggers.get(d.trigger)) else "" for d in due]
        told = [About(p, d.name, d.customer, d.change) for p, d in zip(purposes, due, strict=True)]
        return {d.number: why for d, why in zip(due, standing_against(told, self._consent, now.kinds), strict=True)}

    # -- under way -----------------------------------------------------------------------------------------------------

    def _begin(self, delivery: Delivery, said: bytes) -> None:
        self._tokens -= 1
        future = self._pool.submit(self._send, delivery, said)
        self._under_way[delivery.number] = delivery, future
        future.add_done_callback(lambda _: self._wake())

    def _send(self, delivery: Delivery, said: bytes) -> Sent:
        began = self._clock()
        try:
            return Sent(began, self._channel.send(delivery.id, said, began, str(delivery.customer)))
        except NotSent as error:
            return Sent(began, error=error)
        except Exception as error:  # a fault of ours with one delivery must not stop the others
            say(log, logging.ERROR, "delivery failed", error=type(error).__name__)
            return Sent(began, error=NotSent(f"unexpected: {type(error).__name__}"))

    def _settle(self) -> None:
        ended = [(number, *found) for number, found in self._under_way.items() if found[1].done()]
        if not ended:
            return
        now = self._clock()
        outcomes = []
        for _, delivery, future in ended:
            if not future.cancelled():
                sent = future.result()
                outcomes.append(outcome(delivery, sent, now, self._chance))
                self._heed(sent, now)
        self._queue.settle(outcomes, now=now)
        for number, *_ in ended:
            del self._under_way[number]

    def _heed(self, sent: Sent, now: int) -> None:
        """A receiver that is overloaded means all of us, not this customer alone."""
        answer = sent.answer
        if answer is not None and answer.status in _BUSY_STATUSES and answer.retry_after:
            pause = min(int(answer.retry_after * SECOND_US), LONGEST_PAUSE_US)
            self._paused_until = max(self._paused_until, now + pause)

    def _allowance(self, now: int) -> int:
        """How many may begin now, so that they are at most `per_second`."""
        rate = self.destination.per_second
        self._tokens = min(float(rate), self._tokens + max(0, now - self._filled_at) * rate / SECOND_US)
        self._filled_at = now
        return int(self._tokens)

    def _next(self, moment: int) -> int | None:
        if len(self._under_way) >= self.destination.at_once:
            return None  # what ends wakes us
        due = self._queue.next_due(self.destination.name, without=self._under_way)
        if due is None:
            return None
        soonest = moment if self._tokens >= 1 else moment + SECOND_US // self.destination.per_second
        return max(due, soonest)


def _not(delivery: Delivery, why: str) -> Outcome:
    return Outcome(delivery.number, "suppressed", why, delivery.status, sent=False)
