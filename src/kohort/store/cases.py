"""Requests of persons as they came: kind, day, deadline, who wrote it down, and what became of it.

What was done about one is a request of its own with its receipt (`kohort.store.requests`); this ledger says that somebody asked.
No word of hers is kept, and once she is erased nothing tells who she was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import NotFound, WrongUsage
from kohort.model.cases import CaseKind, Outcome, Way
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

cases = SealedTable(schema.privacy_case)
_t = schema.privacy_case.c
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Case:
    """One request of a person. Instants are microseconds UTC.

    Attributes:
        number: 1, 2, … in the order they were written down.
        customer: Pseudonym; None once she was erased.
        by: Who wrote it down.
        due_us: The last instant for an answer.
        done_us: None while it is open.
        receipt: Of what was done: "erasure-4"; empty where there is none.
    """

    number: int
    kind: CaseKind
    customer: int | None
    way: Way
    by: str
    received_us: int
    due_us: int
    done_us: int | None = None
    done_by: str = ""
    outcome: Outcome | None = None
    receipt: str = ""

    @property
    def open(self) -> bool:
        return self.done_us is None


class Cases:
    """The requests of a workspace. Each call is one transaction; those with a connection are part of the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, kind: CaseKind, customer: int, way: Way, *, by: str, received_us: int, due_us: int) -> int:
        """Writes a request down and says its number."""
        row = {"kind": kind, "customer": customer, "way": way, "by": by, "received_us": received_us, "due_us": due_us}
        with self._database.write() as con:
            number = Ledger(con).take(schema.privacy_case.name)
            cases.insert(con, [{**row, "number": number, "done_us": None, "done_by": "", "outcome": "", "receipt": ""}])
        return number

    def settle(self, number: int, outcome: Outcome, *, by: str, now: int, receipt: str = "") -> None:
        """Notes what became of a request.

        Raises:
            NotFound: There is none of this number.
            WrongUsage: It was settled before.
        """
        with self._database.write() as con:
            self._settled(con, number, False)
            cases.update(con, _t.number == number, done_us=now, done_by=by, outcome=outcome, receipt=receipt)

    def reopen(self, number: int) -> None:
        """Takes `settle` back; the deadline stays.

        Raises:
            NotFound: There is none of this number.
            WrongUsage: It is open.
        """
        with self._database.write() as con:
            self._settled(con, number, True)
            cases.update(con, _t.number == number, done_us=None, done_by="", outcome="", receipt="")

    def one(self, number: int) -> Case:
        """A request by its number.

        Raises:
            NotFound: There is none.
        """
        with self._database.read() as con:
            return _one(con, number)

    def all(self) -> list[Case]:
        """Every request in the order they were written down."""
        with self._database.read() as con:
            return [_case(row) for row in cases.all(con, _t.number)]

    def forget(self, con: Connection, customers: Sequence[int]) -> int:
        """Takes erased persons out; their requests stay, about nobody. Says how many there were."""
        gone = 0
        for start in range(0, len(customers), _CHUNK):
            gone += cases.update(con, _t.customer.in_(customers[start : start + _CHUNK]), customer=None)
        return gone

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        self.all()

    @staticmethod
    def _settled(con: Connection, number: int, settled: bool) -> None:
        if _one(con, number).open == settled:
            raise WrongUsage(f"Request {number} is {'open' if settled else 'settled already'}.")


def _one(con: Connection, number: int) -> Case:
    found = cases.some(con, sa.select(schema.privacy_case).where(_t.number == number))
    if not found:
        raise NotFound("request", str(number), hint="See: kohort privacy asked")
    return _case(found[0])


def _case(row: sa.RowMapping) -> Case:
    values = {name: row[name] for name in Case.__dataclass_fields__}
    return Case(**{**values, "outcome": cast("Outcome | None", row["outcome"] or None)})
