"""Clocks: what is older than `retention:` in `kohort.yaml` says is deleted, for good, by rewriting what held it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kohort.compile.windows import ago
from kohort.definitions.retention import KNOWN, OTHERS, Retention
from kohort.errors import WrongUsage
from kohort.model.clock import DAY_US, iso
from kohort.model.consent import flags
from kohort.segments.run_rules import turn
from kohort.store.erasing import clear
from kohort.store.going import Aged

if TYPE_CHECKING:
    from kohort.definitions.windows import Span
    from kohort.store.store import Store

KIND = "retention"


@dataclass(frozen=True, slots=True)
class Clocks:
    """The periods of one workspace at one moment.

    Args:
        now: Wall clock, microseconds UTC.
        zone: In which months and years are counted.
        consent: Purpose → trait: what somebody said about it stays for as long as she does.
    """

    store: Store
    retention: Retention
    now: int
    zone: str
    consent: Mapping[str, str]

    def due(self) -> dict[str, Any]:
        """What would be deleted now; nothing is changed.

        Returns:
            `{"as_of", "hold", "clocks": [{"data", "keep", "until", "due"}]}`: of each clock the kind of data ("events" with its
            `event`, or "rejected_rows"), the last moment that is too old, and how many rows are that old.
        """
        return {"as_of": iso(self.now), "hold": self.retention.hold, "clocks": [*self._events(), *self._rejected()]}

    def apply(self) -> dict[str, Any]:
        """Deletes it; done again it finds nothing. A run that is going on is waited for, a server may go on meanwhile.

        Returns:
            The receipt: `{"request", "events", "rejected_rows", "files", "clocks", "done_at"}`, of what was deleted.

        Raises:
            WrongUsage: Nothing may be deleted for now, or no period is set.
            Busy: A run has been going on for ten minutes, or files were merged meanwhile, again and again.
        """
        if self.retention.hold:
            raise WrongUsage("Nothing may be deleted for now.", hint=f"kohort.yaml says why: {self.retention.hold}")
        found = self.due()
        if not found["clocks"]:
            raise WrongUsage(
                "No period is set.", hint="Write in kohort.yaml for example: retention: {events: 25 months}"
            )
        store, receipt = self.store, {"clocks": found["clocks"]}
        with turn(store):
            rejected = store.state.drop_rejected(self._old_rejected())
            events = store.log.drop(self._aged()) if self.retention.events else 0
            files = clear(store) if rejected or events else 0
        receipt |= {"events": events, "rejected_rows": rejected, "files": files}
        if not rejected and not events:
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
