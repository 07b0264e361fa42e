"""The process of one job: `python -m kohort.web.job FOLDER NUMBER FD`, started by `kohort.web.jobs`.

FD is the open, locked file that says as long as it is held that this process lives.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import Busy, CannotWrite, KohortError
from kohort.model.log import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kohort.model.job import JobState
    from kohort.store.jobs import JobRecords

log = logging.getLogger("kohort.web")

EVERY_SECONDS = 0.5
"""How often what it does is written down, and looked whether it is to stop."""
LAST_TRIES = 600
"""How often it is tried to write down how it ended, a second apart: a full disk is seldom mended at once."""
_NICE = 10
_UNFORESEEN = "Something went wrong that nobody foresaw."


class Reporter:
    """Writes down how far the work is, from a thread of its own: the work may be inside a transaction when it tells.

    It is the `progress` that verbs take.
    """

    def __init__(self, records: JobRecords, number: str) -> None:
        self._records, self._number = records, number
        self._now: tuple[str, int, int | None] = ("", 0, None)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kohort-job", daemon=True)

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        self._now = (phase, done, total)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        written = self._now
        while not self._ended.wait(EVERY_SECONDS):
            with suppress(Busy, CannotWrite):  # next time, also when the disk has room again
                if self._records.get(self._number).stopping:
                    self._records.end(self._number, "stopped")
                    os._exit(0)  # nothing is ever stored by halves, so it may end anywhere
                if (now := self._now) != written:
                    self._records.tell(self._number, *now)
                    written = now


def main(folder: str, number: str, held: int) -> None:
    """Does one job and writes down how it ended."""
    os.set_inheritable(held, False)
    os.nice(_NICE)
    from kohort.web import who
    from kohort.web.job_kinds import KINDS
    from kohort.workspace.workspace import Workspace

    with Workspace.open(Path(folder)) as ws:
        records = ws.store.jobs
        job = records.get(number)
        who.current.set(who.Who(name="" if job.by == who.PAGES else job.by))  # for what is written down about it
        reporter = Reporter(records, number)
        reporter.begin()
        state: JobState = "done"
        result, error = None, ""
        try:
            result = KINDS[job.kind].work(ws, job.arguments, reporter)
        except KohortError as known:
            state, error = "failed", str(known)
        except Exception as unforeseen:
            say(log, logging.ERROR, "a job failed", kind=job.kind, error=type(unforeseen).__name__)
            state, error = "failed", _UNFORESEEN
        reporter.end()
        say_last(records, number, state, result, error)


def say_last(
    records: JobRecords,
    number: str,
    state: JobState,
    result: Mapping[str, Any] | None,
    error: str,
    *,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Writes down how the work ended, as soon as the workspace takes it: without that it would count as stopped.

    Where it never does, the log says so.
    """
    for _ in range(LAST_TRIES):
        with suppress(Busy, CannotWrite):
            records.end(number, state, result=result, error=error)
            return
        wait(1.0)
    say(log, logging.ERROR, "how a job ended could not be written down", job=number, state=state)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
