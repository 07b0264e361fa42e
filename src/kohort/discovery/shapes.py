"""The shape of behaviour over time: what a customer's months look like, in a few numbers that people can read.

Features, not a distance between curves. Distances made for shapes (k-Shape, dynamic time warping) slide one curve along the other
until they fit: to them a customer who bought last spring and one who buys now are alike. Here *when* is the point.
"""

from __future__ import annotations

import numpy as np

from kohort.errors import WrongUsage
from kohort.model.feature import FeatureInfo, FeatureTable

FEWEST_MONTHS = 6
"""Below this a trend is two or three single orders."""

NOTHING = "nothing in these months"


def infos(months: int) -> tuple[FeatureInfo, ...]:
    """What the columns of `shapes` mean."""
    said = f"over the last {months} months"
    return (
        FeatureInfo("level", "Orders a month", unit="orders", idea="frequency", definition=f"mean {said}"),
        FeatureInfo(
            "trend",
            "Where its weight lies (1 = now, 0 = long ago)",
            unit="share",
            idea="rhythm",
            definition=f"centre of gravity {said}",
            missing=NOTHING,
        ),
        FeatureInfo(
            "quiet_months",
            "Months since the last active one",
            unit="number",
            idea="recency",
            definition=f"{said}, {months} = none active",
        ),
        FeatureInfo(
            "active_share", "Share of active months", unit="share", idea="rhythm", definition=f"months with any {said}"
        ),
        FeatureInfo(
            "peak_share",
            "Share of the busiest month",
            unit="share",
            idea="rhythm",
            definition=f"largest month of all {said}",
            missing=NOTHING,
        ),
    )


def shapes(series: np.ndarray, ids: np.ndarray, as_of: int, *, value: np.ndarray | None = None) -> FeatureTable:
    """Level, trend, recency, regularity and concentration of customers' months.

    Apart from the level, nothing changes when a customer's months are all multiplied by one number.

    Args:
        series: (customers, months) what each did in each month, the oldest first; never negative.
        ids: Of the customers, int64.
        value: Net revenue per customer, passed on.

    Returns:
        A table of `infos`; trend and peak are missing of those who did nothing.

    Raises:
        WrongUsage: Fewer than FEWEST_MONTHS months, or negative values.

    Example:
        >>> months = np.array([[0, 0, 0, 0, 0, 6], [1, 1, 1, 1, 1, 1]])
        >>> table = shapes(months, np.array([1, 2]), 0)
        >>> table.data["trend"].to_pylist(), table.data["active_share"].to_pylist()
        ([1.0, 0.5], [0.16..., 1.0])
    """
    import pyarrow as pa

    many = series.shape[1]
    if many < FEWEST_MONTHS or (series < 0).any():
        raise WrongUsage(f"A shape needs {FEWEST_MONTHS} months or more, and no negative value.")
    total = series.sum(axis=1).astype(float)
    some, active = total > 0, series > 0
    safe = np.where(some, total, 1.0)
    last = np.where(some, active[:, ::-1].argmax(axis=1), many)
    columns = {
        "level": pa.array(total / many),
        "trend": pa.array(series @ np.linspace(0, 1, many) / safe, mask=~some),
        "quiet_months": pa.array(last.astype(float)),
        "active_share": pa.array(active.mean(axis=1)),
        "peak_share": pa.array(series.max(axis=1) / safe, mask=~some),
    }
    return FeatureTable(pa.array(ids), pa.table(columns), infos(many), as_of, value)
