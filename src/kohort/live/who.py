"""Whose events are whose, as far as the loop needs it: the roots of all links, followed as new links come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.model.arrival import Link
from kohort.model.links import Roots, roots


class Who:
    """Ids and the customers they are led to at the loop's moment.

    Links of the future wait; a link that comes late may change what others mean, so then all are folded anew.
    """

    def __init__(self, links: pa.Table, as_of: int) -> None:
        self._links = links
        self._known = set(links.column("event_id").to_pylist())
        self._new: list[Link] = []
        self._found: tuple[tuple[int, int], Roots]
        self._fold(as_of)

    def meant(self) -> Roots:
        """Everybody who is led, to whom and since when; changes nothing, so that any thread may ask."""
        links, new, as_of = self._links, list(self._new), self._as_of
        key = links.num_rows + len(new), as_of
        if self._found[0] != key:
            self._found = key, roots(_with(links, new), as_of)
        return self._found[1]

    def leads_any(self, customers: Iterable[int]) -> bool:
        """Whether any of some ids is led to somebody else."""
        return any(c in self._root for c in customers)

    def _fold(self, as_of: int) -> None:
        if self._new:
            self._links, self._new = _with(self._links, self._new), []
        found = roots(self._links, as_of)
        self._as_of = as_of
        self._found = (self._links.num_rows, as_of), found
        self._root: dict[int, int] = dict(zip(found.led.tolist(), found.root.tolist(), strict=True))
        self._led: dict[int, list[int]] = {}
        for led, root in self._root.items():
            self._led.setdefault(root, []).append(led)
        ts = self._links.column("ts").to_numpy()
        self._latest = int(ts.max(initial=0))
        self._waiting = int(ts[ts > as_of].min(initial=np.iinfo(np.int64).max))

    def changes(self, as_of: int) -> bool:
        """Whether the time of a link comes that nobody else brings up."""
        return self._waiting <= as_of

    def root(self, customer: int) -> int:
        """Whom an id is led to; itself where to nobody."""
        return self._root.get(customer, customer)

    def roots(self, customers: Iterable[int]) -> set[int]:
        """The customers behind some ids."""
        return {self._root.get(c, c) for c in customers}

    def ids(self, customers: Sequence[int]) -> np.ndarray:
        """All ids whose events are some customers' own; none for those who are led to somebody else."""
        ids: list[int] = []
        for customer in customers:
            if customer not in self._root:
                ids += [customer, *self._led.get(customer, ())]
        return np.array(ids, np.int64)

    def led_to(self, customers: Iterable[int]) -> list[int]:
        """The other ids of some customers."""
        return [led for customer in customers for led in self._led.get(customer, ())]

    def links_of(self, ids: np.ndarray) -> pa.Table:
        """The links that lead some ids anywhere at the loop's moment; any thread may ask."""
        links = _with(self._links, list(self._new))
        theirs = pc.is_in(links.column("customer"), value_set=pa.array(ids))
        return links.filter(pc.and_(theirs, pc.less_equal(links.column("ts"), self._as_of)))

    def as_customers(self, events: pa.Table) -> pa.Table:
        """Events under the customers they belong to."""
        if not self._root:
            return events
        ids = events.column("customer").to_numpy()
        if not self._root.keys() & set(ids.tolist()):
            return events
        named = np.array([self._root.get(i, i) for i in ids.tolist()], np.int64)
        return events.set_column(events.column_names.index("customer"), "customer", pa.array(named))

    def learn(self, links: Sequence[Link], as_of: int) -> set[int]:
        """Takes links in, and those whose time has come; answers everybody whose events may now be another's."""
        new = [link for link in links if link.event_id not in self._known and link.customer != link.root]
        if not new and self._waiting > as_of:
            return set()
        self._known |= {link.event_id for link in new}
        self._new += new
        later = all(self._latest <= link.ts <= as_of for link in new)
        if later and self._waiting > as_of:
            self._as_of = as_of
            return {c for link in sorted(new, key=lambda n: (n.ts, n.event_id)) for c in self._lead(link)}
        return self._anew(as_of)

    def renew(self, links: pa.Table, as_of: int) -> None:
        """Takes other links in place of all it knew: people merged or split."""
        self._links, self._new = links, []
        self._known = set(links.column("event_id").to_pylist())
        self._fold(as_of)

    def unlike(self, before: Mapping[int, int]) -> dict[int, int]:
        """Everybody whose events are another's than before (who is led → to whom), and to whom each was led then."""
        changed = {led for led in before.keys() | self._root.keys() if before.get(led) != self._root.get(led)}
        concerned = {c for led in changed for c in (led, before.get(led, led), self._root.get(led, led))}
        return {c: before.get(c, c) for c in concerned}

    def led(self) -> dict[int, int]:
        """Everybody who is led, and to whom."""
        return dict(self._root)

    def _anew(self, as_of: int) -> set[int]:
        before = self.led()
        self._fold(as_of)
        return set(self.unlike(before))

    def _lead(self, link: Link) -> set[int]:
        """A link later than all others: what folding everything anew would come to."""
        root = self._root.get(link.root, link.root)
        self._latest = link.ts
        if link.customer in self._root or root == link.customer:
            return set()
        following = self._led.pop(link.customer, [])
        for led in (link.customer, *following):
            self._root[led] = root
            self._led.setdefault(root, []).append(led)
        return {link.customer, root}


def _with(links: pa.Table, new: Sequence[Link]) -> pa.Table:
    columns = {name: [getattr(link, name) for link in new] for name in links.schema.names}
    return pa.concat_tables([links, pa.table(columns, schema=links.schema)]).combine_chunks()
