"""What somebody said about the use of her data, with its source and proof: sealed in the vault with her key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from kohort.errors import NotFound, WrongUsage
from kohort.model.clock import DAY_US
from kohort.store.vault import STATEMENT

if TYPE_CHECKING:
    from kohort.store.store import Store

LONGEST = 500
"""Characters of a source, and of a proof."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        agreed: Of a consent: yes or no. Of an objection or restriction: whether it holds from now on.
        source: Where she said it: "paper form", "call centre".
        proof: Where that can be seen: "folder 12, page 3".
        at: When she said it, microseconds UTC.
        now: When it was written down.
        about: Trait of a consent, or the limit.
        event: Id of the event that carries a consent; empty otherwise.
    """

    agreed: bool
    source: str
    proof: str
    at: int
    now: int
    about: str = ""
    event: str = ""


def stated(agreed: bool, *, source: str, proof: str = "", at: int | None, now: int) -> Statement:
    """A statement from what somebody typed; today's date means no later than now.

    Raises:
        WrongUsage: A text that is too long, or a moment to come.
    """
    if max(len(source), len(proof)) > LONGEST:
        raise WrongUsage(f"Source and proof have at most {LONGEST} characters.", hint="Say where it can be seen.")
    at = now if at is None else at
    if at - now >= DAY_US:
        raise WrongUsage("Nobody can say anything in the future.", hint="Give the day on which it was said.")
    return Statement(agreed, source.strip(), proof.strip(), min(at, now), now)


def seal(store: Store, customers: Sequence[int], about: str, said: Statement, event: str = "") -> None:
    """Keeps a statement of each of these persons; of an event only once."""
    text = json.dumps({**asdict(said), "about": about, "event": event})
    new = [c for c in customers if not event or all(one.event != event for one in sealed(store, c))]
    store.vault.seal(new, STATEMENT, [text] * len(new))


def sealed(store: Store, customer: int) -> Iterator[Statement]:
    """What was kept about an id; nothing about one that is erased or was never known."""
    try:
        told = store.vault.open_person(customer)
    except NotFound:
        return
    for text in told.get(STATEMENT, ()):
        yield Statement(**json.loads(text))
