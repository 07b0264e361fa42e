"""Expected purchases or amounts held against those that came: figures with intervals, and the loss that chooses by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kohort.model.segmentation import Estimate
from kohort.predict.buying.rules import Held, hold
from kohort.predict.measures import estimate_dict, mean_and_error

FLOOR = 1e-3
"""Of the mean: nobody is expected to bring less. Otherwise one surprise of somebody expected to bring nothing decides alone."""

RESAMPLES = 200
MOST_DRAWN = 20_000
"""Customers in a resample; intervals of more are narrowed by the square root, which is exact for means."""

_SHOWN = ("total_error", "correlation", "mae", "rmse", "auc", "best_tenth")


def deviance(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Poisson deviance per customer, in units of the mean actual: 0 where the expectation was right (and not below `FLOOR`).

    The best answer to it is the mean, as with squared errors, but a few very large customers do not decide alone.

    Args:
        expected: From 0.
        actual: From 0; not all 0.

    Example:
        >>> deviance(np.array([1.0, 2.0]), np.array([1.0, 2.0])).tolist()
        [0.0, 0.0]
    """
    scale = float(np.mean(actual)) or 1.0
    y, mu = np.asarray(actual, float) / scale, np.maximum(np.asarray(expected, float) / scale, FLOOR)
    logs = np.log(np.where(y > 0, y, 1.0) / mu)
    return np.asarray(2 * (np.where(y > 0, y * logs, 0.0) - (y - mu)))


def figures(expected: np.ndarray, actual: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """What `hold` says, each figure with its 95 % interval from resampled customers, as the doors give it.

    `expected` and `actual` are sums over everybody, `deviance` is the mean loss that models are chosen by.
    """
    whole = hold(expected, actual)
    count = len(actual)
    some = min(count, MOST_DRAWN)
    rng = np.random.default_rng(seed)
    drawn = [_resampled(expected, actual, rng.integers(0, count, some)) for _ in range(_resamples(some))]
    shrink = float(np.sqrt(some / count))
    found: dict[str, Any] = {"expected": whole.expected, "actual": whole.actual}
    for name in _SHOWN:
        value = float(getattr(whole, name))
        found[name] = estimate_dict(_estimate(value, [float(getattr(d, name)) for d in drawn], shrink))
    found["deviance"] = round(float(deviance(expected, actual).mean()), 6)
    return found


def choose(losses: Mapping[str, np.ndarray]) -> str:
    """Of losses per customer the name of the first within one standard error of the best: put the simplest first."""
    best = min(losses, key=lambda name: float(losses[name].mean()))
    for name, loss in losses.items():
        mean, error = mean_and_error(loss - losses[best], np.arange(len(loss)))
        if name == best or mean <= error:
            return name
    raise AssertionError("the best is within one standard error of itself")


def surely_better(loss: np.ndarray, than: np.ndarray) -> bool:
    """Whether one loss per customer is smaller than another by two standard errors of the difference."""
    mean, error = mean_and_error(than - loss, np.arange(len(loss)))
    return mean > 1.96 * error


def _resamples(rows: int) -> int:
    return RESAMPLES if rows <= 5_000 else 80


def _resampled(expected: np.ndarray, actual: np.ndarray, rows: np.ndarray) -> Held:
    return hold(expected[rows], actual[rows])


def _estimate(value: float, drawn: list[float], shrink: float) -> Estimate:
    known = np.array([v for v in drawn if np.isfinite(v)])
    if not np.isfinite(value) or not len(known):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(known, (0.025, 0.975))
    return Estimate(value, float(value + (low - value) * shrink), float(value + (high - value) * shrink))
