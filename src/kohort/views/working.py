"""Long work as pages tell of it: one line in the menu, or on the page that waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from kohort.model.job import Job
from kohort.views.formats import formats


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work.

    Attributes:
        title: What is being done, in words.
        href: Where all about it stands.
        half_way: What is so where it ended half way; empty = all is as it was before.
    """

    job: Job
    title: str
    href: str
    half_way: str = ""

    @property
    def text(self) -> str:
        """How it is doing, in one line."""
        job = self.job
        if job.running:
            much = "" if not job.total else f", {formats().number(job.done)} of {formats().number(job.total)}"
            return f"{progress(job)}{much}."
        if job.state == "done":
            return str((job.result or {}).get("text", ""))
        if job.state == "failed":
            return f"{job.error} {self.half_way}".strip()
        return self.half_way or "What was there before is as it was."

    @property
    def ended(self) -> str:
        """How it ended; empty while it runs."""
        return {"done": "done", "failed": "did not work", "stopped": "stopped"}.get(self.job.state, "")


def progress(one: Job) -> str:
    """The present phase as a sentence begins: "Comparing groupings"."""
    text = one.note or "Getting ready"
    return f"{text[:1].upper()}{text[1:]}"
