"""What of the privacy centre takes longer than a page: erasing a person, and deleting what is too old.

Arguments hold the number of a request, never a customer: they are kept. Who started the work stands in the log for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kohort.locale import mark
from kohort.web import who
from kohort.web.noting import note

if TYPE_CHECKING:
    from kohort.model.progress import Progress
    from kohort.workspace.workspace import Workspace

HALF_WAY = mark("What was destroyed by then is gone. Start it again: it goes on where it was.")
"""What is so after one of these was interrupted."""


def erase(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Whom the request `number` is about, and settles it. Where she is half erased already, that goes on."""
    cases, number = ws.privacy.cases, int(arguments["number"])
    code = cases.one(number)["code"]
    done = [ws.privacy.erase([code], progress=progress)] if code else ws.privacy.finish(progress=progress)
    receipt = done[0]["request"] if len(done) == 1 else None  # of several nothing tells any more which one is hers
    note(ws, "erased", receipt or f"request {number}")
    if cases.one(number)["done"] is None:
        cases.settle(number, by=who.now().by, receipt=receipt or "")
    return {"receipt": receipt}


def expire(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """What is older than `retention:` says."""
    receipt = ws.privacy.expire(progress=progress)["request"]
    note(ws, "expired", receipt or "nothing")
    return {"receipt": receipt, "text": "" if receipt else mark("Nothing was too old.")}
