"""The naive rules that stand beside the models, and the figures by which both are held against what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.errors import WrongUsage
from kohort.predict.buying.summary import read_summary


def past_rate(table: Any, horizon: float) -> np.ndarray:
    """Purchases if everybody went on as before: frequency / age × horizon; 0 for who was not watched for any time.

    Example:
        >>> past_rate({"frequency": [2], "recency": [10.0], "age": [20.0]}, horizon=10).tolist()
        [1.0]
    """
    summary = read_summary(table)
    rate = np.divide(summary.frequency, summary.age, out=np.zeros(len(summary)), where=summary.age > 0)
    expected: np.ndarray = rate * horizon
    return expected


def bought_lately(table: Any, within: float) -> np.ndarray:
    """The hiatus rule: whoever bought in the last `within` counts as active.

    Example:
        >>> bought_lately({"frequency": [0, 3], "recency": [0, 18.0], "age": [20.0, 20.0]}, within=13).tolist()
        [False, True]
    """
    summary = read_summary(table)
    lately: np.ndarray = summary.age - summary.recency <= within
    return lately


@dataclass(frozen=True, slots=True)
class Held:
    """Expected purchases held against those that happened.

    Attributes:
        actual: Purchases of all customers.
        expected: Of all customers.
        total_error: expected / actual − 1; NaN where nobody bought.
        correlation: Over customers; NaN where either does not vary.
        mae: Mean absolute error per customer.
        rmse: Root of the mean squared error per customer.
        auc: Chance that of one who bought and one who did not the former has the higher figure, ties half; NaN where all did
            or none did.
        best_tenth: Share of the tenth that bought most who are in the tenth expected to (ties in order of rows).
    """

    actual: float
    expected: float
    total_error: float
    correlation: float
    mae: float
    rmse: float
    auc: float
    best_tenth: float


def hold(expected: np.ndarray, actual: np.ndarray) -> Held:
    """Compares per customer; both in the same order.

    Example:
        >>> held = hold(np.array([0.1, 0.9, 2.0]), np.array([0, 1, 3]))
        >>> held.actual, round(held.total_error, 3), held.auc
        (4.0, -0.25, 1.0)
    """
    from scipy.stats import rankdata

    guess, truth = np.asarray(expected, float), np.asarray(actual, float)
    if guess.shape != truth.shape or not len(truth):
        raise WrongUsage("Bring one expected and one actual number per customer.")
    bought = truth > 0
    yes, no = int(bought.sum()), int((~bought).sum())
    above = rankdata(guess)[bought].sum() - yes * (yes + 1) / 2
    tenth = max(len(truth) // 10, 1)
    best, picked = (set(np.argsort(-v, kind="stable")[:tenth].tolist()) for v in (truth, guess))
    vary = np.ptp(guess) > 0 and np.ptp(truth) > 0
    return Held(
        actual=float(truth.sum()),
        expected=float(guess.sum()),
        total_error=float(guess.sum() / truth.sum() - 1) if truth.sum() else float("nan"),
        correlation=float(np.corrcoef(guess, truth)[0, 1]) if vary else float("nan"),
        mae=float(np.abs(guess - truth).mean()),
        rmse=float(np.sqrt(((guess - truth) ** 2).mean())),
        auc=float(above / (yes * no)) if yes and no else float("nan"),
        best_tenth=len(best & picked) / tenth,
    )
