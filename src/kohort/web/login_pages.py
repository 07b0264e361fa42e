"""Routes of the login: the way in and out, the first user, one's own account, and the log of who did what."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import WrongUsage
from kohort.locale import find, gettext, mark
from kohort.model.serving import is_encrypted_or_here, word_digest
from kohort.views import login as views
from kohort.views.said import said
from kohort.web import forms, who
from kohort.web.attempts import FOR_A_NAME, FOR_AN_ADDRESS, Attempts, Limit
from kohort.web.cookies import BROWSER, SESSION, browser_of, cookie, knows, putting
from kohort.workspace.people import company_numbers

if TYPE_CHECKING:
    from kohort.store.audit_log import Entry
    from kohort.store.users import User
    from kohort.web.documents import Documents
    from kohort.web.oidc.client import Client
    from kohort.workspace.workspace import Workspace

PAGE_SIZE = 50
AT_ONCE = 2
"""Forms with a password that are worked on at the same time."""
_WRONG = mark("Name or password is not right.")
_PLAIN = mark(
    "This connection is not encrypted: everybody between you and the server could read your password. "
    "Open the pages with https, or on the server itself."
)
DONE = {"password": mark("Your password is another one."), "sessions": mark("Done.")}
Fields = Mapping[str, str]


def login_pages(
    app: FastAPI,
    ws: Workspace,
    read: Callable[[], Documents],
    *,
    insist: bool,
    first: str,
    client: Client | None = None,
) -> Doors:
    """Adds them to the application. What comes back lets in whoever has proven elsewhere who she is.

    Args:
        read: The documents around every page, as they are now.
        insist: Everybody has to log in, also while there is no user yet.
        first: Digest of the word for the first user; empty = this server has printed none.
        client: Of the identity provider through which people may log in, too.
    """
    label = client.provider.label if client else ""
    doors, turn = Doors(ws, first, label), asyncio.Semaphore(AT_ONCE)

    async def in_turn(work: Callable[..., Response], *given: Any) -> Response:
        """Whoever waits for a password to be worked out holds no thread: the pages need them."""
        async with turn:
            return await run_in_threadpool(work, *given)

    @app.get("/login", response_class=HTMLResponse)
    def login(request: Request, onward: Annotated[str, Query(alias="next")] = "/", out: str = "") -> Response:
        if who.now().name or not (insist or ws.store.users.any()):
            return RedirectResponse("/", 303)
        if client is None and not ws.store.users.any():
            return RedirectResponse("/set-up", 303)
        leave = client.leave() if client and out else ""
        return plain(request) or HTMLResponse(doors.page(own_address(onward), leave=leave))

    @app.post("/login")
    async def log_in(request: Request) -> Response:
        fields = await forms.fields_of(request)
        return await in_turn(doors.log_in, request, fields)

    @app.get("/set-up", response_class=HTMLResponse)
    def set_up(request: Request) -> Response:
        if ws.store.users.any():
            return RedirectResponse("/login", 303)
        return plain(request) or HTMLResponse(views.set_up(forms.word(), asks_word=bool(first)))

    @app.post("/set-up")
    async def begin(request: Request) -> Response:
        fields = await forms.fields_of(request)
        return await in_turn(doors.set_up, request, fields)

    @app.post("/logout")
    async def log_out(request: Request) -> Response:
        await forms.fields_of(request)
        person = await run_in_threadpool(ws.store.sessions.end, cookie(request.scope, SESSION))
        user = await run_in_threadpool(ws.store.users.known, person)
        there = "?out=yes" if client and user is not None and user.provider else ""
        return to(request, f"/login{there}", {SESSION: ""})

    def shown(*, problem: str = "", done: str = "", status: int = 200) -> Response:
        asks, shell = who.now(), read().shell
        if asks.role is None or not asks.name:
            return RedirectResponse("/", 303)
        sessions, user = ws.store.sessions.count(asks.name), ws.store.users.known(asks.name)
        elsewhere = user is not None and user.provider
        text = views.account(shell, asks.role, sessions, elsewhere=elsewhere, problem=problem, done=done)
        return HTMLResponse(text, status)

    @app.get("/account", response_class=HTMLResponse)
    def account(done: str = "") -> Response:
        return shown(done=find(DONE.get(done, "")))

    @app.post("/account/password")
    async def password(request: Request) -> Response:
        fields = await forms.fields_of(request)

        def changed() -> Response:
            try:
                return doors.change_password(request, fields)
            except _TooOften as error:
                return shown(problem=too_often(error.wait), status=400)
            except WrongUsage as error:
                return shown(problem=said(error), status=400)

        return await in_turn(changed)

    @app.post("/account/sessions")
    async def others(request: Request) -> Response:
        await forms.fields_of(request)
        asks = who.now()
        if asks.name:
            await run_in_threadpool(ws.store.sessions.end_others, asks.name, asks.session)
        return RedirectResponse("/account?done=sessions", 303)

    @app.get("/audit-log", response_class=HTMLResponse)
    def audit_log(before: Annotated[int | None, Query(ge=1, le=2**62)] = None, by: str = "", act: str = "") -> Response:
        found = ws.store.audit_log.latest(PAGE_SIZE + 1, before=before, by=by, act=act)
        following = found[PAGE_SIZE - 1].number if len(found) > PAGE_SIZE else None
        lines = lines_of(ws, found[:PAGE_SIZE])
        users = [user.name for user in ws.users.list()]
        return HTMLResponse(
            views.audit_log(
                read().shell, lines, zone=ws.zone, following=following, before=before, by=by, act=act, users=users
            )
        )

    return doors


class _TooOften(WrongUsage):
    """Somebody tried a password too often; `wait` = seconds until she may again."""

    def __init__(self, wait: float) -> None:
        super().__init__("That was tried too often.")
        self.wait = wait


class Doors:
    """What the forms of the login do. Called in threads: a password takes a while."""

    def __init__(self, ws: Workspace, first: str, label: str = "") -> None:
        self._store, self._first, self._label = ws.store, first, label
        self._key = ws.store.vault.key_for("known browsers")
        self.attempts = Attempts()

    def page(self, onward: str, *, name: str = "", problem: str = "", leave: str = "") -> str:
        """The page that asks who it is. `leave`: where somebody who has logged out here logs out of the provider."""
        way = self._label
        return views.login(forms.word(), onward=onward, name=name, problem=problem, provider=way, leave=leave)

    def log_in(self, request: Request, fields: Fields) -> Response:
        """A session for whoever has shown that she is who she says."""
        name, onward = fields.get("name", "").strip()[:64], own_address(fields.get("next", "/"))

        def again(problem: str, status: int) -> Response:
            return HTMLResponse(self.page(onward, name=name, problem=problem), status)

        if refused := plain(request):
            return refused
        known = self._store.users.known(name)
        limits = self._limits(request, name, known)
        if wait := self.attempts.take(limits):
            return later(again(too_often(wait), 429), wait)
        user = self._store.users.proven(name, fields.get("password", ""))
        if user is None:
            self._store.audit_log.note("login_failed", by="", about=known.name if known else "a name that nobody has")
            return again(find(_WRONG), 403)
        self.attempts.give_back(limits)
        return self.enter(request, user, onward)

    def set_up(self, request: Request, fields: Fields) -> Response:
        """The first user, for whoever reads the terminal."""
        name = fields.get("name", "").strip()[:64]

        def again(problem: str, status: int) -> Response:
            text = views.set_up(forms.word(), asks_word=bool(self._first), name=name, problem=problem)
            return HTMLResponse(text, status)

        if refused := plain(request):
            return refused
        limits = [("the first word", FOR_A_NAME)]
        if wait := self.attempts.take(limits):
            return later(again(too_often(wait), 429), wait)
        given = word_digest(fields.get("first", ""))
        if not self._first or not hmac.compare_digest(given, self._first):
            return again(gettext("This is not the word that the terminal shows."), 403)
        self.attempts.give_back(limits)
        try:
            user = self._store.users.begin(name, _twice(fields, "password"))
        except WrongUsage as error:
            return again(said(error), 400)
        return self.enter(request, user, "/")

    def change_password(self, request: Request, fields: Fields) -> Response:
        """Another password for the one who is logged in and knows the one she has.

        Raises:
            WrongUsage: She does not, or the new one cannot be one.
        """
        asks = who.now()
        limits = [(f"account {asks.name}", FOR_A_NAME)]
        if wait := self.attempts.take(limits):
            raise _TooOften(wait)
        if self._store.users.proven(asks.name, fields.get("password", "")) is None:
            raise WrongUsage(mark("The password that you have is another one."))
        self.attempts.give_back(limits)
        self._store.users.set_password(asks.name, _twice(fields, "new"), by=asks.name)
        user = self._store.users.known(asks.name)
        if user is None:  # removed at this moment
            return RedirectResponse("/login", 303)
        return self.enter(request, user, "/account?done=password")

    def enter(self, request: Request, user: User, onward: str, *, how: str = "") -> Response:
        """A new session in place of whatever this browser had, and a mark that this browser is known."""
        had = cookie(request.scope, SESSION)
        token = self._store.sessions.begin(user.name, instead_of=had, how=how)
        return to(request, onward, {SESSION: token, BROWSER: browser_of(user, self._key)})

    def _limits(self, request: Request, name: str, known: User | None) -> list[Limit]:
        sent = cookie(request.scope, BROWSER)
        if known is not None and knows(sent, known, self._key):
            return [(f"browser {sent[:32]}", FOR_A_NAME)]
        folded = hashlib.sha256((known.name if known else name.casefold()).encode("utf-8", "replace")).hexdigest()
        return [(f"name {folded[:32]}", FOR_A_NAME), (f"address {address_of(request)}", FOR_AN_ADDRESS)]


def own_address(asked: str) -> str:
    """Where to go after logging in: an address of these pages, never of another site.

    Example:
        >>> own_address("/segments?sort=growth"), own_address("//evil.example"), own_address("https://evil.example")
        ('/segments?sort=growth', '/', '/')
    """
    plain = asked.isascii() and asked.isprintable() and "\\" not in asked and len(asked) <= 1_000
    return asked if plain and asked.startswith("/") and not asked.startswith(("//", "/login", "/set-up")) else "/"


def lines_of(ws: Workspace, found: list[Entry]) -> list[views.Line]:
    """Entries of the log as people read them, with the company's numbers of customers."""
    keys = [entry.customer for entry in found if entry.customer is not None]
    numbers = dict(zip(keys, company_numbers(ws.store.vault, keys), strict=True))
    return [
        views.Line(
            e.number,
            e.at_us,
            e.by,
            e.act,
            e.about,
            views.ERASED if e.erased else "" if e.customer is None else numbers[e.customer],
        )
        for e in found
    ]


