"""Two-dimensional maps of customers: near each other means alike. PCA always works; t-SNE on a sample when asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kohort.discovery.assign import GroupAssigner
from kohort.discovery.explain.sentences import axis_words
from kohort.discovery.grouping import Grouping
from kohort.discovery.prepare import Preparation
from kohort.discovery.ranks import mid_ranks
from kohort.errors import MissingExtra, WrongUsage
from kohort.model.columns import values
from kohort.model.feature import FeatureTable, infos
from kohort.model.hexes import binned, edges
from kohort.model.segmentation import MapPoint

MapMethod = Literal["pca", "tsne"]

POINTS = 2_000
CROWD = 10_000
"""From so many customers on each dot would stand for several, so everybody is counted by cell."""

_CHUNK = 20_000
TSNE_ROWS = 10_000
AXIS_SHARE = 0.5
"""A feature names an axis if its part in it is at least this share of the strongest one's."""


@dataclass(frozen=True, slots=True)
class Map:
    """Points to draw and how much they keep.

    Attributes:
        points: At most `POINTS`, every segment in proportion and none without a point; of a crowd, cells with how many stand in each.
        method: "pca" or "tsne".
        explained: Share of the variance that the two axes keep; None for t-SNE, whose axes mean nothing.
        axes: What it means to stand further right and further up; empty for t-SNE.
    """

    points: tuple[MapPoint, ...]
    method: MapMethod
    explained: float | None
    axes: tuple[str, ...]


def draw(
    table: FeatureTable,
    grouping: Grouping,
    segment_of: Sequence[str],
    *,
    method: str = "pca",
    seed: int = 0,
    threads: int = 1,
) -> Map:
    """The map of a grouping's sample.

    Args:
        segment_of: Segment id of each group number.
        method: "pca" or "tsne" (needs the extra "map").

    Raises:
        WrongUsage: An unknown method.
        MissingExtra: t-SNE without openTSNE.
    """
    if method not in ("pca", "tsne"):
        raise WrongUsage(f"There is no map called {method!r}.", hint="Use pca or tsne.")
    points = np.asarray(grouping.prepared, dtype=np.float64)
    if not points.size or len(points) < 3:
        return Map((), method, None, ())  # type: ignore[arg-type]
    labels = grouping.labels[grouping.sample]
    rng = np.random.default_rng(seed)
    explained: float | None = None
    axes: tuple[str, ...] = ()
    if method == "tsne":
        chosen = stratified(labels, TSNE_ROWS, rng)
        places = _tsne(points[chosen], seed, threads)
        labels = labels[chosen]
    else:
        places, explained, directions = pca(points)
        axes = _axes(table, grouping, directions)
        if len(table) > CROWD and isinstance(grouping.assigner, GroupAssigner):
            view = points.mean(axis=0), directions
            cells = _crowd(table, grouping.labels, grouping.assigner.preparation, segment_of, view)
            return Map(cells, "pca", explained, axes)
    shown = stratified(labels, POINTS, rng)
    return Map(
        tuple(
            MapPoint(round(float(x), 4), round(float(y), 4), segment_of[label] if label >= 0 else "")
            for (x, y), label in zip(places[shown], labels[shown], strict=True)
        ),
        method,  # type: ignore[arg-type]
        explained,
        axes,
    )


def _crowd(
    table: FeatureTable,
    labels: np.ndarray,
    preparation: Preparation,
    segment_of: Sequence[str],
    view: tuple[np.ndarray, np.ndarray],
) -> tuple[MapPoint, ...]:
    """Everybody of whom everything is known, counted by cell and segment; memory stays flat."""
    centre, directions = view
    rows = preparation.complete(table.data)
    rows = np.arange(len(table)) if rows is None else np.asarray(rows)
    places = np.empty((len(rows), 2))
    for start in range(0, len(rows), _CHUNK):
        some = preparation.matrix(table.data.take(rows[start : start + _CHUNK]))
        places[start : start + _CHUNK] = (some - centre) @ directions
    x, y = (_within(places[:, axis]) for axis in range(2))
    cells = binned(x, y, labels[rows].astype(np.int64) + 1)
    return tuple(
        MapPoint(round(float(a), 5), round(float(b), 5), segment_of[kind - 1] if kind else "", int(count))
        for a, b, kind, count in zip(cells.x, cells.y, cells.kind, cells.count, strict=True)
    )


