"""A workspace made of stored documents, for the pages: the retail demo's customers, grouped once and written down.

Load it by path (`sample_of` in the tests), since test folders are not packages.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kohort.errors import NotFound
from kohort.model.feature import FeatureInfo
from kohort.model.health import Finding, HealthReport, SourceHealth
from kohort.model.segmentation import Segmentation, segmentation_from_dict

HERE = Path(__file__).parent
COLUMNS = [
    FeatureInfo("orders", "Orders", unit="orders"),
    FeatureInfo("spend", "Spend", unit="money"),
    FeatureInfo("order_value", "Order value", unit="money"),
    FeatureInfo("recency_days", "Days since last order", unit="days"),
]


def _read(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text())


def health_report() -> HealthReport:
    d = _read("health")
    return HealthReport(
        **{
            **d,
            "sources": tuple(SourceHealth(**s) for s in d["sources"]),
            "findings": tuple(Finding(**{**f, "sample": tuple(f["sample"])}) for f in d["findings"]),
            "coverage": tuple(d["coverage"]),
            "score_parts": tuple(d["score_parts"]),
        }
    )


class SampleWorkspace:
    """The part of a workspace that pages use, from documents in this folder. `change` replaces the segmentation."""

    name = "Gift shop UK"
    is_demo = True
    zone = "Europe/London"
    currency = "GBP"

    def __init__(self, found: Segmentation | None = None, *, empty: bool = False) -> None:
        self.found = None if empty else found or segmentation_from_dict(_read("segmentation"))
        self.empty = empty

    def change(self, **fields: Any) -> SampleWorkspace:
        assert self.found is not None
        return SampleWorkspace(replace(self.found, **fields))

    def summary(self) -> dict[str, Any]:
        return {"customers": 0, "events": 0, "as_of": None, "currency": "GBP"} if self.empty else _read("summary")

    def health(self, refresh: bool = False) -> HealthReport:
        if self.empty:
            raise NotFound("report", "health")
        return health_report()

    def segmentation(self, name: str | None = None) -> Segmentation | None:
        return self.found

    def members_page(self, segment_id: str, cursor: int = 0, limit: int = 50) -> dict[str, Any]:
        rows = [m for m in _read("members") if m["segment"] == segment_id]
        shown = rows[cursor : cursor + limit]
        return {"rows": shown, "columns": COLUMNS, "next": cursor + limit if cursor + limit < len(rows) else None}
