"""What stands against telling others about somebody: what she forbids, and a consent that is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kohort.definitions.triggers import consent_name
from kohort.model.delivery import CHANGED
from kohort.model.limits import Limit
from kohort.trust.limits import Forbidding

if TYPE_CHECKING:
    from kohort.store.store import Store

_ONE_BY_ONE = 50
"""For more customers than this at once, all who agreed are read together."""


class About(NamedTuple):
    """What is to be told: of which definition's change, about whom, for which purpose ("" = it needs no consent)."""

    purpose: str
    name: str
    customer: int
    change: str


class Consent(Protocol):
    """Who agreed to what, and who forbids what, as far as is known now."""

    def agreed(self, purpose: str, customers: Sequence[int]) -> set[int]:
        """Those of the customers who did."""
        ...

    def forbidding(self, limit: Limit) -> Collection[int]:
        """Everybody who does."""
        ...


class Kinds(Protocol):
    """What definitions are, by name."""

    def are_accounts(self, name: str) -> bool:
        """Whether the members are accounts: they have no consent, people have."""
        ...

    def profiles(self, name: str) -> bool:
        """Whether being in it takes profiling."""
        ...


def standing_against(asked: Sequence[About], consent: Consent, kinds: Kinds) -> list[str]:
    """Why each may not be told: "restriction", "objection", "consent"; empty = it may.

    Nor may who left be told about somebody who objects: leaving because of it is not a reason to write to her.
    """
    agreed = {purpose: consent.agreed(purpose, sorted(whom)) for purpose, whom in _by_purpose(asked).items()}
    restricted, objecting = consent.forbidding("restriction"), consent.forbidding("objection")

    def reason(one: About) -> str:
        if kinds.are_accounts(one.name):
            return ""
        if one.customer in restricted:
            return "restriction"
        if one.customer in objecting and one.change != CHANGED and kinds.profiles(one.name):
            return "objection"
        return "consent" if one.purpose and one.customer not in agreed[one.purpose] else ""

    return [reason(one) for one in asked]


def _by_purpose(asked: Iterable[About]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for one in asked:
        if one.purpose:
            found.setdefault(one.purpose, set()).add(one.customer)
    return found


class StoredConsent:
    """Consent as the segments of those who agreed have it: they are evaluated like every other segment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forbidding = Forbidding(store)

    def agreed(self, purpose: str, customers: Sequence[int]) -> set[int]:
        """See `Consent.agreed`. Where nobody was asked about a purpose yet, nobody agreed."""
        name = consent_name(purpose)
        members = self._store.members
        if name not in members.names():
            return set()
        if len(customers) <= _ONE_BY_ONE:
            return {c for c in customers if any(stay["until"] is None for stay in members.history(name, c)[-1:])}
        return set(customers) & set(members.current(name).column("customer").to_pylist())

    def forbidding(self, limit: Limit) -> Collection[int]:
        """See `Consent.forbidding`."""
        return self._forbidding.who(limit)
