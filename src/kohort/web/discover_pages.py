"""Routes of the page where groups are found, compared, adopted and taken back. What takes long is a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import WrongUsage
from kohort.locale import mark
from kohort.model.job import Job
from kohort.model.segmentation import Candidate, Estimate, Segmentation
from kohort.views import discover as views
from kohort.views import own_words as say
from kohort.web import begin, forms
from kohort.web.jobs import Jobs
from kohort.workspace.found import found_last

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.workspace.workspace import Workspace

_WAYS = {way for way, *_ in views.WAYS} | {"mixture"}
_MOST_GROUPS = 12


def discover_pages(app: FastAPI, ws: Workspace, read: Callable[[], Documents]) -> None:
    """Adds them to the application."""
    jobs = Jobs(ws)

    @app.get("/discover", response_class=HTMLResponse)
    def discover(segment: str = "") -> Response:
        d, found, known = read(), found_last(ws), jobs.all()
        going = next((job for job in known if job.kind == "discover" and job.running), None)
        if found is None:
            return RedirectResponse(f"/jobs/{going.id}", 303) if going else d.start("discover")
        return HTMLResponse(views.discover(d.shell, _shown(found), run_of(ws, found, known), highlight=segment))

    @app.post("/discover")
    async def look(request: Request) -> Response:
        fields = await forms.fields_of(request)

        return await run_in_threadpool(lambda: _to(begin.discover(ws, **_asked(fields))))

    @app.post("/discover/adopt")
    async def adopt(request: Request) -> Response:
        fields = await forms.fields_of(request)

        chosen = [name for name, value in fields.items() if value == "yes" and name not in ("segmentation", "name")]
        of, name = fields.get("segmentation", ""), fields.get("name", "")
        return await run_in_threadpool(lambda: _to(begin.adopt(ws, of, name, chosen)))

    @app.post("/discover/undo")
    async def undo(request: Request) -> Response:
        fields = await forms.fields_of(request)

        return await run_in_threadpool(lambda: _to(begin.take_back(ws, fields.get("name", ""))))


def _to(job: str) -> Response:
    return RedirectResponse(f"/jobs/{job}", 303)


def run_of(ws: Workspace, found: Segmentation, known: list[Job]) -> views.Run:
    """What goes on about groups, and what was done with those that were found last."""
    runs = [job for job in known if job.kind == "discover"]
    adopted = {row["name"]: row for row in ws.segmentations() if row["adopted"]}
    latest = sorted(adopted.values(), key=lambda row: -row["created_us"])
    mine = next((row for row in latest if row["id"] == found.id), None)
    kept = ws.store.state.segmentation(mine["name"]) if mine else None
    return views.Run(
        word=forms.word(),
        running=next((job for job in runs if job.running), None),
        failed=runs[0] if runs and runs[0].state in ("failed", "stopped") else None,
        adopted=mine["name"] if mine else "",
        since=say.day(mine["created_us"], ws.zone) if mine else "",
        kept=len(kept.segments) if kept else 0,
        names=tuple(row["name"] for row in latest),
        compared=_compared(found, runs),
    )


def _compared(found: Segmentation, runs: list[Job]) -> tuple[Candidate, ...]:
    """What the last comparison of all ways measured, where it looked at the same customers at the same moment."""
    same = (found.as_of, found.customers)
    for job in runs:
        asked = job.arguments.get("algorithm") == "auto" and job.arguments.get("k") is None
        if asked and job.result and (job.result["as_of"], job.result["customers"]) == same:
            return tuple(_candidate(one) for one in job.result["candidates"])
    return ()


def _candidate(told: Mapping[str, Any]) -> Candidate:
    stability = Estimate(**told["stability"]) if told["stability"] else None
    return replace(Candidate(**told), stability=stability)


def _asked(fields: Mapping[str, str]) -> dict[str, Any]:
    """What a form asks for.

    Raises:
        WrongUsage: There is no such way or number.
    """
    way, k = fields.get("algorithm", "auto"), fields.get("k", "")
    if way not in _WAYS or (k and not (k.isascii() and k.isdigit() and 2 <= int(k) <= _MOST_GROUPS)):
        raise WrongUsage(
            mark("There is no such way of grouping, or number of groups."), hint=mark("Choose one on the page.")
        )
    return {"algorithm": way, "k": int(k) if k and way != "hdbscan" else None}


def _shown(found: Segmentation) -> Segmentation:
    """Without examples: no single customer is on this page."""
    return replace(found, segments=tuple(replace(s, typical=(), edge=(), odd=()) for s in found.segments))
