"""What one customer said about purposes, with every id of hers, and what holds of it at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kohort.model.arrival import Link
from kohort.model.consent import Said, refusing
from kohort.model.links import around, belonging

if TYPE_CHECKING:
    from kohort.model.snapshot import Snapshot


class Consents:
    """Her statements, read when they are first asked for.

    Args:
        snapshot: The event log.
        customer: Her own pseudonym, the one that the others lead to.
        as_of: Ids that lead to her at this moment are hers, microseconds UTC.
        consent: Purpose → trait (a flag of the log).
    """

    def __init__(self, snapshot: Snapshot, customer: int, as_of: int, consent: Mapping[str, str]) -> None:
        self._snapshot, self.customer, self._as_of, self._consent = snapshot, customer, as_of, dict(consent)
        self._members = [b.member for b in belonging(snapshot.links, customer) if b.holds(as_of)]
        self._refusing: dict[tuple[str, int], bool] = {}

    @property
    def purposes(self) -> tuple[str, ...]:
        """Those that can be asked about."""
        return tuple(self._consent)

    @property
    def of_one_id(self) -> bool:
        """Whether she has a single id: then nothing is ever withheld."""
        return len(self._members) < 2

    def agreed(self, purpose: str, at: int) -> bool:
        """Whether she agrees at a moment: her latest statement is a yes, and no id's no binds."""
        said = self._until(purpose, at)
        return bool(said) and said[-1].agreed and not self.withheld(purpose, at)

    def withheld(self, purpose: str, at: int) -> bool:
        """Whether one of her ids refused, and nothing said since then counts for it. With one id her latest statement
        says it all, and nothing is looked up."""
        if self.of_one_id or purpose not in self._consent:
            return False
        said = self._until(purpose, at)
        key = purpose, len(said)
        if key not in self._refusing:
            self._refusing[key] = self.customer in refusing(said, self._ties)
        return self._refusing[key]

    def _until(self, purpose: str, at: int) -> list[Said]:
        return [said for said in self._said.get(purpose, ()) if said.ts <= at]

    @cached_property
    def _said(self) -> dict[str, list[Said]]:
        rows = list(self._rows())
        return {
            purpose: sorted(
                Said(row["ts"], row["event_id"], row["customer"], row[trait])
                for row in rows
                if row.get(trait) is not None
            )
            for purpose, trait in self._consent.items()
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        from kohort.segments.why import rows_of

        columns = ["ts", "event_id", *sorted(set(self._consent.values()))]
        for member in self._members:
            for table in rows_of(self._snapshot, member, columns):
                yield from table.to_pylist()

    @cached_property
    def _ties(self) -> list[Link]:
        import pyarrow.compute as pc

        near = around(self._snapshot.links, self.customer)
        return [Link(**row) for row in near.filter(pc.less_equal(near["ts"], self._as_of)).to_pylist()]
