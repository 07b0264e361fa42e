"""Who is meant by an id: links between ids, folded into roots. A pure function of the links, whatever order they came in.

Links are taken in the order (ts, event_id), up to a moment. A link that leads somebody who is led already, or that would
close a circle, is passed over. So a visitor who was linked once stays with the first customer, and a device that two
people share joins nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kohort.model.arrival import Link

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Roots:
    """Who leads to whom at one moment: three parallel arrays, sorted by `led`.

    Attributes:
        led: Ids (int64) that lead to somebody else, each once.
        root: To whom in the end; never one of `led`.
        since: From when each belongs to that root, microseconds UTC: the latest of the links on the way.
        as_of: The moment; None = every link counts.
    """

    led: np.ndarray
    root: np.ndarray
    since: np.ndarray
    as_of: int | None = None

    def only(self, customers: Iterable[int]) -> Roots:
        """Those who lead to, or are, one of some ids."""
        asked = np.array(sorted(customers), dtype=np.int64)
        kept = np.isin(self.led, asked) | np.isin(self.root, asked)
        return Roots(self.led[kept], self.root[kept], self.since[kept], self.as_of)

    def __len__(self) -> int:
        return len(self.led)

    def of(self, customers: np.ndarray) -> np.ndarray:
        """The root of each id; an id that leads nowhere is its own.

        Example:
            >>> roots([Link("e1", -5, 7, 10)], as_of=10).of(np.array([-5, 7, 8])).tolist()
            [7, 7, 8]
        """
        found = np.array(customers, dtype=np.int64)
        at, there = _places(self.led, found)
        found[there] = self.root[at[there]]
        return found

    def root_of(self, customer: int) -> int:
        """The same for one id."""
        return int(self.of(np.array([customer]))[0])

    def members(self, root: int) -> list[int]:
        """The ids whose events are this one's: itself and all that lead to it; nobody where it is led itself."""
        _, there = _places(self.led, np.array([root], dtype=np.int64))
        return [] if there[0] else [int(root), *self.led[self.root == root].tolist()]

    def table(self) -> pa.Table:
        """`customer`, `root`: everybody who is led."""
        import pyarrow as pa

        return pa.table({"customer": pa.array(self.led), "root": pa.array(self.root)})


def roots(links: pa.Table | Iterable[Link] | None, as_of: int | None = None) -> Roots:
    """Fold links into roots.

    Args:
        links: Rows with `event_id`, `customer`, `root`, `ts`, in any order; an event id once.
        as_of: Links after this moment are not visible, microseconds UTC; None = all are.

    Returns:
        The fold. Equal sets of links give equal roots.
    """
    if links is None:
        return NOBODY
    customers, leads, moments = _in_order(links, as_of)
    if not len(customers):
        return NOBODY
    led, first = np.unique(customers, return_index=True)
    parent, since = leads[first], moments[first]
    # Only where somebody leads to an id that is led itself can there be a circle or a second step.
    tangled = np.isin(parent, led)
    if not tangled.any():
        return Roots(led, parent, since, as_of)
    rows = np.flatnonzero(np.isin(customers, led[tangled]))
    steps = zip(parent[~tangled].tolist(), since[~tangled].tolist(), strict=True)
    plain = dict(zip(led[~tangled].tolist(), steps, strict=True))
    return _followed(_untangled(customers[rows], leads[rows], moments[rows], plain), as_of)


