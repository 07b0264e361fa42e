"""What can be done as a job: each kind is a function `(ws, arguments, progress) -> dict`, with its words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kohort.errors import WrongUsage
from kohort.model.progress import Progress
from kohort.web import predict_jobs

if TYPE_CHECKING:
    from kohort.model.source import IngestReport
    from kohort.workspace.workspace import Workspace

Work = Callable[["Workspace", Mapping[str, Any], Progress], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of long work.

    Attributes:
        title: What is being done, in words: "Finding groups".
        work: Does it. Gets a workspace of its own, the arguments as they were given, and whom to tell how far it is. What
            it returns is kept: figures about groups, never a customer. A `KohortError` is shown in its words.
        onward: Address of the page that shows the result; `{id}` in it is the number of the job, `{name}` one of its arguments.
        button: What the link to it says.
    """

    title: str
    work: Work
    onward: str
    button: str = "Look at it"


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
    """What was found under `segmentation`, or the segments `only` of it, adopted as `name`."""
    from kohort.workspace.found import latest

    if latest(ws).as_found.id != arguments["segmentation"]:
        raise WrongUsage("Other groups were found meanwhile.", hint="Look at those, then adopt them.")
    done = ws.adopt(str(arguments["name"]), only=arguments.get("only"), progress=progress)
    return {name: done[name] for name in ("name", "version", "customers", "segments")}


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


def _counts(report: IngestReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in ("read", "stored", "duplicate", "rejected")}


KINDS: dict[str, Kind] = {
    "discover": Kind("Finding groups", _discover, "/discover", "Look at the groups"),
    "adopt": Kind("Adopting groups", _adopt, "/discover", "Look at the groups"),
    "take_back": Kind("Taking an adoption back", _take_back, "/discover", "Look at the groups"),
    "ingest": Kind("Reading data in", _ingest, "/start?read={id}", "See what came of it"),
    "demo": Kind("Reading the demo shop in", _demo, "/start?read={id}", "See what came of it"),
    "predict-train": Kind("Training a prediction", predict_jobs.train, predict_jobs.PAGE),
    "predict-retrain": Kind("Trying a new version of a prediction", predict_jobs.retrain, predict_jobs.PAGE),
    "predict-check": Kind("Checking whether a prediction still fits", predict_jobs.check, predict_jobs.PAGE),
    "predict-tell": Kind("Working out everybody's chance", predict_jobs.tell, predict_jobs.PAGE),
    "predict-signals": Kind("Looking for early signals", predict_jobs.signals, predict_jobs.PAGE),
    "predict-value": Kind("Working out what customers will be worth", predict_jobs.value, "/value"),
}
"""Name of a kind, as it is kept → what it is."""
