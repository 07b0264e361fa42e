"""Charts of pages as files: the address of a page with `chart=NAME.svg` (or `.csv`) answers with the file instead of the page.

A chart needs no address of its own, so whoever may not see a page gets nothing of it, and a look at single customers is
written down for the file as it is for the page: the guard stands around both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qsl

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kohort.views.chart import ASKED, Page, Theme, writing
from kohort.views.tables import MEDIA

THEME = "theme"
_KINDS = {"svg": "image/svg+xml", "csv": MEDIA["csv"]}


class ChartFiles:
    """Middleware inside the guard.

    Args:
        missing: Makes the page that says that there is no such chart.
    """

    def __init__(self, app: ASGIApp, missing: Callable[..., Response]) -> None:
        self.app, self._missing = app, missing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            writing.set(None)
            await self.app(scope, receive, send)
            return
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        page = Page(tuple((name, value) for name, value in asked if name not in (ASKED, THEME)))
        writing.set(page)
        file = next((value for name, value in asked if name == ASKED), None)
        if file is None:
            await self.app(scope, receive, send)
            return
        kept = _Kept(send)
        await self.app(scope, receive, kept)
        if kept.is_page:
            theme = dict(asked).get(THEME, "auto")
            answer = _file(page, file, cast("Theme", theme if theme in ("light", "dark") else "auto"))
            await (
                answer
                or self._missing("There is no such chart here", "", "Open the page to see which ones it has.", 404)
            )(scope, receive, send)


class _Kept:
    """Holds back a page; whatever else is answered goes out as it comes."""

    def __init__(self, send: Send) -> None:
        self._send, self.is_page = send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self.is_page = message["status"] == 200 and kind.startswith("text/html")
        if not self.is_page:
            await self._send(message)


def _file(page: Page, file: str, theme: Theme) -> Response | None:
    """A file of a chart that is on the page; None where there is none of this name."""
    name, _, kind = file.rpartition(".")
    chart = page.charts.get(name)
    if chart is None or kind not in _KINDS or (kind == "csv" and not chart.rows):
        return None
    body = chart.svg(theme).encode() if kind == "svg" else chart.csv()
    headers = {"Content-Disposition": f'attachment; filename="{chart.name}.{kind}"'}
    return Response(body, media_type=_KINDS[kind], headers=headers)
