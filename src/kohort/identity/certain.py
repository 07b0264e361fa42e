"""Certain links: records that hold the same identifier are one customer, unless something speaks against it.

Kinds are taken in the order of their priority. A value that more records hold than its kind allows links nobody: a
till's telephone, a family's tablet, an office's mailbox. Two records that hold different values of a kind of which a
customer has one only (a register's number) are never joined, by whatever way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from kohort.errors import WrongUsage


@dataclass(frozen=True, slots=True)
class Kind:
    """How much a kind of identifier may join.

    Attributes:
        name: As in the column `kind`.
        limit: The most records that one value may join; a value held by more links none of them.
        single: A customer has one value at most: different values keep records apart.
    """

    name: str
    limit: int
    single: bool = False


KINDS = (
    Kind("registry", limit=1_000, single=True),
    Kind("ref", limit=1_000),
    Kind("loyalty", limit=10),
    Kind("email", limit=10),
    Kind("phone", limit=4),
    Kind("device", limit=2),
)
"""The kinds we know, strongest first. A household shares a telephone, a shop a device: the weaker, the lower the limit."""


class Link(NamedTuple):
    """Why two records are one customer: they hold the same value of a kind."""

    left: int
    right: int
    kind: str


class Blocked(NamedTuple):
    """Values of a kind that linked nobody: how many, and how many records hold them."""

    kind: str
    values: int
    records: int


@dataclass(frozen=True, slots=True)
class Certain:
    """What follows from equal identifiers.

    Attributes:
        records: Every record that was given, sorted, int64.
        customer: The smallest record of each one's group, parallel.
        links: What joined them: as few links as join each group.
        blocked: Values over the limit of their kind.
        contradicted: Pairs that share a value and were kept apart, because a `single` kind differs.
    """

    records: np.ndarray
    customer: np.ndarray
    links: tuple[Link, ...]
    blocked: tuple[Blocked, ...]
    contradicted: tuple[Link, ...]


def certain(held: pa.Table, kinds: Sequence[Kind] = KINDS) -> Certain:
    """Join records by equal identifiers.

    Args:
        held: `record` (int64), `kind` (text), `value` (text in its normal form, or a keyed token of it; null = not held).
            A record may hold several values of a kind. The order of the rows does not matter.
        kinds: Strongest first; a kind that is not listed is refused.

    Returns:
        Groups and their evidence. Values do not come back: links name kinds only.

    Raises:
        WrongUsage: A row is of a kind that is not listed.

    Example:
        >>> held = {"record": [1, 2, 3], "kind": ["email"] * 3, "value": ["ann@shop.nl", "ann@shop.nl", "bob@shop.nl"]}
        >>> found = certain(pa.table(held))
        >>> found.customer.tolist(), found.links
        ([1, 1, 3], (Link(left=1, right=2, kind='email'),))
    """
    names = [kind.name for kind in kinds]
    rows = held.filter(held.column("value").is_valid())
    if unlisted := set(rows.column("kind").unique().to_pylist()) - set(names):
        raise WrongUsage(
            f"No kind of identifier is called {sorted(map(str, unlisted))[0]!r}.",
            hint=f"There are: {', '.join(names)}.",
        )
    records = np.unique(held.column("record").to_numpy())
    groups = _Groups(records.tolist())
    links: list[Link] = []
    contradicted: list[Link] = []
    blocked: list[Blocked] = []
    by_kind = {kind.name: _holders(rows, kind.name) for kind in kinds}
    for kind in kinds:
        if kind.single:
            for number, holders in enumerate(by_kind[kind.name]):
                for record in holders:
                    groups.holds(record, kind.name, number)
    for kind in kinds:
        over = [holders for holders in by_kind[kind.name] if len(holders) > kind.limit]
        if over:
            blocked.append(Blocked(kind.name, len(over), sum(map(len, over))))
        for holders in by_kind[kind.name]:
            if len(holders) <= kind.limit:
                _join(groups, holders, kind.name, links, contradicted)
    customer = np.array([groups.of(record) for record in records.tolist()], dtype=np.int64)
    return Certain(records, customer, tuple(links), tuple(blocked), tuple(contradicted))


def _join(groups: _Groups, holders: list[int], kind: str, links: list[Link], contradicted: list[Link]) -> None:
    """Every record to the first one it may be joined with."""
    heads: list[int] = []
    for record in holders:
        fits = next((head for head in heads if groups.may_join(head, record)), None)
        if fits is None:
            contradicted += [Link(head, record, kind) for head in heads[:1]]
            heads.append(record)
        elif groups.join(fits, record):
            links.append(Link(fits, record, kind))


def _holders(rows: pa.Table, kind: str) -> list[list[int]]:
    """For each value of a kind the records that hold it, sorted; values in a fixed order that does not depend on the rows."""
    import pyarrow.compute as pc

    some = rows.filter(pc.equal(rows.column("kind"), kind)).select(["value", "record"])
    held = some.group_by("value").aggregate([("record", "distinct")]).column("record_distinct").to_pylist()
    return sorted(sorted(records) for records in held)


class _Groups:
    """Disjoint groups of records, each named by its smallest, with the single values it holds."""

    def __init__(self, records: list[int]) -> None:
        self._up = {record: record for record in records}
        self._single: dict[int, dict[str, set[int]]] = {}

    def of(self, record: int) -> int:
        top = record
        while self._up[top] != top:
            top = self._up[top]
        while self._up[record] != top:
            self._up[record], record = top, self._up[record]
        return top

    def holds(self, record: int, kind: str, value: int) -> None:
        self._single.setdefault(record, {}).setdefault(kind, set()).add(value)

    def may_join(self, left: int, right: int) -> bool:
        """Whether no kind of which a customer has one only has different values on both sides."""
        a, b = self.of(left), self.of(right)
        mine, theirs = self._single.get(a, {}), self._single.get(b, {})
        return a == b or all(mine[kind] & theirs[kind] for kind in mine.keys() & theirs.keys())

    def join(self, left: int, right: int) -> bool:
        a, b = sorted((self.of(left), self.of(right)))
        if a == b:
            return False
        self._up[b] = a
        for kind, values in self._single.pop(b, {}).items():
            self._single.setdefault(a, {}).setdefault(kind, set()).update(values)
        return True
