"""What became of events, source by source and day by day: received = stored + duplicate + rejected, always."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from kohort.ingest.tracking.judge import rejected
from kohort.ingest.tracking.normalise import Normalised
from kohort.live.sources import Taken
from kohort.model.arrival import Arrival
from kohort.model.source import BatchReport, RejectedRow

Begin = Callable[[str, str], int]
"""Gives the number of a new batch of a source under a name."""


class Judged(Protocol):
    """What the store knows of the rows of one tick.

    Attributes:
        fresh: Per row of the normalised table, whether it is stored now and was not before.
        conflict: Per row, whether its id is stored with something else.
    """

    @property
    def fresh(self) -> np.ndarray: ...
    @property
    def conflict(self) -> np.ndarray: ...


def day_of(instant: int) -> str:
    """The UTC day of an instant."""
    return datetime.fromtimestamp(instant / 1e6, UTC).date().isoformat()


def conflicts(arrivals: Sequence[Arrival], found: Normalised, judged: Judged) -> dict[int, RejectedRow]:
    """Arrival → why it was refused: its event id is another event's. Retries whose time is that of their arrival are none."""
    refused: dict[int, RejectedRow] = {}
    ids = found.table.column("event_id")
    for row in np.flatnonzero(judged.conflict).tolist():
        at = int(found.arrival[row])
        if found.head[row] and ids[row].as_py() not in found.retimed:
            refused[at] = rejected(arrivals[at], "conflicting_id", "/messageId")
    return refused


def begun(before: Mapping[str, BatchReport], taken: Taken, begin: Begin, now: int) -> dict[str, BatchReport]:
    """The reports of today, with one for every source that something came from.

    Args:
        begin: Called once per source and day.
        now: Microseconds UTC.
    """
    sources = {arrival.source for arrival in taken.arrivals} | {row.source for row in taken.rejected}
    return {**before, **{s: _today(before.get(s), s, begin, now) for s in sorted(sources)}}


def counted(
    reports: Mapping[str, BatchReport], taken: Taken, found: Normalised | None, judged: Judged | None
) -> tuple[dict[str, BatchReport], list[tuple[RejectedRow, int]]]:
    """The day's reports after a tick, and everything that was rejected with the number of its batch.

    Args:
        reports: As `begun`.
        found: What became of the arrivals; None where there were none.
        judged: What the store knew of their rows; None where there were none.
    """
    arrivals = taken.arrivals
    refused = list(taken.rejected)
    stored: Counter[str] = Counter()
    if found is not None:
        refused += found.rejected
    if found is not None and judged is not None:
        refused += conflicts(arrivals, found, judged).values()
        stored.update(arrivals[n].source for n in found.arrival[found.head & judged.fresh].tolist())
    received = Counter(arrival.source for arrival in arrivals) + Counter(row.source for row in taken.rejected)
    after = dict(reports)
    for source, n in received.items():
        mine, report = Counter(row.code for row in refused if row.source == source), reports[source]
        lost = sum(mine.values())
        after[source] = replace(
            report,
            read=report.read + n,
            stored=report.stored + stored[source],
            duplicate=report.duplicate + n - stored[source] - lost,
            rejected=report.rejected + lost,
            reasons=dict(Counter(report.reasons) + mine),
        )
    return after, [(row, reports[row.source].batch) for row in refused]


def _today(report: BatchReport | None, source: str, begin: Begin, now: int) -> BatchReport:
    """The report of a source's day; a new one where a day begins."""
    name = f"live {day_of(now)}"
    if report is not None and report.file == name:
        return report
    return BatchReport(source, name, begin(source, name), 0, 0, 0, 0)
