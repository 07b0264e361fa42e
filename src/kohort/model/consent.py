"""Whose "no" still binds after several ids turned out to be one customer. A pure function of what was said and the links.

A "no" of an id binds until a later "yes" of that id, or of another one that was the same customer by then. A customer agrees
when any of her ids said yes and no "no" binds; an id that said nothing takes nothing away. See docs/decisions/0018.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from kohort.model.arrival import Link
from kohort.model.event import ColumnType


class Said(NamedTuple):
    """One statement about a purpose.

    Attributes:
        ts: When, microseconds UTC.
        event_id: Orders statements of one instant, as it orders events.
        customer: The id that it came with.
        agreed: Yes or no.
    """

    ts: int
    event_id: str
    customer: int
    agreed: bool


def flags(consent: Mapping[str, str], columns: Mapping[str, ColumnType]) -> dict[str, str]:
    """Purpose → trait, of those about which the data can say anything."""
    return {purpose: trait for purpose, trait in consent.items() if columns.get(trait) == "flag"}


def refusing(said: Iterable[Said], links: Iterable[Link]) -> set[int]:
    """Customers for whom a "no" binds.

    Args:
        said: Statements up to a moment, in any order, under the ids they came with.
        links: All links of these ids up to the same moment, in any order.

    Returns:
        Pseudonyms of roots. Of a customer with one id it says what her latest statement does.

    Example:
        >>> no, yes = Said(1, "e1", -5, False), Said(2, "e2", 7, True)
        >>> refusing([no, yes], [Link("l", -5, 7, 3)]), refusing([no, yes], [Link("l", -5, 7, 2)])
        ({7}, set())
    """
    leads: dict[int, int] = {}
    binds: set[int] = set()

    def end(customer: int) -> int:
        while customer in leads:
            customer = leads[customer]
        return customer

    def join(link: Link) -> None:
        if link.customer in leads or end(link.root) == link.customer:
            return  # passed over, as `kohort.model.links.roots` does
        leads[link.customer] = link.root
        if link.customer in binds:
            binds.remove(link.customer)
            binds.add(end(link.root))

    waiting = sorted(links, key=attrgetter("ts", "event_id"), reverse=True)
    for one in sorted(said):
        while waiting and waiting[-1].ts <= one.ts:
            join(waiting.pop())
        (binds.discard if one.agreed else binds.add)(end(one.customer))
    while waiting:
        join(waiting.pop())
    return binds
