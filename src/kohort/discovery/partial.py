"""Customers of whom only some columns are known: placed by what is known of them, with nothing in the place of the rest.

Each family answers with the same model seen through the known columns alone: centres without the other columns, Gaussian
groups with their marginal distribution, dense rows by the distance that the known columns leave open.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kohort.discovery.absence import patterns
from kohort.discovery.algorithms import Model, covariance_root


def label_known(model: Model, X: np.ndarray, known: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """int32 labels and float32 confidences of prepared rows, each by its known columns; −1 where nothing is known.

    Args:
        known: bool, same shape as X; what X holds elsewhere is never looked at. None = all is known.
    """
    if known is None:
        return model.label(X)
    labels, confidence = np.full(len(X), -1, np.int32), np.zeros(len(X), np.float32)
    for columns, rows in rows_alike(known):
        if len(columns):
            seen = model if len(columns) == X.shape[1] else through(model, columns)
            labels[rows], confidence[rows] = seen.label(X[np.ix_(rows, columns)])
    return labels, confidence


def rows_alike(known: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(numbers of known columns, numbers of rows) for rows of which the same is known."""
    different, which, counts = patterns(known)
    order, ends = np.argsort(which, kind="stable"), np.cumsum(counts)
    for pattern, end, count in zip(different, ends.tolist(), counts.tolist(), strict=True):
        yield np.flatnonzero(pattern), order[end - count : end]


def through(model: Model, columns: np.ndarray) -> Model:
    """The same groups as they show in some of the columns."""
    a = model.arrays
    match model.algorithm:
        case "kmeans" | "hierarchical":
            return Model(model.algorithm, model.k, {"centres": a["centres"][:, columns]})
        case "mixture":
            return Model("mixture", model.k, _marginal(a, columns))
        case "hdbscan":
            return Model("hdbscan", model.k, _projected(a, columns))
    return model


def _marginal(a: dict[str, np.ndarray], columns: np.ndarray) -> dict[str, np.ndarray]:
    """A Gaussian's distribution over some columns has their means, and their part of the covariance."""
    W = a["whiten"].astype(float)
    S = np.linalg.pinv(W @ W.transpose(0, 2, 1), hermitian=True)[:, columns][:, :, columns]
    weight = a["offset"] - np.linalg.slogdet(W)[1]
    root = covariance_root(S, 1e-9)
    return {
        "means": a["means"][:, columns],
        "whiten": np.linalg.inv(root).transpose(0, 2, 1).astype(np.float32),
        "offset": (weight - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)).astype(np.float32),
    }


def _projected(a: dict[str, np.ndarray], columns: np.ndarray) -> dict[str, np.ndarray]:
    """Dense rows lie in a plane. Of a row's distance to them the known columns see |x − A·q| with the part of A they have.

    A = Q·R splits that into what differs between dense rows, |Qᵀx − R·q|, and a rest that is equal for all of them. Fewer
    columns make for shorter distances, so that the reach is shortened in proportion.
    """
    Q, R = np.linalg.qr(a["axes"][columns].astype(float))
    shorter = np.sqrt(len(columns) / len(a["mean"]))
    return {
        "mean": a["mean"][columns],
        "axes": Q.astype(np.float32),
        "points": (a["points"] @ R.T).astype(np.float32),
        "groups": a["groups"],
        "reach": (a["reach"] * shorter).astype(np.float32),
    }
