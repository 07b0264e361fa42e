"""Writers take turns: one lock file per workspace. Readers never look at it."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kohort.errors import Busy

_POLL_SECONDS = 0.02


class WriteLock:
    """A lock between processes and threads; the same thread may take it again.

    The kernel frees it when a process ends in any way, so there is never a stale lock to clean up.
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 60.0) -> None:
        self.path = path
        self.timeout_seconds = timeout_seconds
        self._thread = threading.RLock()
        self._depth = 0
        self._fd = -1

    @contextmanager
    def __call__(self) -> Iterator[None]:
        deadline = time.monotonic() + self.timeout_seconds
        if not self._thread.acquire(timeout=self.timeout_seconds):
            raise self._busy()
        try:
            if self._depth == 0:
                self._fd = self._take(deadline)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    os.close(self._fd)
        finally:
            self._thread.release()

    def _take(self, deadline: float) -> int:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(fd)
                    raise self._busy() from None
                time.sleep(_POLL_SECONDS)
            else:
                return fd

    def _busy(self) -> Busy:
        return Busy(
            f"Another process has been writing to this workspace for {self.timeout_seconds:g} seconds.",
            hint="Try again when it is done. Reading is always possible.",
        )
