"""What stands around every answer of the pages: security headers, our own names only, and an end to errors nobody foresaw."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kohort.locale import mark
from kohort.model.log import say
from kohort.model.serving import is_our_name

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HSTS = ("Strict-Transport-Security", "max-age=31536000")
"""Added where the answer leaves over an encrypted connection: from then on the browser asks in no other way."""

log = logging.getLogger("kohort.web")


class Unforeseen:
    """Ends an error that nobody foresaw: a page for the reader; its kind and its places in our code for the log.

    Its message and the usual traceback stay out: both can repeat values. A server would log them, so it never sees it.
    """

    def __init__(self, app: ASGIApp, page: Callable[..., Response]) -> None:
        self.app = app
        self.page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)[-3:]
            places = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames)
            # The route's pattern: the address itself may hold a customer's number.
            where = getattr(scope.get("route"), "path", "?")
            say(log, logging.ERROR, "page failed", error=type(error).__name__, route=where, places=places)
            if not begun:
                if for_programs(scope.get("path", "")):
                    await told("unexpected", "Something went wrong here.", "", 500)(scope, receive, noted)
                    return
                text = mark("Your data is safe. The other pages still work.")
                answer = self.page(mark("Something went wrong here"), text, mark("The log says where."), 500)
                await answer(scope, receive, noted)


class Protected:
    """Security headers on every answer, added where answers leave, so that none is forgotten; and see `is_our_name`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope.get("scheme") == "https":
                    headers[HSTS[0]] = HSTS[1]
                if not scope["path"].startswith("/static/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _knows(scope):
            await self.app(scope, receive, guarded)
        else:
            text, hint = "This name does not lead here.", "Open http://127.0.0.1 instead."
            page: Response = PlainTextResponse(f"{text} {hint}", 421)
            refusal = told("wrong_host", text, hint, 421) if for_programs(scope["path"]) else page
            await refusal(scope, receive, guarded)


def for_programs(path: str) -> bool:
    """Whether answers at this address are read by programs: their errors are JSON objects too."""
    return path.startswith("/v1/")


def told(code: str, message: str, hint: str, status: int) -> JSONResponse:
    """An error for programs."""
    return JSONResponse({"code": code, "message": message, "hint": hint}, status)


def _knows(scope: Scope) -> bool:
    server = (scope.get("server") or ("",))[0] or ""
    return is_our_name(server, Headers(scope=scope).get("host", ""))
