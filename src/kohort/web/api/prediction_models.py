"""What the addresses of predictions give, for their description. See docs/predict.md for what the figures mean."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kohort.web.api.models import Moment


class PredictionLine(BaseModel):
    """How one prediction stands."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(examples=["churn_90d"])
    kind: str = Field(examples=["churn"])
    state: str = Field(
        description="`ok`, `untrained`, `no_signal`, `too_few`, `no_features`, `too_short` (the data is), or `parts`.",
        examples=["ok"],
    )
    reason: str = Field(description="Why there is nothing to go by; empty where there is.")
    version: str | None
    metrics: dict[str, Any] = Field(description="Each with its interval, on customers it was not trained on.")
    warnings: int = Field(description="How many things speak against relying on it.")
    fit: dict[str, Any] | None = Field(description="What the last check said; null where nobody checked this version.")
    scores: dict[str, Any] | None = Field(description="How old everybody's chances are; null where none are kept.")


class Predictions(BaseModel):
    predictions: list[PredictionLine]
    value: dict[str, Any] | None = Field(description="What customers will be worth; null where it was not worked out.")


class Prediction(PredictionLine):
    """One prediction from all sides."""

    report: dict[str, Any] | None = Field(description="How it was checked; null where it is not trained.")
    card: dict[str, Any] | None
    check: dict[str, Any] | None
    signals: dict[str, Any] | None = Field(description="Early signals as they were last looked for.")
    versions: list[dict[str, Any]] = Field(description="That one can go back to, the latest first.")


class LikelyCustomer(BaseModel):
    customer_id: str
    code: str
    probability: float | None
    percentile: float | None
    told: bool = Field(description="Whether it reaches the threshold.")
    up: list[dict[str, Any]] | None = Field(description="What raises it; null where the version that said it is gone.")
    down: list[dict[str, Any]] | None


class Likely(BaseModel):
    """A page of customers by their chance, as it was worked out last."""

    name: str
    target: str
    as_of: Moment
    model: str
    stale: bool | None
    stale_at: Moment | None
    customers: int
    told: int | None = Field(description="How many reach the threshold.")
    threshold: float | None
    rows: list[LikelyCustomer]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class Worth(BaseModel):
    customer_id: str
    code: str
    purchases: dict[str, Any] | None = Field(description="How many she will make, with an interval.")
    value: dict[str, Any] | None = Field(description="What she will be worth, with an interval.")


class Worths(BaseModel):
    """A page of customers by what they are expected to be worth, the best first."""

    as_of: Moment
    horizon: str
    customers: int
    by: str = Field(description="`value`, or `purchases` where no amounts are known.")
    rows: list[Worth]
    next: str | None = Field(description="Cursor of the next page; null at the end.")
