"""Routes of the pages where people say what they think of segments, and judge single members."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import NotFound, WrongUsage
from kohort.views import feedback as views
from kohort.views.digest import digest_page
from kohort.web import forms, sight
from kohort.web.noting import note
from kohort.web.team import Team
from kohort.workspace.people import is_short_code

if TYPE_CHECKING:
    from kohort.views.own import OwnSegment
    from kohort.web.documents import Documents

VOTES = ("agree", "disagree")
Fields = Mapping[str, str]


def feedback_pages(app: FastAPI, team: Team, read: Callable[[], Documents]) -> None:
    """Adds them to the application.

    Args:
        team: What people said so far.
        read: The documents around every page, as they are now.
    """
    pages = _Pages(team, read)
    _of_definitions(app, pages)
    _of_found(app, pages)
    _of_all(app, pages)


def _of_definitions(app: FastAPI, pages: _Pages) -> None:
    @app.get("/definitions/{name}/feedback", response_class=HTMLResponse)
    def opinions(name: str, done: int | None = None) -> Response:
        return pages.opinions(pages.of_definition(name), done=done)

    @app.post("/definitions/{name}/feedback")
    async def say(request: Request, name: str) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(lambda: pages.say(pages.of_definition(name), fields, fields.get("part", "")))

    @app.get("/definitions/{name}/check", response_class=HTMLResponse)
    def check(name: str, part: str = "", done: int | None = None) -> Response:
        return pages.check(pages.of_definition(name, part), done=done)

    @app.post("/definitions/{name}/check")
    async def judge(request: Request, name: str) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(lambda: pages.judge(pages.of_definition(name, fields.get("part", "")), fields))

    @app.post("/definitions/{name}/by-hand")
    async def decide(request: Request, name: str) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(lambda: pages.decide(pages.of_definition(name), fields))


def _of_found(app: FastAPI, pages: _Pages) -> None:
    @app.get("/segments/{segment_id}/feedback", response_class=HTMLResponse)
    def opinions(segment_id: str, done: int | None = None) -> Response:
        return pages.opinions(pages.of_found(segment_id), done=done)

    @app.post("/segments/{segment_id}/feedback")
    async def say(request: Request, segment_id: str) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(lambda: pages.say(pages.of_found(segment_id), fields, segment_id))

    @app.get("/segments/{segment_id}/check", response_class=HTMLResponse)
    def check(segment_id: str, done: int | None = None) -> Response:
        return pages.check(pages.of_found(segment_id), done=done)

    @app.post("/segments/{segment_id}/check")
    async def judge(request: Request, segment_id: str) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(lambda: pages.judge(pages.of_found(segment_id), fields))


def _of_all(app: FastAPI, pages: _Pages) -> None:
    @app.get("/digest", response_class=HTMLResponse)
    def digest(since: str = "7d") -> Response:
        return HTMLResponse(digest_page(pages.read().shell, pages.team.ws.digest(since), since=since))

    @app.post("/feedback/withdraw")
    async def withdraw(request: Request) -> Response:
        fields = await forms.fields_of(request)
        return await run_in_threadpool(pages.withdraw, fields)


@dataclass(frozen=True, slots=True)
class _Talk:
    """A segment as it is talked about.

    Attributes:
        d: The documents around the page.
        name: As `ws.feedback` calls it.
        part: Of which customers are looked at; "" = of all.
        href: Of its page.
        shown: Makes what is shown of the opinions, as they are then; with `proposals` it takes longer.
        accounts: Whether its members are accounts, which nobody judges one by one.
    """

    d: Documents
    name: str
    part: str
    href: str
    shown: Callable[..., dict[str, object]]
    accounts: bool = False


class _Pages:
    """What the routes do, whatever the segment."""

    def __init__(self, team: Team, read: Callable[[], Documents]) -> None:
        self.team, self.read = team, read

    def of_definition(self, name: str, part: str = "") -> _Talk:
        everything = self.team.own.all()
        one: OwnSegment = everything.segment(name)
        if one.definition is None:
            raise NotFound("segment", name, [s.name for s in everything.segments if s.definition])
        if part and part not in one.labels:
            raise NotFound(f"part of {one.label!r}", part, one.labels)
        shown = partial(self.team.of_own, one)
        return _Talk(self.read(), name, part, one.href, shown, one.about.kind == "accounts")

    def of_found(self, segment_id: str) -> _Talk:
        d = self.read()
        which = d.segment(segment_id)
        shown = partial(self.team.of_found, d, which)
        return _Talk(d, self.team.found(), which.id, self.team.href(which), shown)

    def opinions(self, talk: _Talk, *, problem: str = "", done: int | None = None) -> Response:
        text = views.feedback(talk.d.shell, talk.shown(proposals=True), problem=problem, done=done)
        return HTMLResponse(text, 400 if problem else 200)

    def check(self, talk: _Talk, *, problem: str = "", done: int | None = None) -> Response:
        if talk.accounts:
            raise NotFound("list to check of", talk.name)
        people, columns = self.team.to_check(talk.name, talk.part, talk.href)
        shell, own = talk.d.shell, talk.href.startswith("/definitions/")
        text = views.check(
            shell,
            talk.shown(),
            part=talk.part if own else "",
            people=people,
            columns=columns,
            wrong=self.team.wrong(talk.name, talk.part, talk.href),
            decides=own and shell.may("/definitions/{name}/by-hand", "POST"),
            problem=problem,
            done=self.team.said(done),
        )
        return HTMLResponse(text, 400 if problem else 200)

    def say(self, talk: _Talk, fields: Fields, part: str) -> Response:
        """Keeps an opinion on a segment, or says in place why not."""
        try:
            number = self._kept(talk, fields, part=part)
        except WrongUsage as error:
            return self.opinions(talk, problem=str(error))
        return _to(f"{talk.href}/feedback?done={number}")

    def judge(self, talk: _Talk, fields: Fields) -> Response:
        """Keeps a vote about one member."""
        code = _code(fields)
        try:
            if fields.get("said") not in VOTES:
                raise WrongUsage("The form does not say whether this customer belongs here.")
            number = self._kept(talk, fields, customer=code)
        except WrongUsage as error:
            return self.check(talk, problem=str(error))
        if fields.get("back") == "why" and talk.href.startswith("/definitions/"):
            return _to(f"{talk.href}/customers/{code}#vote")
        part = f"part={fields['part']}&" if fields.get("part") else ""
        return _to(f"{talk.href}/check?{part}done={number}")

    def decide(self, talk: _Talk, fields: Fields) -> Response:
        """Turns votes about one customer into a decision by hand, or takes it back."""
        ws, code = self.team.ws, _code(fields)
        verbs = {"take_out": ws.feedback.take_out, "undo": ws.feedback.undo}
        verb = verbs.get(fields.get("do", ""))
        if verb is None:
            raise WrongUsage("The form does not say what to do.")
        try:
            verb(talk.name, code, by=self.team.me())
        except WrongUsage as error:
            return self.check(talk, problem=str(error))
        note(ws, "decided_by_hand", talk.name, [code])
        return _to(f"{talk.href}/check#wrong")

    def withdraw(self, fields: Fields) -> Response:
        """Takes back what the one who asks has said, and goes back to where she was."""
        number, back = fields.get("number", ""), fields.get("back", "")
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            raise WrongUsage("The form does not say which one is meant.")
        row = self.team.ws.feedback.withdraw(int(number), by=self.team.me())
        note(self.team.ws, "took_feedback_back", row["segment"], [row["code"]] if row["code"] else [])
        ours = back.startswith(("/definitions/", "/segments/")) and back.isprintable() and not set(back) & set("\\#?")
        return _to(back if ours and "//" not in back else "/segments")

    def _kept(self, talk: _Talk, fields: Fields, *, part: str = "", customer: str | None = None) -> int:
        said, text, ws = fields.get("said", ""), fields.get("text", ""), self.team.ws
        row = ws.feedback.add(talk.name, said, part=part, customer=customer, text=text, by=self.team.me())  # type: ignore[arg-type]
        note(ws, "gave_feedback", talk.name, [customer] if customer else [])
        return int(row["number"])


def _code(fields: Fields) -> str:
    """The code of the customer a form is about; numbers stand in no form."""
    code = fields.get("customer", "")
    sight.check_code(code)
    if not is_short_code(code):
        raise NotFound("customer", "of this form")
    return code


def _to(address: str) -> Response:
    """The page to look at after a form: loading it again sends nothing twice."""
    return RedirectResponse(address, 303)
