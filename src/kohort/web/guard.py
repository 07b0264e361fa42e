"""Asks before every answer of the pages: who is this, and may she see it? It stands around everything, so no page can forget it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kohort.errors import KohortError, UnknownCustomer
from kohort.locale import mark
from kohort.model.access import Act
from kohort.model.serving import is_open_to_others
from kohort.web import access
from kohort.web.cookies import SESSION, cookie, putting
from kohort.web.middleware import for_programs, told
from kohort.web.tracking.credentials import of_header
from kohort.web.who import ALONE, ANYBODY, STRANGER, Who, current

if TYPE_CHECKING:
    from kohort.store.store import Store

_LONGEST_ADDRESS = 500
Page = Callable[[str, str, str, int], Response]
"""Title, text, hint and status → a page for people. The texts are marked, and looked up where the page is made."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: the pattern of the address, what stands in it, and who may.

    Without a rule there is nothing at the address, or it takes another method.
    """

    pattern: str
    parts: Mapping[str, Any]
    rule: access.Rule | None


class Guard:
    """Middleware around the routes.

    Args:
        store: Users, sessions and the log; None = a source without them, for which everything is open.
        page: Makes pages that say no.
        insist: Everybody has to log in, also while there is no user yet.
    """

    def __init__(self, app: ASGIApp, store: Store | None, page: Page, *, insist: bool) -> None:
        self.app, self._store, self._page, self._insist = app, store, page, insist

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # It holds for what is done for this request, also for the page that an error leads to.
        current.set(ALONE if self._store is None else STRANGER)
        if scope["type"] != "http" or self._store is None:
            await self.app(scope, receive, send)
            return
        asked = asked_of(scope)
        if asked.rule.past if asked.rule else for_programs(scope["path"]):
            await self.app(scope, receive, send)
            return
        token = ""
        try:
            asks, token = await run_in_threadpool(self._who, scope)
            current.set(asks)
            refusal = await run_in_threadpool(self._refusal, scope, asked, asks)
        except KohortError as error:  # the store does not answer: nobody is let in
            refusal = self._page(mark("We cannot show this right now"), error.message, error.hint, 503)
        await (refusal or self.app)(scope, receive, _with_cookie(scope, send, token) if token else send)

    def _who(self, scope: Scope) -> tuple[Who, str]:
        """Who asks, and the token that her browser gets in place of the one it sent, where it is time."""
        assert self._store is not None
        look = self._store.sessions.look(cookie(scope, SESSION))
        if not look.login and not self._insist:
            return ANYBODY, ""
        if look.session is None:
            return STRANGER, ""
        return Who(look.session.person, look.session.role, look.session.number), look.token

    def _refusal(self, scope: Scope, asked: Asked, asks: Who) -> Response | None:
        """Why there is no answer; None where there is one. Looks at single customers are written down first."""
        rule = asked.rule
        if rule is not None and rule.open:
            return None
        if not asks.login:
            return self._unprotected(scope)
        if rule is not None and rule.scope and self._has_key(scope):
            return None
        return self._log_in(scope, asked) if asks.role is None else self._by_role(asked, asks)

    def _unprotected(self, scope: Scope) -> Response | None:
        """Without a login nothing leaves the machine, however the server was started."""
        if not is_open_to_others((scope.get("server") or ("",))[0] or ""):
            return None
        text = mark("These pages have no login yet, so they are shown on their own machine only.")
        hint = mark("Make the first user there: kohort users add NAME --role administrator")
        return self._page(mark("Not from here"), text, hint, 403)

    def _log_in(self, scope: Scope, asked: Asked) -> Response:
        if asked.rule is not None and asked.rule.scope:
            hint = "Send Authorization: Bearer, with a key made by: kohort keys add NAME --scope read"
            return told("unauthorized", "This needs an API key of the scope read.", hint, 401)
        if scope["method"] not in ("GET", "HEAD"):
            text = mark("You are not logged in, or not any more. Nothing was changed.")
            return self._page(mark("Please log in"), text, mark("Open /login, then repeat it."), 403)
        return RedirectResponse(f"/login?next={quote(_address(scope), safe='')}", 303)

    def _by_role(self, asked: Asked, asks: Who) -> Response | None:
        assert self._store is not None
        if asked.rule is not None and asks.role in asked.rule.roles:
            if asked.rule.look is not None and asks.sight != "nobody":
                self._note(asked, asked.rule.look, asks)
            return None
        if not asked.pattern:
            return None  # there is nothing, which is no secret from her
        self._store.audit_log.note("not_allowed", by=asks.by, about=asked.pattern)
        return self._page(
            mark("Not for your role"),
            mark("Your role does not see this page."),
            mark("An administrator can change it."),
            403,
        )

    def _note(self, asked: Asked, act: Act, asks: Who) -> None:
        """Writes down that somebody sees single customers: which one, or of which group."""
        from kohort.workspace.people import customer_keys

        assert self._store is not None
        whom: list[int] = []
        if (code := asked.parts.get("code")) is not None:
            try:
                whom = customer_keys(self._store.vault, [str(code)])
            except UnknownCustomer:
                return  # nobody is seen
        about = str(asked.parts.get("name") or asked.parts.get("segment_id") or asked.pattern)
        self._store.audit_log.note(act, by=asks.by, about=about[:_LONGEST_ADDRESS], customers=whom)

    def _has_key(self, scope: Scope) -> bool:
        assert self._store is not None
        key = of_header(Headers(scope=scope).get("authorization", "").encode("latin-1"))
        return bool(key) and self._store.api_keys.find(key, "read") is not None


def asked_of(scope: Scope) -> Asked:
    """The address that the application will answer with: found by its own routes, in its own order."""
    for route in scope["app"].routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            pattern = str(getattr(route, "path", ""))
            parts = {} if isinstance(route, Mount) else found.get("path_params", {})
            return Asked(pattern, parts, access.rule_of(scope["method"], pattern))
    return Asked("", {}, None)


def _address(scope: Scope) -> str:
    """Where somebody wanted to go before she had to log in."""
    asked = scope.get("raw_path", b"").decode("latin-1") or str(scope["path"])
    query = scope.get("query_string", b"").decode("latin-1")
    whole = f"{asked}?{query}" if query else asked
    return whole if len(whole) <= _LONGEST_ADDRESS else "/"


def _with_cookie(scope: Scope, send: Send, token: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers, mine = MutableHeaders(scope=message), putting(scope, SESSION, token)
            name = mine.partition("=")[0]
            if not any(given.startswith(f"{name}=") for given in headers.getlist("set-cookie")):  # she logged in or out
                headers.append("set-cookie", mine)
        await send(message)

    return sending
