"""What people do on pages, written down in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kohort.model.access import Act
from kohort.web import who
from kohort.workspace.people import customer_keys

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace


def note(ws: Workspace, act: Act, about: str = "", codes: Sequence[str] = ()) -> None:
    """Writes down what somebody who is logged in did or saw; decisions have their own log beside."""
    asks = who.now()
    if asks.name and (about or codes):
        whom = customer_keys(ws.store.vault, codes)
        ws.store.audit_log.note(act, by=asks.name, about=about, customers=whom)
