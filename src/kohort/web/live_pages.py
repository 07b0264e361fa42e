"""What happens right now: the page, and the stream that keeps it so. Without script the page shows the last changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response

from kohort.definitions.triggers import is_hidden
from kohort.views import live as views
from kohort.web import sight, who
from kohort.web.stream import Following, Page, Streams

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.web.who import Who
    from kohort.workspace.workspace import Workspace

BEAT_SECONDS = 5.0
"""How often the figures are sent anew where nobody enters or leaves."""
LONGEST_SECONDS = 1_800.0
"""A page that nobody looks at does not keep a session alive: after half an hour it asks whether to go on."""
MOST_BEHIND = 500
"""What a page that was away for long is not told again: it shows the last changes only."""
PAGE = 200
"""Entries and exits sent at once; the page shows the last fifty of them."""


def live_pages(app: FastAPI, ws: Workspace, streams: Streams, read: Callable[[], Documents]) -> None:
    """Adds them to the application.

    Args:
        streams: Looks whether there is news.
        read: The documents around every page, as they are now.
    """

    @app.get("/live", response_class=HTMLResponse)
    def live() -> Response:
        found = ws.activity.moves()
        told = {
            "now": _now(app, ws),
            "moves": _seen(ws, found)["moves"],
            "last": found["last"],
            "arrivals": ws.activity.arrivals(),
            "sources": ws.activity.sources(),
            "rejected": ws.activity.rejected(),
        }
        return HTMLResponse(views.live(read().shell, told, _labels(ws), zone=ws.zone, people=_people()))

    @app.get("/live/stream")
    def stream(request: Request, after: Annotated[int, Query(ge=0, le=10**18)] = 0) -> Response:
        asks, labels = who.now(), _labels(ws)
        known = request.headers.get("last-event-id", "").strip()
        start = int(known) if known.isascii() and known.isdigit() and len(known) < 19 else after
        how = Following(
            partial(_page, ws, labels),
            BEAT_SECONDS,
            beat=lambda: views.event("now", views.now(_now(app, ws), zone=ws.zone)),
            goes_on=partial(_goes_on, ws, asks),
            seconds=LONGEST_SECONDS,
            over=views.event("over", "over"),
        )
        last = ws.store.members.last_transition()
        return streams.following(min(max(start, last - MOST_BEHIND), last), how)


def _page(ws: Workspace, labels: Mapping[tuple[str, str], str], after: int) -> Page:
    """The next entries and exits, as lines of the page."""
    rows = ws.store.members.transitions(after=after, limit=PAGE).to_pylist()
    if not rows:
        return Page(b"", after)
    shown = [row for row in rows if not is_hidden(row["name"])]
    last = int(rows[-1]["seq"])
    if not shown:
        return Page(f"id: {last}\n\n".encode(), last)
    told = _seen(ws, {"moves": ws.activity.told(reversed(shown))})["moves"]
    text = views.moves(told, labels, zone=ws.zone, people=_people())
    return Page(views.event("moves", text, last), last)


def _seen(ws: Workspace, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same as the one who asks may see customers."""
    if who.now().sight == "nobody":
        hidden = [{**move, "customer_id": None, "code": "", "account": ""} for move in found["moves"]]
        return {**found, "moves": hidden}
    return sight.document(found, ws.store.vault)


def _people() -> bool:
    return who.now().sight != "nobody"


def _labels(ws: Workspace) -> dict[tuple[str, str], str]:
    from kohort.web.own import titles

    return titles(ws)


def _now(app: FastAPI, ws: Workspace) -> dict[str, Any]:
    """How current memberships are, and what a server says of its sources."""
    live = app.state.live
    state = None if live is None else live.state()
    return {**ws.activity.current(), "state": state, "today": list(ws.activity.today().values())}


def _goes_on(ws: Workspace, asks: Who) -> bool:
    """Whether who began to read is still logged in; without a login, whether there is still none."""
    sessions = ws.store.sessions
    return sessions.there(asks.session) if asks.login else not sessions.look("").login
