"""What the addresses about people's rights take and answer, for their description. See `kohort.web.api.models`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import BaseModel, Field

from kohort.model.cases import CaseKind, Outcome, Way
from kohort.model.limits import Limit
from kohort.web.api.models import Moment, Number, Request

Source = Annotated[str, Field(max_length=200, description="Where it was said.", examples=["web form"])]
Proof = Annotated[str, Field(max_length=1_000, description="Where that can be seen.")]


class Receive(Request):
    """Somebody asks something about her data."""

    kind: CaseKind = Field(description="access: see or take along what is kept.")
    customer: Number
    way: Way = Field("other", description="How it came.")
    received: Moment | None = Field(None, description="When; now where not given.")


class Settle(Request):
    """Says what became of it."""

    do: Literal["settle"]
    outcome: Outcome = "done"


class Reopen(Request):
    """Takes that back; the deadline stays."""

    do: Literal["reopen"]


class Rectify(Request):
    """Puts a right identifier in the place of a wrong one; one of both can be empty."""

    do: Literal["rectify"]
    kind: Literal["email", "phone", "name", "address"]
    wrong: str = Field("", max_length=1_000)
    right: str = Field("", max_length=1_000)
    source: Source = ""
    proof: Proof = ""


class Erase(Request):
    """Erases her from everywhere, as a job."""

    do: Literal["erase"]
    sure: Literal[True] = Field(description="This cannot be undone.")


class Forbid(Request):
    """Her objection or restriction holds from now on."""

    do: Literal["forbid"]
    limit: Limit
    source: Source = ""
    proof: Proof = ""


class Allow(Request):
    """She takes it back."""

    do: Literal["allow"]
    limit: Limit
    source: Source = ""
    proof: Proof = ""


class SayConsent(Request):
    """What she said about a purpose."""

    do: Literal["consent"]
    purpose: str = Field(max_length=60)
    agreed: bool
    source: Source
    proof: Proof = ""
    at: Moment | None = Field(None, description="When she said it; now where not given.")


Wanted = Annotated[Settle | Reopen | Rectify | Erase | Forbid | Allow | SayConsent, Body(discriminator="do")]


class Received(BaseModel):
    number: int
    due: Moment


class Done(BaseModel):
    number: int
    done: Moment | None = Field(description="When it was settled; null where it is open.")
    outcome: str | None
    receipt: str | None = Field(description="Of what was done; see GET /v1/privacy/receipts/{name}.")
    job: str | None = Field(description="Number of the job that does it, where it takes long.")


class Case(BaseModel):
    """A request of a person. `code` and `customer` are null once she was erased."""

    number: int
    kind: CaseKind
    code: str | None
    customer: str | None
    way: Way
    by: str
    received: Moment
    due: Moment = Field(description="By when she has to have an answer.")
    late: bool
    done: Moment | None
    done_by: str | None
    outcome: str | None
    receipt: str | None


class Cases(BaseModel):
    """Open ones first, the most urgent one on top; then settled ones, the latest first."""

    requests: list[Case]


class Export(BaseModel):
    """Everything that is kept about her: docs/privacy.md says what is in it."""

    company: str
    as_of: Moment
    identities: Any
    events: list[dict[str, Any]]


class Receipt(BaseModel):
    """What was done; it names nobody."""

    request: str
    step: str
    asked_at: Moment


class Records(BaseModel):
    """Records of processing: docs/privacy.md."""

    company: str
    people: dict[str, int]
    data: list[dict[str, Any]]
    purposes: list[dict[str, Any]]
    recipients: list[dict[str, Any]]
    kept_for: Any = Field(description="As in kohort.yaml.")
    hold: str
    models: list[str] = Field(description="Saved models that were learned from people's data.")
    sources: list[dict[str, Any]]


class Clocks(BaseModel):
    """What is older than `retention:` says."""

    as_of: Moment
    hold: str = Field(description="Why nothing may be deleted for now; empty = it may.")
    clocks: list[dict[str, Any]]


class Sure(Request):
    sure: Literal[True] = Field(description="This cannot be undone.")


class Deleting(BaseModel):
    job: str = Field(description="Number of the job that does it.")
