"""Routes of the first steps: a file is brought, looked at, answered about, and read in as a job; or the demo shop is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import KohortError, NeedsAnswer, WrongUsage
from kohort.locale import mark
from kohort.model.source import ROLES, SourceKind
from kohort.views import start as views
from kohort.views.said import said
from kohort.web import begin, forms
from kohort.web.documents import or_none
from kohort.web.jobs import Jobs
from kohort.web.noting import note
from kohort.web.receive import receive

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.workspace.workspace import Workspace

_TEXTS = ("decimal", "sheet", "event", "time_format")
_FIELDS = frozenset({"kind", "day_first", *_TEXTS, *(f"role-{role}" for roles in ROLES.values() for role in roles)})


def start_pages(app: FastAPI, ws: Workspace, read: Callable[[], Documents]) -> None:
    """Adds them to the application."""
    jobs = Jobs(ws)

    @app.get("/start", response_class=HTMLResponse)
    def start(read_in: Annotated[str, Query(alias="read")] = "") -> Response:
        d, done = read(), or_none(partial(jobs.get, read_in))
        if d.found is not None:
            return HTMLResponse(views.bring(d.shell, word=forms.word(), read=done))
        return d.start("", read=done)

    @app.post("/start/demo")
    async def demo(request: Request) -> Response:
        await forms.fields_of(request)
        return await run_in_threadpool(lambda: _to(begin.demo(ws)))

    @app.post("/start/upload")
    async def upload(request: Request) -> Response:
        token = await receive(request, ws.store.uploads)
        await run_in_threadpool(note, ws, "file_brought", "sent by the browser")
        return RedirectResponse(f"/start/{token}", 303)

    @app.post("/start/path")
    async def path(request: Request) -> Response:
        fields = await forms.fields_of(request)

        def named() -> Response:
            place = fields.get("path", "").strip()
            if not place:
                raise WrongUsage(
                    mark("The form names no file."), hint=mark("Write the path of one, of a folder or a pattern.")
                )
            token = ws.store.uploads.name(place)
            note(ws, "file_brought", "on the machine")
            return RedirectResponse(f"/start/{token}", 303)

        return await run_in_threadpool(named)

    @app.get("/start/{upload}", response_class=HTMLResponse)
    def look(upload: str, request: Request) -> Response:
        one = reading(ws, upload, _told(request.query_params))
        return HTMLResponse(views.reading(read().shell, upload, one, word=forms.word()))

    @app.post("/start/{upload}")
    async def take(request: Request, upload: str) -> Response:
        told = _told(await forms.fields_of(request))

        def taken() -> Response:
            one = reading(ws, upload, told)
            if one.questions or one.problem:
                return RedirectResponse(f"/start/{upload}?{urlencode(told)}", 303)
            kind, answers = answers_of(told)
            return _to(begin.ingest(ws, upload, kind, answers))

        return await run_in_threadpool(taken)


def _to(job: str) -> Response:
    return RedirectResponse(f"/jobs/{job}", 303)


def reading(ws: Workspace, token: str, told: Mapping[str, str]) -> views.Reading:
    """How a brought file would be read with what was answered.

    Raises:
        NotFound: There is no such file, or not any more.
    """
    path = ws.store.uploads.path(token)
    kind, answers = answers_of(told)
    columns: list[str] = []
    try:
        columns = ws.columns_of([path])
        known = None if told else ws.stored_mapping([path])
        found = ws.propose([path], kind=kind, answers=answers)
    except NeedsAnswer as error:
        return views.Reading(path.name, columns, told.get("kind", ""), told, questions=error.questions)
    except KohortError as error:
        return views.Reading(path.name, columns, told=told, problem=said(error))
    name = "" if known is None else known.name
    return views.Reading(path.name, columns, found.mapping.kind, told, found.examples, found.notes, known=name)


def answers_of(told: Mapping[str, str]) -> tuple[SourceKind | None, dict[str, Any]]:
    """What was answered in a form, as `Workspace.propose` takes it."""
    columns = {name.removeprefix("role-"): value for name, value in told.items() if name.startswith("role-")}
    answers: dict[str, Any] = {name: told[name] for name in _TEXTS if name in told}
    if columns:
        answers["columns"] = columns
    if told.get("day_first") in ("yes", "no"):
        answers["day_first"] = told["day_first"] == "yes"
    kind = told.get("kind")
    return (kind if kind in ROLES else None), answers


def _told(fields: Mapping[str, str]) -> dict[str, str]:
    """What was answered; what is left open is left out."""
    return {name: value for name, value in fields.items() if name in _FIELDS and value}
