"""Who lives together: persons who share an address, and a surname or a telephone number. Nobody is merged by it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kohort.identity.names import name_key
from kohort.identity.persons import Known
from kohort.model.links import Roots

MOST = 10
"""Persons behind one door, or with one telephone number. More are a block of flats, an office, or a street of this name in
every town: the vault keeps neither town nor postcode apart."""


@dataclass(frozen=True, slots=True)
class Household:
    """Persons who live together.

    Attributes:
        members: Person → what she shares with another of them, in words; two or more, in order.
    """

    members: dict[int, str]


@dataclass(slots=True)
class Homes:
    """What was found.

    Attributes:
        households: The largest first; nobody is in two.
        persons: How many have an address that can be compared.
        blocked: Addresses and telephone numbers that too many share to say anything.
    """

    households: list[Household] = field(default_factory=list)
    persons: int = 0
    blocked: dict[str, int] = field(default_factory=dict)


def households(people: Mapping[int, Known], meant: Roots, without: Collection[int] = ()) -> Homes:
    """Find who lives together.

    Args:
        people: What is known of each id.
        meant: Which ids are one person already.
        without: Persons who are left out: a person decided about them, or they may not be compared.

    Returns:
        Customers only; visitors live nowhere.

    Example:
        >>> from kohort.model.links import NOBODY
        >>> home = ("dorpsstr", "1")
        >>> both = {1: Known([("ann", "berg")], doors=[home]), 2: Known([("bob", "berg")], doors=[home])}
        >>> [one.members for one in households(both, NOBODY).households]
        [{1: 'the same address and surname', 2: 'the same address and surname'}]
    """
    left_out = frozenset(without)
    persons = {who: known for who, known in _persons(people, meant).items() if who not in left_out and known.doors}
    doors: dict[tuple[str, str], list[int]] = defaultdict(list)
    for who, known in persons.items():
        for door in known.doors:
            if all(door):
                doors[door].append(who)
    numbers = Counter(number for known in persons.values() for number in known.phones)
    shared = frozenset(number for number, n in numbers.items() if 1 < n <= MOST)
    found = Homes(persons=len(persons))
    found.blocked = {
        kind: n
        for kind, n in (
            ("address", sum(len(who) > MOST for who in doors.values())),
            ("phone", sum(n > MOST for n in numbers.values())),
        )
        if n
    }
    taken: set[int] = set()
    # Whoever has two addresses, an old one say, belongs to the larger household: chains of moves join nobody.
    for door in sorted(doors, key=lambda d: (-len(doors[d]), d)):
        free = [person for person in doors[door] if person not in taken]
        if len(free) > 1 and len(doors[door]) <= MOST:
            for home in _homes(free, persons, shared):
                found.households.append(home)
                taken.update(home.members)
    found.households.sort(key=lambda home: (-len(home.members), min(home.members)))
    return found


def _homes(who: Sequence[int], persons: Mapping[int, Known], shared: frozenset[str]) -> list[Household]:
    """The households behind one door: who is tied to whom, over however many of them."""
    ties: dict[int, dict[int, str]] = {person: {} for person in who}
    for n, one in enumerate(who):
        for other in who[n + 1 :]:
            if says := _tie(persons[one], persons[other], shared):
                ties[one][other] = ties[other][one] = says
    found: list[Household] = []
    seen = set[int]()
    for start in who:
        if start in seen or not ties[start]:
            continue
        home = [start]
        for person in home:
            home += [other for other in ties[person] if other not in home]
        seen.update(home)
        # The longest says most: it names all that is shared.
        found.append(Household({person: max(ties[person].values(), key=len) for person in sorted(home)}))
    return found


def _tie(one: Known, other: Known, shared: frozenset[str]) -> str:
    """What two persons behind one door share beside it; empty = nothing."""
    surname = bool(_surnames(one) & _surnames(other))
    phone = bool(shared & set(one.phones) & set(other.phones))
    if surname and phone:
        return "the same address, surname and telephone number"
    return "the same address and surname" if surname else "the same address and telephone number" if phone else ""


def _surnames(known: Known) -> set[str]:
    return {name_key(surname) for _, surname in known.names if surname}


def _persons(people: Mapping[int, Known], meant: Roots) -> dict[int, Known]:
    """Customer → all that is known of her, whatever id it is known of."""
    ids = list(people)
    found: dict[int, Known] = {}
    for root, id_ in sorted(zip(meant.of(np.array(ids, np.int64)).tolist(), ids, strict=True)):
        if root < 0:
            continue
        hers, mine = found.setdefault(root, Known()), people[id_]
        hers.names += [name for name in mine.names if name not in hers.names]
        hers.emails += [mail for mail in mine.emails if mail not in hers.emails]
        hers.phones += [number for number in mine.phones if number not in hers.phones]
        hers.doors += [door for door in mine.doors if door not in hers.doors]
    return found
