"""Work that takes longer than a page: begun on one page, looked at on another."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from kohort.errors import KohortError, NotFound

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

State = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work; `error` is empty where there was none."""

    id: str
    kind: str
    arguments: dict[str, Any]
    by: str
    state: State = "running"
    done: int = 0
    total: int | None = None
    note: str = ""
    started_us: int = 0
    ended_us: int | None = None
    result: dict[str, Any] | None = None
    error: str = ""


class Stopped(Exception):
    """Somebody stopped the work."""


_all: weakref.WeakKeyDictionary[Workspace, dict[str, Job]] = weakref.WeakKeyDictionary()


class Jobs:
    """The work of one workspace, in a thread of this process."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws, self._jobs = workspace, _all.setdefault(workspace, {})

    def start(self, kind: str, arguments: Mapping[str, Any], *, by: str) -> str:
        job = Job(uuid.uuid4().hex[:12], kind, dict(arguments), by, started_us=time.time_ns() // 1_000)
        self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job.id,), daemon=True).start()
        return job.id

    def get(self, id: str) -> Job:  # noqa: A002 - what it is called
        if id not in self._jobs:
            raise NotFound("job", id, self._jobs)
        return self._jobs[id]

    def stop(self, id: str) -> None:  # noqa: A002
        self._change(id, state="stopped", ended_us=time.time_ns() // 1_000)

    def all(self) -> list[Job]:
        return list(self._jobs.values())

    def _run(self, id_: str) -> None:
        from kohort.web.job_kinds import KINDS
        from kohort.workspace.workspace import Workspace

        job = self._jobs[id_]

        def progress(note: str, done: int, total: int | None) -> None:
            if self._jobs[id_].state == "stopped":
                raise Stopped
            self._change(id_, note=note, done=done, total=total)

        with Workspace.open(self._ws.root) as own:
            try:
                found = KINDS[job.kind](own, job.arguments, progress)
                self._change(id_, state="done", result=found, ended_us=time.time_ns() // 1_000)
            except Stopped:
                pass
            except KohortError as error:
                self._change(id_, state="failed", error=error.message, ended_us=time.time_ns() // 1_000)

    def _change(self, id_: str, **what: Any) -> None:
        self._jobs[id_] = replace(self._jobs[id_], **what)
