"""Does a grouping hold when it is re-checked on resampled customers? Hennig's bootstrap Jaccard, group by group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kohort.model.segmentation import Estimate

HOLDS = 0.75
"""Mean Jaccard from which a group counts as stable (Hennig 2008)."""

DOUBTFUL = 0.6
"""Below this a group should not be trusted (Hennig 2008)."""


def jaccard_table(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """Best Jaccard of each group 0 … k−1 of `a` with any group of `b`; −1 belongs to no group.

    Example:
        >>> jaccard_table(np.array([0, 0, 1, 1]), np.array([1, 1, 1, 0]), 2).round(2).tolist()
        [0.67, 0.5]
    """
    m = int(b.max()) + 1 if len(b) and b.max() >= 0 else 0
    if m == 0:
        return np.zeros(k)
    code = (a + 1) * (m + 1) + (b + 1)
    counts = np.bincount(code, minlength=(k + 1) * (m + 1)).reshape(k + 1, m + 1)
    both = counts[1:, 1:]
    union = counts[1:].sum(axis=1)[:, None] + counts[:, 1:].sum(axis=0)[None, :] - both
    return np.asarray((both / np.maximum(union, 1)).max(axis=1))


def continues(before: np.ndarray, after: np.ndarray, k: int) -> list[int]:
    """For each group 0 … k−1 of `after`, the group of `before` that it shares most rows with, each taken once.

    Args:
        before, after: Groups of the same rows in two groupings of k groups; −1 counts nowhere.

    Example:
        >>> continues(np.array([0, 0, 1, 2]), np.array([2, 2, 0, 1]), 3)
        [1, 2, 0]
    """
    from scipy.optimize import linear_sum_assignment

    both = np.zeros((k, k))
    inside = (before >= 0) & (after >= 0)
    np.add.at(both, (after[inside], before[inside]), 1.0)
    return [int(j) for j in linear_sum_assignment(-both)[1]]


def estimates(J: np.ndarray) -> tuple[Estimate, ...]:
    """Mean per group with the interval that holds 95 % of the resamples (as far as so few can say)."""
    low, high = np.quantile(J, (0.025, 0.975), axis=0)
    return tuple(
        Estimate(float(m), float(min(lo, m)), float(max(h, m)))
        for m, lo, h in zip(J.mean(axis=0), low, high, strict=True)
    )


def mean_estimate(J: np.ndarray) -> Estimate:
    """The mean over groups, with the interval over resamples."""
    return estimates(J.mean(axis=1, keepdims=True))[0]


def steady(groups: Sequence[Estimate]) -> bool:
    """True where the cuts hold when re-checked: on average stable, and no group to be distrusted."""
    return (
        bool(groups) and float(np.mean([g.value for g in groups])) >= HOLDS and min(g.value for g in groups) >= DOUBTFUL
    )


def beyond_hope(J: np.ndarray, resamples: int) -> bool:
    """True where the groups will not be `steady` after so many resamples, even if they hold in all that are to come.

    Example:
        >>> beyond_hope(np.full((6, 2), 0.4), 20), beyond_hope(np.full((10, 2), 0.4), 20)
        (False, True)
    """
    most = (J.sum(axis=0) + resamples - len(J)) / resamples
    return bool(most.mean() < HOLDS - 1e-9 or most.min() < DOUBTFUL - 1e-9)
