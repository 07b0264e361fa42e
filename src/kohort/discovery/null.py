"""What one single population would look like: the same features and correlations, without any gap between groups.

First ties and absence are smoothed out, in the data as well (`fine_grained`): that everybody has a whole number of
orders, or that customers with one order have no rhythm yet, is no gap between kinds of people. Ranks then follow a
Gaussian copula with the correlations of the data, so whatever goes together still does, and each feature keeps its own
distribution as far as that has a single peak: the null model differs from the data by gaps, and by nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kohort.discovery.ranks import mid_ranks, normal_quantile

BINS = 40


@dataclass(frozen=True, slots=True)
class NullModel:
    """One population with the margins and the correlation of a prepared matrix.

    Attributes:
        margins: Per column, sorted values at evenly spaced probabilities.
        root: Matrix whose product with standard normal rows has the correlation of the copula.
    """

    margins: tuple[np.ndarray, ...]
    root: np.ndarray

    def draw(self, rows: int, rng: np.random.Generator) -> np.ndarray:
        """float32 matrix of that many customers of the single population."""
        from scipy.special import ndtr

        U = ndtr(rng.standard_normal((rows, len(self.root))) @ self.root.T)
        out = np.empty(U.shape, dtype=np.float32)
        for i, margin in enumerate(self.margins):
            out[:, i] = margin[np.minimum((U[:, i] * len(margin)).astype(np.int64), len(margin) - 1)]
        return out


def fit_null(X: np.ndarray) -> NullModel:
    """The null model of a matrix (rows, columns) without missing values and ties (see `fine_grained`)."""
    n = len(X)
    Z = normal_quantile((mid_ranks(X) + 0.5) / n)
    sd = Z.std(axis=0)
    Z = (Z - Z.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    C = Z.T @ Z / n
    np.fill_diagonal(C, 1.0)
    w, V = np.linalg.eigh(C)
    root = V * np.sqrt(np.maximum(w, 0.0))
    root /= np.maximum(np.linalg.norm(root, axis=1, keepdims=True), 1e-12)
    return NullModel(tuple(single_peaked(X[:, i].astype(float)) for i in range(X.shape[1])), root)


def fine_grained(X: np.ndarray, missing: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """The rows as if everything had been measured finely and for everybody, so that ties and absence are no gaps.

    A missing value is replaced by what the other features suggest, plus the scatter around such suggestions. A value
    that many customers share is spread out until it is no denser than the rest of its feature.
    """
    Y = np.array(X, dtype=np.float32)
    if missing is not None:
        for j in np.flatnonzero(missing.any(axis=0)).tolist():
            _suggest(Y, X, j, missing[:, j], rng)
    for j in range(Y.shape[1]):
        Y[:, j] = _spread(Y[:, j].astype(float), rng)
    return Y


def _suggest(Y: np.ndarray, X: np.ndarray, j: int, gone: np.ndarray, rng: np.random.Generator) -> None:
    here = ~gone
    if here.sum() < 10:
        return
    others = np.column_stack([np.delete(X, j, axis=1), np.ones(len(X))]).astype(float)
    A = others[here]
    weights = np.linalg.solve(A.T @ A + 1e-3 * len(A) * np.eye(A.shape[1]), A.T @ X[here, j])
    scatter = X[here, j] - A @ weights
    Y[gone, j] = others[gone] @ weights + rng.choice(scatter, int(gone.sum()))


def _spread(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = len(x)
    kinds, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    tied = counts >= max(3, 0.002 * n)
    if not tied.any():
        return x
    low, high = np.quantile(x, (0.05, 0.95))
    width = (high - low) if high > low else float(kinds[-1] - kinds[0])
    reach = 0.5 * width * counts / n
    steps = np.diff(kinds)
    both = tied[1:] & tied[:-1]  # half-way to the next tie closes a lattice, unless that is unusually far away
    half = (
        np.where(both, 0.5 * np.minimum(steps, 3 * np.median(steps[both])), 0.0) if both.any() else np.zeros(len(steps))
    )
    left = np.maximum(reach, np.concatenate([[0.0], half]))
    right = np.maximum(reach, np.concatenate([half, [0.0]]))
    u = rng.random(n)
    moved = x + np.where(u < 0.5, (2 * u - 1) * left[place], (2 * u - 1) * right[place])
    return np.where(tied[place], moved, x)


def single_peaked(x: np.ndarray) -> np.ndarray:
    """Sorted values of the closest distribution with a single peak, as many as in `x`.

    Example:
        >>> gap = np.concatenate([np.linspace(0, 1, 500), np.linspace(3, 4, 500)])
        >>> bool(np.mean((single_peaked(gap) > 1.2) & (single_peaked(gap) < 2.8)) > 0.2)
        True
    """
    if x.max() <= x.min():
        return np.sort(x)
    edges = np.linspace(x.min(), x.max(), BINS + 1)
    density = single_peak(np.histogram(x, bins=edges)[0].astype(float))
    mass = np.concatenate([[0.0], np.cumsum(density)])
    return np.asarray(np.interp((np.arange(len(x)) + 0.5) / len(x) * mass[-1], mass, edges))


def peaks_apart(x: np.ndarray) -> bool:
    """True where one feature alone has more than a single peak: a Kolmogorov distance no chance explains."""
    y = np.sort(_spread(np.asarray(x, dtype=float), np.random.default_rng(0)))
    away = np.searchsorted(single_peaked(y), y, side="right") / len(y) - np.arange(1, len(y) + 1) / len(y)
    return bool(np.abs(away).max() * np.sqrt(len(y)) > 1.2)


def single_peak(counts: np.ndarray) -> np.ndarray:
    """The closest sequence (least squares) that rises to one place and falls after it."""
    best, least = counts, np.inf
    for top in range(len(counts)):
        fit = np.concatenate([rising(counts[: top + 1]), rising(counts[top + 1 :][::-1])[::-1]])
        error = float(np.sum((fit - counts) ** 2))
        if error < least:
            best, least = fit, error
    return best


def rising(y: np.ndarray) -> np.ndarray:
    """Closest non-decreasing sequence (pool adjacent violators)."""
    means: list[float] = []
    sizes: list[int] = []
    for value in y.tolist():
        mean, size = value, 1
        while means and means[-1] > mean:
            before, many = means.pop(), sizes.pop()
            mean = (mean * size + before * many) / (size + many)
            size += many
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes) if means else y
