"""Routes of the web pages. Each fetches stored documents and lets `views` say it; nothing is computed here."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from kohort.errors import Busy, KohortError, NotEnough
from kohort.live import answers
from kohort.live.figures import Counts
from kohort.locale import find, mark
from kohort.model.log import say
from kohort.model.serving import FIRST_VARIABLE, LOGIN_VARIABLE
from kohort.views import own_list, pages
from kohort.views.discover import discover as discover_page
from kohort.views.paper import STATIC
from kohort.views.said import said
from kohort.web import sight, tracking, who
from kohort.web.access import check_table
from kohort.web.api import ApiDoor, api_routes, problem, status_of, wrong_field
from kohort.web.build_pages import build_pages
from kohort.web.chart_files import ChartFiles
from kohort.web.compressed import Compressed
from kohort.web.counts import Counted
from kohort.web.customer_pages import customer_pages, identity_pages
from kohort.web.discover_pages import discover_pages
from kohort.web.documents import Documents, Source, store_of, vault_of
from kohort.web.documents import read as read_documents
from kohort.web.export_pages import export_pages
from kohort.web.feedback_pages import feedback_pages
from kohort.web.guard import Guard
from kohort.web.health_pages import health_pages
from kohort.web.job_pages import job_pages
from kohort.web.language import Spoken
from kohort.web.live_pages import live_pages
from kohort.web.login_pages import login_pages
from kohort.web.middleware import Protected, Unforeseen, for_programs, told
from kohort.web.monitor import Monitor
from kohort.web.oidc.pages import client_here, oidc_pages
from kohort.web.own import Ask, Looks, OwnSegments
from kohort.web.own_pages import own_pages
from kohort.web.predict_pages import predict_pages
from kohort.web.privacy_pages import privacy_pages
from kohort.web.settings_pages import settings_pages
from kohort.web.shell import asking
from kohort.web.start_pages import start_pages
from kohort.web.static import Files
from kohort.web.stream import Streams
from kohort.web.team import Team
from kohort.web.warm import Warming

if TYPE_CHECKING:
    from kohort.live.apart import Apart
    from kohort.live.service import Service

    Live = Apart | Service
    from kohort.web.oidc.client import Client
    from kohort.workspace.workspace import Workspace

WORKSPACE_VARIABLE = "KOHORT_WORKSPACE"
PAGE_SIZE = 50

STOP_SECONDS = 0.8
"""So long a server that goes down waits for what it is at. What was not stored by then is done by the next one."""

_TITLES = {
    400: mark("That did not work"),
    404: mark("We cannot find that"),
    409: mark("That did not work"),
    422: mark("We cannot read that"),
}
"""Above a page that says an error, by its status; anything else is "We cannot show this right now"."""

log = logging.getLogger("kohort.web")


def create(
    source: Source | None = None,
    *,
    live: Live | None = None,
    inbox: tracking.Inbox | None = None,
    keys: tracking.Keys | None = None,
    limits: tracking.Limits = tracking.DEFAULTS,
    login: bool = False,
) -> FastAPI:
    """The application, also as a uvicorn factory.

    Args:
        source: The workspace; None = the folder named by the environment variable `KOHORT_WORKSPACE`.
        live: What keeps the workspace current; started and stopped with the application. None = nothing does, but for
            the factory, which makes one where no other process has.
        inbox: Where tracked events become durable; that of `live` where not given. None = nothing is taken here.
        keys: Who may send events; the workspace's keys where not given.
        limits: What tracking requests may ask.
        login: Everybody has to log in, also while there is no user yet; `KOHORT_LOGIN=yes` says the same.
            So do the settings of an identity provider (`kohort.model.oidc`).
    """
    looks, ask = Looks(), None
    wait, patience = None, 20.0
    if source is None:
        patience = STOP_SECONDS
        folder = os.environ.get(WORKSPACE_VARIABLE, ".")
        source = workspace = _open(folder)
        warming = Warming(folder, looks.keep)
        wait, ask = warming.wait, warming.look
        workspace.kept.behind, workspace.kept.elsewhere = True, warming.document
        live = live or _live(workspace)
    mine = _own(source, looks, ask)
    read = partial(read_documents, source, mine, wait)
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
    app.mount("/static", Files(STATIC), name="static")
    store = store_of(source)
    client = None if store is None else client_here()
    insist = login or os.environ.get(LOGIN_VARIABLE) == "yes" or client is not None
    app.add_middleware(ChartFiles, missing=partial(_problem, source))
    if store is not None:
        app.add_middleware(ApiDoor, store=store, limits=limits)
    app.add_middleware(Guard, store=store, page=partial(_problem, source), insist=insist)
    app.add_middleware(Unforeseen, page=partial(_problem, source))
    app.add_middleware(Spoken)
    app.add_middleware(Compressed)
    app.add_middleware(Protected)
    if inbox is None and live is not None:
        inbox = live.inbox
    app.state.door = tracking.Door(inbox, keys or _keys(source), limits)
    app.add_middleware(tracking.Tracking, door=app.state.door)
    app.add_middleware(Counted, counts=app.state.counts)
    opinions = _opinions(source, mine)
    _pages(app, source, read, opinions)
    if mine is not None:
        own_pages(app, mine, read, opinions)
    if opinions is not None:
        feedback_pages(app, opinions, read)
    _people(app, source, mine, read, insist=insist, client=client)
    _finding(app, source, read)
    _machines(app, source)
    _streams(app, source, read)
    _programs(app, source, live)
    app.state.monitor = _monitor(app, source)
    _problems(app, source)
    check_table(app.routes)
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


def _streams(app: FastAPI, source: Source, read: Callable[[], Documents]) -> None:
    """What happens in a workspace, for programs and as a page; a source of found segments alone has no log of entries."""
    from kohort.workspace.workspace import Workspace

    if isinstance(source, Workspace):
        app.state.streams = Streams(source)
        app.state.streams.add_to(app)
        live_pages(app, source, app.state.streams, read)


def _monitor(app: FastAPI, source: Source) -> Monitor:
    from kohort.workspace.workspace import Workspace

    mine = source if isinstance(source, Workspace) else None
    return Monitor(app.state.door, mine, app.state.streams if mine is not None else None)


def _programs(app: FastAPI, source: Source, live: Live | None) -> None:
    """What programs read and change; a source of found segments alone has nothing for them."""
    from kohort.workspace.profile import ProfileDoor
    from kohort.workspace.workspace import Workspace

    if isinstance(source, Workspace):
        api_routes(app, source, ProfileDoor(source, None if live is None else live.profiles.of))


def _people(
    app: FastAPI,
    source: Source,
    mine: OwnSegments | None,
    read: Callable[[], Documents],
    *,
    insist: bool,
    client: Client | None,
) -> None:
    """Single customers, who is one, and who may see that; a source of found segments alone knows nobody by name."""
    from kohort.workspace.workspace import Workspace

    if mine is not None and isinstance(source, Workspace):
        build_pages(app, source, mine, read)
        export_pages(app, source, mine)
        customer_pages(app, source, mine, read)
        identity_pages(app, source, read)
        predict_pages(app, source, mine, read)
        privacy_pages(app, source, read)
        settings_pages(app, source, read, provider=client.provider.label if client else "")
        health_pages(app, source, read)
        first = os.environ.get(FIRST_VARIABLE, "")
        doors = login_pages(app, source, read, insist=insist, first=first, client=client)
        oidc_pages(app, source, doors, client)


def _finding(app: FastAPI, source: Source, read: Callable[[], Documents]) -> None:
    """Finding groups, bringing data in, and the work that goes on; a source of found segments alone only shows them."""
    from kohort.workspace.workspace import Workspace

    if isinstance(source, Workspace):
        discover_pages(app, source, read)
        start_pages(app, source, read)
        job_pages(app, source, read)
        return

    @app.get("/discover", response_class=HTMLResponse)
    def discover() -> Response:
        d = read()
        return HTMLResponse(discover_page(d.shell, d.found)) if d.found else d.start("discover")


def _own(source: Source, looks: Looks, ask: Ask | None) -> OwnSegments | None:
    """What people defined; a source of found segments alone has no definitions."""
    from kohort.workspace.workspace import Workspace

    return OwnSegments(source, looks, ask) if isinstance(source, Workspace) else None


def _opinions(source: Source, mine: OwnSegments | None) -> Team | None:
    """What people say about segments; a source of found segments alone keeps nothing of that."""
    from kohort.workspace.workspace import Workspace

    return Team(source, mine) if mine is not None and isinstance(source, Workspace) else None


def _pages(app: FastAPI, source: Source, read: Callable[[], Documents], opinions: Team | None) -> None:
    # Plain functions on purpose: the framework runs them in a thread, so a slow disk never blocks another reader.
    @app.get("/", response_class=HTMLResponse)
    def overview() -> Response:
        d = read()
        if d.found is None or not d.found.segments:
            return d.start("overview") if d.found is None else HTMLResponse(pages.segments(d.shell, d.found))
        checked = None if opinions is None else opinions.checked()
        return HTMLResponse(pages.overview(d.shell, d.found, d.summary, d.health, checked=checked))

    @app.get("/segments", response_class=HTMLResponse)
    def segments(
        sort: str = "revenue",
        own_sort: Annotated[str, Query(alias="own")] = "written",
        show: str = "all",
        removed: str = "",
    ) -> Response:
        d = read()
        listed = d.listed(own_sort, show, removed)
        if d.found:
            return HTMLResponse(pages.segments(d.shell, d.found, sort=sort, own=listed))
        if listed and (d.own_segments or listed["removed"]):
            return HTMLResponse(own_list.segments(d.shell, d.found, listed))
        return d.start("segments")

    @app.get("/segments/{segment_id}", response_class=HTMLResponse)
    def segment(segment_id: str) -> Response:
        d = read()
        which = d.segment(segment_id)
        assert d.found is not None
        team = None if opinions is None else opinions.of_found(d, which)
        return HTMLResponse(pages.segment(d.shell, d.found, which, team=team))

    @app.get("/segments/{segment_id}/customers", response_class=HTMLResponse)
    def customers(segment_id: str, cursor: int = 0) -> Response:
        d = read()
        which = d.segment(segment_id)
        assert d.found is not None
        cursor = min(max(cursor, 0), which.size)
        page = sight.rows(source.members_page(segment_id, cursor=cursor, limit=PAGE_SIZE), vault_of(source))
        return HTMLResponse(pages.customers(d.shell, d.found, which, page, cursor=cursor))

    @app.get("/map", response_class=HTMLResponse)
    def customer_map(segment: str = "") -> Response:
        d = read()
        if d.found is None or not d.found.map:
            return d.start("map")
        return HTMLResponse(pages.customer_map(d.shell, d.found, highlight=segment))

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
        name = source.name if who.now().role is not None else ""
        shell = pages.Shell(name, source.is_demo, **asking())
    except KohortError:  # kohort.yaml itself is what is wrong
        shell = pages.Shell("", **asking())
    return HTMLResponse(pages.problem(shell, find(title), said(text), said(hint)), status)


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
            return page(
                mark("This page is not here"), mark("The address may be old, or a letter went missing."), "", 404
            )
        return page(mark("That did not work"), mark("The page cannot do this."), "", error.status_code)

    @app.exception_handler(RequestValidationError)
    async def odd_address(request: Request, error: RequestValidationError) -> Response:
        if for_programs(request.url.path):
            return wrong_field(error.errors())
        text = mark("Something in the address is not a number or a name we know.")
        return page(mark("This address is not right"), text, "", 422)

    @app.exception_handler(KohortError)
    async def known(request: Request, error: KohortError) -> Response:
        if for_programs(request.url.path):
            return problem(error)
        status = status_of(error)
        usual = mark("We cannot show this right now")
        title = mark("Not yet") if isinstance(error, NotEnough) else _TITLES.get(status, usual)
        return page(title, error.message, error.hint, status)
