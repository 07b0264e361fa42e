"""Less or more than before: when a change counts, and how much of it is nothing but the way back to the usual.

Who had much in one stretch of time mostly has less in the next, though nothing about her has changed: much is partly luck, and luck
does not last (regression to the mean). So a model of a fall is held against what knowing that much alone can tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kohort.definitions.predictions import BEFORE
from kohort.model.segmentation import Estimate
from kohort.predict.guard import Warned
from kohort.predict.measures import (
    Scored,
    as_dict,
    brier,
    estimate_dict,
    log_loss,
    mean_and_error,
    roc_auc,
    row_losses,
)

MOST_BANDS = 30
"""So many that what a whole number of purchases tells is hardly blurred."""

LEAST_IN_BAND = 50
"""Rows of a band, so that its share is known to within 0.15."""

_EXACT = 1e-9
"""Amounts are sums of whole minor units, read as floats: half of 10.10 is 5.05 all the same."""


def changed(before: np.ndarray, after: np.ndarray, by: float) -> np.ndarray:
    """1 where there is so much less (or more) than before, 0 where not, NaN where there was nothing to compare with.

    Args:
        by: Per cent; below 0 = falls by that much or more.

    Example:
        >>> changed(np.array([10.0, 10.0, 0.0]), np.array([5.0, 6.0, 1.0]), -50).tolist()
        [1.0, 0.0, nan]
    """
    limit = before * (1 + by / 100)
    room = _EXACT * np.abs(before)
    told = after <= limit + room if by < 0 else after >= limit - room
    return np.where(before > 0, told.astype(float), np.nan)


def beside_before(before: np.ndarray, y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """How judged rows do beside what is told by nothing but how much there was before.

    Args:
        before: How much there was, per row.
        y: 1 = it changed so.
        p: What the model said, unseen.
        groups: Whole number per row: customers.

    Returns:
        `{"change": {"base_rate", "bands": [{"from", "to", "rows", "happened"}], "before_alone", "better", "text"}, "warnings"}`.
        `bands`: customers by how much there was, each about as large, with the share that changed. `before_alone`: AUC, log loss
        and Brier of telling everybody the share of her band, drawn from other customers. `better`: log loss of that less the
        model's, with its 95 % interval.
    """
    edges = _edges(before)
    place = np.searchsorted(edges, before, side="right")
    naive = _of_others(place, y, groups, len(edges) + 1)
    own = np.unique(groups, return_inverse=True)[1]
    gain, error = mean_and_error(row_losses(naive, y) - row_losses(p, y), own)
    better = Estimate(gain, gain - 1.96 * error, gain + 1.96 * error)
    alone = Scored(naive, y, own).estimates({"roc_auc": roc_auc, "log_loss": log_loss, "brier": brier})
    bands = [
        {
            "from": float(before[place == band].min()),
            "to": float(before[place == band].max()),
            "rows": int((place == band).sum()),
            "happened": float(y[place == band].mean()),
        }
        for band in np.unique(place).tolist()
    ]
    auc = roc_auc(Scored(p, y).tally())
    text = (
        f"It happened to {y.mean():.0%}. Part of that is only the way back to the usual after much or little by luck (regression to "
        f"the mean), and that part shows in how much there was before: knowing nothing else gives AUC {alone['roc_auc'].value:.3f}; "
        f"the model {auc:.3f}."
    )
    found = {
        "base_rate": float(y.mean()),
        "bands": bands,
        "before_alone": as_dict(alone),
        "better": estimate_dict(better),
        "text": text,
    }
    if better.low > 0:
        return {"change": found}
    said = "It is not surely better than knowing how much there was before: customers who come back to their usual may be all it tells."
    return {"change": found, "warnings": [Warned("no_better_than_before", BEFORE, said).as_dict()]}


def _edges(before: np.ndarray) -> np.ndarray:
    """From which value each band but the first begins; whole values stay together."""
    count = int(np.clip(len(before) // LEAST_IN_BAND, 1, MOST_BANDS))
    cuts = np.unique(np.quantile(before, np.arange(1, count) / count))
    return np.asarray(cuts[cuts > before.min()])


def _of_others(place: np.ndarray, y: np.ndarray, groups: np.ndarray, bands: int) -> np.ndarray:
    """The share that changed in each row's band, among the half of the customers that she is not in."""
    own = np.unique(groups, return_inverse=True)[1]
    half = np.random.default_rng(0).permutation(int(own.max()) + 1)[own] % 2 == 0
    told = np.empty(len(y))
    for mine in (half, ~half):
        others = ~mine
        rate = y[others].mean() if others.any() else 0.5
        yes = np.bincount(place[others], y[others], bands)
        told[mine] = ((yes + 5 * rate) / (np.bincount(place[others], minlength=bands) + 5))[place[mine]]
    return np.clip(told, 1e-6, 1 - 1e-6)
