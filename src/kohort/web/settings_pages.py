"""Routes of the settings. People and keys are changed by somebody who is logged in; what stands in kohort.yaml is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.definitions.retention import write_retention
from kohort.errors import NotFound, WrongUsage
from kohort.locale import find, mark
from kohort.views import settings as views
from kohort.views.said import said
from kohort.web import forms, who
from kohort.web.noting import note
from kohort.web.privacy_pages import by_name, check_sure
from kohort.workspace.sources import listed as sources_of

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.workspace.workspace import Workspace

DONE = {
    "add": mark("May log in now. Tell her the password; she can change it on her own page."),
    "expect": mark("May log in through the identity provider now: the first one to come whom it calls so."),
    "role": mark("Has another role, and logs in again."),
    "password": mark("Has another password, and logs in again."),
    "remove": mark("May log in no more."),
    "revoke": mark("The key is revoked."),
}
Fields = Mapping[str, str]


def settings_pages(app: FastAPI, ws: Workspace, read: Callable[[], Documents], *, provider: str = "") -> None:
    """Adds them to the application.

    Args:
        read: The documents around every page, as they are now.
        provider: The identity provider through which people log in, too; empty = none.
    """

    def shown(problem: str = "", done: str = "", new_key: tuple[str, str] | None = None) -> Response:
        text = views.settings(
            read().shell,
            users=ws.users.list(),
            keys=ws.keys.list(),
            connections=ws.connections.listed(),
            destinations=ws.triggers.destinations(),
            sources=sources_of(ws),
            retention=write_retention(ws.config.retention),
            zone=ws.zone,
            problem=problem,
            done=done,
            new_key=new_key,
            provider=provider,
        )
        return HTMLResponse(text, 400 if problem else 200)

    @app.get("/settings", response_class=HTMLResponse)
    def settings(done: str = "") -> Response:
        return shown(done=find(DONE.get(done, "")))

    async def changed(request: Request, change: Callable[[Workspace, Fields], Response | str]) -> Response:
        """Does what a form says; where that cannot be, the page says why."""
        fields = await forms.fields_of(request)

        def done() -> Response:
            by_name()
            try:
                told = change(ws, fields)
            except (NotFound, WrongUsage) as error:
                return shown(problem=said(error))
            return RedirectResponse(f"/settings?done={told}", 303) if isinstance(told, str) else told

        return await run_in_threadpool(done)

    @app.post("/settings/users")
    async def users(request: Request) -> Response:
        return await changed(request, change_user)

    @app.post("/settings/keys")
    async def keys(request: Request) -> Response:
        def change(ws: Workspace, fields: Fields) -> Response | str:
            if fields.get("do") == "revoke":
                return revoke_key(ws, fields)
            return shown(new_key=add_key(ws, fields))

        return await changed(request, change)


def change_user(ws: Workspace, fields: Fields) -> str:
    """Adds or removes somebody, or gives her another role or password. The users note it themselves.

    Raises:
        NotFound: Nobody has this name.
        WrongUsage: The form does not say what is meant, or it cannot be done.
    """
    name, by, do = fields.get("name", "").strip(), who.now().by, fields.get("do", "")
    match do:
        case "add" if fields.get("way") == "provider":
            ws.users.expect(name, fields.get("role", ""), by=by)
            return "expect"
        case "add":
            ws.users.add(name, fields.get("role", ""), fields.get("password", ""), by=by)
        case "role":
            ws.users.set_role(name, fields.get("role", ""), by=by)
        case "password":
            ws.users.set_password(name, fields.get("password", ""), by=by)
        case "remove":
            check_sure(fields)
            ws.users.remove(name, by=by)
        case _:
            raise WrongUsage(mark("The form does not say what is meant."))
    return do


def add_key(ws: Workspace, fields: Fields) -> tuple[str, str]:
    """Makes a key: its name and its text, which is kept nowhere."""
    name, scope = fields.get("name", "").strip(), fields.get("scope", "")
    if fields.get("do") != "add":
        raise WrongUsage(mark("The form does not say what is meant."))
    text = ws.keys.add(name, scope)
    note(ws, "key_added", f"{name}, {scope}")
    return name, text


def revoke_key(ws: Workspace, fields: Fields) -> str:
    """Ends a key."""
    check_sure(fields)
    name = fields.get("name", "")
    ws.keys.revoke(name)
    note(ws, "key_revoked", name)
    return "revoke"
