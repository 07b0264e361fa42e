"""Tiers by value: what we propose where no groups hold. Borders are rounded before anybody is counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from kohort.discovery.explain import sentences
from kohort.discovery.explain.rules import human
from kohort.model.columns import values
from kohort.model.feature import FeatureTable

BORDERS = (0.8, 0.5)
"""Quantiles of value: the top fifth, the three tenths below it, the lower half."""


def tiers(table: FeatureTable) -> dict[str, Any]:
    """Three tiers by what customers bring in.

    Args:
        table: With `value`, or with a money feature about value to go by.

    Returns:
        JSON-ready `{"kind", "by", "text", "tiers": [{"name", "from", "below", "size", "share", "revenue",
        "revenue_share"}]}`, highest tier first; empty where nothing is known about value or everybody has the same.
    """
    found = _value(table)
    if found is None:
        return {}
    by, value = found
    known = value[~np.isnan(value)]
    if len(known) < 3:
        return {}
    borders = _borders(known)
    if not borders:
        return {}
    edges = [np.inf, *borders, -np.inf]
    total = float(known.sum())
    listed = []
    for i in range(len(edges) - 1):
        inside = known[(known < edges[i]) & (known >= edges[i + 1])]
        revenue = float(inside.sum())
        listed.append(
            {
                "name": sentences.TIER_NAMES[i if len(edges) == 4 else 2 * i],
                "from": None if i == len(edges) - 2 else edges[i + 1],
                "below": None if i == 0 else edges[i],
                "size": len(inside),
                "share": len(inside) / len(table),
                "revenue": revenue,
                "revenue_share": revenue / total if total > 0 else None,
            }
        )
    top = listed[0]
    text = sentences.tiers(top["share"], top["revenue_share"], by) if total > 0 else ""  # type: ignore[arg-type]
    return {"kind": "tiers", "by": by, "text": text, "currency": table.currency, "tiers": listed}


def _value(table: FeatureTable) -> tuple[str, np.ndarray] | None:
    if table.value is not None:
        return "revenue", np.asarray(table.value, dtype=float)
    for info in table.features:
        if info.idea == "value" and info.unit == "money" and info.type == "number":
            return sentences.plain_label(info), values(table.data[info.name])
    return None


def _borders(known: np.ndarray) -> list[float]:
    """Rounded borders from high to low that leave nobody's tier empty."""
    low, high = np.percentile(known, [25, 75])
    borders: list[float] = []
    for q in BORDERS:
        border = human(float(np.quantile(known, q)), float(high - low) * 4)
        above = borders[-1] if borders else np.inf
        between = (known >= border) & (known < above)
        if border < above and between.any() and (known < border).any():
            borders.append(border)
    return borders
