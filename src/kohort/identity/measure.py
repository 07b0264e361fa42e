"""How right groups are, where the truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pairwise(customer: np.ndarray, truth: Sequence[object]) -> dict[str, float]:
    """Precision, recall and F1 over pairs of records.

    Args:
        customer: The group of each record, any integers.
        truth: Who each record really is, parallel.

    Returns:
        `precision`, `recall`, `f1`; where there is nothing to be right about, 1.

    Example:
        >>> pairwise(np.array([0, 0, 2]), ["ann", "ann", "ann"])
        {'precision': 1.0, 'recall': 0.3333333333333333, 'f1': 0.5}
    """
    real = np.unique(np.array([str(value) for value in truth]), return_inverse=True)[1].astype(np.int64)
    group = np.unique(customer, return_inverse=True)[1].astype(np.int64)
    both, found, right = _pairs(group * (int(real.max()) + 1) + real), _pairs(group), _pairs(real)
    return {
        "precision": both / found if found else 1.0,
        "recall": both / right if right else 1.0,
        "f1": 2 * both / (found + right) if found + right else 1.0,
    }


def _pairs(values: np.ndarray) -> int:
    return int(sum(n * (n - 1) // 2 for n in np.unique(values, return_counts=True)[1].tolist()))
