"""What the data-health report says, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

HealthVerdict = Literal["enough", "limited", "insufficient"]
Severity = Literal["info", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in the data: what, how many rows, how much money, and a sample to check by hand.

    `amount` is in major units of the workspace currency, None where money is not the point.
    `action` says what Kohort did with these rows ("kept, not counted as revenue").
    `sample` holds a few rows without direct identifiers.
    """

    code: str
    severity: Severity
    rows: int
    amount: float | None
    text: str
    action: str = ""
    source: str = ""
    sample: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source looks: coverage, completeness, what was rejected."""

    source: str
    rows: int
    stored: int
    duplicate: int
    rejected: int
    first: str | None  # ISO instant of the earliest event
    last: str | None
    completeness: dict[str, float] = field(default_factory=dict)  # column → share filled, 0 to 1
    reasons: dict[str, int] = field(default_factory=dict)  # reject code → rows


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The whole report. `score` is 0 to 100: how far segments built on this data can be trusted.

    `score_parts` add up to `score`: {"code", "points", "of", "text"}, in the order to show them.
    """

    verdict: HealthVerdict
    text: str
    score: int
    customers: int
    events: int
    as_of: str | None
    currency: str
    sources: tuple[SourceHealth, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[dict[str, Any], ...] = ()  # per month: {"month", "events", "customers", "revenue"}
    score_parts: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def health_from_dict(data: dict[str, Any]) -> HealthReport:
    """The inverse of `HealthReport.as_dict`, from JSON too."""
    return HealthReport(
        **{
            **data,
            "sources": tuple(SourceHealth(**s) for s in data["sources"]),
            "findings": tuple(Finding(**{**f, "sample": tuple(f["sample"])}) for f in data["findings"]),
            "coverage": tuple(data["coverage"]),
            "score_parts": tuple(data["score_parts"]),
        }
    )
