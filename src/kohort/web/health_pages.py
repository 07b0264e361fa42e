"""Routes of rows that could not be used: why, checking by hand what cleaning rules did, and reading them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort import locale
from kohort.errors import Busy, NotFound, WrongUsage
from kohort.views import checks as views
from kohort.views.said import said
from kohort.web import begin, forms
from kohort.web.jobs import Jobs
from kohort.web.noting import note
from kohort.workspace.cleaning import mark, queue, standings
from kohort.workspace.rejected import FEW, reasons, rows

if TYPE_CHECKING:
    from kohort.health.cleaning import Standing
    from kohort.web.documents import Documents
    from kohort.workspace.workspace import Workspace


def health_pages(app: FastAPI, ws: Workspace, read: Callable[[], Documents]) -> None:
    """Adds them to the application.

    Args:
        read: The documents around every page, as they are now.
    """
    jobs = Jobs(ws)

    @app.get("/data-health/checks/{name}", response_class=HTMLResponse)
    def check(name: str, row: int | None = None) -> Response:
        rule = _rule(ws, name)
        known = rule.known.marks or {}
        done = {"id": row, "right": known[row]} if row is not None and row in known else None
        return HTMLResponse(views.check(read().shell, rule.as_dict(), queue(ws, name, 1), done=done))

    @app.post("/data-health/checks/{name}")
    async def judge(request: Request, name: str) -> Response:
        fields = await forms.fields_of(request)

        def judged() -> Response:
            row, say = fields.get("row", ""), fields.get("say")
            if say not in ("right", "wrong") or not (row.isascii() and row.isdigit() and len(row) < 19):
                raise WrongUsage(locale.mark("The form does not say what is meant."))
            right = say == "right"
            mark(ws, name, [int(row)] if right else [], [] if right else [int(row)])
            note(ws, "judged_row", f"{name}, row {row}: {say}")
            return RedirectResponse(f"{request.url.path}?row={row}", 303)

        return await run_in_threadpool(judged)

    def shown(source: str = "", code: str = "", problem: str = "", after: int = 0) -> HTMLResponse:
        some = rows(ws, source=source or None, code=code or None, after=after, limit=FEW + 1)
        text = views.rejected(
            read().shell,
            reasons(ws),
            some[:FEW],
            after=after,
            more=len(some) > FEW,
            chosen=(source, code) if source and code else None,
            rules=[rule.as_dict() for rule in standings(ws)],
            work=jobs.lately("retry"),
            problem=problem,
        )
        return HTMLResponse(text, 400 if problem else 200)

    @app.get("/data-health/rejected", response_class=HTMLResponse)
    def rejected(source: str = "", code: str = "", after: Annotated[int, Query(ge=0, le=2**62)] = 0) -> Response:
        return shown(source, code, after=after)

    @app.post("/data-health/rejected")
    async def retry(request: Request) -> Response:
        await forms.fields_of(request)

        def read_again() -> Response:
            try:
                number = begin.retry(ws)
            except Busy as error:
                return shown(problem=said(error))
            return RedirectResponse(f"/jobs/{number}", 303)

        return await run_in_threadpool(read_again)


def _rule(ws: Workspace, name: str) -> Standing:
    found = {one.rule.name: one for one in standings(ws)}
    if name not in found:
        raise NotFound("cleaning rule", name, found)
    return found[name]
