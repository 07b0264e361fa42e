"""What the addresses of predictions give, for their description. See docs/predictions.md for what the figures mean."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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
