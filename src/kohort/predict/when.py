"""When, beside whether: after how many days half of the customers with such a probability had the event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST_BANDS = 12
LEAST_IN_BAND = 60
"""Rows in a band: the interval of a median then reaches from the 37 % to the 63 % point."""

_SPREAD = 0.98
"""Half of 1.96: the standard error of the place of a median among n sorted rows is half the root of n."""


def ladder(p: np.ndarray, days: np.ndarray) -> list[dict[str, float | None]]:
    """Bands of probabilities with the median days of each: `{"up_to", "median", "low", "high"}`, ascending.

    Args:
        p: Probability that it happens within the horizon, of rows that no model had seen.
        days: After how many days it happened; NaN = not within the horizon.

    Returns:
        None for what lies beyond the horizon; the last band reaches up to 1. `low` and `high` are the 95 % interval of the
        median, exact for any distribution (order statistics).
    """
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, int(np.clip(len(order) // LEAST_IN_BAND, 1, MOST_BANDS)))
    found: list[dict[str, float | None]] = []
    for number, rows in enumerate(parts):
        up_to = 1.0 if number == len(parts) - 1 else float(p[rows].max())
        found.append({"up_to": up_to, **_median(days[rows])})
    return found


def told(bands: Sequence[Mapping[str, float | None]], p: np.ndarray) -> dict[str, np.ndarray]:
    """`median`, `low` and `high` days for each probability; NaN = beyond the horizon."""
    ends = np.array([b["up_to"] for b in bands], float)
    place = np.minimum(np.searchsorted(ends, p, side="left"), len(ends) - 1)
    columns = {}
    for name in ("median", "low", "high"):
        columns[name] = np.array([np.nan if b[name] is None else b[name] for b in bands], float)[place]
    return columns


def timing(p: np.ndarray, days: np.ndarray, groups: np.ndarray, *, horizon: float) -> dict[str, Any]:
    """The ladder of all rows, and how one made of half of the customers does on the other half, each way.

    Args:
        groups: Whole number per row: customers.
        horizon: In days; what lies beyond it counts as that day where distances are told.

    Returns:
        `bands`; `told`: share of rows that get a median within the horizon; `by_then`: share of those that had it by then, which
        should be half; `mae_days` and `naive_mae_days`: mean distance in days from each row's median and from everybody's. The
        median is the best answer to that, so a ladder that tells something is nearer.
    """
    half = np.random.default_rng(0).permutation(int(groups.max()) + 1)[groups] % 2 == 0
    report: dict[str, Any] = {"bands": ladder(p, days)}
    if half.all() or not half.any():
        return report
    median, usual = np.empty(len(p)), np.empty(len(p))
    for other in (half, ~half):
        median[other] = told(ladder(p[~other], days[~other]), p[other])["median"]
        of_all = _median(days[~other])["median"]
        usual[other] = np.nan if of_all is None else of_all
    has = ~np.isnan(median)
    at, said, naive = (np.nan_to_num(x, nan=horizon) for x in (days, median, usual))
    report["told"] = float(has.mean())
    report["by_then"] = float((days[has] <= median[has]).mean()) if has.any() else None
    report["mae_days"] = float(np.abs(at - said).mean())
    report["naive_mae_days"] = float(np.abs(at - naive).mean())
    return report


def _median(days: np.ndarray) -> dict[str, float | None]:
    """The median with its interval by order statistics; who did not have it stands behind all others."""
    ordered = np.sort(np.where(np.isnan(days), np.inf, days))
    n = len(ordered)
    wide = _SPREAD * np.sqrt(n)
    places = {"median": (n - 1) // 2, "low": int(np.floor(n / 2 - wide)), "high": int(np.ceil(n / 2 + wide))}
    found: dict[str, float | None] = {}
    for name, place in places.items():
        value = float(ordered[place]) if 0 <= place < n else (0.0 if place < 0 else float("inf"))
        found[name] = value if np.isfinite(value) else None
    return found
