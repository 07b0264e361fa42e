"""Routes of the pages about predictions: what is predicted and how well, who is likely, what customers will be worth.

Whatever takes long is begun here and goes on as a job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import WrongUsage
from kohort.views import predictions as views
from kohort.views import worth as worth_views
from kohort.web import begin, forms, sight
from kohort.web.documents import or_none
from kohort.web.job_kinds import line_of
from kohort.web.jobs import Jobs
from kohort.web.noting import note

if TYPE_CHECKING:
    from kohort.model.feature import FeatureInfo
    from kohort.web.documents import Documents
    from kohort.web.own import OwnSegments
    from kohort.workspace.likely import Order
    from kohort.workspace.workspace import Workspace

FEW, MANY = 20, 50
"""Customers on a page, with reasons and without."""


def predict_pages(app: FastAPI, ws: Workspace, own: OwnSegments, read: Callable[[], Documents]) -> None:
    """Adds them to the application.

    Args:
        read: The documents around every page, as they are now.
    """
    jobs = Jobs(ws)

    @app.get("/predictions", response_class=HTMLResponse)
    def listed() -> Response:
        d = read()
        told = or_none(ws.predict.overview)
        if told is None:
            return d.start("predictions")
        works = [line_of(job) for job in jobs.running() if job.kind.startswith("predict-")]
        return HTMLResponse(views.predictions(d.shell, told, works, zone=ws.zone, currency=ws.currency))

    @app.get("/predictions/{name}", response_class=HTMLResponse)
    def one(name: str, part: str = "") -> Response:
        line = ws.predict.show(_full(name, part))
        work = jobs.lately(*(f"predict-{do}" for do in begin.PREDICTING), name=line["name"])
        return HTMLResponse(views.prediction(read().shell, line, work, own.titles(), zone=ws.zone))

    @app.post("/predictions/{name}")
    async def asked(request: Request, name: str) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(_asked, ws, name, fields)

    @app.get("/predictions/{name}/customers", response_class=HTMLResponse)
    def likely(
        name: str, part: str = "", order: str = "most", cursor: Annotated[int, Query(ge=0, le=10_000_000)] = 0
    ) -> Response:
        full = _full(name, part)
        line = ws.predict.line(full)
        how: Order = "least" if order == "least" else "most"
        some = or_none(lambda: ws.predict.likely(full, cursor=cursor, limit=FEW, order=how))
        if some is None:
            return RedirectResponse(views.href(full), 303)  # where it says that nobody's is worked out
        text = views.likely(
            read().shell,
            line,
            sight.document(some, ws.store.vault),
            order=how,
            cursor=cursor,
            features=infos(ws),
            zone=ws.zone,
            currency=ws.currency,
        )
        return HTMLResponse(text)

    @app.get("/value", response_class=HTMLResponse)
    def value() -> Response:
        told = (or_none(ws.predict.overview) or {}).get("value")
        report = or_none(ws.predict.value.report)
        work = jobs.lately(begin.VALUE)
        return HTMLResponse(worth_views.value(read().shell, told, report, work, zone=ws.zone))

    @app.post("/value")
    async def fit(request: Request) -> Response:
        fields = await forms.fields_of(request)

        def begun() -> Response:
            horizon = fields.get("horizon", "")
            if horizon not in begin.HORIZONS:
                raise WrongUsage("The form does not say how far ahead.")
            begin.value(ws, horizon)
            return RedirectResponse("/value", 303)

        return await run_in_threadpool(begun)

    @app.get("/value/customers", response_class=HTMLResponse)
    def worth(cursor: Annotated[int, Query(ge=0, le=10_000_000)] = 0) -> Response:
        some = or_none(lambda: ws.predict.value.best(cursor=cursor, limit=MANY))
        if some is None:
            return RedirectResponse("/value", 303)
        told = sight.document(some, ws.store.vault)
        return HTMLResponse(worth_views.worth(read().shell, told, cursor=cursor, zone=ws.zone, currency=ws.currency))


def infos(ws: Workspace) -> list[FeatureInfo]:
    """How to speak about what is looked at."""
    columns = ws.store.log.columns()
    return [definition.info(columns) for definition in ws.definitions()]


def card_of(ws: Workspace, code: str) -> dict[str, Any] | None:
    """What the page of one customer shows of predictions; None where nothing is predicted of her."""
    told = ws.predict.of_customer(code)
    if not told["predictions"] and told["value"] is None:
        return None
    lines = [ws.predict.line(one["name"]) for one in told["predictions"]]
    return views.of_customer(told, lines, infos(ws), zone=ws.zone, currency=ws.currency)


def _asked(ws: Workspace, name: str, fields: Mapping[str, str]) -> Response:
    """What a form asks for: a job, or another version at once."""
    full = _full(name, fields.get("part", ""))
    target = ws.predict.target(full)
    do = fields.get("do", "")
    if do == "rollback":
        ws.predict.rollback(target.name, to=fields.get("version", ""))
        note(ws, "rolled_back", target.name)
    elif do in begin.PREDICTING:
        begin.predict(ws, do, target.name, _costs(fields) if do == "train" else {})
    else:
        raise WrongUsage("The form does not say what is meant.")
    return RedirectResponse(views.href(target.name), 303)


def _costs(fields: Mapping[str, str]) -> dict[str, float]:
    """What mistakes cost, where the form says it."""
    if not fields.get("missed"):
        return {}
    try:
        found = {key: float(fields.get(key, "").replace(",", ".")) for key in ("missed", "alarm")}
    except ValueError:
        raise WrongUsage("Costs are numbers above 0, as 2.5.") from None
    if not all(0 < cost < 1e9 for cost in found.values()):
        raise WrongUsage("Costs are numbers above 0, as 2.5.")
    return found


def _full(name: str, part: str) -> str:
    return f"{name}/{part}" if part else name
