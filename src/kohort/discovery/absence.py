"""What absence says: does being missing go together with anything, and of which features enough is known together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

TELLS = 0.8
"""Rank correlation, or difference of ranks in proportion, from which a column tells that another has no value."""


def goes_with(A: np.ndarray, R: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Correlation (m, d) of each absence with each column, over the rows where that column is known.

    Only there: two features that are missing for the same customers, by chance, say nothing of each other.

    Args:
        A: bool (rows, m): where a value is missing.
        R: float (rows, d): ranks of the columns, anything where unknown.
        K: bool (rows, d): where a column is known.

    Example:
        >>> gone = np.array([[True], [True], [False], [False]])
        >>> ranks = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 1.0], [4.0, 2.0]])
        >>> goes_with(gone, ranks, np.ones((4, 2), bool)).round(2).tolist()
        [[-0.89, 0.0]]
    """
    a, k = A.astype(float), K.astype(float)
    r = np.where(K, R, 0.0)
    n = np.maximum(k.sum(axis=0), 1.0)
    share, mean = a.T @ k / n, r.sum(axis=0) / n
    together = a.T @ r / n - share * mean
    spread = share * (1 - share) * np.maximum((r * r).sum(axis=0) / n - mean**2, 0.0)
    return np.asarray(np.where(spread > 1e-12, together / np.sqrt(np.maximum(spread, 1e-12)), 0.0))


def tells(correlation: float, share: float, rows: int) -> bool:
    """Whether a rank correlation with the absence of a share of the rows means that a column tells it.

    A correlation with the absence of few cannot be strong: even if all of them are lowest it is √(3·share·(1 − share)). So
    it is seen in proportion to that as well (Somers' D, which is 1 then), where chance does not explain it.

    Example:
        >>> tells(0.9, 0.5, 1_000), tells(0.2, 0.015, 1_000), tells(0.2, 0.5, 1_000), tells(0.2, 0.015, 100)
        (True, True, False, False)
    """
    most = (3 * share * (1 - share)) ** 0.5
    return correlation > TELLS or (correlation > TELLS * most and correlation * rows**0.5 > 4)


def known_together(gone: Mapping[str, np.ndarray], least: float) -> tuple[str, ...]:
    """The features of which at least so many rows know every one, taken from the best known on, in the order given.

    Args:
        gone: Feature → bool per row: where it is unknown.

    Example:
        >>> known_together({"a": np.array([1, 0, 0, 0]) > 0, "b": np.array([1, 1, 0, 0]) > 0, "c": np.ones(4) > 0}, 2)
        ('a', 'b')
    """
    some: np.ndarray | None = None
    kept = set()
    for name in sorted(gone, key=lambda name: int(gone[name].sum())):
        wider = gone[name] if some is None else some | gone[name]
        if (~wider).sum() >= least:
            some = wider
            kept.add(name)
    return tuple(name for name in gone if name in kept)


def patterns(known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different rows of a bool matrix (rows, columns), which of them each row is, and how often each comes."""
    packed = np.packbits(known, axis=1)
    _, first, which, counts = np.unique(packed, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return known[first], which.reshape(-1), counts


def in_words(share: float, how: str) -> str:
    """How the absence of a feature is taken, to be put after its treatment; empty where nothing is missing."""
    if not share:
        return ""
    match how:
        case "marked":
            return f"; missing for {share:.1%}, which counts as a fact of its own"
        case "told":
            return f"; missing for {share:.1%}, which other features say already"
    return f"; unknown for {share:.1%}, who are placed by what else is known"
