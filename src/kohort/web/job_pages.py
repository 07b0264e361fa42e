"""Routes of the pages about long work: how far one piece is, and stopping it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.locale import find
from kohort.views.jobs import job as job_page
from kohort.web import begin, forms, who
from kohort.web.job_kinds import kind_of
from kohort.web.jobs import Jobs

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.workspace.workspace import Workspace


def job_pages(app: FastAPI, ws: Workspace, read: Callable[[], Documents]) -> None:
    """Adds them to the application."""
    jobs = Jobs(ws)

    @app.get("/jobs/{id}", response_class=HTMLResponse)
    def job(id: str, wait: bool = False) -> Response:  # noqa: A002
        one = jobs.get(id)
        kind = kind_of(one)
        if wait and one.state == "done":
            return RedirectResponse(kind.address(one), 303)
        text = job_page(
            read().shell,
            one,
            title=find(kind.title),
            by="" if one.by == who.PAGES else one.by,
            onward=kind.address(one),
            button=find(kind.button),
            zone=ws.zone,
            now=time.time_ns() // 1_000,
            before=jobs.latest(one.kind, "done"),
            stops=kind.stops,
            half_way=find(kind.half_way),
        )
        return HTMLResponse(text)

    @app.post("/jobs/{id}/stop")
    async def stop(request: Request, id: str) -> Response:  # noqa: A002
        await forms.fields_of(request)

        def stopped() -> Response:
            begin.stop(ws, id)
            return RedirectResponse(f"/jobs/{id}", 303)

        return await run_in_threadpool(stopped)
