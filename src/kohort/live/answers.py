"""What `GET /health`, `/ready` and `/metrics` answer, in the same words whoever serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError

if TYPE_CHECKING:
    from kohort.model.segmentation import Segmentation

HEALTHY = {"status": "ok"}
"""The process answers."""

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
"""The text format of Prometheus."""

NOWHERE = {"code": "no_such_address", "message": "There is nothing at this address.", "hint": ""}
WRONG_METHOD = {"code": "wrong_method", "message": "This address takes another method.", "hint": ""}
WRONG_HOST = {
    "code": "wrong_host",
    "message": "This name does not lead here.",
    "hint": "Open http://127.0.0.1 instead.",
}


def found(segmentation: Segmentation | None) -> int:
    """How many segments there are to show."""
    return 0 if segmentation is None else len(segmentation.segments)


def ready(segments: Callable[[], int], live: Callable[[], dict[str, Any]] | None) -> tuple[int, dict[str, Any]]:
    """The HTTP status and the body: whether the workspace answers, how many segments it shows, what the loop is at.

    Args:
        segments: Found segments that there are to show.
        live: The state of the loop; None = this process keeps nothing current.

    Example:
        >>> ready(lambda: 5, None)
        (200, {'status': 'ready', 'segments': 5})
    """
    try:
        status: dict[str, Any] = {"status": "ready", "segments": segments()}
        if live is None:
            return 200, status
        status["live"] = state = live()
    except KohortError as error:
        return 503, {"status": "not ready", **error.as_dict()}
    if state["state"] not in {"starting", "failing"}:
        return 200, status
    why = {
        "code": state["state"],
        "message": state["problem"] or "Memberships are not read yet.",
        "hint": "" if state["state"] == "starting" else "The log says where. It is tried again by itself.",
    }
    return 503, {**status, "status": "not ready", **why}
