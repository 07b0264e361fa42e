"""Long work as pages tell of it: one line in the menu, or on the page that waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from kohort.locale import find, gettext, mark
from kohort.model.job import Job
from kohort.views.formats import formats
from kohort.views.said import said

PHASES = (
    mark("Adopting"),
    mark("Bringing back what was before"),
    mark("Carrying the groups on"),
    mark("Comparing"),
    mark("Comparing customers then and now"),
    mark("Comparing models"),
    mark("Computing features"),
    mark("Counting weeks"),
    mark("Decided"),
    mark("Deciding"),
    mark("Deleting what was replaced"),
    mark("Describe segments"),
    mark("Destroying keys"),
    mark("Erased"),
    mark("Evaluating segments"),
    mark("Finding groups at the first moment"),
    mark("Fitting to all rows"),
    mark("Fitting value models"),
    mark("Giving everybody a place"),
    mark("Letting go of requests on disk"),
    mark("Looking at earlier months"),
    mark("Looking at past moments"),
    mark("Looking at the data"),
    mark("Looking back"),
    mark("Looking back half a year"),
    mark("Looking for changes"),
    mark("Looking for what is too old"),
    mark("Looking who has gone"),
    mark("Measuring"),
    mark("Opening identifiers"),
    mark("Reading rejected events"),
    mark("Rewriting"),
    mark("Scoring"),
    mark("Writing down"),
    mark("Written down"),
    mark("comparing groupings"),
    mark("labelling everybody"),
    mark("looking for gaps"),
    mark("preparing"),
)
"""What work says of itself while it goes on; with a file's name it says `_READING`."""
_READING = mark("Reading %(file)s")
_ENDED = {"done": mark("done"), "failed": mark("did not work"), "stopped": mark("stopped")}


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work.

    Attributes:
        title: What is being done, in words.
        href: Where all about it stands.
        half_way: What is so where it ended half way, as it is marked; empty = all is as it was before.
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
            if not job.total:
                return f"{progress(job)}."
            done, total = formats().number(job.done), formats().number(job.total)
            return gettext("%(phase)s, %(done)s of %(total)s.", phase=progress(job), done=done, total=total)
        if job.state == "done":
            return said(str((job.result or {}).get("text", "")))
        if job.state == "failed":
            return said(job.error, self.half_way)
        return find(self.half_way) or gettext("What was there before is as it was.")

    @property
    def ended(self) -> str:
        """How it ended; empty while it runs."""
        return find(_ENDED.get(self.job.state, ""))


def progress(one: Job) -> str:
    """The present phase as a sentence begins: "Comparing groupings"."""
    text = _phase(one.note) if one.note else gettext("Getting ready")
    return f"{text[:1].upper()}{text[1:]}"


def _phase(note: str) -> str:
    if note in PHASES:
        return find(note)
    file = note.removeprefix(_READING.partition("%")[0])
    return note if file == note else gettext(_READING, file=file)
