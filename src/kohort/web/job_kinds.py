"""What jobs there are: a name for each, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kohort.web.predict_jobs import PREDICT_KINDS

if TYPE_CHECKING:
    from kohort.model.progress import Progress
    from kohort.workspace.workspace import Workspace

Kind = Callable[["Workspace", dict[str, Any], "Progress"], dict[str, Any]]

KINDS: dict[str, Kind] = {**PREDICT_KINDS}
