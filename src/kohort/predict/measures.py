"""Figures of a scored table, each with its 95 % interval from a bootstrap over customers.

All of them are functions of three arrays: the distinct probabilities and, for each, how much weight of either outcome has it.
So a resample costs two sums, and ties are treated the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.model.segmentation import Estimate

RESAMPLES = 300
MOST_ROWS_TIMES_RESAMPLES = 30_000_000
"""Large tables are resampled less often, never under 60 times: their intervals are narrow anyway."""

BINS = 10
LIFTS = (0.05, 0.1, 0.2, 0.3, 0.5)
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Tally:
    """Distinct probabilities, ascending, with the weight of rows that turned out so (`yes`) and not (`no`)."""

    levels: np.ndarray
    yes: np.ndarray
    no: np.ndarray

    @property
    def all(self) -> np.ndarray:
        return np.asarray(self.yes + self.no)


def roc_auc(t: Tally) -> float:
    """Chance that a random positive has a higher probability than a random negative; ties count half.

    Example:
        >>> roc_auc(Tally(np.array([0.1, 0.9]), np.array([1.0, 3.0]), np.array([3.0, 1.0])))
        0.75
    """
    below = np.cumsum(t.no) - t.no / 2
    return _ratio(float(t.yes @ below), float(t.yes.sum() * t.no.sum()))


def average_precision(t: Tally) -> float:
    """Mean precision over the positives, from the highest probability down (PR-AUC, step-wise)."""
    yes, everybody = np.cumsum(t.yes[::-1]), np.cumsum(t.all[::-1])
    precision = np.divide(yes, everybody, out=np.zeros_like(yes), where=everybody > 0)
    return _ratio(float(t.yes[::-1] @ precision), float(yes[-1]))


def log_loss(t: Tally) -> float:
    """Mean of −log of the probability given to what happened, in nats."""
    p = np.clip(t.levels, TINY, 1 - TINY)
    return _ratio(float(-(t.yes @ np.log(p) + t.no @ np.log1p(-p))), float(t.all.sum()))


def brier(t: Tally) -> float:
    """Mean squared distance of the probability from what happened."""
    return _ratio(float(t.yes @ (1 - t.levels) ** 2 + t.no @ t.levels**2), float(t.all.sum()))


def bins(t: Tally, count: int = BINS) -> list[tuple[float, float, float]]:
    """(mean probability, share that happened, weight) of parts of equal weight, ascending. Ties are never divided."""
    total = t.all.sum()
    middle = (np.cumsum(t.all) - t.all / 2) / total if total else t.all
    place = np.minimum((middle * count).astype(int), count - 1)
    weight = np.bincount(place, t.all, count)
    said, happened = np.bincount(place, t.all * t.levels, count), np.bincount(place, t.yes, count)
    kept = weight > 0
    return list(
        zip(
            (said[kept] / weight[kept]).tolist(),
            (happened[kept] / weight[kept]).tolist(),
            weight[kept].tolist(),
            strict=True,
        )
    )


def calibration_error(t: Tally) -> float:
    """Mean distance between what was said and what happened over ten parts of equal size (ECE)."""
    found = bins(t)
    return _ratio(sum(abs(said - happened) * w for said, happened, w in found), sum(w for _, _, w in found))


def precision(t: Tally, threshold: float) -> float:
    """Share of those at or above the threshold that were positive; 0 where nobody is."""
    above = t.levels >= threshold
    return _ratio(float(t.yes[above].sum()), float(t.all[above].sum()), empty=0.0)


def recall(t: Tally, threshold: float) -> float:
    """Share of the positives that are at or above the threshold."""
    return _ratio(float(t.yes[t.levels >= threshold].sum()), float(t.yes.sum()))


def f1(t: Tally, threshold: float) -> float:
    """Harmonic mean of precision and recall."""
    above = t.levels >= threshold
    hits = float(t.yes[above].sum())
    return _ratio(2 * hits, float(t.all[above].sum() + t.yes.sum()))


def gain(t: Tally, share: float) -> float:
    """Share of all positives among the `share` of rows with the highest probabilities; a tie counts in proportion."""
    everybody, yes = t.all[::-1], t.yes[::-1]
    wanted = share * everybody.sum()
    before = np.cumsum(everybody) - everybody
    taken = np.clip(np.divide(wanted - before, everybody, out=np.zeros_like(everybody), where=everybody > 0), 0, 1)
    return _ratio(float(taken @ yes), float(yes.sum()))


def _ratio(above: float, below: float, *, empty: float = float("nan")) -> float:
    return above / below if below else empty


class Scored:
    """Probabilities beside what happened, with a bootstrap over groups of rows that belong together.

    Args:
        p: Probability of each row.
        y: 0 or 1 per row.
        groups: Whole number per row; rows of one group are drawn together. None = every row by itself.
        seed: Of the resamples, the same for any two tables with equal groups: so differences are paired.
    """

    def __init__(self, p: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None, *, seed: int = 0) -> None:
        self.p, self.y = np.asarray(p, float), np.asarray(y, float)
        self._levels, self._place = np.unique(self.p, return_inverse=True)
        own = np.arange(len(self.p)) if groups is None else np.unique(groups, return_inverse=True)[1]
        self._own, self.groups = own, int(own.max(initial=-1)) + 1
        self.resamples = int(np.clip(MOST_ROWS_TIMES_RESAMPLES // max(len(self.p), 1), 60, RESAMPLES))
        self._seed = seed

    def tally(self, weight: np.ndarray | None = None) -> Tally:
        w = np.ones(len(self.p)) if weight is None else weight
        size = len(self._levels)
        yes = np.bincount(self._place, w * self.y, size)
        return Tally(self._levels, yes, np.bincount(self._place, w, size) - yes)

    def estimates(self, figures: Mapping[str, Callable[[Tally], float]]) -> dict[str, Estimate]:
        """Each figure with the 2.5 % and 97.5 % points of its resamples. NaN where it cannot be had at all."""
        whole = self.tally()
        values = {name: figure(whole) for name, figure in figures.items()}
        drawn: dict[str, list[float]] = {name: [] for name in figures}
        rng = np.random.default_rng(self._seed)
        for _ in range(self.resamples):
            counts = np.bincount(rng.integers(0, self.groups, self.groups), minlength=self.groups).astype(float)
            resample = self.tally(counts[self._own])
            for name, figure in figures.items():
                drawn[name].append(figure(resample))
        limits = {name: _limits(found) for name, found in drawn.items()}
        return {name: Estimate(value, *limits[name]) for name, value in values.items()}


def _limits(found: list[float]) -> tuple[float, float]:
    known = np.array([v for v in found if np.isfinite(v)])
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def all_figures(threshold: float) -> dict[str, Callable[[Tally], float]]:
    """The figures of a report by name. Accuracy is not among them: who says “nobody” is accurate too."""
    at: dict[str, Callable[[Tally], float]] = {
        "f1": lambda t: f1(t, threshold),
        "precision": lambda t: precision(t, threshold),
        "recall": lambda t: recall(t, threshold),
    }
    return {
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "log_loss": log_loss,
        "brier": brier,
        "calibration_error": calibration_error,
        **at,
    }


def row_losses(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """−log of the probability given to what happened, per row."""
    q = np.clip(p, TINY, 1 - TINY)
    return np.asarray(-np.where(y > 0, np.log(q), np.log1p(-q)))


def mean_and_error(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """The mean of a figure per row and its standard error where rows of one group are not independent."""
    mean = float(values.mean())
    sums = np.bincount(groups, values - mean)
    count = len(sums)
    return mean, float(np.sqrt((sums**2).sum() * count / max(count - 1, 1))) / len(values)


def auc_and_error(p: np.ndarray, y: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """AUC and its standard error by DeLong's placements, summed over the rows of a group (Obuchowski 1997)."""
    scored = Scored(p, y)
    t = scored.tally()
    yes, no = t.yes.sum(), t.no.sum()
    if not yes or not no:
        return float("nan"), float("nan")
    of_yes = ((np.cumsum(t.no) - t.no / 2) / no)[scored._place]
    of_no = ((yes - np.cumsum(t.yes) + t.yes / 2) / yes)[scored._place]
    auc = roc_auc(t)
    parts = np.where(scored.y > 0, (of_yes - auc) / yes, (of_no - auc) / no)
    sums = np.bincount(groups, parts)
    count = len(sums)
    return auc, float(np.sqrt((sums**2).sum() * count / max(count - 1, 1)))


def as_dict(estimates: dict[str, Estimate]) -> dict[str, Any]:
    """Estimates as the doors give them: `{"value", "low", "high"}`, what cannot be had as None."""
    return {name: estimate_dict(e) for name, e in estimates.items()}


def estimate_dict(e: Estimate) -> dict[str, float | None]:
    return {k: (round(v, 6) if np.isfinite(v) else None) for k, v in vars_of(e).items()}


def vars_of(e: Estimate) -> dict[str, float]:
    return {"value": e.value, "low": e.low, "high": e.high}
