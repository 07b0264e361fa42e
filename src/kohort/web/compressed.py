"""Pages leave compressed where a browser takes that: a list of customers is a tenth of its size.

Secrets that stand on a page next to what somebody typed could be guessed by how well both compress together (BREACH). The
only one is the word of forms, which is another one on every page: see `kohort.web.forms.word`. Answers for programs are as
they are: small, or asked for by a neighbour.
"""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from kohort.web.middleware import for_programs

LEAST_BYTES = 1_000
"""Smaller answers fit into one packet anyway."""
LEVEL = 5


class Compressed:
    """Middleware around the pages. Streams pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packing = GZipMiddleware(app, minimum_size=LEAST_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = scope["type"] != "http" or for_programs(scope["path"])
        await (self._plain if plain else self._packing)(scope, receive, send)
