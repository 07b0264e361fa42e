"""Dead letters once more: events that could not be used go through the normaliser again, as they were or corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kohort.ingest.tracking.judge import again
from kohort.ingest.tracking.normalise import Normalised, Normaliser, TrackingSettings
from kohort.model.arrival import Arrival
from kohort.model.progress import Progress, silent
from kohort.model.signals import Signal
from kohort.model.source import BatchReport, RejectedRow

NAME = "rejected events"
"""What the batch of a retry is called."""

_KEPT = frozenset(["event", "received_at", "place", "sent_at", "signals"])
_PIECE = 1_000
"""Events of one step. What was stored by a step that was interrupted is a duplicate the next time, and leaves the list."""


def is_dead_letter(row: RejectedRow) -> bool:
    """Whether a rejected row is an event from the tracking API or a topic, and no row of a file."""
    return row.source.startswith("kafka:") or (row.file == "tracking" and row.raw.keys() <= _KEPT)


def retry_events(
    rows: Sequence[RejectedRow],
    *,
    store: Any,
    zone: str,
    currency: str,
    now: int,
    controls: Mapping[str, str] | None = None,
    signals: Mapping[Signal, Sequence[str]] | None = None,
    progress: Progress = silent,
) -> list[BatchReport]:
    """Judges dead letters again. What is stored now, or was already, leaves the list; the others stay on it.

    An event keeps its moment of arrival, and the id that was made for it where the client gave none: however often it is
    retried, it is stored once. The caller holds the store's write lock.

    Args:
        rows: Of the list, with their numbers; `raw` may have been corrected.

    Returns:
        One report per key or topic: read = stored + duplicate + rejected.
    """
    by_source: dict[str, list[RejectedRow]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    if not by_source:
        return []
    settings = TrackingSettings(controls=controls or {}, signals=signals or {})
    normaliser = Normaliser(store.vault, store.log.columns(), zone, currency, settings)
    work = _Retry(store, normaliser, now)
    return [work.source(source, mine, progress) for source, mine in by_source.items()]


class _Retry:
    """One call's work."""

    def __init__(self, store: Any, normaliser: Normaliser, now: int) -> None:
        self._store, self._normaliser, self._now = store, normaliser, now
        self._appender = store.log.appender()

    def source(self, source: str, rows: Sequence[RejectedRow], progress: Progress) -> BatchReport:
        """Everything of one source, as one batch."""
        batch = self._store.state.begin_batch(source, NAME)
        stored = duplicate = done = 0
        reasons: Counter[str] = Counter()
        for piece in _pieces(rows):
            found = self._piece(piece, batch, reasons)
            stored, duplicate, done = stored + found[0], duplicate + found[1], done + len(piece)
            progress("Reading rejected events", done, len(rows))
        rejected = len(rows) - stored - duplicate
        report = BatchReport(source, NAME, batch, len(rows), stored, duplicate, rejected, dict(reasons))
        self._store.state.finish_batch(report)
        return report

    def _piece(self, rows: Sequence[RejectedRow], batch: int, reasons: Counter[str]) -> tuple[int, int]:
        """How many events were stored, and how many had been; why the others were not is counted."""
        usable: list[tuple[RejectedRow, Arrival]] = []
        for row in rows:
            try:
                usable.append((row, again(row)))
            except (ValueError, KeyError):  # it was never JSON, or is none after it was corrected
                reasons[row.code] += 1
        if not usable:
            return 0, 0
        made = self._normaliser.normalise([arrival for _, arrival in usable])
        if made.columns:
            self._store.log.declare(made.columns)
            self._normaliser.know(made.columns)
        judged = self._appender.prepare(made.table, batch=batch)
        self._store.log.append(made.table, batch=batch)
        conflicts = _conflicts(made, judged.conflict)
        heads = {int(at) for at in made.arrival[made.head]}
        self._link(made, judged.conflict)
        refused = sorted(set(range(len(usable))) - heads)
        gone = [usable[at][0].id for at, letter in zip(refused, made.rejected, strict=True) if letter.code == "erased"]
        reasons.update(letter.code for letter in made.rejected)
        reasons.update({"conflicting_id": len(conflicts)} if conflicts else {})
        self._store.state.drop_rejected([i for i in gone if i is not None])  # of erased people nothing is kept
        ids = [usable[at][0].id for at in sorted(heads - conflicts)]
        self._store.state.mark_retried([i for i in ids if i is not None])
        stored = int((made.head & judged.fresh).sum())
        return stored, len(heads) - len(conflicts) - stored

    def _link(self, made: Normalised, conflict: np.ndarray) -> None:
        """Keeps what events say about who is who, where the event that says so is stored."""
        refused = {made.table.column("event_id")[row].as_py() for row in np.flatnonzero(conflict).tolist()}
        refused -= made.retimed
        links = [link for link in made.links if link.event_id.removesuffix("~user") not in refused]
        if links:
            self._store.link(links, now=self._now)


def _conflicts(made: Normalised, conflict: np.ndarray) -> set[int]:
    """Numbers of the events whose id is another event's; retries whose time is that of their arrival are none."""
    ids = made.table.column("event_id")
    there = np.flatnonzero(conflict & made.head).tolist()
    return {int(made.arrival[row]) for row in there if ids[row].as_py() not in made.retimed}


def _pieces(rows: Sequence[RejectedRow]) -> Iterator[Sequence[RejectedRow]]:
    return (rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE))
