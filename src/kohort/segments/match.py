"""Which new group continues which adopted segment, so that ids and names keep their meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONTINUES = 0.3
"""Smallest shared part of both (members in both over members in either) for a new group to keep an old id."""

PROFILE_WEIGHT = 0.25
"""How much likeness of typical members counts beside shared members."""


@dataclass(frozen=True, slots=True)
class Match:
    """How new groups continue adopted segments.

    Attributes:
        pairs: New group number → adopted segment id.
        new: New groups that continue nothing.
        gone: Adopted segments that nothing continues.
        shared: Per matched group, customers in both over customers in either, 0 to 1.
    """

    pairs: dict[int, str]
    new: tuple[int, ...]
    gone: tuple[str, ...]
    shared: dict[int, float]


def overlap(before: np.ndarray, after: np.ndarray, old: int, new: int) -> np.ndarray:
    """Customers by (adopted segment, new group); −1 on either side counts nowhere.

    Args:
        before: Adopted segment number of each customer.
        after: New group of the same customers.
    """
    counts = np.zeros((old, new), dtype=np.int64)
    inside = (before >= 0) & (after >= 0)
    np.add.at(counts, (before[inside], after[inside]), 1)
    return counts


def match(counts: np.ndarray, ids: Sequence[str], distance: np.ndarray | None = None) -> Match:
    """The pairing of new groups with adopted segments that shares most members.

    Likeness of the typical members decides where shared members alone do not. A pair must share a real part
    (`CONTINUES`); a group that was cut out of a segment, or a mix of several, gets an id of its own.

    Args:
        counts: From `overlap`.
        ids: Adopted segment ids, in the order of the rows.
        distance: Distance of typical members (old, new), 0 = alike; None = not known.
    """
    from scipy.optimize import linear_sum_assignment

    either = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    shared = counts / np.maximum(either, 1)
    likeness = shared if distance is None else shared + PROFILE_WEIGHT / (1 + np.maximum(distance, 0))
    pairs: dict[int, str] = {}
    parts: dict[int, float] = {}
    for row, group in zip(*linear_sum_assignment(likeness, maximize=True), strict=True):
        if shared[row, group] >= CONTINUES:
            pairs[int(group)] = ids[row]
            parts[int(group)] = float(shared[row, group])
    kept = set(pairs.values())
    return Match(
        pairs,
        tuple(g for g in range(counts.shape[1]) if g not in pairs),
        tuple(i for i in ids if i not in kept),
        parts,
    )


def profile_distance(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Mean distance of typical members over the features both know.

    Args:
        old: (segments, features) typical members in units of the population's spread, NaN = unknown.
        new: (groups, features) likewise.

    Returns:
        (segments, groups); 0 where no feature is known of both.
    """
    gap = np.abs(old[:, None, :] - new[None, :, :])
    known = ~np.isnan(gap)
    return np.asarray(np.where(known, gap, 0.0).sum(axis=2) / np.maximum(known.sum(axis=2), 1))
