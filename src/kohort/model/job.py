"""Long work that goes on while nobody has to wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

JobState = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of long work, as it is kept in the workspace.

    Attributes:
        id: Digits; later work has a higher number.
        kind: What is done: a key of `kohort.web.job_kinds.KINDS`.
        arguments: With what, as JSON values. Never a customer.
        by: Who started it.
        state: "stopped" is also said of work whose process is gone.
        done: How much of the present phase is done, of `total`; `total` None = nobody knows how much there is.
        note: The present phase in words.
        started_us: Microseconds UTC, as `ended_us`; None = it has not ended.
        result: What came of it, as JSON values; None = nothing yet.
        error: Why it failed, in words; empty where it did not.
        stopping: Somebody asked it to stop.
    """

    id: str
    kind: str
    arguments: Mapping[str, Any]
    by: str
    state: JobState
    done: int = 0
    total: int | None = None
    note: str = ""
    started_us: int = 0
    ended_us: int | None = None
    result: dict[str, Any] | None = None
    error: str = ""
    stopping: bool = False

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def share(self) -> float | None:
        """How much of the present phase is done, 0 to 1; None = nobody knows."""
        return min(self.done / self.total, 1.0) if self.total else None
