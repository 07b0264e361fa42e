"""Where a page of a list ends, as programs get it and give it back: a letter that says of which list, and a number."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from kohort.errors import WrongUsage

Cursor = Annotated[str, Query(description="The `next` of the page before.", max_length=30)]


def place(cursor: str, of: str) -> int | None:
    """The number that a cursor stands for; None = from the beginning.

    Raises:
        WrongUsage: It is of another list, or none of ours.
    """
    if not cursor:
        return None
    kind, _, digits = cursor.partition("-")
    if kind != of or not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise WrongUsage("This cursor is none of ours.", hint="Take the `next` of the page before.")
    return int(digits)


def shown(of: str, number: int | None) -> str | None:
    """The cursor of what comes next; None = nothing does."""
    return None if number is None else f"{of}-{number}"
