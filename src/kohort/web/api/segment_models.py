"""What the addresses about segments answer, for their description. See `kohort.web.api.models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from kohort.model.segmentation import Estimate
from kohort.web.api.models import Kind, Moment


class PartLine(BaseModel):
    part: str
    label: str
    size: int


class SegmentLine(BaseModel):
    segment: str
    label: str
    kind: Kind
    evaluation: str
    size: int
    parts: list[PartLine]
    as_of: Moment | None


class Segments(BaseModel):
    """Every segment; sizes are up to five seconds old."""

    as_of: Moment | None
    segments: list[SegmentLine]


class Part(PartLine):
    share: float | None = Field(description="Of all customers; 0 to 1.")
    rule: str | None
    sentence: str | None = Field(description="The rule in plain words.")
    keep: str | None = Field(description="Who may stay although the rule is no longer true.")


class Segment(BaseModel):
    """One segment. `definition` is what kohort.yaml has under its name; null for what was found or is defined no more."""

    segment: str
    label: str
    description: str
    kind: Kind
    evaluation: str
    paused: bool
    purpose: str
    size: int
    share: float | None
    parts: list[Part]
    version: int = Field(description="That members follow; 0 = it was not run yet.")
    as_of: Moment | None
    evaluated_at: Moment | None
    error: str
    depends_on: list[str]
    used_by: list[str]
    definition: dict[str, Any] | None


class Saved(Segment):
    """The segment as it is now."""

    created: bool
    never_observed: list[str] = Field(description="Events and columns it asks for that the data has never shown.")


class Removed(BaseModel):
    removed: str


class RemovedLine(BaseModel):
    segment: str
    label: str
    size: int = Field(description="How many left it.")
    by: str
    at: Moment


class RemovedSegments(BaseModel):
    removed: list[RemovedLine]


class Member(BaseModel):
    customer_id: str
    part: str
    since: Moment
    reason: str | None


class Members(BaseModel):
    """A page of members. Their order does not change while others come and go."""

    segment: str
    part: str | None
    size: int
    members: list[Member]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class ConditionSize(BaseModel):
    segment: str
    text: str
    sentence: str
    size: int = Field(description="Customers for whom it is true on its own.")
    share: float
    running: int | None = Field(description="How many are left after it, or how many it adds: see `group`.")
    group: Literal["", "left", "added"]
    depth: int = Field(description="0 = the whole rule.")


class PartPreview(BaseModel):
    segment: str
    label: str
    size: int
    share: float
    value: float | None
    value_share: float | None
    sample: list[str] = Field(description="A few members, by the company's numbers.")
    conditions: list[ConditionSize]


class NeverObserved(BaseModel):
    kind: Literal["event", "column", "value"]
    name: str
    value: str
    suggestion: str
    text: str


class Preview(BaseModel):
    """What a rule would hold. Nothing is written."""

    name: str
    as_of: Moment
    size: int
    share: float
    universe: int
    universe_text: str
    excluded_by_consent: int
    value: float | None
    value_share: float | None
    parts: list[PartPreview]
    conditions: list[ConditionSize]
    never_observed: list[NeverObserved]
    warnings: list[str]
    text: str
    visitors: int


class Cell(BaseModel):
    source: str = Field(description="Part; empty = in none.")
    target: str
    customers: int
    share: float | None


class PartMovement(BaseModel):
    segment: str
    label: str
    before: int
    after: int
    entered: int
    left: int
    stayed: Estimate | None
    text: str


class RunShown(BaseModel):
    as_of: Moment
    version: int


class Moves(BaseModel):
    """Who moved between two dates."""

    name: str
    start: Moment
    end: Moment
    before: RunShown
    after: RunShown
    cells: list[Cell]
    parts: list[PartMovement]
    entered: int
    left: int
    moved: int
    stayed: int
    mobility: Estimate | None
    redefined: bool
    rerun: bool
    text: str


class Movement(BaseModel):
    movements: list[Moves]


class Condition(BaseModel):
    text: str
    sentence: str
    actual: str
    true: bool | None = Field(description="null = unknown.")
    how: Literal["one", "all", "any", "not"] = "one"
    conditions: list[Condition] = []


class Missing(BaseModel):
    text: str
    sentence: str
    wanted: bool
    distance: str
    possible: bool


class Change(BaseModel):
    before: str | None
    after: str | None


class PartWhy(BaseModel):
    segment: str
    label: str
    true: bool | None
    conditions: list[Condition]
    keep: list[Condition]
    missing: list[Missing]


class Why(BaseModel):
    """Why a customer is in a segment, or is not, condition by condition."""

    member: bool
    segment: str | None
    since: Moment | None
    reason: str
    text: str
    notes: list[str]
    conditions: list[Condition]
    missing: list[Missing]
    holding: list[Condition]
    changes_at: Moment | None
    change: Change | None
    change_text: str
    looked_until: Moment
    left_out: str | None
    parts: list[PartWhy]


class Difference(BaseModel):
    entered: int
    left: int
    moved: int
    stayed: int


class Outcome(BaseModel):
    name: str
    result: str
    version: int
    size: int
    difference: Difference | None
    excluded_by_consent: int
    backfill: bool
    error: str
    code: str


class Run(BaseModel):
    """What a run did."""

    as_of: Moment
    customers: int | None
    duration_ms: int
    outcomes: list[Outcome]
    scores: list[dict[str, Any]]


class Group(BaseModel):
    name: str
    segment: str
    size: int


class Shared(BaseModel):
    first: int = Field(description="Place in `groups`.")
    second: int
    both: int
    share_of_first: float
    share_of_second: float
    jaccard: float
    lift: Estimate | None = Field(description="1 = as many as chance gives.")


class Overlap(BaseModel):
    """Segments and every pair of them, the most alike first."""

    groups: list[Group]
    pairs: list[Shared]
    customers: int | None
