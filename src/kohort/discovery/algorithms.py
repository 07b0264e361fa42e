"""Four families of groupings on a sample of prepared rows, each turned into a model that can label any row.

| family | what it looks for | how later rows are labelled |
|---|---|---|
| kmeans | compact groups | nearest centre |
| hierarchical | Ward's tree, cut at k | nearest centre of the cut |
| mixture | Gaussian groups of any elongation | most probable component |
| hdbscan | dense regions of any shape, outliers apart | group of the nearest dense row, within reach |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kohort.model.segmentation import Algorithm

WARD_ROWS = 2_500
"""Ward keeps all pairs: 2,500 rows are 25 MB and a fifth of a second."""

MIXTURE_ROWS = 2_000
DENSE_ROWS = 2_500
DENSE_AXES = 6
FAMILIES: tuple[Algorithm, ...] = ("kmeans", "hierarchical", "mixture", "hdbscan")


@dataclass(frozen=True, slots=True)
class Model:
    """Groups as plain arrays, so that they can be saved without pickle.

    `arrays` by algorithm: kmeans, hierarchical: `centres` (k, d). mixture: `means` (k, d), `whiten` (k, d, d),
    `offset` (k). hdbscan: `mean` (d), `axes` (d, p), `points` (m, p), `groups` (m), `reach` (k). tiers: none.
    """

    algorithm: Algorithm
    k: int
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def label(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int32 labels (−1 = left out) and float32 confidences (0 to 1) of prepared rows."""
        if self.k == 1 and self.algorithm != "hdbscan":
            return np.zeros(len(X), np.int32), np.ones(len(X), np.float32)
        match self.algorithm:
            case "mixture":
                return _label_mixture(X, self.arrays)
            case "hdbscan":
                return _label_dense(X, self.arrays, self.k)
            case _:
                return _label_nearest(X, self.arrays["centres"])

    def reordered(self, order: Sequence[int]) -> Model:
        """The same groups with new numbers: new group i is old group order[i]."""
        a = dict(self.arrays)
        for name in ("centres", "means", "whiten", "offset", "reach"):
            if name in a:
                a[name] = a[name][list(order)]
        if "groups" in a:
            new = np.empty(self.k, np.int32)
            new[list(order)] = np.arange(self.k)
            a["groups"] = new[a["groups"]]
        return Model(self.algorithm, self.k, a)


def squared_distances(X: np.ndarray, C: np.ndarray) -> np.ndarray:
    """(rows, centres) squared Euclidean distances, never negative."""
    D: np.ndarray = X @ (-2.0 * C.T).astype(X.dtype)
    D += np.einsum("ij,ij->i", X, X)[:, None]
    D += np.einsum("ij,ij->i", C, C).astype(X.dtype)
    np.maximum(D, 0.0, out=D)
    return D


