"""How the door stands beside the pages: its addresses go to it, before anything that is meant for pages is applied.

Pages are for one origin and for the names of this machine; events come from every web shop there is. So the door's
answers carry none of the pages' headers, and its requests are not asked by which name they came.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from kohort.web.tracking.door import Door


class Tracking:
    """Middleware around the pages."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mine = scope["type"] == "http" and self.door.answers(scope["path"])
        await (self.door if mine else self.app)(scope, receive, send)
