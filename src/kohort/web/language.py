"""In which language pages are shown: the one that was chosen in this browser, else the one that the browser asks for.

`?language=da` behind any address chooses one, so that a plain link does it and the page stays the same. Programs
(`/v1`, tracking) always read English: they go by codes, and people who look up a message find it.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kohort.locale import LANGUAGES, asked_for, speaking
from kohort.web.cookies import LANGUAGE, cookie, putting
from kohort.web.middleware import for_programs

FIELD = "language"


class Spoken:
    """Middleware: everything inside is made in the reader's language."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or for_programs(scope["path"]):
            await self.app(scope, receive, send)
            return
        chosen = _chosen(scope)
        with speaking(chosen or _kept(scope) or asked_for(Headers(scope=scope).get("accept-language", ""))):
            await self.app(scope, receive, _keeping(scope, send, chosen) if chosen else send)


def _chosen(scope: Scope) -> str:
    if b"language=" not in scope["query_string"]:
        return ""
    given = parse_qs(scope["query_string"][:2_000].decode("latin-1")).get(FIELD, [""])[-1]
    return given if given in LANGUAGES else ""


def _kept(scope: Scope) -> str:
    given = cookie(scope, LANGUAGE)
    return given if given in LANGUAGES else ""


def _keeping(scope: Scope, send: Send, chosen: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", putting(scope, LANGUAGE, chosen))
        await send(message)

    return sending