def _label_nearest(X: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    D = squared_distances(X, centres)
    labels = D.argmin(axis=1).astype(np.int32)
    first = np.sqrt(D[np.arange(len(D)), labels])
    D[np.arange(len(D)), labels] = np.inf
    second = np.sqrt(D.min(axis=1)) if D.shape[1] > 1 else np.full(len(D), np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(second > 0, first / second, 1.0)
    return labels, (1.0 - ratio).astype(np.float32)


def _log_densities(X: np.ndarray, a: dict[str, np.ndarray]) -> np.ndarray:
    k, d = a["means"].shape
    side = np.moveaxis(a["whiten"], 0, 1).reshape(d, k * d)  # all components in one product
    Y = X @ side.astype(X.dtype)
    Y -= np.einsum("gi,gij->gj", a["means"], a["whiten"]).reshape(k * d).astype(X.dtype)
    Y *= Y
    return np.asarray(a["offset"] - 0.5 * Y.reshape(len(X), k, d).sum(axis=2))


def _label_mixture(X: np.ndarray, a: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    L = _log_densities(X, a)
    labels = L.argmax(axis=1).astype(np.int32)
    L -= L.max(axis=1, keepdims=True)
    return labels, (1.0 / np.exp(L).sum(axis=1)).astype(np.float32)


def _label_dense(X: np.ndarray, a: dict[str, np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.spatial import cKDTree

    P = (X - a["mean"]) @ a["axes"]
    nearest = np.full((len(X), k), np.inf)
    for g in range(k):
        nearest[:, g] = cKDTree(a["points"][a["groups"] == g]).query(P)[0]
    nearest /= a["reach"]  # a thin group reaches farther than a dense one
    labels = nearest.argmin(axis=1).astype(np.int32)
    first = nearest[np.arange(len(X)), labels]
    nearest[np.arange(len(X)), labels] = np.inf
    second = nearest.min(axis=1) if k > 1 else np.full(len(X), np.inf)
    inside = np.clip(1.5 - 0.5 * first, 0.0, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        clear = np.where(second > 0, 1.0 - first / np.maximum(second, 1e-12), 0.0)
    confidence = (inside * np.clip(clear, 0.0, 1.0)).astype(np.float32)
    out = first > OUTSIDE
    labels[out], confidence[out] = -1, 0.0
    return labels, confidence


OUTSIDE = 3.0
"""Farther than this many reaches (the widest usual step within a group) from every dense row is left out."""


def fit_kmeans(X: np.ndarray, k: int, *, seed: int = 0, starts: int = 3, start: np.ndarray | None = None) -> Model:
    """The best of several k-means fits. `start` gives initial centres instead."""
    best, least = np.empty((0, X.shape[1])), np.inf
    rng = np.random.default_rng(seed)
    for _ in range(1 if start is not None else starts):
        centres, inertia = lloyd(X, spread_seeds(X, k, rng) if start is None else start)
        if inertia < least:
            best, least = centres, inertia
    return Model("kmeans", k, {"centres": best.astype(np.float32)})


def lloyd(X: np.ndarray, centres: np.ndarray, *, rounds: int = 60) -> tuple[np.ndarray, float]:
    """Lloyd's algorithm until the centres hardly move. An empty group moves to the row farthest from its centre."""
    C = np.array(centres, dtype=X.dtype)
    k, n = len(C), len(X)
    squares = np.einsum("ij,ij->i", X, X)
    tolerance = 1e-5 * float(X.var(axis=0).sum())
    rows = np.arange(n)
    for _ in range(rounds):
        D = X @ (-2.0 * C.T)
        D += np.einsum("ij,ij->i", C, C)
        labels = D.argmin(axis=1)
        counts = np.bincount(labels, minlength=k)
        member = np.zeros((n, k), dtype=X.dtype)
        member[rows, labels] = 1.0
        new = member.T @ X / np.maximum(counts, 1)[:, None].astype(X.dtype)
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            nearest = D[rows, labels] + squares
            new[empty] = X[np.argsort(-nearest, kind="stable")[: len(empty)]]
        moved = float(((new - C) ** 2).sum(axis=1).max())
        C = new
        if moved <= tolerance:
            break
    return C, float((D[rows, labels] + squares).sum())


def spread_seeds(X: np.ndarray, k: int, rng: np.random.Generator, tries: int = 4) -> np.ndarray:
    """Greedy k-means++ (Arthur and Vassilvitskii 2007): centres far apart, the best of a few draws each."""
    n = len(X)
    picked = [int(rng.integers(n))]
    squares = np.einsum("ij,ij->i", X, X)
    closest = np.maximum(squares - 2.0 * (X @ X[picked[0]]) + squares[picked[0]], 0.0)
    for _ in range(k - 1):
        total = np.cumsum(closest, dtype=float)
        if total[-1] <= 0:
            picked.append(int(rng.integers(n)))
            continue
        draws = np.minimum(np.searchsorted(total, rng.random(tries) * total[-1], side="right"), n - 1)
        D = squares - 2.0 * (X[draws] @ X.T) + squares[draws][:, None]
        D = np.minimum(np.maximum(D, 0.0), closest)
        best = int(D.sum(axis=1).argmin())
        picked.append(int(draws[best]))
        closest = D[best]
    return X[picked]


def ward_tree(X: np.ndarray) -> np.ndarray:
    """Ward's linkage of at most WARD_ROWS rows."""
    from scipy.cluster.hierarchy import linkage

    return np.asarray(linkage(np.asarray(X[:WARD_ROWS], dtype=float), method="ward"))


def cut_ward(X: np.ndarray, tree: np.ndarray, k: int) -> Model:
    """The tree cut into k groups."""
    from scipy.cluster.hierarchy import fcluster

    found = fcluster(tree, k, criterion="maxclust") - 1
    k = int(found.max()) + 1
    centres = np.array([X[: len(found)][found == g].mean(axis=0) for g in range(k)])
    return Model("hierarchical", k, {"centres": centres.astype(np.float32)})


def fit_mixture(X: np.ndarray, labels: np.ndarray, *, rounds: int = 40, shrink: float = 0.02) -> Model:
    """Gaussian mixture with full covariances by expectation-maximisation, started from a grouping.

    Covariances are shrunken towards the diagonal of the whole by `shrink` and by how few rows a component has, so that
    ties and constant columns within a group do no harm.
    """
    n, d = X.shape
    k = int(labels.max()) + 1
    R = np.zeros((n, k), dtype=X.dtype)
    R[np.arange(n), np.maximum(labels, 0)] = 1.0
    whole = np.maximum(X.var(axis=0), 1e-6)
    before = -np.inf
    arrays: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        arrays = _maximise(X, R, whole, shrink, d)
        L = _log_densities(X, arrays)
        top = L.max(axis=1, keepdims=True)
        R = np.exp(L - top)
        total = R.sum(axis=1, keepdims=True)
        R /= total
        likelihood = float((top + np.log(total)).mean())
        if likelihood - before < 2e-3:
            break
        before = likelihood
    return Model("mixture", k, {name: a.astype(np.float32) for name, a in arrays.items()})


def _maximise(X: np.ndarray, R: np.ndarray, whole: np.ndarray, shrink: float, d: int) -> dict[str, np.ndarray]:
    k = R.shape[1]
    mass = R.sum(axis=0, dtype=float) + 1e-9
    means = (R.T @ X) / mass[:, None]
    weighted = (R[:, :, None] * X[:, None, :]).reshape(len(X), k * d)
    S = (weighted.T @ X).reshape(k, d, d) / mass[:, None, None] - means[:, :, None] * means[:, None, :]
    part = np.minimum(1.0, shrink + 0.5 * d / (mass + d))[:, None, None]
    own = np.maximum(np.diagonal(S, axis1=1, axis2=2), 1e-3 * whole)
    S = (1 - part) * S + part * own[:, :, None] * np.eye(d)
    S[:, range(d), range(d)] = np.maximum(S[:, range(d), range(d)], 0.0) + 1e-3 * whole
    root = covariance_root(S, 1e-3 * float(whole.min()))
    whiten = np.linalg.inv(root).transpose(0, 2, 1)
    offset = np.log(mass / len(X)) - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return {"means": means, "whiten": whiten, "offset": offset}


def covariance_root(S: np.ndarray, least: float) -> np.ndarray:
    """Cholesky factors of covariances (k, d, d), with no variance in any direction below `least`.

    Values far from zero that hardly differ leave rounding errors larger than the variance itself; then the directions in
    which it came out negative get the least one.
    """
    try:
        return np.linalg.cholesky(S)
    except np.linalg.LinAlgError:
        variances, axes = np.linalg.eigh((S + S.transpose(0, 2, 1)).astype(float) / 2)
        mended = (axes * np.maximum(variances, least)[:, None, :]) @ axes.transpose(0, 2, 1)
        return np.linalg.cholesky(mended)


def principal_axes(X: np.ndarray, most: int = DENSE_AXES) -> tuple[np.ndarray, np.ndarray]:
    """(mean, axes (d, p)) of the first principal directions."""
    mean = X.mean(axis=0)
    _, V = np.linalg.eigh(np.cov((X - mean).T.astype(float)).reshape(X.shape[1], X.shape[1]))
    axes = V[:, ::-1][:, : min(most, X.shape[1])]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    return mean, axes


def fit_dense(X: np.ndarray, least_rows: int, *, rows: int = DENSE_ROWS) -> Model | None:
    """HDBSCAN on the first principal axes of a sample; None where it finds fewer than two dense groups."""
    from sklearn.cluster import HDBSCAN

    S = X[:rows]
    if len(S) < 2 * least_rows:
        return None
    mean, axes = principal_axes(S)
    P = np.ascontiguousarray((S - mean) @ axes)
    found = HDBSCAN(min_cluster_size=least_rows, min_samples=min(10, least_rows), copy=True).fit_predict(P)
    k = int(found.max()) + 1
    if k < 2:
        return None
    return dense_model(P, found, mean, axes)


def dense_model(P: np.ndarray, found: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> Model:
    """A model that labels by the nearest row of a dense group."""
    from scipy.spatial import cKDTree

    k = int(found.max()) + 1
    reach = np.empty(k)
    for g in range(k):
        own = P[found == g]
        step = cKDTree(own).query(own, min(6, len(own)))[0][:, -1]
        reach[g] = max(float(np.quantile(step, 0.95)), 1e-6)
    member = found >= 0
    return Model(
        "hdbscan",
        k,
        {
            "mean": mean.astype(np.float32),
            "axes": axes.astype(np.float32),
            "points": P[member].astype(np.float32),
            "groups": found[member].astype(np.int32),
            "reach": reach.astype(np.float32),
        },
    )
