"""Routes of the privacy centre. Whoever answers for a customer's data has a name: nothing is done here while nobody logs in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.definitions.retention import write_retention
from kohort.errors import BadInput, Busy, NotFound, WrongUsage
from kohort.locale import find, mark
from kohort.model.access import Act
from kohort.model.clock import DAY_US, parse_instant
from kohort.model.limits import LIMITS
from kohort.views import own_words
from kohort.views import privacy as views
from kohort.views.said import said
from kohort.web import begin, forms, who
from kohort.web.jobs import Jobs
from kohort.web.noting import note

if TYPE_CHECKING:
    from kohort.web.documents import Documents
    from kohort.workspace.workspace import Workspace

AHEAD_US = 30 * DAY_US
MEDIA = {"html": "text/html", "json": "application/json", "csv": "text/csv"}
DONE = {
    "settle": mark("Settled."),
    "reopen": mark("It is open again."),
    "rectify": mark("Corrected."),
    "forbid": mark("Written down. It holds from now on."),
    "allow": mark("Taken back."),
    "consent": mark("Written down."),
}
FOR = {"rectify": "rectification", "erase": "erasure", "consent": "consent"}
"""What a form does → the kind of request it answers; one about a limit answers the kind of that name."""
Fields = Mapping[str, str]
Number = Annotated[int, Path(ge=1, le=10**12)]
REFUSED = (BadInput, Busy, NotFound, WrongUsage)
"""What a page says itself, beside the form."""


def privacy_pages(app: FastAPI, ws: Workspace, read: Callable[[], Documents]) -> None:
    """Adds them to the application.

    Args:
        read: The documents around every page, as they are now.
    """
    answers, jobs = Answers(ws), Jobs(ws)

    def today() -> date:
        return own_words.local_day(time.time_ns() // 1_000, ws.zone)

    def centre(problem: str = "", typed: Fields | None = None) -> Response:
        records = ws.privacy.records
        text = views.centre(
            read().shell,
            ws.privacy.cases.all(),
            purposes=records.purposes(),
            forbidding=records.forbidding(),
            kept_for=write_retention(ws.config.retention),
            last=records.last_expired(),
            today=today(),
            zone=ws.zone,
            problem=problem,
            typed=typed,
        )
        return HTMLResponse(text, 400 if problem else 200)

    @app.get("/privacy", response_class=HTMLResponse)
    def first() -> Response:
        return centre()

    @app.post("/privacy")
    async def receive(request: Request) -> Response:
        fields = await forms.fields_of(request)

        def received() -> Response:
            by_name()
            try:
                number = answers.receive(fields)
            except REFUSED as error:
                note(ws, "looked_at_members", "/privacy")  # the list of who asked what is on this page, too
                return centre(said(error), fields)
            return RedirectResponse(f"/privacy/requests/{number}", 303)

        return await run_in_threadpool(received)

    def shown(number: int, problem: str = "", done: str = "") -> Response:
        case = ws.privacy.cases.one(number)
        if case["code"]:
            note(ws, "looked_at_customer", f"request {number}", [case["code"]])
        text = views.request(
            read().shell,
            case,
            said=ws.privacy.consent(case["code"]) if case["code"] else None,
            work=jobs.lately("erase", number=number),
            unfinished=answers.half_erased(case),
            today=today(),
            zone=ws.zone,
            problem=problem,
            done=done,
        )
        return HTMLResponse(text, 400 if problem else 200)

    @app.get("/privacy/requests/{number}", response_class=HTMLResponse)
    def one(number: Number, done: str = "") -> Response:
        by_name()
        return shown(number, done=find(DONE.get(done, "")))

    @app.post("/privacy/requests/{number}")
    async def act(request: Request, number: Number) -> Response:
        fields = await forms.fields_of(request)

        def acted() -> Response:
            by_name()
            try:
                return RedirectResponse(answers.act(number, fields), 303)
            except REFUSED as error:
                ws.privacy.cases.one(number)  # where it is the request that is not there, that is another page
                return shown(number, problem=said(error))

        return await run_in_threadpool(acted)

    @app.get("/privacy/requests/{number}/export")
    def export(number: Number, form: Literal["html", "json", "csv"] = "html") -> Response:
        by_name()
        text = answers.export(number, form)
        name = {"Content-Disposition": f'attachment; filename="request-{number}.{form}"'}
        return Response(text, media_type=MEDIA[form], headers=name)

    @app.get("/privacy/receipts/{name}", response_class=HTMLResponse)
    def receipt(name: str) -> Response:
        return HTMLResponse(views.receipt(read().shell, ws.privacy.records.receipt(name), ws.zone))

    @app.get("/privacy/records")
    def records(form: Literal["html", "json"] = "html") -> Response:
        told = ws.privacy.records.register()
        if form == "json":
            return JSONResponse(told, headers={"Content-Disposition": 'attachment; filename="records.json"'})
        return HTMLResponse(views.records(read().shell, told))

    def clocks(problem: str = "") -> Response:
        text = views.retention(
            read().shell,
            ws.privacy.expiring(),
            ws.privacy.expiring(AHEAD_US),
            last=ws.privacy.records.last_expired(),
            work=jobs.lately("expire"),
            zone=ws.zone,
            problem=problem,
        )
        return HTMLResponse(text, 400 if problem else 200)

    @app.get("/privacy/retention", response_class=HTMLResponse)
    def retention() -> Response:
        return clocks()

    @app.post("/privacy/retention")
    async def expire(request: Request) -> Response:
        fields = await forms.fields_of(request)

        def expired() -> Response:
            by_name()
            try:
                check_sure(fields)
                return RedirectResponse(f"/jobs/{begin.expire(ws)}", 303)
            except REFUSED as error:
                return clocks(said(error))

        return await run_in_threadpool(expired)


class Answers:
    """What the forms of the privacy centre do. Each act is written down with who did it; called in threads."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._acts: dict[str, Callable[[dict[str, Any], Fields], str]] = {
            "settle": self._settle,
            "reopen": self._reopen,
            "rectify": self._rectify,
            "erase": self._erase,
            "forbid": self._forbid,
            "allow": self._allow,
            "consent": self._consent,
        }

    def receive(self, fields: Fields) -> int:
        """Writes a request down and says its number."""
        day = fields.get("received", "").strip()
        case = self._ws.privacy.cases.receive(
            fields.get("kind", ""),
            fields.get("number", ""),
            by=who.now().by,
            way=fields.get("way", ""),
            received=parse_instant(day, zone=self._ws.zone) if day else None,
        )
        number = int(case["number"])
        note(self._ws, "request_received", f"request {number}, {case['kind']}", [case["code"]])
        return number

    def act(self, number: int, fields: Fields) -> str:
        """Does what a form says about a request; answers the address to look at then.

        Raises:
            WrongUsage: The form does not say what is meant, or it cannot be done.
        """
        do = fields.get("do", "")
        if do not in self._acts:
            raise WrongUsage(mark("The form does not say what is meant."))
        case = self._ws.privacy.cases.one(number)
        if do not in ("reopen", "settle"):
            self._check(case, FOR.get(do, fields.get("limit")))
        return self._acts[do](case, fields) or f"/privacy/requests/{number}?done={do}"

    def half_erased(self, case: Mapping[str, Any]) -> bool:
        """Whether an erasure was interrupted, perhaps of whom this request is about: nothing tells any more."""
        if case["kind"] != "erasure" or case["code"] is not None or case["done"] is not None:
            return False
        return any(one["step"] != "done" for one in self._ws.privacy.requests())

    def export(self, number: int, form: str) -> str:
        """Everything about whom a request is about; written down before it is given out."""
        case = self._ws.privacy.cases.one(number)
        if case["code"] is None:
            raise WrongUsage(mark("She was erased, and nothing is kept about her."))
        note(self._ws, "exported", f"request {number}", [case["code"]])
        return self._ws.privacy.as_text(self._ws.privacy.export(case["code"]), f".{form}")

    def _check(self, case: Mapping[str, Any], asks: str | None) -> None:
        """Refuses what a request does not ask for, or what cannot be done about it any more."""
        if case["done"] is not None:
            raise WrongUsage(mark("This request is settled."))
        if case["kind"] != asks:
            raise WrongUsage(mark("This request asks for something else."))
        if case["code"] is None and not self.half_erased(case):
            raise WrongUsage(mark("She was erased already."))

    def _settle(self, case: dict[str, Any], fields: Fields) -> str:
        outcome = fields.get("outcome", "")
        self._ws.privacy.cases.settle(case["number"], outcome, by=who.now().by)
        self._note("request_settled", case, outcome)
        return ""

    def _reopen(self, case: dict[str, Any], _: Fields) -> str:
        self._ws.privacy.cases.reopen(case["number"])
        self._note("request_reopened", case)
        return ""

    def _rectify(self, case: dict[str, Any], fields: Fields) -> str:
        wrong, right = fields.get("wrong", ""), fields.get("right", "")
        kind, said = fields.get("kind", ""), _evidence(fields)
        told = self._ws.privacy.rectify(case["code"], kind, wrong=wrong, right=right, **said)
        return self._done("rectified", case, told["request"])

    def _erase(self, case: dict[str, Any], fields: Fields) -> str:
        check_sure(fields)
        return f"/jobs/{begin.erase(self._ws, case['number'])}"

    def _forbid(self, case: dict[str, Any], fields: Fields) -> str:
        told = self._ws.privacy.forbid(_limit(fields), [case["code"]], **_evidence(fields))
        return self._done("forbade", case, told["request"])

    def _allow(self, case: dict[str, Any], fields: Fields) -> str:
        told = self._ws.privacy.allow(_limit(fields), [case["code"]], **_evidence(fields))
        return self._done("allowed", case, told["request"])

    def _consent(self, case: dict[str, Any], fields: Fields) -> str:
        if fields.get("agreed") not in ("yes", "no"):
            raise WrongUsage(mark("Say whether she agreed."))
        day, purpose = fields.get("at", "").strip(), fields.get("purpose", "")
        self._ws.privacy.record_consent(
            case["code"],
            purpose,
            fields["agreed"] == "yes",
            **_evidence(fields),
            at=parse_instant(day, zone=self._ws.zone) if day else None,
        )
        return self._done("recorded_consent", case, about=purpose)

    def _done(self, act: Act, case: dict[str, Any], receipt: str = "", about: str = "") -> str:
        """What was asked is done: written down, and the request is settled."""
        self._note(act, case, receipt or about)
        self._ws.privacy.cases.settle(case["number"], by=who.now().by, receipt=receipt)
        return ""

    def _note(self, act: Act, case: dict[str, Any], about: str = "") -> None:
        told = f"request {case['number']}{', ' if about else ''}{about}"
        note(self._ws, act, told, [case["code"]] if case["code"] else [])


def by_name() -> None:
    """Refuses where nobody is logged in: what is done about a person's data is done by somebody.

    Raises:
        WrongUsage: See above.
    """
    if not who.now().name:
        raise WrongUsage(
            mark("This needs a login, so that it is known who did it."),
            hint=mark("Make the first user: kohort users add NAME --role administrator"),
        )


def check_sure(fields: Fields) -> None:
    """Refuses what cannot be undone where the form does not say that this is known."""
    if fields.get("sure") != "yes":
        raise WrongUsage(mark("Say that you know that this cannot be undone."))


def _limit(fields: Fields) -> Any:
    if fields.get("limit") not in LIMITS:
        raise WrongUsage(mark("The form does not say what is meant."))
    return fields["limit"]


def _evidence(fields: Fields) -> dict[str, Any]:
    return {"source": fields.get("source", ""), "proof": fields.get("proof", "")}
