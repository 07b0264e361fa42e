"""What a person may forbid whatever definitions say: being profiled, and being used at all.

Both are kept among the decisions about single customers, under names that no definition can have, and every engine finds them in
the relation `by_hand` beside the events.
"""

from __future__ import annotations

from typing import Final, Literal

Limit = Literal["objection", "restriction"]
"""objection: no segment that needs profiling. restriction: kept, but not used."""

LIMITS: Final[tuple[Limit, ...]] = ("objection", "restriction")

MARKS: Final[dict[Limit, str]] = {limit: f"!{limit}" for limit in LIMITS}
"""Limit → its name in `by_hand`. No definition's name begins like that."""


def refusal_mark(purpose: str) -> str:
    """Name in `by_hand` of those whose consent a merge withholds, see docs/decisions/0018.

    Example:
        >>> refusal_mark("marketing")
        '!consent marketing'
    """
    return f"!consent {purpose}"
