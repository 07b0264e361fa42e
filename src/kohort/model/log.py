"""What our own logs say: an event in a few fixed words, and facts about it that can never be about a person."""

from __future__ import annotations

import logging

FACTS = frozenset(
    {
        "address",  # where the server listens
        "code",  # of an error of ours
        "error",  # the kind of an exception
        "places",  # in our code: file and line
        "route",  # the pattern of an address, never the address
        "source",  # the name of a key or a topic
        "destination",  # its name
        "events",
        "rejected",
        "moves",
        "ticks",
        "seconds",
        "bytes",
        "customers",
    }
)
"""Names of facts that a line may have; whatever else is given is left out. All are listed in docs/operations.md."""

LONGEST = 300
"""Characters of a fact."""

Fact = str | int | float


def say(log: logging.Logger, level: int, event: str, **facts: Fact) -> None:
    """Write a line, as text or as JSON as the process was told.

    Args:
        event: What happened, in the same words each time.
        facts: Those in FACTS; other ones are left out.

    Example:
        >>> say(logging.getLogger("kohort.example"), logging.INFO, "tick failed", code="busy", e_mail="a@shop.example")
    """
    log.log(level, event, extra={"facts": {k: v for k, v in facts.items() if k in FACTS}}, stacklevel=2)
