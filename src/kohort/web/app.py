"""Routes of the web pages. Each fetches stored documents and lets `views` say it; nothing is computed here."""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kohort.errors import Busy, KohortError, NotEnough, NotFound, WrongUsage
from kohort.live import answers
from kohort.live.figures import Counts
from kohort.model.health import HealthReport
from kohort.model.log import say
from kohort.model.segmentation import Segment, Segmentation
from kohort.model.serving import is_our_name
from kohort.views import own, pages
from kohort.views.paper import STATIC
from kohort.web import tracking
from kohort.web.counts import Counted
from kohort.web.customer_pages import customer_pages
from kohort.web.monitor import Monitor
from kohort.web.own import Looks, OwnSegments
from kohort.web.own_pages import own_pages
from kohort.web.profile import profile_routes
from kohort.web.stream import Streams
from kohort.web.warm import Warming

if TYPE_CHECKING:
    from kohort.live.apart import Apart
    from kohort.live.service import Service

    Live = Apart | Service
    from kohort.workspace.workspace import Workspace

WORKSPACE_VARIABLE = "KOHORT_WORKSPACE"
PAGE_SIZE = 50

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

STOP_SECONDS = 0.8
"""So long a server that goes down waits for what it is at. What was not stored by then is done by the next one."""

log = logging.getLogger("kohort.web")


class Source(Protocol):
    """What the pages need of a workspace: documents that are already stored."""

    @property
    def name(self) -> str: ...
    @property
    def is_demo(self) -> bool: ...
    def summary(self) -> dict[str, Any]: ...
    def health(self, refresh: bool = False) -> HealthReport: ...
    def segmentation(self, name: str | None = None) -> Segmentation | None: ...
    def members_page(self, segment_id: str, cursor: int = 0, limit: int = 50) -> dict[str, Any]: ...


def create(
    source: Source | None = None,
    *,
    live: Live | None = None,
    inbox: tracking.Inbox | None = None,
    keys: tracking.Keys | None = None,
    limits: tracking.Limits = tracking.DEFAULTS,
) -> FastAPI:
    """The application, also as a uvicorn factory.

    Args:
        source: The workspace; None = the folder named by the environment variable `KOHORT_WORKSPACE`.
        live: What keeps the workspace current; started and stopped with the application. None = nothing does, but for
            the factory, which makes one where no other process has.
        inbox: Where tracked events become durable; that of `live` where not given. None = nothing is taken here.
        keys: Who may send events; the workspace's keys where not given.
        limits: What tracking requests may ask.
    """
    looks = Looks()
    wait, patience = None, 20.0
    if source is None:
        patience = STOP_SECONDS
        folder = os.environ.get(WORKSPACE_VARIABLE, ".")
        source = workspace = _open(folder)
        workspace.kept.behind = True
        wait = Warming(folder, looks.keep).wait
        live = live or _live(workspace)
    mine = _own(source, looks)
    read = partial(_read, source, mine, wait)
    app = FastAPI(
        title="Kohort",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=partial(_alive, source=source, live=live, patience=patience),
    )
    app.state.source, app.state.live = source, live
    app.state.counts = Counts()
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Unforeseen, page=partial(_problem, source))
    app.add_middleware(Protected)
    if inbox is None and live is not None:
        inbox = live.inbox
    app.state.door = tracking.Door(inbox, keys or _keys(source), limits)
    app.add_middleware(tracking.Tracking, door=app.state.door)
    app.add_middleware(Counted, counts=app.state.counts)
    _pages(app, source, read)
    if mine is not None:
        own_pages(app, mine, read)
    _people(app, source, mine, read)
    _machines(app, source)
    _streams(app, source)
    _profiles(app, source, live)
    app.state.monitor = _monitor(app, source)
    _problems(app, source)
    return app


def _open(folder: str) -> Workspace:
    from kohort.workspace.workspace import Workspace

    return Workspace.open(folder)


def _live(workspace: Workspace) -> Live | None:
    """What keeps a workspace current beside the answers; None where another server does."""
    from kohort.live.beside import in_a_process
    from kohort.workspace.apart import apart
    from kohort.workspace.live import service

    try:
        return apart(workspace) if in_a_process() else service(workspace)
    except Busy:
        say(log, logging.WARNING, "another process keeps this workspace current; this one only shows it")
        return None


