"""Typical members of segments in units of the population's spread, to compare groups found at different moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.model.feature import FeatureTable


@dataclass(frozen=True, slots=True)
class Profiles:
    """Typical members.

    Attributes:
        ids: Segment ids, one per row of `typical`.
        features: Number and flag features, one per column.
        typical: float64 (segments, features): (median − population's median) / its middle half; NaN = unknown.
    """

    ids: tuple[str, ...]
    features: tuple[str, ...]
    typical: np.ndarray

    def over(self, features: Sequence[str]) -> np.ndarray:
        """The columns of other features in their order; NaN for those this one does not know."""
        place = {f: i for i, f in enumerate(self.features)}
        blank = np.full(len(self.ids), np.nan)
        return np.column_stack([self.typical[:, place[f]] if f in place else blank for f in features] or [blank])

    def as_dict(self) -> dict[str, Any]:
        rows = [[None if np.isnan(x) else round(float(x), 6) for x in row] for row in self.typical]
        return {"ids": list(self.ids), "features": list(self.features), "typical": rows}


def profiles_from_dict(data: Mapping[str, Any]) -> Profiles:
    """The inverse of `Profiles.as_dict`."""
    rows = [[np.nan if x is None else float(x) for x in row] for row in data["typical"]]
    ids, features = tuple(data["ids"]), tuple(data["features"])
    return Profiles(ids, features, np.array(rows, dtype=float).reshape(len(ids), len(features)))


def profiles(table: FeatureTable, groups: np.ndarray, ids: Sequence[str]) -> Profiles:
    """Typical members of each group; texts have no middle and are left out."""
    import pyarrow as pa

    names, columns = [], []
    for info in table.features:
        if info.type == "text":
            continue
        values = table.data[info.name].cast(pa.float64()).to_numpy()
        values = np.where(np.isfinite(values), values, np.nan)
        known = values[~np.isnan(values)]
        names.append(info.name)
        if not len(known):
            columns.append(np.full(len(ids), np.nan))
            continue
        low, middle, high = np.percentile(known, [25, 50, 75])
        spread = (high - low) or known.std() or 1.0
        columns.append(np.array([(_median(values[groups == g]) - middle) / spread for g in range(len(ids))]))
    typical = np.column_stack(columns) if columns else np.zeros((len(ids), 0))
    return Profiles(tuple(ids), tuple(names), typical)


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
