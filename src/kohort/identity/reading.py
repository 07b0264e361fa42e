"""What a normaliser says of one text, and what it says of a whole column: the values, and how many were left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MISSING = "missing"
JUNK = "junk"
UNREADABLE = "unreadable"


class Read(NamedTuple):
    """A text in the form that is compared, or why there is none.

    Attributes:
        value: The normal form; None = nothing to compare.
        problem: "" with a value; without one "missing" (nothing was given), "junk" (somebody filled the field to get
            past it) or "unreadable" (not of the kind).
    """

    value: str | None
    problem: str = ""


NOTHING = Read(None, MISSING)
IS_JUNK = Read(None, JUNK)
NOT_READABLE = Read(None, UNREADABLE)


@dataclass(slots=True)
class Column:
    """A column in normal form, parallel to what was given; `problems` counts why values are absent."""

    values: list[str | None]
    problems: Counter[str] = field(default_factory=Counter)


def column(texts: Iterable[str | None], read: Callable[[str | None], Read]) -> Column:
    """Every text of a column through one normaliser; equal texts are read once.

    Example:
        >>> from kohort.identity.births import birth_date
        >>> column(["1970-05-17", "1900-01-01", None], birth_date)
        Column(values=['1970-05-17', None, None], problems=Counter({'junk': 1, 'missing': 1}))
    """
    known: dict[str | None, Read] = {}
    found = Column([])
    for text in texts:
        said = known.get(text)
        if said is None:
            said = known[text] = read(text)
        found.values.append(said.value)
        if said.value is None:
            found.problems[said.problem] += 1
    return found
