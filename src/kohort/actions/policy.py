"""What an answer means: done, again later and when, or given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kohort.actions.outbound import Answer, NotSent
from kohort.model.clock import DAY_US, SECOND_US
from kohort.model.delivery import Delivery, Outcome

FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 7_200.0
MOST_ATTEMPTS = 20
MOST_US = DAY_US
"""Given up after so many attempts, or so long after the first."""

RETRIED = frozenset({401, 403, 404, 408, 409, 423, 425, 429})
"""Statuses below 500 that somebody can put right while the delivery waits; every other 4xx says no to this delivery."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An attempt that has ended: an answer, or why there is none."""

    began_at: int
    answer: Answer | None = None
    error: NotSent | None = None


def outcome(delivery: Delivery, sent: Sent, now: int, chance: Callable[[], float]) -> Outcome:
    """What becomes of a delivery after an attempt.

    Args:
        chance: A number from 0 to 1: waits are spread, so that those who failed together do not return together.
    """
    answer, error = sent.answer, sent.error
    status = answer.status if answer else None
    number, began = delivery.number, sent.began_at
    if status is not None and 200 <= status < 300:
        return Outcome(number, "done", status=status, began_at=began)
    reason = error.reason if error else f"status {status}"
    can_help = error.retry if error else status is not None and (status >= 500 or status in RETRIED)
    if status is not None and 300 <= status < 400:
        reason = f"status {status}: redirects are not followed"
    if not can_help:
        return Outcome(number, "dead", reason, status, began_at=began)
    wait = wait_us(delivery.attempts + 1, chance(), None if answer is None else answer.retry_after)
    first = delivery.first_at if delivery.first_at is not None else began
    if delivery.attempts + 1 >= MOST_ATTEMPTS or now + wait - first > MOST_US:
        return Outcome(number, "dead", f"{reason}, given up", status, began_at=began)
    return Outcome(number, "pending", reason, status, now + wait, began_at=began)


def wait_us(attempt: int, chance: float, retry_after: float | None = None) -> int:
    """How long to wait after attempt number `attempt` (1, 2, …): doubling, between half and all of it by chance, and
    never less than the receiver asks for.

    Example:
        >>> wait_us(1, 1.0), wait_us(3, 0.0), wait_us(1, 0.5, retry_after=60)
        (5000000, 10000000, 60000000)
    """
    doubled = min(FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 30), LONGEST_WAIT_SECONDS)
    seconds = max(doubled * (0.5 + chance / 2), min(retry_after or 0.0, MOST_US / SECOND_US))
    return int(seconds * SECOND_US)
