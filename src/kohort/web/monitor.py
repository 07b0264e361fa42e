"""What a monitoring system asks beside the answers and the loop: the tracking door, deliveries, streams, the audit, memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kohort.live import figures

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from kohort.web.stream import Streams
    from kohort.web.tracking import Door
    from kohort.workspace.workspace import Workspace


class Monitor:
    """Reads the state of a server whenever it is asked.

    Args:
        workspace: None = the pages show no workspace.
        streams: None likewise.
    """

    def __init__(self, door: Door, workspace: Workspace | None, streams: Streams | None) -> None:
        self._door, self._ws, self._streams = door, workspace, streams

    def as_text(self) -> bytes:
        """The text format of Prometheus."""
        return figures.as_text(self.collect)

    def collect(self) -> Iterator[Metric]:
        """All metrics, each with its name, meaning and labels."""
        from prometheus_client.core import CounterMetricFamily as Total
        from prometheus_client.core import GaugeMetricFamily as Gauge

        answers = Total("kohort_door_answers", "Answers of the tracking door, by code.", labels=["code"])
        for code, n in dict(self._door.outcomes).items():
            answers.add_metric([code], n)
        yield answers
        yield Total("kohort_door_events", "Events that the tracking door has taken.", self._door.events)
        yield from figures.of_process()
        if self._streams is not None:
            yield Gauge("kohort_stream_readers", "Readers of the event stream now.", self._streams.readers)
            told = "Readers of the event stream that were cut off because they read too slowly."
            yield Total("kohort_stream_behind", told, self._streams.behind)
        if self._ws is not None:
            yield from figures.of_workspace(self._ws.store)
