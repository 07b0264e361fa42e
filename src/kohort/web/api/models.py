"""What goes in and comes out of the addresses for programs, for their description; docs/api.md is made from it.

Answers can get more fields: read those you know. Requests are refused with a field that is not known.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kohort.definitions.segments import SegmentKind
from kohort.model.delivery import DeliveryState
from kohort.model.feature import FeatureInfo

Moment = Annotated[str, Field(description="ISO 8601, UTC.", examples=["2026-11-30T12:00:00Z"])]
Each = Literal["month", "quarter", "year"]
Kind = SegmentKind | Literal["found", "unread", "gone"]
Number = Annotated[str, Field(max_length=200, examples=["14127"])]


class Mistake(BaseModel):
    """One mistake of a rule or a definition. Places are characters of what was sent."""

    code: str = Field(examples=["unknown_name"])
    message: str
    hint: str
    start: int | None
    end: int | None


class Problem(BaseModel):
    """An error. `code` is stable: programs may rely on it."""

    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["No segment has this name."])
    hint: str = Field(description="What to do about it; can be empty.")
    mistakes: list[Mistake] = Field(default=[], description="Only of a definition that was refused: every mistake.")


# -- requests --------------------------------------------------------------------------------------------------------


class Request(BaseModel):
    """What a program sends."""

    model_config = ConfigDict(extra="forbid")


class Identity(Request):
    """One identity of a customer: exactly one of these."""

    email: str | None = Field(None, examples=["ana@shop.example"])
    phone: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None


class Search(Request):
    """Anything a customer may be known by, as a whole; it is neither kept nor repeated."""

    text: str = Field(max_length=1_000, examples=["ana@shop.example"])


class SegmentBody(Request):
    """A rule, or a definition: one of both."""

    rule: str | dict[str, Any] | None = Field(
        None,
        description="A rule as text, or as JSON (docs/rules.md).",
        examples=["did('Order Completed', within => '30 days')"],
    )
    definition: dict[str, Any] | None = Field(
        None,
        description="What kohort.yaml has under a segment's name (docs/segments.md).",
        examples=[{"rule": "did('Order Completed')", "label": "Buyers", "purpose": "marketing"}],
    )


class PreviewBody(SegmentBody):
    """A segment by its name, or a rule or a definition that is not saved: one of the three."""

    segment: str | None = Field(None, description="Name of a segment.")
    as_of: Moment | None = None
    language: Literal["en", "nl", "da", "de"] = "en"


class RunBody(Request):
    """What to run: all segments, or some."""

    segments: list[str] | None = Field(None, max_length=1_000, description="Names; all of them where not given.")
    as_of: Moment | None = None


class ConsentBody(Request):
    """What a customer said about a purpose."""

    customer: Number
    purpose: str = Field(max_length=60, examples=["marketing"])
    agreed: bool
    source: str = Field(max_length=200, description="Where she said it.", examples=["web form"])
    proof: str = Field("", max_length=1_000, description="Where that can be seen.")
    at: Moment | None = Field(None, description="When she said it; now where not given.")


# -- the rest --------------------------------------------------------------------------------------------------------


class SegmentationLine(BaseModel):
    id: str
    name: str
    version: int
    as_of: str | None
    k: int
    adopted: bool


class Segmentations(BaseModel):
    segmentations: list[SegmentationLine]


class Features(BaseModel):
    features: list[FeatureInfo]


class Stay(BaseModel):
    segment: str
    part: str
    since: Moment
    reason: str | None
    because: str


class PartChange(BaseModel):
    segment: str
    from_: str | None = Field(alias="from")
    to: str | None


class NextChange(BaseModel):
    at: Moment
    changes: list[PartChange]


class Customer(BaseModel):
    """One customer: docs/profiles.md says what each field means."""

    customer_id: str
    visitor: bool
    as_of: Moment
    live: bool
    late: bool
    segments: list[Stay]
    features: dict[str, Any]
    forbids: list[str]
    next_change: NextChange | None
    no_change_before: Moment
    may_change_earlier: list[str]
    identity: dict[str, Any] = Field(default={}, description="Only where it is asked for.")
    predictions: list[dict[str, Any]] = Field(default=[], description="Only where they are asked for.")
    value: dict[str, Any] | None = Field(default=None, description="Only where predictions are asked for.")


class FoundCustomer(BaseModel):
    customer_id: str
    code: str
    by: list[str]


class FoundCustomers(BaseModel):
    customers: list[FoundCustomer]


class EventsCount(BaseModel):
    events: int
    customers: int
    dead_letters: int = Field(description="What came in and could not be used.")
    waiting: int = Field(description="What came in and has not had its effect yet.")


class Trigger(BaseModel):
    name: str
    on: Any
    watches: Any
    rule: str | None
    features: dict[str, str]
    send_to: list[str]
    quiet_hours: str | None
    at_most: str | None
    purpose: str | None
    backfill: bool
    paused: bool
    deliveries: dict[DeliveryState, int]
    problems: list[str]


class Triggers(BaseModel):
    triggers: list[Trigger]


class Delivery(BaseModel):
    id: str
    place: int
    trigger: str
    destination: str
    customer_id: str | None
    segment: str
    part: str
    change: str
    number: int
    state: DeliveryState
    reason: str
    attempts: int
    status: int | None
    at: Moment
    created_at: Moment
    next_at: Moment | None
    ended_at: Moment | None


class Deliveries(BaseModel):
    """A page of deliveries, newest first."""

    deliveries: list[Delivery]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class Statement(BaseModel):
    at: Moment
    agreed: bool
    source: str
    proof: str


class Purpose(BaseModel):
    purpose: str
    agreed: bool | None
    statements: list[Statement]


class Consent(BaseModel):
    """What a customer said about each purpose, and what holds now."""

    as_of: Moment
    consent: list[Purpose]
    limits: list[dict[str, Any]]


class ConsentRecorded(BaseModel):
    new: bool = Field(description="False where the same was written down before.")


class Digest(BaseModel):
    """What moved, what it was worth, and what needs a look; about no single customer."""

    model_config = ConfigDict(extra="allow")

    days: int
    since: Moment | None
    until: Moment | None
    made_at: Moment
    moved: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    exits: list[dict[str, Any]]
    untold: list[dict[str, Any]]
    looks: list[dict[str, Any]]


class Entry(BaseModel):
    number: int
    at: Moment
    by: str
    act: str
    about: str
    customer_id: str | None
    erased: bool = Field(description="Whether it was about somebody who was erased since.")


class AuditLog(BaseModel):
    """A page of the audit log, newest first."""

    entries: list[Entry]
    next: str | None = Field(description="Cursor of the next page; null at the end.")
