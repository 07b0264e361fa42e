"""Routes of the pages about segments that people define. Reading only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse, Response

from kohort.errors import NotFound
from kohort.views import own as views
from kohort.views.own_members import ORDERS
from kohort.views.own_members import customers as customers_page
from kohort.views.own_why import why as why_page
from kohort.web import sight
from kohort.web.own import OwnSegments

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.web.team import Team

PAGE_SIZE = 50


def own_pages(app: FastAPI, own: OwnSegments, read: Callable[[], Documents], opinions: Team | None = None) -> None:
    """Adds them to the application.

    Args:
        opinions: What people say about segments.
        read: The documents around every page, as they are now.
    """

    def asked(name: str) -> tuple[Documents, views.Own, views.OwnSegment]:
        d, everything = read(), own.all()
        one = everything.segment(name)
        if one.definition is None:
            raise NotFound("segment", name, [s.name for s in everything.segments if s.definition])
        return d, everything, one

    @app.get("/definitions/{name}", response_class=HTMLResponse)
    def definition(name: str, done: str = "", ran: str = "") -> Response:
        d, everything, one = asked(name)
        run = own.run_of(name)
        if run is not None and run.id == ran and run.state == "done":
            done = "run"
        text = views.segment(
            d.shell,
            everything,
            one,
            own.look(name),
            by_hand=own.by_hand(name),
            titles=own.titles(),
            found=d.found,
            edit=own.edits().get(name),
            done=done,
            running=run.id if run is not None and run.running else "",
            team=None if opinions is None else opinions.of_own(one),
        )
        return HTMLResponse(text)

    @app.get("/definitions/{name}/customers", response_class=HTMLResponse)
    def customers(name: str, part: str = "", after: str = "", cursor: int = 0, order: str = "customer") -> Response:
        d, everything, one = asked(name)
        if part and part not in one.labels:
            raise NotFound(f"part of {one.label!r}", part, one.labels)
        order = order if order in dict(ORDERS) else "customer"
        skip = min(max(cursor, 0), one.about.size)
        members = sight.members(own.members(one, part, after, PAGE_SIZE, order=order, skip=skip))
        if order == "customer":
            # `after` says where the page begins; how many came before is counted along for people.
            skip = min(skip, max(members.size - len(members.rows), 0)) if after else 0
        return HTMLResponse(customers_page(d.shell, everything, one, members, part=part, cursor=skip, order=order))

    @app.get("/definitions/{name}/customers/{code}", response_class=HTMLResponse)
    def why(name: str, code: str, part: Annotated[str | None, Query()] = None) -> Response:
        d, everything, one = asked(name)
        if part is not None and part not in one.labels:
            raise NotFound(f"part of {one.label!r}", part, one.labels)
        sight.check_code(code)
        person = sight.person(own.why(one, code, part))
        said = {} if opinions is None else opinions.of_customer(name, person.code)
        return HTMLResponse(why_page(d.shell, everything, one, person, **said))

    @app.get("/lifecycle", response_class=HTMLResponse)
    def lifecycle(of: str = "") -> Response:
        d, everything = read(), own.all()
        found = {s.name: s for s in everything.lifecycles}
        if not found or (of and of not in found):
            raise NotFound("definition of stages", of, found)
        one = found[of] if of else next(iter(found.values()))
        return HTMLResponse(views.lifecycle(d.shell, everything, one, own.look(one.name)))
