"""Long work beside the pages: each job is a process of its own, and what it says is kept in the workspace.

A page can be left and found again, and the server may begin anew: the process goes on, or it is gone and the job says
so. Whether a process lives is asked of the kernel: it holds a lock on a file of its job from before it begins until it ends,
however it ends. Numbers of processes are never looked at: they are given to others, and mean nothing in another container.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import Busy, CannotWrite, WrongUsage
from kohort.model.clock import DAY_US
from kohort.model.job import Job
from kohort.views.working import Work
from kohort.web.job_kinds import KINDS, line_of

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

FOLDER = "jobs"
MOST_AT_ONCE = 3
"""So many run at a time, so that pages stay quick."""

_BEGINS_US = 10_000_000
"""A job is written down before its file is there: for so long nobody calls it dead for want of one."""

_ours: dict[Path, subprocess.Popen[bytes]] = {}
"""Processes that this one started, by the file they hold."""
_starting = threading.Lock()
"""Two who ask for the very same at one moment get one job."""


class Jobs:
    """The long work of one workspace.

    Example:
        jobs = Jobs(ws)
        number = jobs.start("discover", {"algorithm": "auto", "k": None}, by="Ann")
        jobs.get(number).state      # "running", then "done" with a `result`, "failed" with an `error`, or "stopped"
    """

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._folder = ws.root / FOLDER

    def start(self, kind: str, arguments: Mapping[str, Any], *, by: str) -> str:
        """Begins work and says its number at once. Where the very same is being done already, that is its number.

        Args:
            kind: A key of `kohort.web.job_kinds.KINDS`.
            arguments: JSON values that its function understands. Never a customer: they are kept.
            by: Who starts it.

        Raises:
            WrongUsage: Nobody knows this kind.
            Busy: Too much is being done already.
        """
        if kind not in KINDS:
            raise WrongUsage(f"There is no such work: {kind}.")
        with _starting:
            return self._started(kind, arguments, by)

    def get(self, id: str) -> Job:  # noqa: A002
        """One job as it is now.

        Raises:
            NotFound: There is none of this number, or it was forgotten.
        """
        return self._honest(self._ws.store.jobs.get(id))

    def stop(self, id: str) -> None:  # noqa: A002
        """Ends a job. What it has stored stays: every verb stores something whole, or nothing.

        Raises:
            NotFound: There is none of this number.
        """
        job = self.get(id)
        if not job.running:
            return
        self._ws.store.jobs.ask_to_stop(id)  # its process looks twice a second, wherever it is
        if (process := _ours.get(self._file(id))) is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            self._ws.store.jobs.end(id, "stopped")

    def all(self) -> list[Job]:
        """All that are remembered, the latest first."""
        return [self._honest(job) for job in self._ws.store.jobs.all()]

    def running(self) -> list[Job]:
        """Those that are going on, the latest first."""
        return [job for job in map(self._honest, self._ws.store.jobs.running()) if job.running]

    def latest(self, kind: str, state: str = "") -> Job | None:
        """The last job of a kind, or the last one that ended in this way; None where there was none."""
        return next((job for job in self.all() if job.kind == kind and state in ("", job.state)), None)

    def lately(self, *kinds: str, **arguments: object) -> Work | None:
        """The last work of some kinds with these among its arguments, as pages tell of it; None where there was none
        within a day."""
        one = next((j for j in self.all() if j.kind in kinds and arguments.items() <= j.arguments.items()), None)
        if one is None or (one.ended_us and time.time_ns() // 1_000 - one.ended_us > DAY_US):
            return None
        return line_of(one)

    def _started(self, kind: str, arguments: Mapping[str, Any], by: str) -> str:
        going = self.running()
        if same := [job for job in going if (job.kind, job.arguments) == (kind, dict(arguments))]:
            return same[0].id
        if len(going) >= MOST_AT_ONCE:
            raise Busy(
                f"{MOST_AT_ONCE} pieces of work are going on already.", hint="Wait until one has ended, or stop one."
            )
        self._sweep()
        job = self._ws.store.jobs.begin(kind, arguments, by=by)
        try:
            self._begin(job)
        except OSError as error:
            self._ws.store.jobs.end(job.id, "failed", error="It could not be started.")
            raise CannotWrite("The work could not be started.", hint="Look whether the disk is full.") from error
        return job.id

    def _sweep(self) -> None:
        """What ended jobs leave: their files, and what the kernel keeps of a process until somebody asks how it ended."""
        for file in self._folder.resolve().glob("*.lock"):
            _held(file)
        for file, process in list(_ours.items()):
            if process.poll() is not None:
                _ours.pop(file, None)

    def _begin(self, job: Job) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = self._file(job.id)
        new = file.with_suffix(".new")  # held before anybody can look
        held = os.open(new, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(file)
            command = [sys.executable, "-m", "kohort.web.job", str(self._ws.root.resolve()), job.id, str(held)]
            _ours[file] = subprocess.Popen(  # noqa: S603 - our own module
                command, pass_fds=[held], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
        finally:
            os.close(held)  # the process keeps it

    def _honest(self, job: Job) -> Job:
        """A job that is said to run, though its process is gone, was stopped by whatever ended that."""
        if not job.running or self._lives(job):
            return job
        self._ws.store.jobs.end(job.id, "stopped")  # changes nothing where it has ended since we looked
        return self._ws.store.jobs.get(job.id)

    def _lives(self, job: Job) -> bool:
        file = self._file(job.id)
        if (process := _ours.get(file)) is not None and process.poll() is not None:
            _ours.pop(file, None)
        if not file.exists():
            return time.time_ns() // 1_000 - job.started_us < _BEGINS_US
        return _held(file)

    def _file(self, id: str) -> Path:  # noqa: A002
        return self._folder.resolve() / f"{id}.lock"


def _held(file: Path) -> bool:
    """Whether a process holds the file of its job; one that nobody holds goes."""
    try:
        fd = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        file.unlink(missing_ok=True)
        return False
    finally:
        os.close(fd)
