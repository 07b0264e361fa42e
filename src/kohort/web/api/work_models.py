"""What the addresses about long work take and answer, for their description. See `kohort.web.api.models`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import BaseModel, Field

from kohort.model.job import JobState
from kohort.web.api.models import Moment, Request

Name = Annotated[str, Field(min_length=1, max_length=200)]


class Discover(Request):
    """Looks for groups of customers; what is found is at GET /v1/discovery."""

    kind: Literal["discover"]
    algorithm: Literal["auto", "kmeans", "hierarchical", "mixture", "hdbscan"] = "auto"
    k: int | None = Field(None, ge=2, le=12, description="How many groups; found out where not given.")


class Adopt(Request):
    """Keeps what was found last under a name, with everybody's membership."""

    kind: Literal["adopt"]
    segmentation: Name = Field(description="Its `id`, as GET /v1/discovery gives it.")
    name: Name = Field(examples=["Main"])
    only: list[str] | None = Field(None, max_length=100, description="Ids of the groups to keep; all where not given.")


class TakeBack(Request):
    """Takes the last adoption under a name back."""

    kind: Literal["take_back"]
    name: Name = Field(examples=["Main"])


class RunOne(Request):
    """Places everybody by one segment."""

    kind: Literal["run"]
    segment: Name


class Predict(Request):
    """Checks a prediction, tells everybody's chance, looks for early signals, or tries a new version of it."""

    kind: Literal["predict-retrain", "predict-check", "predict-tell", "predict-signals"]
    prediction: Name = Field(examples=["churn_90d"])


class Train(Request):
    """Trains a prediction."""

    kind: Literal["predict-train"]
    prediction: Name = Field(examples=["churn_90d"])
    missed: float | None = Field(None, gt=0, lt=1e9, description="What it costs to miss somebody.")
    alarm: float = Field(1.0, gt=0, lt=1e9, description="What a false alarm costs; counts where `missed` is given.")


class Retry(Request):
    """Reads rows again that were left out."""

    kind: Literal["retry"]


class Value(Request):
    """Works out what customers will be worth."""

    kind: Literal["predict-value"]
    horizon: Literal["30 days", "90 days", "26 weeks", "52 weeks"]


Wanted = Annotated[Discover | Adopt | TakeBack | RunOne | Predict | Train | Value | Retry, Body(discriminator="kind")]


class Job(BaseModel):
    """One piece of long work."""

    id: str = Field(examples=["17"])
    kind: str = Field(examples=["discover"])
    title: str = Field(examples=["Finding groups"])
    state: JobState
    arguments: dict[str, Any]
    by: str = Field(description="Who began it.", examples=["the key deploy"])
    phase: str = Field(description="What it is at.")
    done: int = Field(description="Of `total`, in this phase.")
    total: int | None
    started_at: Moment
    ended_at: Moment | None
    result: dict[str, Any] | None = Field(description="What came of it; null before it is done.")
    error: str = Field(description="Why it failed; empty where it did not.")


class Jobs(BaseModel):
    """What is remembered of long work, the latest first."""

    jobs: list[Job]


class Rollback(Request):
    """Which version is to score again."""

    version: Name | None = Field(None, description="The one before where not given.")


class RolledBack(BaseModel):
    name: str
    from_: str | None = Field(alias="from")
    to: str
    trained_at: Moment
    before: int = Field(description="How many versions one could still go back.")
