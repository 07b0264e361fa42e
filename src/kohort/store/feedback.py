"""What people say about segments, about parts of them, and about whether single customers belong there.

A person has one say about each: a later one takes the place of hers before. Comments stay beside each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import NotFound
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

Said = Literal["agree", "disagree", "comment"]

sayings = SealedTable(schema.feedback)
_t = schema.feedback.c
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Saying:
    """What one person said about one thing.

    Attributes:
        number: 1, 2, … in the order said.
        name: A definition, an adopted segmentation, or `found:ID` of a segmentation that nobody adopted.
        part: Key of a part; empty = the whole.
        customer: Pseudonym of whom it is about; None = the segment itself.
        said: Of a customer, agree = belongs here, disagree = does not.
        text: Why.
        drawn: Whether chance chose the customer, and no person.
        version: Of the definition that members followed then.
        by, at_us: Who and when, microseconds UTC.
    """

    number: int
    name: str
    part: str
    customer: int | None
    said: Said
    text: str
    drawn: bool
    version: int
    by: str
    at_us: int


class Feedback:
    """Votes and comments of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def say(
        self,
        name: str,
        part: str,
        said: Said,
        *,
        by: str,
        customer: int | None = None,
        text: str = "",
        drawn: bool = False,
        version: int = 0,
        now: int | None = None,
    ) -> Saying:
        """Keeps what somebody says; an earlier vote of hers about the same is gone. See `Saying`."""
        at = time.time_ns() // 1_000 if now is None else now
        subject: dict[str, Any] = {"name": name, "part": part, "customer": customer, "by": by}
        with self._database.write() as con:
            if said != "comment":
                whom = _t.customer.is_(None) if customer is None else _t.customer == customer
                same = (_t.name == name, _t.part == part, _t.by == by, whom, _t.said != "comment")
                sayings.delete(con, *same)
            row = {**subject, "number": Ledger(con).take("feedback"), "said": said, "text": text, "drawn": drawn}
            sayings.insert(con, [{**row, "version": version, "said_us": at}])
        return _saying({**row, "version": version, "said_us": at})

    def take_back(self, number: int) -> Saying:
        """Deletes what somebody said, and answers it.

        Raises:
            NotFound: Nothing has this number, or not any more.
        """
        with self._database.write() as con:
            found = sayings.some(con, sa.select(schema.feedback).where(_t.number == number))
            if not found:
                raise NotFound("feedback", str(number))
            sayings.delete(con, _t.number == number)
        return _saying(found[0])

    def all(self, name: str | None = None) -> list[Saying]:
        """Everything that stands, oldest first; with a name, what was said about that."""
        with self._database.read() as con:
            rows = sayings.all(con, _t.number)
        return [_saying(row) for row in rows if name is None or row["name"] == name]

    def stamp(self) -> str:
        """Another text whenever something was said or taken back."""
        with self._database.read() as con:
            rows, total = Ledger(con).get("feedback")
        return f"{rows}|{total}"

    def forget(self, con: Connection, customers: Sequence[int]) -> int:
        """Deletes what was said about persons; says how much there was."""
        chunks = (customers[start : start + _CHUNK] for start in range(0, len(customers), _CHUNK))
        return sum(sayings.delete(con, _t.customer.in_([int(one) for one in chunk])) for chunk in chunks)

    def unsay(self, con: Connection, names: Callable[[str], bool]) -> int:
        """Empties reasons that name somebody who is erased, whomever they are about; comments of that kind go. Says how many."""
        told = [row for row in sayings.all(con, _t.number) if row["text"] and names(row["text"])]
        for row in told:
            if row["said"] == "comment":
                sayings.delete(con, _t.number == row["number"])
            else:
                sayings.update(con, _t.number == row["number"], text="")
        return len(told)

    def check(self) -> None:
        self.all()


def _saying(row: Any) -> Saying:
    return Saying(
        number=row["number"],
        name=row["name"],
        part=row["part"],
        customer=row["customer"],
        said=row["said"],
        text=row["text"],
        drawn=row["drawn"],
        version=row["version"],
        by=row["by"],
        at_us=row["said_us"],
    )