@asynccontextmanager
async def _alive(app: FastAPI, source: Source, live: Live | None, patience: float) -> AsyncIterator[None]:
    """The loop, and what tells others of entries and exits, begin and end with the server."""
    from kohort.workspace.live import wanted
    from kohort.workspace.workspace import Workspace

    if live is not None:
        live.start(partial(wanted, source) if isinstance(source, Workspace) else lambda: True)
    telling = source.triggers.worker() if live is not None and isinstance(source, Workspace) else None
    if telling is not None:
        telling.start()
        assert live is not None
        live.moved = telling.wake
    yield
    stops = [one.stop for one in (telling, live) if one is not None]
    await asyncio.gather(*(run_in_threadpool(stop, patience) for stop in stops))


def _keys(source: Source) -> tracking.Keys | None:
    """The keys of a workspace; a source of found segments alone has none."""
    from kohort.workspace.workspace import Workspace

    return source.store.api_keys if isinstance(source, Workspace) else None


def _streams(app: FastAPI, source: Source) -> None:
    """`GET /v1/stream` of a workspace; a source of found segments alone has no log of entries and exits."""
    from kohort.workspace.workspace import Workspace

    if isinstance(source, Workspace):
        app.state.streams = Streams(source)
        app.state.streams.add_to(app)


def _monitor(app: FastAPI, source: Source) -> Monitor:
    from kohort.workspace.workspace import Workspace

    mine = source if isinstance(source, Workspace) else None
    return Monitor(app.state.door, mine, app.state.streams if mine is not None else None)


def _profiles(app: FastAPI, source: Source, live: Live | None) -> None:
    """Single customers and lists of segments, for programs, of a workspace."""
    from kohort.workspace.profile import ProfileDoor
    from kohort.workspace.workspace import Workspace

    if isinstance(source, Workspace):
        door = ProfileDoor(source, None if live is None else live.profiles.of)
        profile_routes(app, door, source.store.api_keys)


def _people(app: FastAPI, source: Source, mine: OwnSegments | None, read: Callable[[], Documents]) -> None:
    """Single customers, and who is one, for people; a source of found segments alone knows nobody by name."""
    from kohort.workspace.workspace import Workspace

    if mine is not None and isinstance(source, Workspace):
        customer_pages(app, source, mine, read)


def _own(source: Source, looks: Looks) -> OwnSegments | None:
    """What people defined; a source of found segments alone has no definitions."""
    from kohort.workspace.workspace import Workspace

    return OwnSegments(source, looks) if isinstance(source, Workspace) else None


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
                text = "Your data is safe. The other pages still work."
                answer = self.page("Something went wrong here", text, "The log says where.", 500)
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


class Documents:
    """What is stored, read once per request; what is not there yet is None."""

    def __init__(self, source: Source, mine: OwnSegments | None = None) -> None:
        self.source = source
        self.own: own.Own | None = _or_none(mine.all) if mine else None
        self.found: Segmentation | None = _or_none(source.segmentation)
        self.summary: dict[str, Any] = _or_none(source.summary) or {}
        self.health: HealthReport | None = _or_none(source.health)
        self.live = _or_none(mine.clock) or "" if mine else ""

    @property
    def shell(self) -> pages.Shell:
        listed = [len(x.segments) for x in (self.found, self.own) if x is not None and x.segments]
        return pages.Shell(
            self.source.name,
            self.source.is_demo,
            self.summary.get("as_of"),
            sum(listed) if listed or self.found else None,
            self.health.score if self.health else None,
            has_lifecycle=bool(self.own and self.own.lifecycles),
            has_customers=self.own is not None,
            live=self.live,
        )

    def start(self, here: str) -> HTMLResponse:
        return HTMLResponse(pages.start(self.shell, here, customers=self.summary.get("customers") or 0))

    def segment(self, segment_id: str) -> Segment:
        known: dict[str, Segment] = {s.id: s for s in self.found.segments} if self.found else {}
        if segment_id not in known:
            raise NotFound("segment", segment_id, known)
        return known[segment_id]


def _read(source: Source, mine: OwnSegments | None, wait: Callable[[], None] | None = None) -> Documents:
    if wait is not None:
        wait()
    return Documents(source, mine)


def _or_none(read: Any) -> Any:
    """A document, or None where there is honestly none yet."""
    try:
        return read()
    except (NotEnough, NotFound):
        return None


