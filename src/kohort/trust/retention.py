"""Clocks: what is older than `retention:` in `kohort.yaml` says is deleted, for good, by rewriting what held it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.compile.windows import ago
from kohort.definitions.retention import KNOWN, OTHERS, Retention
from kohort.errors import WrongUsage
from kohort.model.clock import DAY_US, iso
from kohort.model.consent import flags
from kohort.model.links import roots
from kohort.model.progress import Progress, silent
from kohort.model.source import IDENTITY_KINDS
from kohort.segments.run_rules import turn
from kohort.store.erasing import clear
from kohort.store.going import Aged
from kohort.store.signs import Signs, signs
from kohort.store.vault_striking import count, strike
from kohort.trust.limits import forbidding

if TYPE_CHECKING:
    from kohort.definitions.windows import Span
    from kohort.store.store import Store

KIND = "retention"
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Clocks:
    """The periods of one workspace at one moment.

    Args:
        now: Wall clock, microseconds UTC.
        zone: In which months and years are counted.
        consent: Purpose → trait: what somebody said about it stays for as long as she does.
        erase: Erases persons with everything of theirs (`kohort.trust.erasure.Eraser.erase`); None = people are kept.
        progress: Told what `apply` is at.
    """

    store: Store
    retention: Retention
    now: int
    zone: str
    consent: Mapping[str, str]
    erase: Callable[[Sequence[int]], dict[str, Any]] | None = None
    progress: Progress = silent

    def due(self) -> dict[str, Any]:
        """What would be deleted now; nothing is changed.

        Returns:
            `{"as_of", "hold", "clocks": [{"data", "keep", "until", "due"}]}`: of each clock the kind of data ("events" with its
            `event`, "rejected_rows", "identifiers" with their `kind`, or "people"), the last moment that is too old, and how many
            rows, identifiers or persons are that old.
        """
        signs = self._signs()
        clocks = [*self._events(), *self._rejected(), *self._identifiers(signs), *self._people(signs)]
        return {"as_of": iso(self.now), "hold": self.retention.hold, "clocks": clocks}

    def apply(self) -> dict[str, Any]:
        """Deletes it; done again it finds nothing. A run that is going on is waited for, a server may go on meanwhile.

        Returns:
            The receipt: `{"request", "events", "rejected_rows", "identifiers", "people", "erasure", "files", "clocks", "done_at"}`, of
            what was deleted; `erasure` is the number of the request by which people went, None where none did.

        Raises:
            WrongUsage: Nothing may be deleted for now, or no period is set.
            Busy: A run has been going on for ten minutes, or files were merged meanwhile, again and again.
        """
        if self.retention.hold:
            raise WrongUsage("Nothing may be deleted for now.", hint=f"kohort.yaml says why: {self.retention.hold}")
        self.progress("Looking for what is too old", 0, _STEPS)
        found = self.due()
        if not found["clocks"]:
            raise WrongUsage(
                "No period is set.", hint="Write in kohort.yaml for example: retention: {events: 25 months}"
            )
        store = self.store
        receipt: dict[str, Any] = {"clocks": found["clocks"], **self._part()}
        self.progress("Rewriting", 2, _STEPS)
        with turn(store):
            rejected = store.state.drop_rejected(self._old_rejected())
            events = store.log.drop(self._aged()) if self.retention.events else 0
            self.progress("Deleting what was replaced", 3, _STEPS)
            files = clear(store) if rejected or events else 0
        receipt |= {"events": events, "rejected_rows": rejected, "files": files}
        if not rejected and not events and not receipt["identifiers"] and not receipt["people"]:
            return {"request": None, **receipt, "done_at": iso(self.now)}
        with store.write_lock(), store._database.write() as con:
            number = store.requests.begin(con, KIND, (), now=self.now, receipt=receipt)
            store.requests.advance(con, number, "done", receipt, forget_whom=True, ended_us=self.now)
        return {"request": f"{KIND}-{number}", **receipt, "done_at": iso(self.now)}

    # -- parts -----------------------------------------------------------------------------------------------------

    def _events(self) -> list[dict[str, Any]]:
        if not self.retention.events:
            return []
        counted = self.store.log.count_going(self._aged())
        named = [(name, span) for name, span in self.retention.events if name != OTHERS]
        rows = [self._clock("events", span, counted.pop(name, 0), event=name) for name, span in named]
        others = dict(self.retention.events).get(OTHERS)
        return rows if others is None else [*rows, self._clock("events", others, sum(counted.values()), event=OTHERS)]

    def _rejected(self) -> list[dict[str, Any]]:
        span = self.retention.rejected_rows
        return [] if span is None else [self._clock("rejected_rows", span, len(self._old_rejected()))]

    def _signs(self) -> Signs | None:
        """The last sign of everybody; None where nothing is kept by it."""
        asked = self.retention.identifiers or self._goes
        return signs(self.store, self._aged()) if asked else None

    @property
    def _goes(self) -> bool:
        """Whether people go as a whole."""
        return self.retention.people is not None and self.erase is not None

    def _identifiers(self, signs: Signs | None) -> list[dict[str, Any]]:
        if signs is None:
            return []
        return [
            self._clock(
                "identifiers", span, sum(count(self.store.vault, self._silent(signs, span), kinds).values()), kind=name
            )
            for name, span, kinds in self._kinds()
        ]

    def _people(self, signs: Signs | None) -> list[dict[str, Any]]:
        span = self.retention.people
        if signs is None or span is None or not self._goes:
            return []
        return [self._clock("people", span, len(self._leaving(signs, span)))]

    def _part(self) -> dict[str, Any]:
        """People go first, since nobody knows of them once their events have gone; then identifiers of those who stay."""
        self.progress("Looking who has gone", 1, _STEPS)
        signs, erasure, people = self._signs(), None, 0
        if signs is None:
            return {"identifiers": 0, "people": 0, "erasure": None}
        span = self.retention.people
        if span is not None and self.erase is not None and len(whom := self._leaving(signs, span)):
            told = self.erase(whom)
            erasure, people = told["request"], told["people"]
        struck = sum(
            sum(strike(self.store.vault, self._silent(signs, span), kinds).values()) for _, span, kinds in self._kinds()
        )
        return {"identifiers": struck, "people": people, "erasure": erasure}

    def _leaving(self, signs: Signs, span: Span) -> list[int]:
        """With whom nothing has happened for so long, and of whom nothing is left after this but identifiers."""
        return sorted({*signs.silent(self._until(span)).tolist(), *signs.bare().tolist()} - self._wanted())

    def _silent(self, signs: Signs, span: Span) -> list[int]:
        """Every id of those with whom nothing has happened for so long."""
        people = signs.silent(self._until(span))
        meant = roots(self.store.links.now())
        led = meant.led[np.isin(meant.root, people)]
        return sorted({*people.tolist(), *led.tolist()} - self._wanted())

    def _wanted(self) -> set[int]:
        """Whose data may not be used and have to be kept: she may need them herself."""
        return set(forbidding(self.store, "restriction").tolist())

    def _kinds(self) -> list[tuple[str, Span, list[str]]]:
        """Each clock of identifiers with the kinds it is about."""
        named = dict(self.retention.identifiers)
        rest = [kind for kind in IDENTITY_KINDS if kind not in named]
        return [
            (name, span, rest if name == OTHERS else [name]) for name, span in named.items() if name != OTHERS or rest
        ]

    def _old_rejected(self) -> list[int]:
        """A server's rows of one day belong to one batch: they are as old as its last one may be."""
        span = self.retention.rejected_rows
        return [] if span is None else self.store.state.rejected_in_batches(self._until(span) - DAY_US)

    def _aged(self) -> Aged:
        until = {name: self._until(span) for name, span in self.retention.events}
        others = until.pop(OTHERS, None)
        known = flags(self.consent, self.store.log.snapshot().columns)
        return Aged(until, others, KNOWN, tuple(sorted(set(known.values()))))

    def _until(self, span: Span) -> int:
        return ago(span, self.now, self.zone)

    def _clock(self, data: str, span: Span, due: int, **more: str) -> dict[str, Any]:
        return {"data": data, **more, "keep": str(span), "until": iso(self._until(span)), "due": due}
