"""Fifty to a hundred micro groups nested in the main ones: slices of a continuum, each with its own stability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kohort.discovery.algorithms import fit_kmeans, squared_distances
from kohort.discovery.stability import estimates, jaccard_table
from kohort.model.segmentation import Estimate

FEWEST, MOST = 50, 100
LEAST_ROWS = 20
"""Customers that a micro group should have on average at least; small tables get fewer micro groups."""

RESAMPLES = 8

WARNING = (
    "Micro-segments are slices of a continuum: neighbours differ little, and many change when re-checked. "
    "Use them for fine targeting, not as kinds of people."
)


@dataclass(frozen=True, slots=True)
class MicroGroups:
    """Centres (m, d) in prepared space, the main group of each, and how well each holds."""

    centres: np.ndarray
    parent: tuple[int, ...]
    stability: tuple[Estimate | None, ...]


def find_micro(X: np.ndarray, labels: np.ndarray, k: int, *, customers: int, seed: int = 0) -> MicroGroups:
    """Slices every main group into pieces in proportion to its size.

    Args:
        X: Prepared rows of a sample.
        labels: Their main groups, −1 = left out.
        customers: Rows of the whole table; limits how many pieces make sense.
    """
    pieces = _pieces(np.bincount(labels[labels >= 0], minlength=k), customers)
    centres, parent = _slice(X, labels, pieces, seed)
    own = nested_labels(X, labels, centres, parent)
    rng = np.random.default_rng(seed)
    J = np.zeros((RESAMPLES, len(parent)))
    for b in range(RESAMPLES):
        drawn = rng.integers(0, len(X), len(X))
        again, its_parent = _slice(X[drawn], labels[drawn], pieces, int(rng.integers(2**31)))
        J[b] = jaccard_table(own, nested_labels(X, labels, again, its_parent), len(parent))
    return MicroGroups(centres, parent, tuple(estimates(J)))


def _pieces(counts: np.ndarray, customers: int) -> list[int]:
    total = int(np.clip(customers // (2 * LEAST_ROWS), FEWEST, MOST))
    total = max(len(counts), min(total, customers // LEAST_ROWS, int(counts.sum()) // 4))
    share = counts / max(counts.sum(), 1)
    pieces = np.maximum(1, np.floor(share * total)).astype(int)
    while pieces.sum() < total:
        pieces[int(np.argmax(counts / pieces))] += 1
    while pieces.sum() > total and pieces.max() > 1:
        pieces[int(np.argmax(pieces))] -= 1
    return [int(p) for p in pieces]


def _slice(X: np.ndarray, labels: np.ndarray, pieces: Sequence[int], seed: int) -> tuple[np.ndarray, tuple[int, ...]]:
    centres: list[np.ndarray] = []
    parent: list[int] = []
    for g, many in enumerate(pieces):
        inside = X[labels == g]
        if len(inside) == 0:
            centres.append(np.zeros((1, X.shape[1]), X.dtype))
            parent.append(g)
            continue
        m = min(many, len(np.unique(inside, axis=0)))
        centres.append(fit_kmeans(inside, m, seed=seed + g, starts=1).arrays["centres"])
        parent += [g] * m
    return np.vstack(centres).astype(np.float32), tuple(parent)


def nested_labels(X: np.ndarray, labels: np.ndarray, centres: np.ndarray, parent: Sequence[int]) -> np.ndarray:
    """int32 nearest centre among those of each row's main group; −1 for rows left out."""
    out = np.full(len(X), -1, np.int32)
    parents = np.asarray(parent)
    for g in np.unique(labels[labels >= 0]):
        own = np.flatnonzero(parents == g)
        rows = labels == g
        out[rows] = own[squared_distances(X[rows], centres[own]).argmin(axis=1)]
    return out
