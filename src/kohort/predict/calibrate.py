"""From a model's log-odds to probabilities that mean what they say: as they are, straightened, or by steps.

The simplest is kept whose log loss, each part of the rows judged by a curve drawn from the others, is within one standard
error of the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kohort.predict.measures import mean_and_error, row_losses

Curve = Literal["as_is", "sigmoid", "steps"]
FARTHEST = 15.0
ENOUGH_FOR_STEPS = 500
"""Rows of the rarer outcome from which on steps are tried: with fewer they follow chance. They are taken only where they surely help."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve from log-odds to probabilities, never falling.

    Attributes:
        kind: as_is: 1 / (1 + exp(−z)). sigmoid: the same of slope·z + offset. steps: straight lines between `x` and `y`.
    """

    kind: Curve = "as_is"
    slope: float = 1.0
    offset: float = 0.0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def probability(self, z: np.ndarray) -> np.ndarray:
        if self.kind == "steps":
            return np.asarray(np.interp(z, self.x, self.y))
        return sigmoid(self.slope * z + self.offset)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(−z))."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -FARTHEST, FARTHEST))))


def log_odds(p: np.ndarray) -> np.ndarray:
    """The inverse of `sigmoid`, cut where probabilities are as good as 0 or 1."""
    q = np.clip(p, 1e-5, 1 - 1e-5)
    return np.asarray(np.log(q) - np.log1p(-q))


def calibrate(
    z: np.ndarray, y: np.ndarray, groups: np.ndarray, parts: Sequence[np.ndarray]
) -> tuple[Calibration, np.ndarray]:
    """The curve to keep, drawn from all rows, and each row's probability from a curve that did not see its part.

    Args:
        z: Log-odds that the rows got from models that had not seen them.
        groups: Whole number per row; rows of one group are not independent.
        parts: Row numbers of each part; together all rows, once.
    """
    kinds: list[Curve] = ["as_is", "sigmoid"]
    if min(y.sum(), len(y) - y.sum()) >= ENOUGH_FOR_STEPS:
        kinds.append("steps")
    judged = {kind: _cross_fitted(kind, z, y, parts) for kind in kinds}
    losses = {kind: row_losses(p, y) for kind, p in judged.items()}
    best = min(kinds, key=lambda kind: float(losses[kind].mean()))
    for kind in kinds:
        mean, error = mean_and_error(losses[kind] - losses[best], groups)
        if kind == best or mean <= error:
            return _drawn(kind, z, y), judged[kind]
    raise AssertionError("the best curve is within one standard error of itself")


def _cross_fitted(kind: Curve, z: np.ndarray, y: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    p = np.empty(len(z))
    for part in parts:
        others = np.ones(len(z), bool)
        others[part] = False
        p[part] = _drawn(kind, z[others], y[others]).probability(z[part])
    return p


def _drawn(kind: Curve, z: np.ndarray, y: np.ndarray) -> Calibration:
    if kind == "sigmoid":
        return _sigmoid_curve(z, y)
    if kind == "steps":
        return _steps(z, y)
    return Calibration()


def _sigmoid_curve(z: np.ndarray, y: np.ndarray) -> Calibration:
    """Slope and offset of largest likelihood, by Newton's method, held a little towards (1, 0)."""
    A = np.column_stack([np.clip(z, -FARTHEST, FARTHEST), np.ones(len(z))])
    b, towards, hold = np.array([1.0, 0.0]), np.array([1.0, 0.0]), 1.0
    for _ in range(50):
        p = sigmoid(A @ b)
        gradient = A.T @ (p - y) + hold * (b - towards)
        curvature = (A * (p * (1 - p))[:, None]).T @ A + hold * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        b = b - step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return Calibration("sigmoid", float(max(b[0], 1e-3)), float(b[1]))


def _steps(z: np.ndarray, y: np.ndarray) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    least = 1.0 / (2 * len(y))
    fitted = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(z, y)
    x, p = fitted.X_thresholds_, fitted.y_thresholds_
    return Calibration("steps", x=tuple(map(float, x)), y=tuple(map(float, p)))
