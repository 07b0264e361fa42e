"""How the loop is doing, for a monitoring system: counts and times, never a customer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kohort.live.figures import resident_bytes
from kohort.model.source import BatchReport

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from kohort.live.loop import Done
    from kohort.live.sources import SourceState

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.08, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
ROWS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


class Metrics:
    """Counters and histograms of one loop, in a registry of their own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = own = CollectorRegistry()
        told = "From an event's receipt to the commit of what it changed."
        self._latency = Histogram("kohort_live_latency_seconds", told, buckets=SECONDS, registry=own)
        self._tick = Histogram("kohort_live_tick_seconds", "How long ticks took.", buckets=SECONDS, registry=own)
        self._batch = Histogram("kohort_live_batch_events", "Events of a tick.", buckets=ROWS, registry=own)
        told = "Customers evaluated in a tick."
        self._touched = Histogram("kohort_live_touched", told, buckets=ROWS, registry=own)
        self._moves = Counter("kohort_live_transitions", "Entries and exits.", registry=own)
        self._failures = Counter("kohort_live_failures", "Ticks that could not be stored.", registry=own)
        told = "How far the moment that memberships show lies behind the clock."
        self._lag = Gauge("kohort_live_lag_seconds", told, registry=own)
        told = "What came in and has had no effect yet."
        self._backlog = Gauge("kohort_live_backlog_bytes", told, registry=own)
        told = "The moment that memberships show, since 1970."
        self._as_of = Gauge("kohort_live_as_of_seconds", told, registry=own)
        told = "Events by what became of them."
        self._events = Counter("kohort_live_events", told, ["source", "became"], registry=own)
        told = "Events that could not be used."
        self._letters = Counter("kohort_live_dead_letters", told, ["source", "code"], registry=own)
        told = "Customers with very many events who wait for their turn."
        self._late = Gauge("kohort_live_late", told, registry=own)
        told = "Memory that the process of the loop holds."
        Gauge("kohort_live_resident_bytes", told, registry=own).set_function(resident_bytes)
        self._sources = _OfSources()
        own.register(self._sources)
        self._known: dict[str, BatchReport] = {}

    def ticked(self, done: Done, seconds: float, batches: Mapping[str, BatchReport]) -> None:
        """A tick is on disk."""
        now = time.time()
        self._tick.observe(seconds)
        if done.evaluated:
            self._touched.observe(done.evaluated)
        self._moves.inc(done.moves)
        if done.events:
            self._batch.observe(done.events)
            for received in done.received:
                self._latency.observe(max(0.0, now - received / 1e6))
            self._count(batches)

    def failed(self) -> None:
        """A tick could not be stored."""
        self._failures.inc()

    def look(self, as_of: int, backlog: int, late: int, sources: Sequence[SourceState]) -> None:
        """What is so at the moment, whether or not ticks go on.

        Args:
            as_of: The moment that memberships show, microseconds UTC; 0 = none yet.
            backlog: Bytes that came in and have had no effect yet.
            late: Customers in the slow lane.
            sources: How they are doing.
        """
        self._late.set(late)
        self._sources.told = sources
        self._backlog.set(backlog)
        self._as_of.set(as_of / 1e6)
        self._lag.set(max(0.0, time.time() - as_of / 1e6) if as_of else 0.0)

    def as_text(self) -> bytes:
        """The text format of Prometheus."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    def _count(self, batches: Mapping[str, BatchReport]) -> None:
        """What was added to the day's reports since the last look."""
        for source, report in batches.items():
            before = self._known.get(source)
            if before is None or before.batch != report.batch:
                before = BatchReport(source, report.file, report.batch, 0, 0, 0, 0)
            for became in ("stored", "duplicate", "rejected"):
                self._events.labels(source, became).inc(getattr(report, became) - getattr(before, became))
            for code, n in report.reasons.items():
                self._letters.labels(source, code).inc(n - before.reasons.get(code, 0))
        self._known = dict(batches)


class _OfSources:
    """How sources are doing, whenever it is asked; a collector in the sense of `prometheus_client`."""

    def __init__(self) -> None:
        self.told: Sequence[SourceState] = ()

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily as Total
        from prometheus_client.core import GaugeMetricFamily as Gauge

        told = "1 where something went wrong with a source, until it is reached again or something comes in; else 0."
        problem = Gauge("kohort_live_source_problem", told, labels=["source"])
        told = "How often arrivals of a source were gone before they were read."
        gaps = Total("kohort_live_source_gaps", told, labels=["source"])
        lost = Total("kohort_live_source_lost", "Arrivals of a source that were.", labels=["source"])
        for one in self.told:
            problem.add_metric([one.name], int(bool(one.problem)))
            gaps.add_metric([one.name], one.gaps)
            lost.add_metric([one.name], one.lost)
        yield from (problem, gaps, lost)
