"""What was found out about a prediction last, kept with the workspace: trainings that led to no model, checks, signals.

None of it is about a single customer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from kohort.model.clock import iso

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

Noted = Literal["training", "check", "signals"]


def note(ws: Workspace, name: str, what: Noted, found: dict[str, Any]) -> None:
    """Keeps what was found, with the time of day it was found at."""
    said = {**found, "noted_at": iso(time.time_ns() // 1_000)}
    with ws.store.write_lock():
        ws.store.state.set(_place(name, what), said)


def noted(ws: Workspace, name: str, what: Noted) -> dict[str, Any] | None:
    """What was found last, with `noted_at`; None = nobody looked yet."""
    found: dict[str, Any] | None = ws.store.state.get(_place(name, what))
    return found


def _place(name: str, what: Noted) -> str:
    return f"predict.{name}.{what}"
