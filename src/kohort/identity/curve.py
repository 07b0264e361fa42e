"""What a threshold costs: precision and recall as the model itself expects them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Curve:
    """Expected precision and recall at each threshold, from the highest down; estimates, as good as the probabilities are.

    Attributes:
        threshold: Probabilities, falling.
        precision: Expected share right of the pairs at or above.
        recall: Expected share found of the pairs that are right, among those compared.
    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    def best(self) -> float:
        """The threshold with the best expected F1; 1 where there are no pairs."""
        if not len(self.threshold):
            return 1.0
        f1 = 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-12)
        return float(self.threshold[int(f1.argmax())])

    def at(self, threshold: float) -> tuple[float, float]:
        """Expected precision and recall at a threshold."""
        place = int((self.threshold >= threshold).sum()) - 1
        return (1.0, 0.0) if place < 0 else (float(self.precision[place]), float(self.recall[place]))


def expected(probability: np.ndarray) -> Curve:
    """The curve of calibrated probabilities, one for each pair.

    Example:
        >>> expected(np.array([1.0, 0.5, 0.0])).precision.tolist()
        [1.0, 0.75, 0.5]
    """
    falling = np.sort(probability)[::-1]
    found = np.cumsum(falling)
    count = np.arange(1, len(falling) + 1)
    total = float(found[-1]) if len(found) else 1.0
    return Curve(falling, found / count, found / max(total, 1e-12))
