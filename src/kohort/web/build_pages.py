"""Routes of the rule builder, and of what can be done to a definition: pause, run, delete, bring back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import KohortError, NotEnough
from kohort.views import build as views
from kohort.views.pages import Shell
from kohort.web import build, forms, running, sight, who
from kohort.web.jobs import Jobs
from kohort.web.noting import note
from kohort.web.shell import asking

if TYPE_CHECKING:
    from kohort.views.build import About, Draft, Tried
    from kohort.web.documents import Documents
    from kohort.web.own import OwnSegments
    from kohort.workspace.workspace import Workspace


def build_pages(app: FastAPI, ws: Workspace, own: OwnSegments, read: Callable[[], Documents]) -> None:
    """Adds them to the application.

    Args:
        read: The documents around every page, as they are now.
    """
    door = _Builder(ws, own, read)

    @app.get("/build", response_class=HTMLResponse)
    def new() -> Response:
        return door.opened()

    @app.get("/build/{name}", response_class=HTMLResponse)
    def change(name: str, rule: str = "") -> Response:
        return door.opened(name, rule)

    @app.post("/build", response_class=HTMLResponse)
    async def sent(request: Request) -> Response:
        fields = await forms.fields_of(request, build.MOST_BYTES)
        return await run_in_threadpool(door.sent, fields)

    @app.post("/build/preview", response_class=HTMLResponse)
    async def preview(request: Request) -> Response:
        fields = await forms.fields_of(request, build.MOST_BYTES)
        return await run_in_threadpool(door.part, fields)

    @app.post("/definitions/{name}/pause")
    async def pause(request: Request, name: str) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(door.pause, name, fields.get("say") != "resume")

    @app.post("/definitions/{name}/run")
    async def run(request: Request, name: str) -> Response:
        await forms.fields_of(request)
        return await run_in_threadpool(door.run, name)

    @app.post("/definitions/{name}/remove")
    async def remove(request: Request, name: str) -> Response:
        await forms.fields_of(request)
        return await run_in_threadpool(door.remove, name)

    @app.post("/definitions/{name}/restore")
    async def restore(request: Request, name: str) -> Response:
        await forms.fields_of(request)
        return await run_in_threadpool(door.restore, name)


class _Builder:
    """What the routes do."""

    def __init__(self, ws: Workspace, own: OwnSegments, read: Callable[[], Documents]) -> None:
        self.ws, self.own, self.read, self.jobs = ws, own, read, Jobs(ws)

    def opened(self, name: str = "", rule: str = "") -> Response:
        """The form as it is opened; where there is no data yet, what to do first."""
        try:
            return self.page(build.opened(self.ws, name, rule))
        except NotEnough:
            return self.read().start("segments")

    def page(self, draft: Draft, said: KohortError | None = None, tried: Tried | None = None) -> Response:
        looked = build.look(self.ws, draft)
        told = build.told([said]) if said is not None else ()
        text = views.build(self.read().shell, draft, looked, self._about(draft), said=told, tried=tried)
        return HTMLResponse(text, 400 if said is not None else 200)

    def part(self, fields: Mapping[str, str]) -> Response:
        """The form without what surrounds it."""
        shell, draft = Shell("", **asking()), build.changed(build.drafted(self.ws, fields), fields.get("do", ""))
        return HTMLResponse(views.form(shell, draft, build.look(self.ws, draft), self._about(draft)))

    def sent(self, fields: Mapping[str, str]) -> Response:
        draft, do = build.drafted(self.ws, fields), fields.get("do", "")
        if do not in ("save", "draft", "try"):
            return self.page(build.changed(draft, do))
        try:
            if do == "try":
                return self.page(draft, tried=self._tried(draft))
            name = build.save(self.ws, draft, live=do == "save", by=who.now().by)
        except KohortError as error:
            if error.code == build.CHANGED:  # she is told once, and then decides
                draft = replace(draft, seen=build.seen(self.ws, draft.of))
            return self.page(draft, error)
        note(self.ws, "segment_saved", name)
        return self._placed(name, "saved") if do == "save" else _to(name, "saved")

    def pause(self, name: str, paused: bool) -> Response:
        change = self.ws.segments.pause if paused else self.ws.segments.resume
        change(name, by=who.now().by)
        note(self.ws, "segment_paused" if paused else "segment_resumed", name)
        return _to(name, "paused") if paused else self._placed(name, "resumed")

    def run(self, name: str) -> Response:
        self.ws.segments.definition(name)
        note(self.ws, "segment_run", name)
        return self._placed(name, "run")

    def remove(self, name: str) -> Response:
        self.ws.segments.remove(name, by=who.now().by)
        note(self.ws, "segment_removed", name)
        return RedirectResponse(f"/segments?{urlencode({'removed': name})}#own", 303)

    def restore(self, name: str) -> Response:
        self.ws.segments.restore(name, by=who.now().by)
        note(self.ws, "segment_restored", name)
        return self._placed(name, "restored")

    def _placed(self, name: str, done: str) -> Response:
        """Members follow; leads to the page of the definition, or to how far it is where that takes long."""
        try:
            job = running.place(self.ws, self.jobs, name)
        except KohortError:  # what was done before is done; why a definition fails stands on its page
            return _to(name, "not_run")
        if job:
            return RedirectResponse(f"/jobs/{job}?wait=1", 303)
        return _to(name, "nothing" if job is None and done == "run" else done)

    def _about(self, draft: Draft) -> About:
        ws, written = self.ws, [s for s in self.own.all().segments if s.definition is not None]
        there = next((s for s in written if s.name == draft.of), None)
        return views.About(
            ws.segments.choices(without=draft.of),
            self.own.titles(),
            ws.zone,
            ws.currency,
            there.definition if there else None,
            there.said if there else {},
            ran=there is not None and bool(there.about.version),
            live=ws.store.kept_current() is not None,
        )

    def _tried(self, draft: Draft) -> Tried:
        """Who would enter and leave; single customers only for those who may see them, which is written down."""
        definition = build.meant(self.ws, draft)
        run = self.ws.segments.dry_run(definition.name, definition)
        if definition.kind == "accounts" or who.now().sight == "nobody":
            return views.Tried(run)
        entering = [str(n) for part in run.edited.parts for n in part.entering_sample]
        leaving = [str(n) for part in run.edited.parts for n in part.leaving_sample]
        vault = self.ws.store.vault
        if seen := sorted({*entering, *leaving}):
            note(self.ws, "looked_at_members", draft.of or draft.title, seen)
        return views.Tried(run, sight.sample(entering, vault), sight.sample(leaving, vault))


def _to(name: str, done: str) -> Response:
    """The page of a definition: loading it again sends nothing twice."""
    return RedirectResponse(f"/definitions/{quote(name, safe='')}?{urlencode({'done': done})}", 303)
