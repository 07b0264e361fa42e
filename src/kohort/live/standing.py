"""The loop's own copy of who stands where: sorted columns per part, and what changed since beside them.

Asking the store for the members of a definition costs as much as it has members; a tick asks about a few customers,
fifty times a second. What is here is a copy: it is made from the store when the loop starts or somebody else published,
and follows the transitions that the loop itself commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kohort.compile.segments import REASONS

if TYPE_CHECKING:
    from kohort.store.store import Store

OUT = -1
UNSAID = len(REASONS)
"""The code of a reason that is none of the compiler's: of members that were adopted or written by other means."""

_MERGE_ROWS = 4_096
_CODES = {reason: code for code, reason in enumerate(REASONS)}


@dataclass(frozen=True, slots=True)
class Stay:
    """The last stay of a customer in a part.

    Attributes:
        number: Of the last transition: odd = she is in, 0 = she never was.
        since: When she entered, microseconds UTC.
        reason: Place in REASONS, or UNSAID.
    """

    number: int
    since: int
    reason: int


@dataclass(slots=True)
class _Stays:
    """One part of one definition: sorted by customer."""

    customer: np.ndarray
    number: np.ndarray
    since: np.ndarray
    reason: np.ndarray
    changed: dict[int, Stay] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pa.Table) -> _Stays:
        order = np.argsort(table["customer"].to_numpy(), kind="stable")
        said = table["reason"].cast(pa.string()).to_pylist()
        reason = np.fromiter((_CODES.get(r, UNSAID) for r in said), np.int8, len(said))
        customer, number, since = (table[name].to_numpy()[order] for name in ("customer", "number", "since"))
        return cls(customer, number, since, reason[order])

    def find(self, customers: np.ndarray, place: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """number, since and reason of customers; number 0 = never in.

        Args:
            place: Customer → where she stands in `customers`.
        """
        at = np.searchsorted(self.customer, customers)
        at[at == len(self.customer)] = 0
        known = self.customer[at] == customers if len(self.customer) else np.zeros(len(customers), bool)
        if not len(self.customer):
            number, since, reason = (np.zeros(len(customers), dtype) for dtype in (np.int32, np.int64, np.int8))
        else:
            number = np.where(known, self.number[at], 0)
            since, reason = self.since[at].copy(), self.reason[at].copy()
        for customer in self.changed.keys() & place.keys():
            i, stay = place[customer], self.changed[customer]
            number[i], since[i], reason[i] = stay.number, stay.since, stay.reason
        return number, since, reason

    def put(self, customer: int, stay: Stay) -> None:
        self.changed[customer] = stay
        if len(self.changed) > max(_MERGE_ROWS, len(self.customer) // 16):
            self._merge()

    def _merge(self) -> None:
        mine = sorted(self.changed)
        customers = np.array(mine, np.int64)
        kept = ~np.isin(self.customer, customers, assume_unique=True)
        stays = [self.changed[c] for c in mine]
        columns = {
            "customer": customers,
            "number": np.array([s.number for s in stays], self.number.dtype),
            "since": np.array([s.since for s in stays], np.int64),
            "reason": np.array([s.reason for s in stays], np.int8),
        }
        whole = {name: np.concatenate([getattr(self, name)[kept], new]) for name, new in columns.items()}
        order = np.argsort(whole["customer"], kind="stable")
        for name, column in whole.items():
            setattr(self, name, column[order])
        self.changed = {}

    def inside(self) -> Iterator[tuple[int, int]]:
        """Everybody who is in, and since when."""
        for customer, number, since in zip(
            self.customer.tolist(), self.number.tolist(), self.since.tolist(), strict=True
        ):
            if number % 2 and customer not in self.changed:
                yield customer, since
        for customer, stay in self.changed.items():
            if stay.number % 2:
                yield customer, stay.since


class Standing:
    """Who stands where in every definition that the loop knows."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, _Stays]] = {}

    def load(self, store: Store, names: Iterable[str]) -> None:
        """Reads members of definitions from the store, in place of what was known of them."""
        for name, stays in store.members.stays_of(list(names)).items():
            segments = stays["segment"].cast(pa.string())
            self._parts[name] = {
                key: _Stays.of(stays.filter(pa.compute.equal(segments, key))) for key in segments.unique().to_pylist()
            }

    def names(self) -> list[str]:
        return list(self._parts)

    def where(self, name: str, keys: Sequence[str], customers: np.ndarray, place: Mapping[int, int]) -> Where:
        """Where customers are in a definition with these parts; a part that it no longer has comes after them."""
        known = self._parts.get(name, {})
        listed = [*keys, *(k for k in known if k not in keys)]
        part = np.full(len(customers), OUT, np.int32)
        since, reason = np.zeros(len(customers), np.int64), np.full(len(customers), UNSAID, np.int8)
        numbers = []
        for j, key in enumerate(listed):
            if key not in known:
                numbers.append(np.zeros(len(customers), np.int32))
                continue
            number, begun, why = known[key].find(customers, place)
            numbers.append(number)
            here = number % 2 == 1
            part[here], since[here], reason[here] = j, begun[here], why[here]
        return Where(listed, part, since, reason, numbers)

    def put(self, name: str, key: str, customer: int, stay: Stay) -> None:
        """Notes a transition or another reason."""
        parts = self._parts.setdefault(name, {})
        if key not in parts:
            parts[key] = _Stays(
                np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int8)
            )
        parts[key].put(customer, stay)

    def keys(self, name: str) -> list[str]:
        """Parts of a definition that anybody ever was in."""
        return list(self._parts.get(name, ()))

    def columns(self, name: str, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """customer (sorted), number, since and reason of a part, without what `changed`; never written to."""
        part = self._parts[name][key]
        return part.customer, part.number, part.since, part.reason

    def changed(self, name: str, key: str) -> dict[int, Stay]:
        """What changed in a part since its columns were made."""
        return self._parts[name][key].changed

    def inside(self, name: str, key: str) -> Iterator[tuple[int, int]]:
        """Everybody who is in a part, and since when."""
        found = self._parts.get(name, {}).get(key)
        return iter(()) if found is None else found.inside()


@dataclass(frozen=True, slots=True)
class Where:
    """Where some customers are in one definition.

    Attributes:
        keys: Parts; those of the definition first, then those that it once had.
        part: Place in `keys` per customer, OUT = in none.
        since: Microseconds UTC, where she is in one.
        reason: Place in REASONS, or UNSAID.
        numbers: Per part, per customer, the number of the last transition; 0 = never in.
    """

    keys: Sequence[str]
    part: np.ndarray
    since: np.ndarray
    reason: np.ndarray
    numbers: Sequence[np.ndarray]
