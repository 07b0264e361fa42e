"""The structure test: are there gaps between groups that one single population would not show?

Two statistics look for gaps in different ways: the prominence of the second peak of a nearest-neighbour density (any
shape, few features), and the deepest valley along the line joining neighbouring groups (compact groups, also among many
noisy features). Both are compared with the same figures of data drawn from the null model (`null.py`), and both have a
least size: a gap has to be visible, not only significant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.discovery.algorithms import fit_kmeans
from kohort.discovery.density import landscape, modes, valleys_between
from kohort.discovery.null import fine_grained, fit_null

TEST_ROWS = 1_600
NULL_DRAWS = 19
CLEARLY = 4.0
"""Standard deviations of the null draws that a gap has to lie above their mean; also above every single draw."""

LEAST_DEPTH = 0.35
LEAST_PROMINENCE = 0.7
"""Natural logarithm: the saddle has less than half the density of the lower peak."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """What the structure test measured.

    `prominence` and `valley` are (data, mean of null draws, deviation of null draws, highest null draw);
    `depth` is the depth of the data's clearest valley; `bar` is the prominence from which a mode counts.
    """

    prominence: tuple[float, float, float, float]
    valley: tuple[float, float, float, float]
    depth: float
    bar: float
    modes: int

    @property
    def by_prominence(self) -> bool:
        return _beyond(self.prominence) and self.prominence[0] >= LEAST_PROMINENCE

    @property
    def by_valley(self) -> bool:
        return _beyond(self.valley) and self.depth >= LEAST_DEPTH

    @property
    def found(self) -> bool:
        return self.by_prominence or self.by_valley

    def evidence(self) -> dict[str, Any]:
        return {
            "peaks": self.modes,
            "second_peak": round(self.prominence[0], 3),
            "second_peak_single_population": round(self.prominence[1], 3),
            "second_peak_single_population_highest": round(self.prominence[3], 3),
            "valley": round(self.valley[0], 3),
            "valley_single_population": round(self.valley[1], 3),
            "valley_single_population_highest": round(self.valley[3], 3),
            "valley_depth": round(self.depth, 3),
            "null_draws": NULL_DRAWS,
        }


NO_GAPS = Gaps((0.0,) * 4, (0.0,) * 4, 0.0, np.inf, 1)
"""Nothing was tested: too few rows."""


def measure_gaps(X: np.ndarray, missing: np.ndarray | None = None, *, seed: int = 0, draws: int = NULL_DRAWS) -> Gaps:
    """Both statistics of prepared rows (the first TEST_ROWS are looked at) and of as many null draws.

    `missing` (same shape) marks prepared values that stand for an absent one.
    """
    rng = np.random.default_rng(seed)
    X = fine_grained(X[:TEST_ROWS], None if missing is None else missing[:TEST_ROWS], rng)
    null = fit_null(X)
    own = _statistics(X, seed)
    drawn = [_statistics(null.draw(len(X), rng), seed) for _ in range(draws)]
    P = np.array([d[0] for d in drawn])
    V = np.array([d[1] for d in drawn])
    prominence = (own[0], float(P.mean()), float(P.std(ddof=1)), float(P.max()))
    valley = (own[1], float(V.mean()), float(V.std(ddof=1)), float(V.max()))
    bar = max(prominence[1] + CLEARLY * prominence[2], prominence[3], LEAST_PROMINENCE)
    return Gaps(prominence, valley, own[2], bar, 1 + int(np.sum(own[3] >= bar)))


def _beyond(s: tuple[float, float, float, float]) -> bool:
    return s[0] > s[3] and s[0] > s[1] + CLEARLY * max(s[2], 0.05)


def _statistics(X: np.ndarray, seed: int) -> tuple[float, float, float, np.ndarray]:
    """(prominence of the second peak, clearest valley's evidence, its depth, all prominences)."""
    least = max(12, round(0.005 * len(X)))
    prominences, _ = modes(landscape(X), least)
    prominences = np.minimum(prominences, 12.0)  # islands: further apart than any figure needs
    evidence, depth = 0.0, 0.0
    for k in (2, 3, 4, 6):
        if k * 2 * least > len(X):
            break
        labels, _ = fit_kmeans(X, k, seed=seed, starts=1).label(X)
        for d, e in valleys_between(X, labels, least_rows=2 * least).values():
            if e > evidence:
                evidence, depth = e, d
    return (float(prominences[0]) if len(prominences) else 0.0), evidence, depth, prominences