def _pages(app: FastAPI, source: Source, read: Callable[[], Documents]) -> None:
    # Plain functions on purpose: the framework runs them in a thread, so a slow disk never blocks another reader.
    @app.get("/", response_class=HTMLResponse)
    def overview() -> Response:
        d = read()
        if d.found is None or not d.found.segments:
            return d.start("overview") if d.found is None else HTMLResponse(pages.segments(d.shell, d.found))
        return HTMLResponse(pages.overview(d.shell, d.found, d.summary, d.health))

    @app.get("/segments", response_class=HTMLResponse)
    def segments(sort: str = "revenue", own_sort: Annotated[str, Query(alias="own")] = "written") -> Response:
        d = read()
        if d.found:
            listed = own.listed(d.own, own_sort) if d.own else None
            return HTMLResponse(pages.segments(d.shell, d.found, sort=sort, own=listed))
        if d.own and d.own.segments:
            return HTMLResponse(own.segments(d.shell, d.found, d.own, mine=own_sort))
        return d.start("segments")

    @app.get("/segments/{segment_id}", response_class=HTMLResponse)
    def segment(segment_id: str) -> Response:
        d = read()
        which = d.segment(segment_id)
        assert d.found is not None
        return HTMLResponse(pages.segment(d.shell, d.found, which))

    @app.get("/segments/{segment_id}/customers", response_class=HTMLResponse)
    def customers(segment_id: str, cursor: int = 0) -> Response:
        d = read()
        which = d.segment(segment_id)
        assert d.found is not None
        cursor = min(max(cursor, 0), which.size)
        page = source.members_page(segment_id, cursor=cursor, limit=PAGE_SIZE)
        return HTMLResponse(pages.customers(d.shell, d.found, which, page, cursor=cursor))

    @app.get("/map", response_class=HTMLResponse)
    def customer_map(segment: str = "") -> Response:
        d = read()
        if d.found is None or not d.found.map:
            return d.start("map")
        return HTMLResponse(pages.customer_map(d.shell, d.found, highlight=segment))

    @app.get("/discover", response_class=HTMLResponse)
    def discover() -> Response:
        d = read()
        return HTMLResponse(pages.discover(d.shell, d.found)) if d.found else d.start("discover")

    @app.get("/data-health", response_class=HTMLResponse)
    def data_health() -> Response:
        d = read()
        return HTMLResponse(pages.data_health(d.shell, d.health)) if d.health else d.start("health")

    @app.get("/report")
    def report() -> Response:
        from kohort.views.report import render_report

        d = read()
        if d.found is None:
            return d.start("overview")
        text = render_report(d.found, summary=d.summary, health=d.health, name=source.name)
        return HTMLResponse(text, headers={"Content-Disposition": 'attachment; filename="kohort-report.html"'})


def _machines(app: FastAPI, source: Source) -> None:
    @app.get("/health")
    def alive() -> dict[str, str]:
        """The process answers."""
        return answers.HEALTHY

    @app.get("/ready")
    def ready() -> Response:
        """The workspace answers, and whether there are segments to show."""
        live = app.state.live
        status, said = answers.ready(lambda: answers.found(source.segmentation()), None if live is None else live.state)
        return JSONResponse(said, status)

    @app.get("/metrics")
    def metrics() -> Response:
        """Counts for a monitoring system, in the text format of Prometheus; no customer is in them."""
        live = app.state.live
        text = app.state.counts.as_text() + app.state.monitor.as_text().decode()
        text += "" if live is None else live.measured().decode()
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _problem(source: Source, title: str, text: str, hint: str, status: int) -> HTMLResponse:
    try:
        shell = pages.Shell(source.name, source.is_demo)
    except KohortError:  # kohort.yaml itself is what is wrong
        shell = pages.Shell("")
    return HTMLResponse(pages.problem(shell, title, text, hint), status)


def _problems(app: FastAPI, source: Source) -> None:
    """Errors in plain words. What nobody foresaw is the business of `Unforeseen`."""
    page = partial(_problem, source)

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> Response:
        if for_programs(request.url.path):
            known = {404: ("no_such_address", "There is nothing at this address.")}
            known[405] = ("wrong_method", "This address takes another method.")
            code, text = known.get(error.status_code, ("refused", "This address cannot do that."))
            answer = told(code, text, "", error.status_code)
            answer.headers.update(error.headers or {})
            return answer
        if error.status_code == 404:
            return page("This page is not here", "The address may be old, or a letter went missing.", "", 404)
        return page("That did not work", "The page cannot do this.", "", error.status_code)

    @app.exception_handler(RequestValidationError)
    async def odd_address(request: Request, error: RequestValidationError) -> Response:
        if for_programs(request.url.path):
            return told("bad_query", "Something in the address is not a number or a name we know.", "", 422)
        return page("This address is not right", "Something in the address is not a number or a name we know.", "", 422)

    @app.exception_handler(KohortError)
    async def known(request: Request, error: KohortError) -> Response:
        status = 404 if isinstance(error, NotFound) else 400 if isinstance(error, WrongUsage) else 503
        if for_programs(request.url.path):
            return told(error.code, error.message, error.hint, status)
        title = "We cannot find that" if status == 404 else "We cannot show this right now"
        return page(title, error.message, error.hint, status)
