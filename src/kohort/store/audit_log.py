"""Who did what: a log in which nothing can be changed, left out or put in between without being noticed.

Each entry has a keyed digest of itself and of the one before; the key is the vault's. What the chain alone cannot show is
that its end was cut off: so the number and the digest of the last entry, the head, is worth keeping elsewhere.

A customer stands in it by her pseudonym, of which the chain holds a salted digest only. When she is erased, pseudonym and
salt go, the digest leads to nobody any more, and the chain holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import WrongUsage
from kohort.model.access import Act
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

entries = SealedTable(schema.audit_entry)
_t = schema.audit_entry.c
_NAME = "audit_entry"
_CHUNK = 500
_READ = 5_000
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    Attributes:
        number: 1, 2, … without a gap.
        at_us: Microseconds UTC.
        by: Who did it: the name of a user, of the page set-up, or of the machine's user for commands.
        about: A segment, a user, an address's pattern.
        customer: Pseudonym; None where it is about nobody, or she was erased.
        erased: Whether it was about somebody who was erased.
    """

    number: int
    at_us: int
    by: str
    act: str
    about: str
    customer: int | None
    erased: bool


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry: to be kept where nobody who can change the log can change it."""

    number: int
    chain: str

    def __str__(self) -> str:
        return f"{self.number}:{self.chain}"


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the log does not check out, in one sentence."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of the whole log found; without `broken` every entry is as it was written.

    Attributes:
        erased: Entries about somebody who was erased since.
    """

    entries: int
    erased: int
    head: Head
    broken: tuple[Broken, ...]


class AuditLog:
    """The log of one workspace. Calls with a connection are part of the caller's transaction.

    Args:
        key: Of the chain.
    """

    def __init__(self, database: Database, key: bytes) -> None:
        self._database, self._key = database, key

    def note(
        self, act: Act, *, by: str, about: str = "", customers: Sequence[int] = (), now: int | None = None
    ) -> None:
        """Writes down what somebody did; on disk when it returns. See `add`."""
        with self._database.write() as con:
            self.add(con, act, by=by, about=about, customers=customers, now=now)

    def add(
        self,
        con: Connection,
        act: Act,
        *,
        by: str,
        about: str = "",
        customers: Sequence[int] = (),
        now: int | None = None,
    ) -> None:
        """Writes down what somebody did: one entry, or one for each customer it is about.

        Args:
            by: Who.
            about: A segment, a user, an address's pattern; never anything about a customer.
            customers: Pseudonyms.
            now: Wall clock, µs UTC; the machine's where not given.
        """
        at = time.time_ns() // 1_000 if now is None else now
        whom: Sequence[int | None] = customers or (None,)
        first = Ledger(con).take(_NAME, len(whom))
        chain = con.execute(sa.select(_t.chain).order_by(_t.number.desc()).limit(1)).scalar() or ""
        rows = []
        for number, customer in enumerate(whom, start=first):
            row: dict[str, Any] = {"number": number, "at_us": at, "by": by, "act": act, "about": about}
            row |= {"customer": customer, "salt": None, "stands_for": ""}
            if customer is not None:
                row["salt"] = os.urandom(_SALT_BYTES)
                row["stands_for"] = _stands_for(row["salt"], customer)
            row["chain"] = chain = self._link(chain, row)
            rows.append(row)
        entries.insert(con, rows)

    def latest(self, limit: int = 50, *, before: int | None = None, by: str = "", act: str = "") -> list[Entry]:
        """The latest entries, newest first.

        Args:
            before: Only those with a smaller number.
            by: Only what this one did.
            act: Only what was of this kind.
        """
        query = sa.select(schema.audit_entry).order_by(_t.number.desc()).limit(limit)
        if before is not None:
            query = query.where(_t.number < before)
        if by:
            query = query.where(_t.by == by)
        if act:
            query = query.where(_t.act == act)
        with self._database.read() as con:
            return [_entry(row) for row in entries.some(con, query)]

    def last(self) -> int:
        """The number of the last entry there is; 0 = there is none."""
        with self._database.read() as con:
            return int(con.execute(sa.select(sa.func.max(_t.number))).scalar() or 0)

    def verify(self, head: str = "") -> Verified:
        """Reads the whole log and compares every entry with the chain.

        Args:
            head: One that was kept elsewhere, as `Head` writes itself: the log must still contain it.

        Raises:
            WrongUsage: That is no head.
        """
        wanted = _head(head)
        reading = _Reading(self._link)
        found = None
        with self._database.read() as con:
            should = Ledger(con).get(f"next:{_NAME}")[0]
            for row in _all(con):
                reading.take(row)
                if wanted is not None and row["number"] == wanted.number:
                    found = row["chain"]
        reading.end(should)
        if wanted is not None and found != wanted.chain:
            text = f"Entry {wanted.number} is not the one of the head that was kept: the log was cut or written anew."
            reading.broken.append(Broken(wanted.number, text))
        return Verified(reading.entries, reading.erased, Head(reading.last, reading.chain), tuple(reading.broken))

    def forget(self, con: Connection, customers: Sequence[int]) -> int:
        """Takes erased persons out; the entries stay, about nobody. Says how many there were."""
        gone = 0
        for start in range(0, len(customers), _CHUNK):
            mine = _t.customer.in_(customers[start : start + _CHUNK])
            gone += entries.update(con, mine, customer=None, salt=None)
        return gone

    def check(self) -> list[str]:
        """What does not check out, in sentences."""
        return [one.text for one in self.verify().broken]

    def _link(self, before: str, row: Any) -> str:
        told = [row["number"], row["at_us"], row["by"], row["act"], row["about"], row["stands_for"], before]
        text = json.dumps(told, separators=(",", ":"), default=repr)
        return hmac.digest(self._key, text.encode(), "sha256").hex()


