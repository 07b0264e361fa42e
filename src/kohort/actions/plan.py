"""From transitions and changes of traits to deliveries: read on from where the last look ended, made in one transaction with
where this ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kohort.actions.against import Consent, StoredConsent
from kohort.actions.match import ended, fired, told_of_traits, wanted
from kohort.definitions.segments import SegmentDefinition
from kohort.definitions.triggers import Trigger
from kohort.model.delivery import Ended, Wanted
from kohort.model.membership import Transition

if TYPE_CHECKING:
    from kohort.store.store import Store

LOOKED_AT = 1_000
"""Transitions per transaction: the live loop writes to the same database, and must not wait long."""

AROUND = 500
"""Transitions read before and after them, to see which exits and entries are two sides of one move."""

_NOTE_US = 5_000_000
"""How often it is stored which transitions were passed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What was defined, as it is now.

    Attributes:
        segments: Definitions that people made, to tell what they are.
    """

    triggers: tuple[Trigger, ...]
    segments: tuple[SegmentDefinition, ...]
    zone: str

    def are_accounts(self, name: str) -> bool:
        """Whether the members of a definition are accounts."""
        return any(d.name == name and d.kind == "accounts" for d in self.segments)

    def profiles(self, name: str) -> bool:
        """Whether being in a definition takes profiling; what was found, and what a trigger watches for, does."""
        return all(d.profiles for d in self.segments if d.name == name)


@dataclass(frozen=True, slots=True)
class Planned:
    """What one look did: transitions and changes of traits looked at, deliveries made that are to be sent."""

    looked_at: int
    made: int


class Planner:
    """Makes deliveries of a workspace.

    Where it has got to is stored with what is to be sent. Transitions that nobody is told about are passed in memory: a
    commit for each tick of the live loop would cost as much as the tick.
    """

    def __init__(self, store: Store, consent: Consent | None = None) -> None:
        self._store = store
        self._consent = consent or StoredConsent(store)
        self._stored = self._passed = store.deliveries.begin()
        self._stored_us = 0
        self._triggers: Sequence[Trigger] | None = None
        self._key = str(store.state.get("hash_seed")).encode()

    def step(self, rules: Rules, now: int) -> Planned:
        """Looks at the next transitions and changes of traits; nothing where there are none.

        Raises:
            Busy: Another process makes the deliveries.
        """
        changes = self._store.trait_changes.waiting(LOOKED_AT)
        before, last = self._passed, self._store.members.last_transition()
        if last <= before and not changes:
            return Planned(0, 0)
        if not rules.triggers and not changes:
            return self._pass(rules, last, now)
        window = self._window(before) if last > before else []
        news = [t for t in window if before < t.seq <= before + LOOKED_AT]
        beside = _Beside(self._store, window)
        found = [*told_of_traits(rules.triggers, changes), *fired(rules.triggers, news, beside.other)]
        asked = wanted(found, key=self._key, zone=rules.zone, now=now, consent=self._consent, kinds=rules)
        over = ended(rules.triggers, news)
        if not asked and not over and not changes:
            return self._pass(rules, news[-1].seq, now, looked_at=len(news))
        reached = news[-1].seq if news else before
        made = self._store_up_to(reached, now, asked, over, traits=[change.seq for change in changes])
        return Planned(len(news) + len(changes), made)

    def note(self, now: int) -> None:
        """Stores where it has got to."""
        if self._passed != self._stored:
            self._store_up_to(self._passed, now)

    def _pass(self, rules: Rules, last: int, now: int, *, looked_at: int = 0) -> Planned:
        """Nobody is told about transitions up to the last. A new trigger must not find them after a restart."""
        self._passed = last
        if rules.triggers != self._triggers or now - self._stored_us >= _NOTE_US:
            self._triggers = rules.triggers
            self.note(now)
        return Planned(looked_at, 0)

    def _store_up_to(
        self,
        last: int,
        now: int,
        asked: Sequence[Wanted] = (),
        over: Sequence[Ended] = (),
        *,
        traits: Sequence[int] = (),
    ) -> int:
        try:
            made = self._store.deliveries.plan(self._stored, last, asked, over, now=now, traits=traits)
        except BaseException:
            self._stored = self._passed = self._store.deliveries.begin()
            raise
        self._stored, self._passed, self._stored_us = last, last, now
        return made

    def _window(self, before: int) -> list[Transition]:
        start = max(0, before - AROUND)
        rows = self._store.members.transitions(after=start, limit=before - start + LOOKED_AT + AROUND)
        return [Transition(**row) for row in rows.to_pylist()]


class _Beside:
    """Finds the other side of a move: the exit before an entry, the entry after an exit, of one instant."""

    def __init__(self, store: Store, window: Sequence[Transition]) -> None:
        self._store, self._window = store, window
        self._sides: dict[tuple[str, int, int], list[Transition]] = {}
        for t in window:
            self._sides.setdefault((t.name, t.customer, t.at), []).append(t)
        last = store.members.last_transition()
        edges = [t for t in window[:1] if t.seq > 1] + [t for t in window[-1:] if t.seq < last]
        self._edges = {(t.name, t.at) for t in edges}

    def other(self, transition: Transition) -> str:
        """The part on the other side; empty where she came from outside, or went there."""
        sides = self._sides[transition.name, transition.customer, transition.at]
        if transition.change == "entered":
            near = [t for t in sides if t.change == "left" and t.seq < transition.seq]
            found = near[-1] if near else None
        else:
            near = [t for t in sides if t.change == "entered" and t.seq > transition.seq]
            found = near[0] if near else None
        if found is not None:
            return found.segment
        # Where the moves of this instant go on outside of what was read, the stays tell.
        return self._from_stays(transition) if (transition.name, transition.at) in self._edges else ""

    def _from_stays(self, transition: Transition) -> str:
        stays = self._store.members.history(transition.name, transition.customer)
        side = "until" if transition.change == "entered" else "since"
        return next(
            (s["segment"] for s in stays if s[side] == transition.at and s["segment"] != transition.segment), ""
        )
