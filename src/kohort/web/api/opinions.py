"""What people say and decide, for programs: feedback on segments, and whether two records are one customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Query
from fastapi.responses import Response

from kohort.errors import WrongUsage
from kohort.web import who
from kohort.web.api import cursors
from kohort.web.api import opinion_models as models
from kohort.web.api.desk import Desk, answer
from kohort.web.noting import note

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

MOST = 1_000
TAG = "feedback"
Some = Annotated[str | None, Query(max_length=200)]
Number = Annotated[int, Path(ge=1, lt=2**62)]


def feedback(desk: Desk, ws: Workspace) -> None:
    """Votes and comments."""

    @desk.add(
        "GET",
        "/v1/feedback",
        TAG,
        models.Opinions,
        "not_found",
        "unknown_customer",
        "not_enough",
        "wrong_usage",
        "bad_query",
    )
    def list_feedback(
        *,
        segment: Annotated[str | None, Query(description="A segment, or `found`.", max_length=200)] = None,
        part: Some = None,
        customer: Some = None,
        cursor: cursors.Cursor = "",
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    ) -> Response:
        """What people said about segments and about single members, newest first; of one segment also what it adds up to."""
        before = cursors.place(cursor, "f")
        rows = ws.feedback.list(segment, part=part, customer=customer)
        rows = [row for row in rows if before is None or row["number"] < before]
        shown = rows[:limit]
        if any(row["code"] for row in shown):
            note(ws, "looked_at_members", segment or "/v1/feedback")
        evidence = None if segment is None else ws.feedback.evidence(segment, part).as_dict()
        following = shown[-1]["number"] if len(rows) > limit else None
        return answer({"feedback": shown, "evidence": evidence, "next": cursors.shown("f", following)})

    @desk.add(
        "POST",
        "/v1/feedback",
        TAG,
        models.Kept,
        "not_found",
        "unknown_customer",
        "not_enough",
        "wrong_usage",
        changes=True,
    )
    def give_feedback(body: models.Opinion) -> Response:
        """Keeps what is thought of a segment or a membership, as said by the key.

        A key has one vote about each: a later one takes the place of the one before.
        """
        row = ws.feedback.add(
            body.segment, body.said, part=body.part, customer=body.customer, text=body.text, by=who.now().by
        )
        note(ws, "gave_feedback", row["segment"], [row["code"]] if row["code"] else [])
        return answer({"number": row["number"]})

    @desk.add(
        "DELETE", "/v1/feedback/{number}", TAG, models.Withdrawn, "not_found", "wrong_usage", "bad_query", changes=True
    )
    def withdraw_feedback(number: Number) -> Response:
        """Takes back what the same key has said."""
        row = ws.feedback.withdraw(number, by=who.now().by)
        note(ws, "took_feedback_back", row["segment"], [row["code"]] if row["code"] else [])
        return answer({"withdrawn": number})


def identity(desk: Desk, ws: Workspace) -> None:
    """Questions that runs leave to people. Their numbers stand in answers: this is for keys of scope admin."""

    @desk.add("GET", "/v1/identity/questions", "identity", models.Questions, "bad_query")
    def identity_questions(limit: Annotated[int, Query(ge=1, le=MOST)] = 20) -> Response:
        """Pairs of whom nobody knows yet whether they are one customer, the most uncertain first."""
        found = ws.identity.questions(limit)
        note(ws, "looked_at_members", "/v1/identity/questions")
        return answer(found)

    @desk.add("POST", "/v1/identity/answers", "identity", models.Answered, "not_found", "wrong_usage", changes=True)
    def answer_identity(body: models.Answers) -> Response:
        """Says of questions whether the two are one customer; all of them are answered, or none."""
        if not body.same and not body.different:
            raise WrongUsage("Say of at least one question what is so.")
        found = ws.identity.answer(body.same, body.different, reason=body.reason, by=who.now().by)
        for number in body.same:
            note(ws, "said_one_customer", f"question {number}")
        for number in body.different:
            note(ws, "said_two_customers", f"question {number}")
        return answer(found)

    @desk.add(
        "POST",
        "/v1/identity/decisions/{number}/take-back",
        "identity",
        models.TakenBack,
        "not_found",
        "bad_query",
        changes=True,
    )
    def take_back_identity(number: Number) -> Response:
        """Takes an answer back, by the number of its decision; the question is asked again."""
        found = ws.identity.take_back(number, by=who.now().by)
        note(ws, "took_back", f"decision {number}")
        return answer(found)
