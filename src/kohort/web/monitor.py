"""What a monitoring system asks beside the answers and the loop: the tracking door, deliveries, streams, the audit, memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from kohort.web.stream import Streams
    from kohort.web.tracking import Door
    from kohort.workspace.workspace import Workspace

_STATUS = Path("/proc/self/statm")


class Monitor:
    """Reads the state of a server whenever it is asked; a collector in the sense of `prometheus_client`.

    Args:
        workspace: None = the pages show no workspace.
        streams: None likewise.
    """

    def __init__(self, door: Door, workspace: Workspace | None, streams: Streams | None) -> None:
        self._door, self._ws, self._streams = door, workspace, streams

    def as_text(self) -> bytes:
        """The text format of Prometheus."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """All metrics, each with its name, meaning and labels."""
        from prometheus_client.core import CounterMetricFamily as Total
        from prometheus_client.core import GaugeMetricFamily as Gauge

        answers = Total("kohort_door_answers", "Answers of the tracking door, by code.", labels=["code"])
        for code, n in dict(self._door.outcomes).items():
            answers.add_metric([code], n)
        yield answers
        yield Total("kohort_door_events", "Events that the tracking door has taken.", self._door.events)
        yield Gauge("kohort_process_resident_bytes", "Memory that this process holds.", resident_bytes())
        if self._streams is not None:
            yield Gauge("kohort_stream_readers", "Readers of the event stream now.", self._streams.readers)
            told = "Readers of the event stream that were cut off because they read too slowly."
            yield Total("kohort_stream_behind", told, self._streams.behind)
        if self._ws is not None:
            with suppress(KohortError):  # a store that does not answer is told by /ready
                yield from self._deliveries(self._ws)
                yield from self._audit(self._ws)

    def _deliveries(self, ws: Workspace) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily as Gauge

        found: Counter[tuple[str, str]] = Counter()
        for (_, destination, state), n in ws.store.deliveries.counts().items():
            found[destination, str(state)] += n
        counts = Gauge("kohort_deliveries", "Deliveries of the last 30 days.", labels=["destination", "state"])
        told = "How long the oldest delivery waits that is still to be sent; quiet hours count too."
        oldest = Gauge("kohort_delivery_oldest_seconds", told, labels=["destination"])
        for (destination, said), n in sorted(found.items()):
            counts.add_metric([destination, said], n)
        for destination in sorted({destination for destination, _ in found}):
            made = ws.store.deliveries.oldest(destination)
            oldest.add_metric([destination], 0.0 if made is None else max(0.0, time.time() - made / 1e6))
        yield counts
        yield oldest

    def _audit(self, ws: Workspace) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily as Gauge

        from kohort.model.clock import parse_instant
        from kohort.workspace.live import AUDIT

        found: dict[str, Any] | None = ws.store.state.get(AUDIT)
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
