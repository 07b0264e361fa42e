"""From decisions that two ids are one customer to links. A pure function of what events said and of the merges that stand.

A merge says that two ids are one, not which of them leads: that depends on where both lead already. So its link is worked
out, never kept for its own sake. Take a merge back, and the others' links are as if it had never been.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kohort.model.arrival import Link


@dataclass(frozen=True, slots=True)
class Merge:
    """A decision, by a person or a run, that two ids are one customer.

    Attributes:
        number: Of the decision: 1, 2, … in the order they were made.
        keep: The id that stays, with all that lead to it.
        other: The id that becomes part of it.
        ts: Since when, microseconds UTC.
        link: The link's id; no event has it. Ids of later decisions sort behind those of earlier ones.
    """

    number: int
    keep: int
    other: int
    ts: int
    link: str


def links_of(said: Iterable[Link], merges: Iterable[Merge]) -> list[Link]:
    """The links that follow from merges, beside what events said.

    Both are taken in the order in which links count (ts, id). At its place a merge leads the root of `other` to the root of
    `keep`, so that the link counts whatever either id is led to. Where both are one already it says nothing. A customer is
    never led to a visitor: then the other way round.

    Args:
        said: Links of events.
        merges: Those that stand, in any order.

    Example:
        >>> links_of([Link("e", -5, 2, 10)], [Merge(1, 1, -5, 20, "m1")])
        [Link(event_id='m1', customer=2, root=1, ts=20)]
    """
    steps: list[tuple[int, str, Link | Merge]] = [(link.ts, link.event_id, link) for link in said]
    steps += [(merge.ts, merge.link, merge) for merge in merges]
    groups, found = Groups(), list[Link]()
    for ts, id_, step in sorted(steps, key=lambda s: s[:2]):
        if isinstance(step, Link):
            if not groups.is_led(step.customer):
                groups.lead(step.customer, step.root)
            continue
        keep, other = groups.root(step.keep), groups.root(step.other)
        if keep < 0 < other:
            keep, other = other, keep
        if groups.lead(other, keep):
            found.append(Link(id_, other, keep, ts))
    return found


class Groups:
    """Ids that belong together, each group under its root; ids that were never named are their own."""

    def __init__(self) -> None:
        self._up: dict[int, int] = {}

    def root(self, id_: int) -> int:
        """The root of an id's group."""
        top = id_
        while top in self._up:
            top = self._up[top]
        while id_ != top:
            self._up[id_], id_ = top, self._up[id_]
        return top

    def is_led(self, id_: int) -> bool:
        """Whether an id leads to another."""
        return id_ in self._up

    def lead(self, root: int, to: int) -> bool:
        """Puts the group of a root under the root of another id; False where they are one already."""
        top = self.root(to)
        if top == root:
            return False
        self._up[root] = top
        return True