def _within(values: np.ndarray) -> np.ndarray:
    """Places from 0 to 1."""
    low, high = edges(values)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def pca(points: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Places on the two widest axes, the share of variance they keep, and the axes' directions.

    The sign is fixed: the strongest part of each axis points right or up.

    Args:
        points: float64 (rows, features), no NaN.

    Returns:
        (rows, 2), 0 to 1, (features, 2). A single feature gets a flat second axis.
    """
    centred = points - points.mean(axis=0)
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(points))
    top = np.argsort(-variances, kind="stable")[:2]
    directions = vectors[:, top]
    if directions.shape[1] < 2:
        directions = np.hstack([directions, np.zeros((len(directions), 1))])
    strongest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[strongest, [0, 1]])
    directions = directions * np.where(signs == 0, 1.0, signs)
    total = float(np.maximum(variances, 0).sum())
    explained = float(np.maximum(variances[top], 0).sum() / total) if total > 0 else 0.0
    return centred @ directions, min(explained, 1.0), directions


def _axes(table: FeatureTable, grouping: Grouping, directions: np.ndarray) -> tuple[str, ...]:
    """In words: "more orders, more spend". The sense of each column is taken from the values, not from its name."""
    by_name = infos(table.features)
    words = []
    for axis in range(2):
        weights = np.abs(directions[:, axis])
        if not weights.max() > 0:
            words.append("")
            continue
        parts: list[str] = []
        told: set[str] = set()
        for column in np.argsort(-weights, kind="stable"):
            name = grouping.used[column]
            if weights[column] < AXIS_SHARE * weights.max() or len(parts) == 3:
                break
            info = by_name.get(name)
            if info is None or info.type == "text" or name in told:
                continue
            sense = _sense(table, grouping, int(column)) * np.sign(directions[column, axis])
            if not sense:
                continue
            told.add(name)
            parts.append(axis_words(info, higher=sense > 0))
        words.append(", ".join(parts))
    return tuple(words)


def _sense(table: FeatureTable, grouping: Grouping, column: int) -> int:
    """+1 where the prepared column grows with the feature, −1 where it falls, 0 where neither is clear."""
    rows = grouping.sample[:5_000]
    raw = values(table.data[grouping.used[column]])[rows]
    known = ~np.isnan(raw)
    if known.sum() < 3:
        return 0
    pair = mid_ranks(np.column_stack([raw[known], grouping.prepared[: len(rows), column][known]]))
    spread = pair.std(axis=0)
    if not spread.all():
        return 0
    together = float(((pair[:, 0] - pair[:, 0].mean()) * (pair[:, 1] - pair[:, 1].mean())).mean() / spread.prod())
    return int(np.sign(together)) if abs(together) > 0.5 else 0


def stratified(labels: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` row numbers, ascending: every group in proportion, at least one of each."""
    if len(labels) <= most:
        return np.arange(len(labels))
    chosen = []
    kinds, counts = np.unique(labels, return_counts=True)
    for kind, count in zip(kinds, counts, strict=True):
        take = max(1, int(most * count / len(labels)))
        chosen.append(rng.choice(np.flatnonzero(labels == kind), take, replace=False))
    return np.sort(np.concatenate(chosen))[:most]


def _tsne(points: np.ndarray, seed: int, threads: int) -> np.ndarray:
    try:
        from openTSNE import TSNE
    except ImportError as error:
        raise MissingExtra("map", "A t-SNE map") from error
    perplexity = min(30.0, max(2.0, (len(points) - 1) / 4))
    return np.asarray(TSNE(perplexity=perplexity, random_state=seed, n_jobs=threads, initialization="pca").fit(points))
