"""`ws.privacy.cases`: who asked what about her data, by when she has to have an answer, and what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from kohort.errors import NotFound, WrongUsage
from kohort.model.cases import CASE_KINDS, OUTCOMES, WAYS, due, outcomes
from kohort.model.clock import DAY_US, iso
from kohort.workspace.people import company_numbers, customer_keys, short_code

if TYPE_CHECKING:
    from kohort.store.cases import Case
    from kohort.workspace.workspace import Workspace


T = TypeVar("T", bound=str)


class CaseDoor:
    """The ledger of requests, for every door. Doing what somebody asks is the business of `ws.privacy`."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def receive(
        self, kind: str, number: str, *, by: str, way: str = "other", received: int | None = None
    ) -> dict[str, Any]:
        """Writes down that somebody asks something about her data. She has to have an answer within a month.

        Args:
            kind: Of `kohort.model.cases.CASE_KINDS`.
            number: The company's customer number, or the short code shown in its place.
            by: Who writes it down.
            way: How it came, of `kohort.model.cases.WAYS`.
            received: When it came, microseconds UTC; None = now.

        Returns:
            As `one`.

        Raises:
            UnknownCustomer: The number is nobody's.
            NotFound: There is no such kind or way.
            WrongUsage: It comes from the future.
        """
        now = time.time_ns() // 1_000
        asked, came = _one_of("kind of request", kind, CASE_KINDS), _one_of("way", way, WAYS)
        at = now if received is None else received
        if at - now >= DAY_US:
            raise WrongUsage("No request can have come in the future.", hint="Give the day on which it came.")
        at = min(at, now)
        (key,) = customer_keys(self._ws.store.vault, [number.strip()])
        store, zone = self._ws.store, self._ws.zone
        return self.one(store.cases.add(asked, key, came, by=by, received_us=at, due_us=due(at, zone)))

    def all(self) -> list[dict[str, Any]]:
        """Every request: open ones first, the most urgent one on top; then settled ones, the latest first.

        Returns:
            `{"number", "kind", "code", "customer", "way", "by", "received", "due", "late", "done", "done_by", "outcome",
            "receipt"}` each; `code` and `customer` (the company's number) are None once she was erased.
        """
        found = self._ws.store.cases.all()
        found.sort(key=lambda c: (not c.open, c.due_us if c.open else -(c.done_us or 0), c.number))
        return self._shown(found)

    def one(self, number: int) -> dict[str, Any]:
        """One request.

        Raises:
            NotFound: There is none of this number.
        """
        return self._shown([self._ws.store.cases.one(number)])[0]

    def settle(self, number: int, outcome: str = "done", *, by: str, receipt: str = "") -> dict[str, Any]:
        """Notes what became of it.

        Args:
            outcome: Of `kohort.model.cases.OUTCOMES`.
            by: Who says so.
            receipt: Of what was done: "erasure-4".

        Raises:
            NotFound: There is none of this number, or no such outcome.
            WrongUsage: It was settled before, or she is to be erased and is not.
        """
        what, case = _one_of("outcome", outcome, OUTCOMES), self.one(number)
        if case["done"] is None and what not in outcomes(case["kind"], there=case["code"] is not None):
            raise WrongUsage("She is not erased yet.", hint="Erase her first, or say what else became of the request.")
        self._ws.store.cases.settle(number, what, by=by, now=time.time_ns() // 1_000, receipt=receipt)
        return self.one(number)

    def reopen(self, number: int) -> dict[str, Any]:
        """Takes `settle` back; the deadline stays as it was."""
        self._ws.store.cases.reopen(number)
        return self.one(number)

    def _shown(self, found: list[Case]) -> list[dict[str, Any]]:
        vault = self._ws.store.vault
        asked = [case.customer for case in found if case.customer is not None]
        # While she is being erased her key is gone already, and the ledger still has her pseudonym.
        keys = [key for key, there in zip(asked, vault.there(asked), strict=True) if there]
        numbers: dict[int | None, str] = dict(zip(keys, company_numbers(vault, keys), strict=True))
        codes: dict[int | None, str] = {key: short_code(key) for key in keys}
        now = time.time_ns() // 1_000
        return [
            {
                "number": case.number,
                "kind": case.kind,
                "code": codes.get(case.customer),
                "customer": numbers.get(case.customer),
                "way": case.way,
                "by": case.by,
                "received": iso(case.received_us),
                "due": iso(case.due_us),
                "late": (case.done_us or now) > case.due_us,
                "done": None if case.done_us is None else iso(case.done_us),
                "done_by": case.done_by or None,
                "outcome": case.outcome,
                "receipt": case.receipt or None,
            }
            for case in found
        ]


def _one_of(what: str, text: str, known: tuple[T, ...]) -> T:
    for one in known:
        if one == text:
            return one
    raise NotFound(what, text, known)
