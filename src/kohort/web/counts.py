"""How many answers the server gave, with which outcome and how fast: for a monitoring system, in Prometheus' words."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from threading import Lock

from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class Counted:
    """Counts every answer as it leaves."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self.app = app
        self.counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self.counts.add(status, time.perf_counter() - started)
