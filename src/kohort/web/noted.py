"""Writing down what somebody who is logged in did on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kohort.model.access import Act
from kohort.web import who

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace


def note(ws: Workspace, act: Act, about: str) -> None:
    """One line of the audit log. While nobody has to log in there is nobody to name, and nothing is written.

    Args:
        about: A group, a kind of work, never a customer.
    """
    if who.now().name:
        ws.store.audit_log.note(act, by=who.now().by, about=about)
