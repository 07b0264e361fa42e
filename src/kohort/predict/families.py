"""The kinds of models that are compared, from the simplest to the least simple, and what a fitted one is: plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kohort.predict.calibrate import log_odds
from kohort.predict.encode import Encoder
from kohort.predict.recurrent.network import UNITS, Recurrent
from kohort.predict.recurrent.network import fit as fit_network
from kohort.predict.trees import MOST_LEAVES, Forest, of_boosting, of_forest

Family = Literal["logistic", "tree", "forest", "boosting", "recurrent", "poisson"]
"""All but the last tell an outcome; `poisson` and `boosting` tell an amount, too (`kohort.predict.lifetime.learned`)."""

SMALL_ROWS = 2_000
"""Below, only the small settings are tried: the others would learn the rows by heart."""

TITLES: dict[str, str] = {
    "logistic": "logistic regression",
    "tree": "a decision tree",
    "forest": "a random forest",
    "boosting": "gradient boosting",
    "recurrent": "a recurrent network on weeks",
    "poisson": "a regression of the logarithm",
}


@dataclass(frozen=True, slots=True)
class Learned:
    """A fitted model over the columns of an encoder.

    Attributes:
        family: What kind it is.
        weights: Of a logistic or Poisson regression: one per column of the linear matrix, then the constant.
        forest: Of the others.
        recurrent: Of a recurrent network.
    """

    family: Family
    weights: np.ndarray | None = None
    forest: Forest | None = None
    recurrent: Recurrent | None = None

    def total(self, encoder: Encoder, X: np.ndarray) -> np.ndarray:
        """What it adds up for rows of the encoder's matrix: log-odds, the logarithm of an amount, or a mean of leaves."""
        if self.weights is not None:
            return np.asarray(encoder.linear(X) @ self.weights[:-1] + self.weights[-1])
        if self.recurrent is not None:
            return self.recurrent.log_odds(encoder, X)
        assert self.forest is not None
        return self.forest.total(X)

    def log_odds(self, encoder: Encoder, X: np.ndarray) -> np.ndarray:
        """Log-odds for rows of the encoder's matrix."""
        total = self.total(encoder, X)
        return log_odds(total) if self.family in ("tree", "forest") else total


@dataclass(frozen=True, slots=True)
class Candidate:
    """A family with one setting.

    `fit` takes an encoder, rows of its matrix, their outcomes, their groups (rows of one customer have one number) and a seed.
    """

    family: Family
    setting: str
    fit: Callable[[Encoder, np.ndarray, np.ndarray, np.ndarray, int], Learned]

    @property
    def title(self) -> str:
        return f"{TITLES[self.family]} ({self.setting})"


def candidates(rows: int, *, weeks: int = 0) -> tuple[Candidate, ...]:
    """What is compared on a table of that many rows, the simplest first; the network only where there are weeks."""
    last = (_recurrent(weeks),) if weeks else ()
    small = (
        _logistic(0.03),
        _tree(8, least=max(10, rows // 50)),
        _forest(25, least=max(5, rows // 100)),
        _boosting(0.06, 50, 4, least=max(10, rows // 25)),
    )
    if rows < SMALL_ROWS:
        return (*small, *last)
    return (
        _logistic(0.003),
        _logistic(0.1),
        _tree(8, least=50),
        _tree(24, least=30),
        _forest(100, least=10),
        _boosting(0.06, 100, 6, least=40),
        _boosting(0.1, 200, 12, least=30),
        _boosting(0.1, 400, 16, least=20),
        *last,
    )


def _logistic(c: float) -> Candidate:
    def fit(encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> Learned:
        from sklearn.linear_model import LogisticRegression

        del groups, seed
        model = LogisticRegression(C=c, max_iter=1_000, tol=1e-5).fit(encoder.linear(X), y)
        return Learned("logistic", np.append(model.coef_[0], model.intercept_[0]).astype(np.float64))

    return Candidate("logistic", f"C {c:g}", fit)


def _tree(leaves: int, *, least: int) -> Candidate:
    def fit(encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> Learned:
        from sklearn.tree import DecisionTreeClassifier

        del encoder, groups
        model = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=least, random_state=seed).fit(X, y)
        return Learned("tree", forest=of_forest([model]))

    return Candidate("tree", f"{leaves} leaves", fit)


def _forest(trees: int, *, least: int) -> Candidate:
    def fit(encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> Learned:
        from sklearn.ensemble import RandomForestClassifier

        del encoder, groups
        model = RandomForestClassifier(
            trees, max_leaf_nodes=MOST_LEAVES, min_samples_leaf=least, max_features="sqrt", random_state=seed, n_jobs=1
        ).fit(X, y)
        return Learned("forest", forest=of_forest(model.estimators_))

    return Candidate("forest", f"{trees} trees", fit)


def _boosting(rate: float, rounds: int, leaves: int, *, least: int) -> Candidate:
    def fit(encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> Learned:
        from sklearn.ensemble import HistGradientBoostingClassifier

        del encoder, groups
        model: Any = HistGradientBoostingClassifier(
            learning_rate=rate,
            max_iter=rounds,
            max_leaf_nodes=leaves,
            min_samples_leaf=least,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        ).fit(X, y)
        return Learned("boosting", forest=of_boosting(model))

    return Candidate("boosting", f"{rounds} rounds of {leaves} leaves", fit)


def _recurrent(weeks: int) -> Candidate:
    def fit(encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> Learned:
        return Learned("recurrent", recurrent=fit_network(encoder, X, y, groups, seed))

    return Candidate("recurrent", f"{UNITS} units, {weeks} weeks", fit)
