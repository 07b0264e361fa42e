"""What can be done as a job: each kind is a function `(ws, arguments, progress) -> dict`, with its words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kohort.errors import WrongUsage
from kohort.locale import find, mark
from kohort.model.progress import Progress
from kohort.views import checks
from kohort.views.working import Work as Line
from kohort.web import predict_jobs, privacy_jobs
from kohort.web.noting import note

if TYPE_CHECKING:
    from kohort.model.job import Job
    from kohort.model.source import IngestReport
    from kohort.workspace.workspace import Workspace

Work = Callable[["Workspace", Mapping[str, Any], Progress], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of long work; its words are marked, and looked up where they are shown.

    Attributes:
        title: What is being done, in words: "Finding groups".
        work: Does it. Gets a workspace of its own, the arguments as they were given, and whom to tell how far it is. What
            it returns is kept: figures about groups, never a customer. A `KohortError` is shown in its words.
        onward: Address of the page that shows the result; `{id}` in it is the number of the job, any other name in braces a field
            of its arguments or of its result.
        button: What the link to it says.
        again: Address where it can be tried again, written in the same way, also where there is no result; empty = the same page.
        half_way: What is so where it ended half way; empty = all is as it was before.
        stops: Whether somebody may stop it.
    """

    title: str
    work: Work
    onward: str
    button: str = mark("Look at it")
    again: str = ""
    half_way: str = ""
    stops: bool = True

    def address(self, job: Job) -> str:
        """The page that a job leads to: where its result is, or where it can be tried again."""
        known = {"id": job.id, **job.arguments, **(job.result or {})}
        told = {name: quote(str(value), safe="") for name, value in known.items() if value is not None}
        if not self.again:
            return self.onward.format_map(told)
        try:
            return (self.onward if job.state == "done" else self.again).format_map(told)
        except KeyError:  # it led to nothing that has a page
            return self.again.format_map(told)


def _discover(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Groups of customers, kept as the last found. `algorithm` and `k` as for `Workspace.discover`."""
    found = ws.discover(
        algorithm=str(arguments.get("algorithm", "auto")), k=arguments.get("k"), progress=progress
    ).as_found
    return {
        "segmentation": found.id,
        "segments": len(found.segments),
        "customers": found.customers,
        "as_of": found.as_of,
        "verdict": found.structure.verdict,
        "candidates": [asdict(one) for one in found.candidates],
    }


def _adopt(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The segments `only` of what was found under `segmentation`, adopted as `name`."""
    from kohort.workspace.found import latest

    found, name, only = latest(ws), str(arguments["name"]), list(arguments["only"])
    if found.as_found.id != arguments["segmentation"]:
        raise WrongUsage("Other groups were found meanwhile.", hint="Look at those, then adopt them.")
    progress("Giving everybody a place", 0, None)
    return {"name": name, "version": found.adopt(name, only).version, "segments": len(only)}


def _take_back(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The last adoption as `name`, taken back."""
    progress("Bringing back what was before", 0, None)
    movement = ws.take_back(str(arguments["name"]))
    return {"name": arguments["name"], "version": None if movement is None else movement.version}


def _ingest(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The file brought under `upload`, read as `kind` with `answers`; a file that was sent is deleted then."""
    path = ws.store.uploads.path(str(arguments["upload"]))
    mapping = ws.propose([path], kind=arguments.get("kind"), answers=arguments.get("answers")).mapping
    report = ws.ingest(path, mapping=mapping, progress=progress)
    ws.store.uploads.drop(str(arguments["upload"]))
    return _counts(report)


def _demo(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The bundled files of a real shop."""
    from kohort.workspace.demo import fill

    return _counts(fill(ws, progress=progress))


def _run(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Everybody placed by the definition `name` as it is now. Whether it failed is kept with its status, as after every run."""
    name = str(arguments["name"])
    outcome = ws.segments.run(name, progress=progress).of(name)
    return {"name": name, "result": outcome.result, "size": outcome.size}


def _retry(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Rows that could not be used, read again as they are."""
    found = _counts(ws.retry_rejected(progress=progress))
    note(ws, "retried_rejected", f"{found['read']} rows, {found['stored']} stored")
    return {**found, "text": checks.read_again(found)}


def _counts(report: IngestReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in ("read", "stored", "duplicate", "rejected")}


KINDS: dict[str, Kind] = {
    "discover": Kind(mark("Finding groups"), _discover, "/discover", mark("Look at the groups")),
    "adopt": Kind(mark("Adopting groups"), _adopt, "/discover", mark("Look at the groups")),
    "take_back": Kind(mark("Taking an adoption back"), _take_back, "/discover", mark("Look at the groups")),
    "ingest": Kind(
        mark("Reading data in"), _ingest, "/start?read={id}", mark("See what came of it"), "/start/{upload}"
    ),
    "demo": Kind(mark("Reading the demo shop in"), _demo, "/start?read={id}", mark("See what came of it")),
    "run": Kind(mark("Running a segment"), _run, "/definitions/{name}?ran={id}", mark("Look at the segment")),
    "predict-train": Kind(mark("Training a prediction"), predict_jobs.train, predict_jobs.PAGE),
    "predict-retrain": Kind(mark("Trying a new version of a prediction"), predict_jobs.retrain, predict_jobs.PAGE),
    "predict-check": Kind(mark("Checking whether a prediction still fits"), predict_jobs.check, predict_jobs.PAGE),
    "predict-tell": Kind(mark("Working out everybody's chance"), predict_jobs.tell, predict_jobs.PAGE),
    "predict-signals": Kind(mark("Looking for early signals"), predict_jobs.signals, predict_jobs.PAGE),
    "predict-value": Kind(mark("Working out what customers will be worth"), predict_jobs.value, "/value"),
    "erase": Kind(
        mark("Erasing a person"),
        privacy_jobs.erase,
        "/privacy/receipts/{receipt}",
        mark("See the receipt"),
        again="/privacy/requests/{number}",
        half_way=privacy_jobs.HALF_WAY,
        stops=False,
    ),
    "expire": Kind(
        mark("Deleting what is too old"),
        privacy_jobs.expire,
        "/privacy/receipts/{receipt}",
        mark("See the receipt"),
        again="/privacy/retention",
        half_way=privacy_jobs.HALF_WAY,
        stops=False,
    ),
    "retry": Kind(mark("Reading rows again"), _retry, "/data-health/rejected", mark("See what came of it")),
}
"""Name of a kind, as it is kept → what it is."""


def kind_of(job: Job) -> Kind:
    """What a job does; one of a kind that this version does not know was done by another."""
    return KINDS.get(job.kind) or Kind(mark("Work of another version"), lambda *_: {}, "/", mark("Go to the overview"))


def line_of(job: Job) -> Line:
    """A job as pages tell of it in one line."""
    kind = kind_of(job)
    return Line(job, find(kind.title), f"/jobs/{job.id}", kind.half_way)
