"""A few numbers that stand for many: principal components, and an autoencoder that begins as these and bends them.

    codes = (x − mean)·V + tanh((x − mean)·A + a)·B         V: the components
    x̂     = mean + codes·Vᵀ + tanh(codes·C + c)·D

B and D begin at zero, so before the first round of learning it is the components; customers that are held back say whether bending
them helps. Whether it is any better is judged on customers that neither had seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kohort.discovery.algorithms import fit_kmeans
from kohort.discovery.stability import jaccard_table
from kohort.model.descent import Pace, Weights, descend

Kind = Literal["pca", "autoencoder"]
ENOUGH = 0.8
"""Share of the variance that so many components are taken for."""

MOST_WIDTH = 12
UNITS = 32
PACE = Pace(rate=2e-3, batch=256, epochs=60, patience=6, decay=0.0)
SURE = 1.96
GROUPS, RESAMPLES = 4, 10
"""Groups whose stability is compared, and on how many resamples."""

NOTABLY = 0.1
"""Groups of codes whose mean Jaccard is lower by more hold less well; less than that the choice of customers moves it."""

BENT = ("A", "a", "B", "C", "c", "D")
LEAST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Representation:
    """How rows of prepared columns become codes, and back.

    Attributes:
        mean: (columns,) float64.
        axes: (columns, codes): V.
        bent: A, a, B, C, c, D; None = principal components alone.
        epochs: After how many rounds it was best; 0 = bending did not help.
    """

    mean: np.ndarray
    axes: np.ndarray
    bent: Weights | None = None
    epochs: int = 0

    @property
    def kind(self) -> Kind:
        return "pca" if self.bent is None else "autoencoder"

    def encode(self, X: np.ndarray) -> np.ndarray:
        """float64 (rows, codes)."""
        away = X - self.mean
        codes = away @ self.axes
        w = self.bent
        return np.asarray(codes if w is None else codes + np.tanh(away @ w["A"] + w["a"]) @ w["B"])

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """float64 (rows, columns)."""
        straight = self.mean + codes @ self.axes.T
        w = self.bent
        return np.asarray(straight if w is None else straight + np.tanh(codes @ w["C"] + w["c"]) @ w["D"])

    def errors(self, X: np.ndarray) -> np.ndarray:
        """Mean squared error of each row's columns, rebuilt from its codes."""
        return np.asarray(((self.decode(self.encode(X)) - X) ** 2).mean(axis=1))


@dataclass(frozen=True, slots=True)
class Compared:
    """Both ways on the same customers.

    Attributes:
        taken: The one to use, fitted to all rows but those that say when to stop.
        told: JSON object: see `compare`.
    """

    taken: Representation
    told: dict[str, Any]


def fit_pca(X: np.ndarray, width: int | None = None) -> Representation:
    """Principal components.

    Args:
        width: How many; None = as many as keep `ENOUGH` of the variance, 2 to `MOST_WIDTH` and fewer than the columns.
    """
    mean = X.mean(axis=0, dtype=float)
    _, size, axes = np.linalg.svd(X - mean, full_matrices=False)
    if width is None:
        kept = np.cumsum(size**2) / max(float((size**2).sum()), 1e-300)
        width = int(np.searchsorted(kept, ENOUGH)) + 1
        width = max(1, min(max(width, 2), MOST_WIDTH, X.shape[1] - 1))
    axes = axes[:width].T
    # A component has no side of its own: its largest part points up, so that the same rows give the same codes.
    return Representation(mean, axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]))