def _untangled(
    customers: np.ndarray, leads: np.ndarray, moments: np.ndarray, plain: dict[int, tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """Customer → (whom she leads to, since when): link by link, beside those that are plain."""
    found: dict[int, tuple[int, int]] = {}
    for customer, root, ts in zip(customers.tolist(), leads.tolist(), moments.tolist(), strict=True):
        if customer in found:
            continue
        at = root
        while at != customer and at in found:
            at = found[at][0]
        # A plain one leads out of here and never back, whenever that was: it cannot close a circle.
        if at != customer:
            found[customer] = (root, ts)
    return plain | found


def _followed(parents: dict[int, tuple[int, int]], as_of: int | None) -> Roots:
    """Every step followed to its end."""
    ends: dict[int, tuple[int, int]] = {}
    for customer in parents:
        way, at = [], customer
        while at in parents and at not in ends:
            way.append(at)
            at = parents[at][0]
        end, until = ends.get(at, (at, -(2**63)))
        for step in reversed(way):
            until = max(until, parents[step][1])
            ends[step] = (end, until)
    led = np.array(sorted(ends), dtype=np.int64)
    return Roots(
        led,
        np.array([ends[c][0] for c in led.tolist()], dtype=np.int64),
        np.array([ends[c][1] for c in led.tolist()], dtype=np.int64),
        as_of,
    )


def _in_order(links: pa.Table | Iterable[Link] | None, as_of: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer, root and moment of the visible links, in the order in which they count."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = links if isinstance(links, pa.Table) else table_of(links or ())
    if as_of is not None:
        table = table.filter(pc.less_equal(table.column("ts"), as_of))
    order = pc.sort_indices(table, sort_keys=[("ts", "ascending"), ("event_id", "ascending")]).to_numpy()
    customer, root, ts = (table.column(name).to_numpy()[order] for name in ("customer", "root", "ts"))
    return customer, root, ts


def table_of(links: Iterable[Link]) -> pa.Table:
    """Links as a table: `event_id`, `customer`, `root`, `ts`."""
    import pyarrow as pa

    rows = list(links)
    return pa.table(
        {
            "event_id": pa.array([link.event_id for link in rows], pa.string()),
            "customer": pa.array([link.customer for link in rows], pa.int64()),
            "root": pa.array([link.root for link in rows], pa.int64()),
            "ts": pa.array([link.ts for link in rows], pa.int64()),
        }
    )


def _places(led: np.ndarray, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of each id in `led`, and whether it is there."""
    if not len(led):
        return np.zeros(len(customers), dtype=np.int64), np.zeros(len(customers), dtype=bool)
    at = np.minimum(np.searchsorted(led, customers), len(led) - 1)
    return at, led[at] == customers


NOBODY = Roots(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))
"""Nobody is led."""


def root_of(links: pa.Table | Iterable[Link] | None, customer: int, as_of: int | None = None) -> int:
    """The root of one id at a moment, from the links near it alone."""
    if links is None:
        return customer
    return roots(around(links, customer), as_of).root_of(customer)


@dataclass(frozen=True, slots=True)
class Belonging:
    """From when until when the events of an id are those of a customer.

    Attributes:
        member: The id; the customer herself is one of them.
        since: Microseconds UTC; None = always.
        until: From then on they are somebody else's; None = still hers.
    """

    member: int
    since: int | None = None
    until: int | None = None

    def holds(self, moment: int) -> bool:
        """Whether it is so at a moment."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


def belonging(links: pa.Table | Iterable[Link] | None, customer: int) -> tuple[Belonging, ...]:
    """Whose events were a customer's, and when: what `roots(links, moment).members(customer)` says of every moment.

    Example:
        >>> belonging([Link("e1", -5, 7, 10)], 7)
        (Belonging(member=7, since=None, until=None), Belonging(member=-5, since=10, until=None))
    """
    if links is None:
        return (Belonging(customer),)
    parents: dict[int, int] = {}
    below: dict[int, list[int]] = {}
    since: dict[int, int | None] = {customer: None}
    for led, root, ts in zip(*(column.tolist() for column in _in_order(around(links, customer), None)), strict=True):
        if led in parents:
            continue
        end = root
        while end in parents:
            end = parents[end]
        if end == led:
            continue
        parents[led] = root
        below.setdefault(root, []).append(led)
        if led == customer:
            return tuple(Belonging(member, start, ts) for member, start in since.items())
        if end == customer:
            since |= dict.fromkeys(_subtree(led, below), ts)
    return tuple(Belonging(member, start) for member, start in since.items())


def _subtree(top: int, below: dict[int, list[int]]) -> list[int]:
    found = [top]
    for member in found:
        found += below.get(member, ())
    return found


def around(links: pa.Table | Iterable[Link] | None, customer: int) -> pa.Table:
    """The links that can say anything about one customer: those she is tied to, however far."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = links if isinstance(links, pa.Table) else table_of(links or ())
    known = pa.array([customer], pa.int64())
    while True:
        near = pc.or_(*(pc.is_in(table.column(name), value_set=known) for name in ("customer", "root")))
        found = table.filter(near)
        ids = pa.concat_arrays([c.combine_chunks() for c in (found.column("customer"), found.column("root"))])
        wider = pc.unique(pa.concat_arrays([known, ids]))
        if len(wider) == len(known):
            return found
        known = wider
