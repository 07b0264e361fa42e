"""What the addresses about opinions and decisions of people take and answer, for their description. See `kohort.web.api.models`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from kohort.model.segmentation import Estimate
from kohort.store.feedback import Said
from kohort.web.api.models import Moment, Number, Request

Name = Annotated[str, Field(min_length=1, max_length=200)]
Counted = Annotated[int, Field(ge=1, lt=2**62)]
Reason = Annotated[str, Field(max_length=500, description="In words that do not tell about whom.")]


class Opinion(Request):
    """What somebody thinks of a segment, of a part of it, or of whether a customer belongs there."""

    segment: Name = Field(examples=["loyal"])
    said: Said = Field(description="Of a customer, agree = she belongs there. A comment needs a text.")
    part: str = Field("", max_length=200)
    customer: Number | None = Field(None, description="Whom it is about; the segment itself where not given.")
    text: Reason = ""


class Saying(BaseModel):
    number: int
    segment: str
    part: str
    customer_id: str | None
    code: str | None
    said: Said
    text: str
    drawn: bool = Field(description="Whether chance had put her before people.")
    version: int
    by: str
    at: Moment


class Evidence(BaseModel):
    """What people say put together: docs/feedback.md."""

    agree: int
    disagree: int
    share: Estimate | None
    members: int
    checked: int
    belong: int
    wrong: int
    disputed: int
    drawn: int
    drawn_wrong: int
    unanswered: int
    rate: Estimate | None = Field(
        description="Share of members who do not belong, where chance drew those who were judged."
    )
    gone: int


class Opinions(BaseModel):
    """A page of what was said, newest first."""

    feedback: list[Saying]
    evidence: Evidence | None = Field(description="Only where a segment is asked for.")
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class Kept(BaseModel):
    number: int


class Withdrawn(BaseModel):
    withdrawn: int


class Question(BaseModel):
    number: int
    keep: str
    other: str
    how: str
    score: float | None
    evidence: list[dict[str, Any]]


class Questions(BaseModel):
    """Pairs of whom nobody knows yet whether they are one customer, the most uncertain first."""

    open: int
    questions: list[Question]


class Answers(Request):
    """Of which questions the two are one customer, and of which they are not."""

    same: list[Counted] = Field([], max_length=1_000)
    different: list[Counted] = Field([], max_length=1_000)
    reason: Reason = ""


class Answered(BaseModel):
    accepted: int
    rejected: int
    open: int
    decisions: list[int]


class TakenBack(BaseModel):
    taken_back: int
    open: int
