"""What people ask about their data, for programs with a key of scope admin. The privacy centre does the same in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path
from fastapi.responses import Response

from kohort.web import begin
from kohort.web.api import privacy_models as models
from kohort.web.api.desk import Desk, answer
from kohort.web.api.models import Request
from kohort.web.noting import note
from kohort.web.privacy_pages import Answers

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

TAG = "privacy"
JOBS = "/jobs/"
Number = Annotated[int, Path(description="Number of a request.", ge=1, le=10**12)]


def privacy(desk: Desk, ws: Workspace) -> None:
    """Adds them to the application."""
    _requests(desk, ws)
    _clocks(desk, ws)


def _requests(desk: Desk, ws: Workspace) -> None:
    answers = Answers(ws)

    @desk.add("GET", "/v1/privacy/requests", TAG, models.Cases)
    def privacy_requests() -> Response:
        """Every request of a person, by when it has to be answered, and what became of it."""
        note(ws, "looked_at_members", "/v1/privacy/requests")
        return answer({"requests": ws.privacy.cases.all()})

    @desk.add(
        "POST",
        "/v1/privacy/requests",
        TAG,
        models.Received,
        "unknown_customer",
        "wrong_usage",
        "bad_time",
        changes=True,
    )
    def receive_privacy_request(body: models.Receive) -> Response:
        """Writes down that somebody asks something about her data. She has to have an answer within a month."""
        number = answers.receive(_fields(body, number=body.customer))
        return answer({"number": number, "due": ws.privacy.cases.one(number)["due"]})

    @desk.add("GET", "/v1/privacy/requests/{number}", TAG, models.Case, "not_found", "bad_query")
    def privacy_request(number: Number) -> Response:
        """One request."""
        case = ws.privacy.cases.one(number)
        if case["code"]:
            note(ws, "looked_at_customer", f"request {number}", [case["code"]])
        return answer(case)

    @desk.add(
        "POST",
        "/v1/privacy/requests/{number}",
        TAG,
        models.Done,
        "not_found",
        "wrong_usage",
        "bad_time",
        "bad_query",
        changes=True,
    )
    def answer_privacy_request(number: Number, body: models.Wanted) -> Response:
        """Does what a request asks for, which settles it; or settles it otherwise, or opens it again.

        Only what the request asks for can be done: an erasure where she asked for one. Erasing is a job, and settles it at its end.
        """
        led_to = answers.act(number, _fields(body))
        case = ws.privacy.cases.one(number)
        told = {name: case[name] for name in ("number", "done", "outcome", "receipt")}
        return answer({**told, "job": _job(led_to)})

    @desk.add(
        "GET", "/v1/privacy/requests/{number}/export", TAG, models.Export, "not_found", "wrong_usage", "bad_query"
    )
    def export_for_privacy_request(number: Number) -> Response:
        """Everything that is kept about whom a request is about: what she may see, and take along."""
        return Response(answers.export(number, "json"), media_type="application/json")

    @desk.add("GET", "/v1/privacy/receipts/{name}", TAG, models.Receipt, "not_found", "bad_query")
    def privacy_receipt(name: Annotated[str, Path(max_length=100, examples=["erasure-4"])]) -> Response:
        """What was done; it names nobody."""
        return answer(ws.privacy.records.receipt(name))


def _clocks(desk: Desk, ws: Workspace) -> None:
    @desk.add("GET", "/v1/privacy/records", TAG, models.Records)
    def privacy_records() -> Response:
        """Records of processing: what is kept of people, what for, who is told, for how long."""
        return answer(ws.privacy.records.register())

    @desk.add("GET", "/v1/privacy/retention", TAG, models.Clocks)
    def retention() -> Response:
        """What is older than `retention:` in kohort.yaml says, and would be deleted now."""
        return answer(ws.privacy.expiring())

    @desk.add("POST", "/v1/privacy/retention", TAG, models.Deleting, "wrong_usage", changes=True)
    def delete_what_is_too_old(body: models.Sure) -> Response:
        """Deletes it, as a job."""
        return answer({"job": begin.expire(ws)})


def _fields(body: Request, **more: str) -> dict[str, str]:
    """What a program sends, as a form would say it."""
    return {name: _word(value) for name, value in (body.model_dump() | more).items() if value is not None}


def _word(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _job(address: str) -> str | None:
    """The number of the job that an act led to."""
    return address.removeprefix(JOBS) if address.startswith(JOBS) else None
