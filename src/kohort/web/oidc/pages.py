"""Routes of logging in through an identity provider: the way there, and the way back."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.locale import find, gettext, mark
from kohort.model.log import say
from kohort.model.oidc import BACK, NotNamed, here, subject_of
from kohort.store.identities import NotLetIn, Why
from kohort.web.attempts import FOR_AN_ADDRESS, Attempts
from kohort.web.cookies import BEGUN, cookie, putting
from kohort.web.login_pages import address_of, later, own_address, plain, to, too_often
from kohort.web.oidc.begun import Beginnings, Begun
from kohort.web.oidc.client import Client, known_error
from kohort.web.oidc.fetch import Fetch
from kohort.web.oidc.refused import Refused

if TYPE_CHECKING:
    from kohort.store.users import User
    from kohort.web.login_pages import Doors
    from kohort.workspace.workspace import Workspace

AT_ONCE = 4
"""Logins that wait for the provider at the same time; others wait without holding a thread."""
_LONGEST = 4_096
_UNREACHABLE = mark(
    "{label} does not answer as it should. Try again in a moment. Whoever runs the server finds the reason in the log."
)
_UNPROVEN = mark(
    "What {label} says could not be checked, so nobody was logged in. Whoever runs the server finds the reason in the log."
)
_TEXTS: Mapping[Why, str] = {
    "unnamed": mark("{label} does not say what you are called."),
    "not_named": mark(
        "{label} knows you as {name}, but nobody has let you in here yet. Ask an administrator of these pages."
    ),
    "no_role": mark("Your groups at {label} give you no role here any more. Ask whoever looks after them."),
    "name_taken": mark("Somebody else is called {name} here, so you cannot be. Ask an administrator of these pages."),
    "name_impossible": mark(
        "{label} calls you by a name that cannot be one here: letters, digits, blanks and . - + @ _, up to 64."
    ),
    "first": mark("The first one to log in here is an administrator, and {label} does not say that you are one."),
    "last_administrator": mark(
        "You are the only administrator here, and {label} says that you are none. Another one has to be made first."
    ),
}

log = logging.getLogger("kohort.web")


def client_here() -> Client | None:
    """Of the provider that the environment names; None = none.

    Raises:
        WrongUsage: The settings cannot be meant.
        MissingExtra: What checks tokens is not installed.
    """
    provider = here()
    if provider is None:
        return None
    from kohort.actions.outbound import trusting
    from kohort.workspace.triggers import CA_VARIABLE

    authorities = os.environ.get(CA_VARIABLE, "")
    return Client(provider, Fetch(trusting(authorities) if authorities else None))


def oidc_pages(app: FastAPI, ws: Workspace, doors: Doors, client: Client | None) -> None:
    """Adds them to the application.

    Args:
        doors: Those of the login, which give out sessions.
        client: None = people have passwords only, and the addresses lead to them.
    """
    arrivals = None if client is None else Arrivals(ws, doors, client)
    turn = asyncio.Semaphore(AT_ONCE)

    async def in_turn(work: Callable[..., Response], *given: Any) -> Response:
        async with turn:
            return await run_in_threadpool(work, *given)

    @app.get("/login/oidc")
    async def there(request: Request, onward: Annotated[str, Query(alias="next")] = "/") -> Response:
        if arrivals is None:
            return RedirectResponse("/login", 303)
        return await in_turn(arrivals.there, request, own_address(onward))

    @app.get(BACK)
    async def back(request: Request, code: str = "", state: str = "", iss: str = "", error: str = "") -> Response:
        if arrivals is None:
            return RedirectResponse("/login", 303)
        return await in_turn(arrivals.back, request, code, state, iss, error)


class Arrivals:
    """People on their way to the provider and back. Called in threads: the provider takes a while."""

    def __init__(self, ws: Workspace, doors: Doors, client: Client) -> None:
        self._store, self._doors, self._client = ws.store, doors, client
        self._label = client.provider.label
        self._logins = Beginnings(ws.store.vault.key_for("logins elsewhere"))
        self.attempts = Attempts()

    def there(self, request: Request, onward: str) -> Response:
        """Sends a browser to the provider. Begun from a page of ours or by hand, not by another site."""
        if refused := plain(request):
            return refused
        if request.headers.get("sec-fetch-site") == "cross-site":
            return RedirectResponse("/login", 303)
        begun = self._logins.begin(onward)
        try:
            address = self._client.address(begun)
        except Refused as refusal:
            return self._refused(request, refusal, onward)
        return to(request, address, {BEGUN: begun.cookie})

    def back(self, request: Request, code: str, state: str, issuer: str, error: str) -> Response:
        """A session for whoever comes back with a code that the provider takes for a token which holds."""
        if refused := plain(request):
            return refused
        limits = [(f"address {address_of(request)}", FOR_AN_ADDRESS)]
        if wait := self.attempts.take(limits):
            return later(HTMLResponse(self._doors.page("/", problem=too_often(wait)), 429), wait)
        onward = "/"
        try:
            begun = self._logins.end(cookie(request.scope, BEGUN), state)
            onward = own_address(begun.onward)
            user = self._arrived(begun, code, issuer, error)
        except Refused as refusal:
            self._store.audit_log.note("login_failed", by="", about=f"{self._label}: {refusal.why}")
            say(log, logging.WARNING, "nobody logged in", code=refusal.code)
            return self._refused(request, refusal, onward)
        self.attempts.give_back(limits)
        answer = self._doors.enter(request, user, onward, how=f"through {self._label}")
        return _without(request, answer)

    def _arrived(self, begun: Begun, code: str, issuer: str, error: str) -> User:
        """Who it is, here.

        Raises:
            Refused: It is not proven, or nobody has let her in.
        """
        label, provider = self._label, self._client.provider
        self._client.check_sender(issuer)
        if error:
            raise Refused(known_error(error), gettext("%(label)s has not let you in.", label=label))
        if not code or len(code) > _LONGEST:
            raise Refused("came back without a code")
        claims = self._client.claims(code, begun)
        name: str | None = None
        unnamed = _TEXTS["unnamed"]
        try:
            name = provider.name_of(claims)
        except NotNamed as missing:  # who was here before is known by more than her name
            unnamed = missing.text
        try:
            return self._store.users.arrive(
                provider.issuer, subject_of(claims), name=name, role=provider.role_of(claims)
            )
        except NotLetIn as refusal:
            text = find(unnamed if refusal.why == "unnamed" else _TEXTS[refusal.why])
            raise Refused(
                refusal.why.replace("_", " "), text.replace("{label}", label).replace("{name}", name or "")
            ) from refusal

    def _refused(self, request: Request, refusal: Refused, onward: str) -> Response:
        """The page that says why nobody is logged in; the log says it more closely, and nothing that anybody sent."""
        usual = find(_UNREACHABLE if refusal.status == 502 else _UNPROVEN)
        text = refusal.text or usual.replace("{label}", self._label)
        answer = HTMLResponse(self._doors.page(onward, problem=text), refusal.status)
        return _without(request, answer)


def _without(request: Request, answer: Response) -> Response:
    """An answer after which the browser knows nothing of the login that has had its end."""
    answer.headers.append("set-cookie", putting(request.scope, BEGUN, ""))
    return answer
