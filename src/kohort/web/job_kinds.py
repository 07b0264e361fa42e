"""What can be done as a job: each kind is a function `(ws, arguments, progress) -> dict`, with its words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kohort.model.progress import Progress
from kohort.web import predict_jobs

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

Work = Callable[["Workspace", Mapping[str, Any], Progress], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of long work.

    Attributes:
        title: What is being done, in words: "Finding groups".
        work: Does it. Gets a workspace of its own, the arguments as they were given, and whom to tell how far it is. What
            it returns is kept: figures about groups, never a customer. A `KohortError` is shown in its words.
        onward: Address of the page that shows the result, with fields of the arguments and the result in braces.
        button: What the link to it says.
    """

    title: str
    work: Work
    onward: str
    button: str = "Look at it"


def _discover(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Groups of customers, kept as the last found. `algorithm`, `k` as for `Workspace.discover`."""
    found = ws.discover(
        algorithm=str(arguments.get("algorithm", "auto")), k=arguments.get("k"), progress=progress
    ).as_found
    return {
        "segmentation": found.id,
        "segments": len(found.segments),
        "customers": found.customers,
        "verdict": found.structure.verdict,
    }


KINDS: dict[str, Kind] = {
    "discover": Kind("Finding groups", _discover, "/discover", "Look at the groups"),
    "predict-train": Kind("Training a prediction", predict_jobs.train, predict_jobs.PAGE),
    "predict-retrain": Kind("Trying a new version of a prediction", predict_jobs.retrain, predict_jobs.PAGE),
    "predict-check": Kind("Checking whether a prediction still fits", predict_jobs.check, predict_jobs.PAGE),
    "predict-tell": Kind("Working out everybody's chance", predict_jobs.tell, predict_jobs.PAGE),
    "predict-signals": Kind("Looking for early signals", predict_jobs.signals, predict_jobs.PAGE),
    "predict-value": Kind("Working out what customers will be worth", predict_jobs.value, "/value"),
}
"""Name of a kind, as it is kept → what it is."""
