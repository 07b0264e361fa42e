"""All addresses for programs, in the order they are looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from kohort.web.api import opinions, rest, segments
from kohort.web.api.description import description_route
from kohort.web.api.desk import Desk
from kohort.web.api.predictions import predictions
from kohort.web.api.privacy import privacy
from kohort.web.api.work import work
from kohort.web.profile import profile_routes

if TYPE_CHECKING:
    from kohort.workspace.profile import ProfileDoor
    from kohort.workspace.workspace import Workspace


def api_routes(app: FastAPI, ws: Workspace, profiles: ProfileDoor) -> None:
    """Adds them to the application."""
    desk = Desk(app)
    description_route(app)
    profile_routes(desk, profiles)
    segments.looking(desk, ws)
    segments.changing(desk, ws)
    predictions(desk, ws, profiles)
    work(desk, ws)
    rest.data(desk, ws)
    rest.people(desk, ws)
    rest.telling(desk, ws)
    opinions.feedback(desk, ws)
    opinions.identity(desk, ws)
    privacy(desk, ws)
