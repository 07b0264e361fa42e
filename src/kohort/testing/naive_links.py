"""The naive judge of links: whose events are whose, by plain loops over the rule in docs/identity.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kohort.model.arrival import Link
from kohort.model.event import Event

LATEST = 2**62
"""After every moment."""


def naive_roots(links: Iterable[Link], as_of: int) -> dict[int, int]:
    """Everybody who is led at a moment → to whom in the end."""
    leads: dict[int, int] = {}
    for link in sorted(links, key=lambda x: (x.ts, x.event_id)):
        if link.ts > as_of or link.customer in leads or ends(leads, link.root) == link.customer:
            continue
        leads[link.customer] = link.root
    return {customer: ends(leads, customer) for customer in leads}


def ends(leads: Mapping[int, int], customer: int) -> int:
    """Where the way from an id ends."""
    while customer in leads:
        customer = leads[customer]
    return customer


def relabelled(events: Iterable[Event], links: Iterable[Link], as_of: int) -> list[Event]:
    """Events under the ids that are meant at a moment."""
    found = naive_roots(links, as_of)
    return [e if e.customer is None else replace(e, customer=found.get(e.customer, e.customer)) for e in events]


def carried(
    by_hand: Mapping[tuple[str, int], Mapping[str, bool]], links: Iterable[Link], as_of: int
) -> dict[tuple[str, int], Mapping[str, bool]]:
    """What people decided, about those who are meant: about the root herself first, else about who was hers first."""
    links = list(links)
    found = naive_roots(links, as_of)
    best: dict[tuple[str, int], tuple[bool, int, int]] = {}
    for name, customer in (key for key, moves in by_hand.items() if moves):
        root = found.get(customer, customer)
        place = (customer != root, hers_since(customer, root, links, as_of), customer)
        best[name, root] = min(best.get((name, root), place), place)
    return {(name, root): by_hand[name, place[2]] for (name, root), place in best.items()}


def withheld(
    events: Iterable[Event], links: Iterable[Link], as_of: int, consent: Iterable[tuple[str, str]]
) -> set[tuple[str, int]]:
    """(purpose, customer) of whom an id said no, and no later yes came from that id, or from one she was one with by then.

    Args:
        events: Under the ids they came with.
        consent: (purpose, trait).
    """
    links, found = list(links), set()
    now = naive_roots(links, as_of)
    visible = sorted((e for e in events if e.ts <= as_of), key=lambda e: (e.ts, e.event_id))
    for purpose, trait in consent:
        said = [(e.customer, e.values.get(trait), e.ts) for e in visible if e.customer is not None]
        for n, (customer, no, _) in enumerate(said):
            later = said[n + 1 :]
            if no is False and not any(yes is True and are_one(customer, other, links, ts) for other, yes, ts in later):
                found.add((purpose, now.get(customer, customer)))
    return found


def are_one(customer: int, other: int, links: Iterable[Link], as_of: int) -> bool:
    """Whether two ids are one customer at a moment."""
    found = naive_roots(links, as_of)
    return found.get(customer, customer) == found.get(other, other)


def hers_since(customer: int, root: int, links: Iterable[Link], as_of: int) -> int:
    """The first moment at which an id leads to a root; 0 where she is the root."""
    moments = sorted(link.ts for link in links if link.ts <= as_of)
    return next((t for t in moments if naive_roots(links, t).get(customer) == root), 0)
