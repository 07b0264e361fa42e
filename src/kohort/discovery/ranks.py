"""Ranks with ties and their normal scores, in numpy: scipy.stats would cost half a second of import."""

from __future__ import annotations

import numpy as np


def mid_ranks(X: np.ndarray) -> np.ndarray:
    """Ranks from 0 by column; equal values share the mean of their places.

    Example:
        >>> mid_ranks(np.array([[5.0], [1.0], [5.0]])).ravel().tolist()
        [1.5, 0.0, 1.5]
    """
    out = np.empty(X.shape)
    for i in range(X.shape[1]):
        _, place, counts = np.unique(X[:, i], return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        out[:, i] = (last - (counts + 1) / 2)[place]
    return out


def standard_ranks(X: np.ndarray) -> np.ndarray:
    """Ranks by column with mean 0 and standard deviation 1; a constant column is 0."""
    R = mid_ranks(X)
    R -= R.mean(axis=0)
    sd = R.std(axis=0)
    return np.asarray(R / np.where(sd > 0, sd, 1.0))


def normal_quantile(p: np.ndarray) -> np.ndarray:
    """Standard normal quantiles of probabilities strictly between 0 and 1."""
    from scipy.special import ndtri

    return np.asarray(ndtri(p))
