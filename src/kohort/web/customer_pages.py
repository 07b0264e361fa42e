"""Routes of the pages about single customers: finding one, one from all sides, and whether two are one. The forms on them decide
about merges; every decision is in the log and can be taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import WrongUsage
from kohort.model.event import GROUPS
from kohort.views.customer import MORE
from kohort.views.customer import customer as customer_page
from kohort.views.customer import search as search_page
from kohort.views.review import review as review_page
from kohort.web import forms, sight, who
from kohort.web.acts import note
from kohort.web.own import OwnSegments

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.workspace.workspace import Workspace

FEW = 50
"""Events on a page at first."""


def customer_pages(app: FastAPI, ws: Workspace, own: OwnSegments, read: Callable[[], Documents]) -> None:
    """Adds them to the application.

    Args:
        read: The documents around every page, as they are now.
    """

    @app.get("/customers", response_class=HTMLResponse)
    def search() -> Response:
        return HTMLResponse(search_page(read().shell, forms.word()))

    @app.post("/customers", response_class=HTMLResponse)
    async def find(request: Request) -> Response:
        # What is looked for is in the body: addresses of pages are kept by browsers and proxies.
        fields = await forms.fields_of(request)
        return await run_in_threadpool(_found, fields.get("who", ""))

    def _found(text: str) -> Response:
        people = ws.customers.search(text)["customers"] if text.strip() else []
        if len(people) == 1:
            return _to(f"/customers/{people[0]['code']}")
        note(ws, "looked_at_customer", codes=[person["code"] for person in people])
        return HTMLResponse(search_page(read().shell, forms.word(), people))

    @app.get("/customers/{code}", response_class=HTMLResponse)
    def customer(code: str, source: str | None = None, events: Annotated[int, Query(ge=1, le=MORE)] = FEW) -> Response:
        sight.check_code(code)
        d, columns = read(), ws.store.log.columns()
        text = customer_page(
            d.shell,
            own.all(),
            sight.customer(ws.customers.show(code, events=events, source=source), ws.store.vault),
            titles=own.titles(),
            features=[definition.info(columns) for definition in ws.definitions()],
            source=source,
            most=events,
            word=forms.word(),
        )
        return HTMLResponse(text)

    @app.post("/customers/{code}/split")
    async def split(request: Request, code: str) -> Response:
        fields = await forms.fields_of(request)

        def apart() -> Response:
            ws.identity.split(code, fields.get("other", ""), by=who.now().by)
            note(ws, "split", codes=[code])
            return _to(f"/customers/{code}")

        return await run_in_threadpool(apart)

    @app.post("/customers/{code}/group")
    async def group(request: Request, code: str) -> Response:
        fields = await forms.fields_of(request)

        def decided() -> Response:
            level = next((one for one in GROUPS if one == fields.get("level")), None)
            if level is None or fields.get("say") not in ("alone", "reset"):
                raise WrongUsage("The form does not say what is meant.")
            if fields["say"] == "alone":
                ws.groups.put(code, level)
            else:
                ws.groups.reset(code, level)
            note(ws, "grouped", level, [code])
            return _to(f"/customers/{code}")

        return await run_in_threadpool(decided)

    @app.get("/identity", response_class=HTMLResponse)
    def review(after: int | None = None, done: int | None = None) -> Response:
        text = review_page(
            read().shell,
            ws.identity.question(after),
            decisions=ws.identity.log()["decisions"],
            done=done,
            zone=ws.zone,
            word=forms.word(),
        )
        return HTMLResponse(text)

    @app.post("/identity")
    async def answer(request: Request) -> Response:
        fields = await forms.fields_of(request)

        def answered() -> Response:
            number, say = _number(fields, "question"), fields.get("say")
            if say not in ("same", "different"):
                raise WrongUsage("Say whether they are one customer or two.")
            accept, reject = ([number], []) if say == "same" else ([], [number])
            made = ws.identity.answer(accept, reject, by=who.now().by)["decisions"]
            note(ws, "said_one_customer" if accept else "said_two_customers", f"question {number}")
            return _to("/identity", done=made[0] if made else None)

        return await run_in_threadpool(answered)

    @app.post("/identity/undo")
    async def undo(request: Request) -> Response:
        fields = await forms.fields_of(request)

        def undone() -> Response:
            decision = _number(fields, "decision")
            ws.identity.take_back(decision, by=who.now().by)
            note(ws, "took_back", f"decision {decision}")
            return _to("/identity")

        return await run_in_threadpool(undone)


def _number(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not text.isascii() or not text.isdigit():
        raise WrongUsage("The form does not say which one is meant.")
    return int(text)


def _to(address: str, **query: int | None) -> Response:
    """The page to look at after a form: loading it again sends nothing twice."""
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return RedirectResponse(f"{address}?{asked}" if asked else address, 303)
