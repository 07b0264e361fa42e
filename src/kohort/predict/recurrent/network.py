"""A recurrent network as one of the models that are compared: over an encoder's columns, the plain ones and those of weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kohort.model.descent import Pace, Weights, descend
from kohort.predict.encode import Encoder
from kohort.predict.recurrent.gru import SHAPES, log_odds, loss, new_weights, slope

UNITS = 16
"""Width of the state: on the bundled shop 8 and 32 were within .004 of its AUC; a round takes 0.6 and 1.8 times as long."""

HELD_BACK = 0.15
"""Share of the customers whose loss says when to stop."""

PACE = Pace(rate=3e-3, batch=512, epochs=30, patience=4, decay=1.0)
CHUNK_ROWS = 8_192
MOST_UNITS = 256


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A fitted network.

    Attributes:
        weights: See `gru.new_weights`.
        usual: float64 (weeks, channels): what customers had on average in each week, the last one first; reasons compare with it.
        epochs: After how many rounds it was best; 0 = it says what a logistic regression says.
    """

    weights: Weights
    usual: np.ndarray
    epochs: int = 0

    def log_odds(self, encoder: Encoder, X: np.ndarray) -> np.ndarray:
        """Log-odds for rows of the encoder's matrix."""
        found = np.empty(len(X))
        for start in range(0, len(X), CHUNK_ROWS):
            series, plain = read(encoder, X[start : start + CHUNK_ROWS])
            found[start : start + len(plain)] = log_odds(self.weights, series, plain)
        return found

    def fits(self, encoder: Encoder) -> bool:
        """Whether every array has the shape that the others and the encoder ask for."""
        w = self.weights
        if set(w) != set(SHAPES) or w["out"].ndim != 1 or not 1 <= len(w["out"]) <= MOST_UNITS:
            return False
        units, channels = len(w["out"]), len(encoder.channels)
        if not channels or self.usual.shape != (encoder.weeks, channels):
            return False
        wanted = {
            "inputs": (channels, 3 * units),
            "inner": (units, 3 * units),
            "bias": (3 * units,),
            "inner_bias": (3 * units,),
            "out": (units,),
            "static": (encoder.width,),
            "constant": (1,),
        }
        return all(w[name].shape == shape and w[name].dtype == np.float32 for name, shape in wanted.items())


def fit(
    encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int, *, units: int = UNITS
) -> Recurrent:
    """Learn from rows of an encoder's matrix.

    The network begins as a logistic regression of the plain columns and adds what weeks tell. A part of the customers is held
    back from both; where no round of learning makes their loss smaller, the regression is what is left.

    Args:
        groups: Whole number per row: rows of one customer are held back together.
    """
    from sklearn.linear_model import LogisticRegression

    series, plain = read(encoder, X)
    learn, check = _held_back(y, groups, seed)
    first = LogisticRegression(C=0.1, max_iter=1_000, tol=1e-5).fit(plain[learn], y[learn])
    start = new_weights(series.shape[2], units, first.coef_[0], float(first.intercept_[0]), seed=seed)
    truth = y.astype(np.float32)
    found = descend(
        start,
        lambda w, rows: slope(w, series[rows], plain[rows], truth[rows]),
        lambda w, rows: _mean_loss(w, series, plain, truth, rows),
        learn=learn,
        check=check,
        pace=PACE,
        seed=seed,
        shrunk=frozenset({"inputs", "inner", "out"}),
    )
    usual = X[:, len(encoder.columns) - encoder.weeks * len(encoder.channels) :].mean(axis=0, dtype=float)
    return Recurrent(found.weights, usual.reshape(encoder.weeks, -1), found.epochs)


def read(encoder: Encoder, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network reads: float32 (rows, weeks, channels), the oldest week first, and (rows, plain columns)."""
    plain = encoder.linear(X).astype(np.float32)
    return encoder.series(X), plain


def _held_back(y: np.ndarray, groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to stop by, customers apart; both outcomes in either, or nothing is held back."""
    held = np.random.default_rng(seed).random(int(groups.max()) + 1)[groups] < HELD_BACK
    if min(len(np.unique(y[held])), len(np.unique(y[~held]))) < 2:
        return np.arange(len(y)), np.zeros(0, int)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _mean_loss(w: Weights, series: np.ndarray, plain: np.ndarray, y: np.ndarray, rows: np.ndarray) -> float:
    total = 0.0
    for start in range(0, len(rows), CHUNK_ROWS):
        some = rows[start : start + CHUNK_ROWS]
        total += len(some) * loss(w, series[some], plain[some], y[some])
    return total / len(rows)
