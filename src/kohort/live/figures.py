"""What a monitoring system asks of any process of ours beside its loop: answers, memory, deliveries, the audit."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from kohort.store.store import Store

AUDIT = "audit"
"""The setting that holds what the last audit found."""

_STATUS = Path("/proc/self/statm")

EDGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the buckets of seconds."""


class Counts:
    """Answers by status, and their seconds in buckets, since the process started."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._started = time.time()
        self._answers: Counter[int] = Counter()
        self._buckets = [0] * (len(EDGES) + 1)
        self._seconds = 0.0

    def add(self, status: int, seconds: float) -> None:
        """One more answer."""
        with self._lock:
            self._answers[status] += 1
            self._buckets[bisect_left(EDGES, seconds)] += 1
            self._seconds += seconds

    def as_text(self) -> str:
        """The text format of Prometheus, version 0.0.4.

        Example:
            >>> counts = Counts()
            >>> counts.add(200, 0.02)
            >>> [line for line in counts.as_text().splitlines() if "total" in line][-1]
            'kohort_http_answers_total{status="200"} 1'
        """
        with self._lock:
            answers, buckets, seconds = dict(self._answers), list(self._buckets), self._seconds
        lines = [
            "# HELP kohort_start_time_seconds When this server started, seconds since 1970.",
            "# TYPE kohort_start_time_seconds gauge",
            f"kohort_start_time_seconds {self._started:.3f}",
            "# HELP kohort_http_answers_total Answers given, by HTTP status.",
            "# TYPE kohort_http_answers_total counter",
            *(f'kohort_http_answers_total{{status="{s}"}} {n}' for s, n in sorted(answers.items())),
            "# HELP kohort_http_answer_seconds How long answers took.",
            "# TYPE kohort_http_answer_seconds histogram",
        ]
        so_far = 0
        for edge, n in zip([*map(str, EDGES), "+Inf"], buckets, strict=True):
            so_far += n
            lines.append(f'kohort_http_answer_seconds_bucket{{le="{edge}"}} {so_far}')
        lines += [f"kohort_http_answer_seconds_sum {seconds:.6f}", f"kohort_http_answer_seconds_count {so_far}"]
        return "\n".join(lines) + "\n"


def of_process() -> Iterator[Metric]:
    """What this process takes."""
    from prometheus_client.core import GaugeMetricFamily as Gauge

    yield Gauge("kohort_process_resident_bytes", "Memory that the answering process holds.", resident_bytes())


def of_workspace(store: Store) -> Iterator[Metric]:
    """Deliveries and the last audit of a workspace; nothing where the store does not answer: `/ready` says so."""
    with suppress(KohortError):
        yield from _deliveries(store)
        yield from _audit(store)
        yield from _audit_log(store)


def _audit_log(store: Store) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily as Gauge

    told = "Number of the last entry of the audit log: where it falls, its end was cut off."
    yield Gauge("kohort_audit_log_entries", told, store.audit_log.last())


def as_text(collect: Callable[[], Iterator[Metric]]) -> bytes:
    """Metrics in the text format of Prometheus, asked for now."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterator[Metric]:
            return collect()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def _deliveries(store: Store) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily as Gauge

    found: Counter[tuple[str, str]] = Counter()
    for (_, destination, state), n in store.deliveries.counts().items():
        found[destination, str(state)] += n
    counts = Gauge("kohort_deliveries", "Deliveries of the last 30 days.", labels=["destination", "state"])
    told = "How long the oldest delivery waits that is still to be sent; quiet hours count too."
    oldest = Gauge("kohort_delivery_oldest_seconds", told, labels=["destination"])
    for (destination, said), n in sorted(found.items()):
        counts.add_metric([destination, said], n)
    for destination in sorted({destination for destination, _ in found}):
        made = store.deliveries.oldest(destination)
        oldest.add_metric([destination], 0.0 if made is None else max(0.0, time.time() - made / 1e6))
    yield counts
    yield oldest


def _audit(store: Store) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily as Gauge

    from kohort.model.clock import parse_instant

    found: dict[str, Any] | None = store.state.get(AUDIT)
    if found is None:
        return
    differences = sum(one["missing"] + one["extra"] for one in found["differ"])
    yield Gauge("kohort_audit_sound", "1 where the last audit found nothing wrong, else 0.", int(found["sound"]))
    yield Gauge("kohort_audit_differences", "Memberships that the last audit found to differ.", differences)
    as_of = parse_instant(found["as_of"], zone="UTC") / 1e6
    yield Gauge("kohort_audit_as_of_seconds", "The moment that the last audit compared, since 1970.", as_of)


def resident_bytes() -> int:
    """Memory that this process holds now; its peak, where the system does not tell."""
    import resource

    try:
        return int(_STATUS.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
