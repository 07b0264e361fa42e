"""Requests of persons about their data: each with the step it has come to, so that work goes on where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import NotFound
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

Step = Literal["asked", "closed", "purged", "done"]

requests = SealedTable(schema.privacy_request)
_t = schema.privacy_request.c


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        number: 1, 2, … in the order they were asked.
        kind: "erasure", "objection", "restriction", "rectification", "retention".
        step: How far it has come.
        asked_us, ended_us: Microseconds UTC.
        customers: Pseudonyms, for as long as there is something to be done that needs them.
        receipt: What was done, as JSON; it names nobody.
    """

    number: int
    kind: str
    step: Step
    asked_us: int
    ended_us: int | None
    customers: tuple[int, ...]
    receipt: dict[str, Any]


class Requests:
    """All requests of a workspace. Each call is one transaction; those with a connection are part of the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, con: Connection, kind: str, customers: Sequence[int], *, now: int, receipt: dict[str, Any]) -> int:
        """Notes a request and says its number."""
        number = Ledger(con).take("privacy_request")
        row = {"number": number, "kind": kind, "step": "asked", "asked_us": now, "receipt": json.dumps(receipt)}
        requests.insert(con, [{**row, "customers": np.asarray(customers, "<i8").tobytes()}])
        return number

    def advance(
        self,
        con: Connection,
        number: int,
        step: Step,
        receipt: dict[str, Any],
        *,
        forget_whom: bool = False,
        ended_us: int | None = None,
    ) -> None:
        """Notes what was done; from `forget_whom` on nothing tells whom it was about."""
        values: dict[str, Any] = {"step": step, "receipt": json.dumps(receipt, sort_keys=True), "ended_us": ended_us}
        if forget_whom:
            values["customers"] = None
        requests.update(con, _t.number == number, **values)

    def one(self, number: int) -> Request:
        """A request by its number.

        Raises:
            NotFound: There is none.
        """
        found = next((request for request in self.all() if request.number == number), None)
        if found is None:
            raise NotFound("request", str(number), hint="See: kohort privacy requests")
        return found

    def all(self) -> list[Request]:
        """Every request, oldest first."""
        with self._database.read() as con:
            return [_request(row) for row in requests.all(con, _t.number)]

    def unfinished(self) -> list[Request]:
        """Requests that were interrupted, oldest first."""
        return [request for request in self.all() if request.step != "done"]

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        self.all()


def _request(row: sa.RowMapping) -> Request:
    whom = np.frombuffer(row["customers"] or b"", "<i8").tolist()
    receipt = json.loads(row["receipt"])
    return Request(row["number"], row["kind"], row["step"], row["asked_us"], row["ended_us"], tuple(whom), receipt)
