"""The relations beside the events: what people decided by hand, what a merge withholds, where customers stood before.

Only definitions that need a relation, and have rows in it, take part in the pivot that is joined to the customers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import reduce
from operator import or_
from typing import Any

import ibis

from kohort.compile.values import Value
from kohort.definitions.segments import SegmentDefinition
from kohort.model.limits import LIMITS, MARKS, Limit, refusal_mark

BY_HAND = {"customer": "int64", "name": "string", "segment": "string", "added": "boolean"}
STANDING = {"customer": "int64", "name": "string", "segment": "string", "since": "int64"}


class ByHand:
    """Who was put into or taken out of which part; the part '' stands for all of them.

    Further rows say whose consent a merge withholds (`refusal_mark`), and who forbids being profiled or used (`MARKS`).
    """

    def __init__(self, names: Collection[str] | None) -> None:
        self.names = names
        self.needed: dict[str, SegmentDefinition] = {}
        self.purposes: dict[str, None] = {}
        self.limits: tuple[Limit, ...] = tuple(x for x in LIMITS if names is None or MARKS[x] in names)

    @property
    def read(self) -> bool:
        """Whether the relation is read at all."""
        return bool(self.needed or self.purposes or self.limits)

    def need_consent(self, purpose: str) -> None:
        if self.names is None or refusal_mark(purpose) in self.names:
            self.purposes[purpose] = None

    def need(self, definition: SegmentDefinition) -> None:
        if self.names is None or definition.name in self.names:
            self.needed[definition.name] = definition

    def has(self, name: str) -> bool:
        return name in self.needed

    def join(self, table: Any) -> Any:
        if not self.read:
            return table
        rows = ibis.table(BY_HAND, name="by_hand")
        found: dict[str, Any] = {}
        for n, definition in enumerate(self.needed.values()):
            own = rows.name == definition.name
            found[f"h{n}_all"] = (own & ~rows.added & (rows.segment == "")).any()
            for j, part in enumerate(definition.parts):
                here = own & (rows.segment == part.key)
                found |= {f"h{n}_in{j}": (here & rows.added).any(), f"h{n}_out{j}": (here & ~rows.added).any()}
        marks = {f"h_w{n}": refusal_mark(purpose) for n, purpose in enumerate(self.purposes)}
        marks |= {f"h_{limit}": MARKS[limit] for limit in self.limits}
        found |= {column: (rows.name == mark).any() for column, mark in marks.items()}
        return _joined(table, rows.filter(rows.name.isin(sorted({*self.needed, *marks.values()}))), found)

    def withheld(self, table: Any, purpose: str) -> Any:
        """Whether an id of the customer refused, and nothing said since then counts for it."""
        if purpose not in self.purposes:
            return ibis.literal(False)
        return ibis.coalesce(table[f"h_w{list(self.purposes).index(purpose)}"], ibis.literal(False))

    def forbidden(self, table: Any, definition: SegmentDefinition) -> Any | None:
        """Whether the customer forbids to be placed in a definition; None where nobody does."""
        asked = [limit for limit in self.limits if limit == "restriction" or definition.profiles]
        told = [ibis.coalesce(table[f"h_{limit}"], ibis.literal(False)) for limit in asked]
        return reduce(or_, told) if told else None

    def removed(self, table: Any, definition: SegmentDefinition, j: int) -> Any:
        """Whether people took the customer out of a part."""
        if definition.name not in self.needed:
            return ibis.literal(False)
        return self._told(table, definition, f"out{j}") | self._told(table, definition, "all")

    def added(self, table: Any, definition: SegmentDefinition) -> Iterator[tuple[int, Any]]:
        """Place of each part and whether people put the customer there."""
        if definition.name in self.needed:
            for j in range(len(definition.parts)):
                yield j, self._told(table, definition, f"in{j}")

    def _told(self, table: Any, definition: SegmentDefinition, what: str) -> Any:
        n = list(self.needed).index(definition.name)
        return ibis.coalesce(table[f"h{n}_{what}"], ibis.literal(False))


class Standing:
    """Which part a customer was in, and since when, strictly before the moment asked about."""

    def __init__(self, names: Collection[str] | None) -> None:
        self.names = names
        self.needed: dict[str, int] = {}

    def need(self, name: str) -> None:
        if self.names is None or name in self.names:
            self.needed.setdefault(name, len(self.needed))

    def has(self, name: str) -> bool:
        return name in self.needed

    def join(self, table: Any) -> Any:
        if not self.needed:
            return table
        rows = ibis.table(STANDING, name="standing")
        found: dict[str, Any] = {}
        for name, n in self.needed.items():
            found[f"g{n}"] = rows.segment.max(where=rows.name == name)
            found[f"g{n}_since"] = rows.since.max(where=rows.name == name)
        return _joined(table, rows.filter(rows.name.isin(sorted(self.needed))), found)

    def stands(self, table: Any, name: str, part: str) -> Any:
        return ibis.coalesce(table[f"g{self.needed[name]}"] == part, ibis.literal(False))

    def since(self, table: Any, name: str) -> Any:
        return table[f"g{self.needed[name]}_since"]

    def inside(self, name: str, part: str) -> Value:
        """Whether the stored membership says so; an empty part means any."""
        self.need(name)
        if not self.has(name):
            return lambda _: ibis.literal(False)
        if part:
            return lambda t: self.stands(t, name, part)
        return lambda t: t[f"g{self.needed[name]}"].notnull()


def _joined(table: Any, rows: Any, found: dict[str, Any]) -> Any:
    side = rows.group_by("customer").agg(**found).rename(side_customer="customer")
    return table.left_join(side, table.customer == side.side_customer).drop("side_customer")