def fit_autoencoder(X: np.ndarray, width: int | None = None, *, seed: int = 0, units: int = UNITS) -> Representation:
    """Components of a part of the rows, bent until the others get no better."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    check, learn = np.sort(order[: len(X) // 5]), np.sort(order[len(X) // 5 :])
    start = fit_pca(X[learn], width)
    columns, codes = start.axes.shape
    away = X - start.mean
    scale = float(np.sqrt((away[learn] ** 2).sum(axis=1).mean())) or 1.0
    weights: Weights = {
        "A": rng.normal(size=(columns, units)) / scale,
        "a": np.zeros(units),
        "B": np.zeros((units, codes)),
        "C": rng.normal(size=(codes, units)) / scale,
        "c": np.zeros(units),
        "D": np.zeros((units, columns)),
        "V": start.axes,
    }
    found = descend(
        weights,
        lambda w, rows: slope(w, away[rows]),
        lambda w, rows: slope(w, away[rows])[0],
        learn=learn,
        check=check,
        pace=PACE,
        seed=seed,
    )
    return Representation(start.mean, found.weights["V"], {n: found.weights[n] for n in BENT}, found.epochs)


def slope(w: Weights, away: np.ndarray) -> tuple[float, Weights]:
    """Mean squared error of rows less their mean, rebuilt, and its gradient by every array."""
    h = np.tanh(away @ w["A"] + w["a"])
    codes = away @ w["V"] + h @ w["B"]
    g = np.tanh(codes @ w["C"] + w["c"])
    gap = codes @ w["V"].T + g @ w["D"] - away
    d_out = 2 * gap / gap.size
    d_g = (d_out @ w["D"].T) * (1 - g * g)
    d_codes = d_out @ w["V"] + d_g @ w["C"].T
    d_h = (d_codes @ w["B"].T) * (1 - h * h)
    return float((gap**2).mean()), {
        "A": away.T @ d_h,
        "a": d_h.sum(axis=0),
        "B": h.T @ d_codes,
        "C": codes.T @ d_g,
        "c": d_g.sum(axis=0),
        "D": g.T @ d_out,
        "V": away.T @ d_codes + d_out.T @ codes,
    }


def compare(X: np.ndarray, asked: Kind, *, seed: int = 0) -> Compared:
    """Both ways, each judged on a quarter of the rows that it had not seen, and the one to take.

    An autoencoder that was asked for is taken where it rebuilds customers surely better and groups of its codes hold as well; else it
    is the components, and that is said.

    Args:
        X: Prepared rows.

    Returns:
        `told` = `{"asked", "taken", "codes", "columns", "rebuilt": {"pca", "autoencoder"}, "better": {"value", "low", "high"}, "stability":
        {"pca", "autoencoder"}, "epochs", "text"}`. `rebuilt`: share of the variance of unseen customers that is kept; `better`: by how
        much the autoencoder's is higher; `stability`: mean bootstrap Jaccard of four groups.
    """
    X = X.astype(float)
    order = np.random.default_rng(seed).permutation(len(X))
    judge, learn = X[order[: len(X) // 4]], X[order[len(X) // 4 :]]
    width = fit_pca(learn).axes.shape[1]
    both = {"pca": fit_pca(learn, width), "autoencoder": fit_autoencoder(learn, width, seed=seed)}
    spread = float(((judge - learn.mean(axis=0)) ** 2).mean())
    errors = {name: r.errors(judge) / max(spread, 1e-300) for name, r in both.items()}
    gain = errors["pca"] - errors["autoencoder"]
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))
    holds = {name: _holds(r.encode(X), seed) for name, r in both.items()}
    wins = len(X) >= LEAST_ROWS and mean - SURE * error > 0 and holds["autoencoder"] >= holds["pca"] - NOTABLY
    taken: Kind = "autoencoder" if wins and asked == "autoencoder" else "pca"
    whole = fit_autoencoder(X, width, seed=seed) if taken == "autoencoder" else fit_pca(X, width)
    told = {
        "asked": asked,
        "taken": taken,
        "codes": width,
        "columns": X.shape[1],
        "rebuilt": {name: round(1 - float(e.mean()), 4) for name, e in errors.items()},
        "better": {key: round(mean + k * error, 5) for key, k in (("value", 0), ("low", -SURE), ("high", SURE))},
        "stability": {name: round(v, 4) for name, v in holds.items()},
        "epochs": both["autoencoder"].epochs,
    }
    return Compared(whole, {**told, "text": _text(told, surely=mean - SURE * error > 0)})


def _holds(codes: np.ndarray, seed: int) -> float:
    """Mean bootstrap Jaccard of k-means groups of codes of the same spread."""
    X = ((codes - codes.mean(axis=0)) / np.maximum(codes.std(axis=0), 1e-12)).astype(np.float32)
    k = min(GROUPS, max(2, len(X) // 10))
    labels = fit_kmeans(X, k, seed=seed).label(X)[0]
    rng = np.random.default_rng(seed)
    found = []
    for number in range(RESAMPLES):
        again = fit_kmeans(X[rng.integers(0, len(X), len(X))], k, seed=seed + number, starts=2)
        found.append(jaccard_table(labels, again.label(X)[0], k).mean())
    return float(np.mean(found))


def _text(told: dict[str, Any], *, surely: bool) -> str:
    kept, holds = told["rebuilt"], told["stability"]
    figures = (
        f"of unseen customers, {told['codes']} codes keep {kept['autoencoder']:.1%} of the variance by an autoencoder and "
        f"{kept['pca']:.1%} by principal components; four groups of them hold with {holds['autoencoder']:.2f} and {holds['pca']:.2f}"
    )
    if told["taken"] == "autoencoder":
        return f"Groups were found on the codes of an autoencoder: {figures}."
    if told["asked"] == "pca":
        return f"Groups were found on principal components, as asked: {figures}."
    why = "its groups hold less well" if surely else "it is not surely better"
    return f"Groups were found on principal components, not on the autoencoder's codes that were asked for, since {why}: {figures}."