class _Reading:
    """What is known of the log after its first entries."""

    def __init__(self, link: Callable[[str, Any], str]) -> None:
        self._link = link
        self.last, self.chain = 0, ""
        self.entries = self.erased = 0
        self.broken: list[Broken] = []

    def take(self, row: sa.RowMapping) -> None:
        """The next entry, whatever somebody made of it."""
        number, follows = row["number"], row["number"] == self.last + 1
        self.entries += 1
        if not isinstance(number, int) or number <= self.last:
            self.broken.append(Broken(self.last + 1, f"Something was put in after entry {self.last}."))
            return
        if not follows:
            self.broken.append(Broken(self.last + 1, _gone(self.last + 1, number - 1)))
        elif self._link(self.chain, row) != row["chain"] or not _is_whom(row):
            self.broken.append(Broken(number, f"Entry {number} is not as it was written."))
        self.erased += bool(row["stands_for"]) and row["customer"] is None
        self.last, self.chain = number, str(row["chain"])

    def end(self, should: int) -> None:
        """There are no more; `should` is the number of the last one that was written."""
        if self.last < should:
            self.broken.append(Broken(self.last + 1, _gone(self.last + 1, should)))


def _all(con: Connection) -> Iterator[sa.RowMapping]:
    """Every entry as it stands there, in order, some at a time."""
    last = -(1 << 63)
    while True:
        query = sa.select(schema.audit_entry).where(_t.number > last).order_by(_t.number).limit(_READ)
        rows: Iterable[sa.RowMapping] = con.execute(query).mappings().all()
        before = last
        for row in rows:
            yield row
            last = row["number"]
        if last == before:
            return


def _stands_for(salt: bytes, customer: int) -> str:
    return hashlib.sha256(salt + customer.to_bytes(8, "little", signed=True)).hexdigest()


def _is_whom(row: sa.RowMapping) -> bool:
    """Whether the pseudonym is the one that was written down, or is gone with its salt."""
    customer, salt = row["customer"], row["salt"]
    if customer is None or salt is None:
        return customer is None and salt is None
    whole = isinstance(customer, int) and isinstance(salt, bytes)
    return whole and _stands_for(salt, customer) == row["stands_for"]


def _entry(row: sa.RowMapping) -> Entry:
    erased = bool(row["stands_for"]) and row["customer"] is None
    return Entry(row["number"], row["at_us"], row["by"], row["act"], row["about"], row["customer"], erased)


def _gone(first: int, last: int) -> str:
    return f"Entry {first} is missing." if first >= last else f"Entries {first} to {last} are missing."


def _head(text: str) -> Head | None:
    if not text:
        return None
    number, _, chain = text.partition(":")
    if not (number.isascii() and number.isdigit() and len(number) < 19 and len(chain) == 64):
        raise WrongUsage("This is no head of the log.", hint="Give it as kohort audit-log verify has printed it.")
    return Head(int(number), chain)
