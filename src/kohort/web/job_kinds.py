"""What can be done as a job: each kind is a function `(ws, arguments, progress) -> dict`, with its words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kohort.model.progress import Progress

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
}
"""Name of a kind, as it is kept → what it is."""
