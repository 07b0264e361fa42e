"""The same answers for a monitoring system as `kohort serve` gives, from a process that has no pages.

A thread of the standard library's server: a handful of questions a minute, none with a body.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kohort.live import figures
from kohort.live.answers import HEALTHY, NOWHERE, PLAIN, WRONG_HOST, WRONG_METHOD, ready
from kohort.live.watched import STARTING, Watched
from kohort.model.log import say
from kohort.model.serving import is_our_name

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from kohort.store.store import Store

log = logging.getLogger("kohort.monitor")

PATHS = ("/health", "/ready", "/metrics")

_AT_ONCE = 16
"""Questions that are answered at the same time; whoever asks beyond that is hung up on."""

_SECONDS = 10.0
"""So long a client may take to say something."""

_DROPPED_BYTES = 65_536
"""Of a body nobody asked for, which is read so that the answer arrives."""


class Answers:
    """What there is to say about a workspace that is kept current.

    Args:
        store: Of the workspace; threads of the server use it.
        segments: Found segments that there are to show.

    Attributes:
        watched: The loop; None while it is being made.
    """

    def __init__(self, store: Store, segments: Callable[[], int]) -> None:
        self._store, self._segments = store, segments
        self.watched: Watched | None = None
        self.counts = figures.Counts()

    def to(self, path: str) -> tuple[int, str, bytes]:
        """The HTTP status, the Content-Type and the body."""
        if path == "/health":
            return _json(200, HEALTHY)
        if path == "/ready":
            return _json(*ready(self._segments, self._state))
        if path == "/metrics":
            live = b"" if self.watched is None else self.watched.measured()
            return 200, PLAIN, self.counts.as_text().encode() + figures.as_text(self._figures) + live
        return _json(404, NOWHERE)

    def _state(self) -> dict[str, Any]:
        return STARTING if self.watched is None else self.watched.state()

    def _figures(self) -> Iterator[Metric]:
        yield from figures.of_process()
        yield from figures.of_workspace(self._store)


class Answering:
    """Answers in threads of its own as long as it is open.

    Args:
        listener: A bound socket; closed in the end.

    Attributes:
        address: Where it answers, as people write it.
    """

    def __init__(self, listener: socket.socket, answers: Answers) -> None:
        self._server = _Server(listener, answers)
        host, port = listener.getsockname()[:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="kohort-monitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, answers: Answers) -> None:
        self.address_family = listener.family
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()  # its own, which was never bound
        self.socket = listener
        self.answers, self.host = answers, str(listener.getsockname()[0])
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self.server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread began
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody hung up. Nothing of theirs belongs in a log."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _SECONDS
    server: _Server

    def do_GET(self) -> None:
        started = time.perf_counter()
        if not is_our_name(self.server.host, self.headers.get("Host", "")):
            answer = _json(421, WRONG_HOST)
        else:
            answer = self._answer()
        self._tell(*answer)
        self.server.answers.counts.add(answer[0], time.perf_counter() - started)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self) -> tuple[int, str, bytes]:
        try:
            return self.server.answers.to(self.path.partition("?")[0])
        except Exception as error:  # whatever it was, the monitoring system is to be told
            say(log, logging.ERROR, "answering failed", error=type(error).__name__)
            return _json(500, {"code": "unexpected", "message": "Something went wrong here.", "hint": ""})

    def _other(self) -> None:
        length = self.headers.get("Content-Length", "")
        if length.isascii() and length.isdigit():
            self.rfile.read(min(int(length[:9]), _DROPPED_BYTES))
        known = self.path.partition("?")[0] in PATHS
        status, kind, body = _json(405, WRONG_METHOD) if known else _json(404, NOWHERE)
        self._tell(status, kind, body)
        self.server.answers.counts.add(status, 0.0)

    def _tell(self, status: int, kind: str, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no request is not repeated to whoever sent it."""
        if code == HTTPStatus.NOT_IMPLEMENTED:  # any method but GET and HEAD
            self._other()
            return
        said = {"code": "bad_request", "message": "This is no request that is understood here.", "hint": ""}
        self._tell(*_json(code, said))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged."""


def _json(status: int, data: dict[str, Any]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(data).encode()