def _twice(fields: Fields, name: str) -> str:
    if fields.get(name, "") != fields.get("again", ""):
        raise WrongUsage(mark("The two passwords are not the same."))
    return fields.get(name, "")


def plain(request: Request) -> Response | None:
    """Why nobody may log in over this connection; None where somebody may."""
    if is_encrypted_or_here(request.scope.get("scheme", "http"), request.headers.get("host", "")):
        return None
    return HTMLResponse(views.not_here(find(_PLAIN)), 403)


def address_of(request: Request) -> str:
    """Where a request comes from; of the new kind of addresses the half that one subscriber has."""
    host = request.client.host if request.client else ""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else host


def too_often(wait: float) -> str:
    """What somebody reads who has tried too often, and may again after so many seconds."""
    return gettext("That was tried too often. Try again in %(minutes)s minutes.", minutes=math.ceil(wait / 60))


def later(answer: Response, wait: float) -> Response:
    """An answer that says after how many seconds there may be another."""
    answer.headers["Retry-After"] = str(math.ceil(wait))
    return answer


def to(request: Request, onward: str, cookies: Mapping[str, str]) -> Response:
    """Sends a browser on, with cookies."""
    answer = RedirectResponse(onward, 303)
    for name, value in cookies.items():
        answer.headers.append("set-cookie", putting(request.scope, name, value))
    return answer
