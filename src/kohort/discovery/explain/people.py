"""Customers to check a group by hand: typical ones, ones on the edge to another group, odd ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.discovery.explain import sentences
from kohort.discovery.explain.columns import Column
from kohort.discovery.explain.facts import Fact
from kohort.model.feature import FeatureTable

SHOWN = 4
EDGES = 3
ODD = 2
BORDER = 0.12
"""On the edge: own and other middle are about equally far, within this share of both distances together."""


Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Space:
    """Sampled customers as the grouping saw them.

    Attributes:
        rows: Row of the table behind each point.
        points: float32 (sample, used features).
        labels: Group of each point, −1 = left out.
        centres: (k, used features): median of each group's points; NaN where a group has none.
        own: Distance of each point to the centre of its group; NaN for left-out points.
        nearest_other: Distance to the nearest other centre.
        other: That other group.
    """

    rows: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    centres: np.ndarray
    own: np.ndarray
    nearest_other: np.ndarray
    other: np.ndarray


def space(labels: np.ndarray, sample: np.ndarray, prepared: np.ndarray, k: int) -> Space:
    """Distances of the sampled customers to the middles of the groups."""
    points = np.asarray(prepared, dtype=np.float32)
    here = labels[sample]
    centres = np.full((k, points.shape[1]), np.nan, dtype=np.float32)
    for g in range(k):
        if (here == g).any():
            centres[g] = np.median(points[here == g], axis=0)
    distances = np.full((len(points), k), np.inf, dtype=np.float32)
    for g in range(k):
        if not np.isnan(centres[g]).any():
            distances[:, g] = np.sqrt(((points - centres[g]) ** 2).sum(axis=1))
    index = np.arange(len(points))
    own = np.where(here >= 0, distances[index, np.maximum(here, 0)], np.nan)
    away = distances
    away[index[here >= 0], here[here >= 0]] = np.inf
    other = away.argmin(axis=1) if k > 1 else np.full(len(points), -1)
    nearest = away.min(axis=1) if k else np.full(len(points), np.inf)
    return Space(sample, points, here, centres, own, nearest, other)


@dataclass(frozen=True, slots=True)
class People:
    typical: tuple[Row, ...]
    edge: tuple[Row, ...]
    odd: tuple[Row, ...]


def people(
    group: int,
    space: Space,
    *,
    table: FeatureTable,
    columns: Sequence[Column],
    facts: Sequence[Fact],
    segment_of: Sequence[str],
    names: Sequence[str],
) -> People:
    """A few members to look at: nearest to the middle, between two groups, and unlike the rest.

    Each is `{feature: value, "customer": id}`; on the edge also "other" (segment id) and "why", odd ones also "why".
    No customer appears twice.
    """
    mine = np.flatnonzero(space.labels == group)
    if not len(mine):
        return People((), (), ())
    by_distance = mine[np.argsort(space.own[mine], kind="stable")]
    typical = list(by_distance[:SHOWN])
    far = _far_out(space.own[mine])
    odd = [p for p in by_distance[::-1][: SHOWN + ODD] if space.own[p] > far and p not in typical][:ODD]
    limit = float(np.quantile(space.own[mine], 0.95))
    halfway = _halfway(space.own[mine], space.nearest_other[mine])
    taken = {*typical, *odd}
    between = [
        p
        for p, r in sorted(zip(mine.tolist(), halfway.tolist(), strict=True), key=lambda pair: (pair[1], pair[0]))
        if r < BORDER and space.own[p] <= limit and p not in taken
    ][:EDGES]

    def row(point: int, **extra: str) -> Row:
        at = int(space.rows[point])
        values = {c.info.name: c.at(at) for c in columns}
        return {**values, "customer": table.ids[at].as_py(), **extra}

    return People(
        tuple(row(p) for p in typical),
        tuple(
            row(
                p,
                other=segment_of[space.other[p]],
                why=sentences.why_edge(names[group], names[space.other[p]]),
            )
            for p in between
        ),
        tuple(row(p, why=_why_odd(int(space.rows[p]), columns, facts, table.currency)) for p in odd),
    )


def _halfway(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """0 = just between two middles, 1 = at one of them or far from any other."""
    far = ~np.isfinite(other)
    together = np.where(far, 1.0, np.maximum(own + other, 1e-9))
    return np.where(far, 1.0, np.abs(np.where(far, 0.0, other) - own) / together)


def _far_out(own: np.ndarray) -> float:
    """Farther out than the group's spread allows for: beyond the upper quartile by 1.5 quartile distances."""
    low, high = np.quantile(own, [0.25, 0.75])
    return float(high + 1.5 * max(high - low, 1e-9))


def _why_odd(row: int, columns: Sequence[Column], facts: Sequence[Fact], currency: str) -> str:
    """The feature in which this customer is least like the others of the group."""
    best, strangeness = 0, -1.0
    for i, (column, fact) in enumerate(zip(columns, facts, strict=False)):
        value = column.at(row)
        if column.info.type != "number" or not isinstance(fact.value, float):
            continue
        if value is None or not isinstance(value, (int, float)):
            continue
        scale = max(abs(fact.value), 0.5 * _spread(column), 1e-9)
        here = abs(float(value) - fact.value) / scale
        if here > strangeness:
            best, strangeness = i, here
    if strangeness < 0:
        return ""
    value = columns[best].at(row)
    return sentences.why_odd(columns[best].info, value, facts[best].value, currency)


def _spread(column: Column) -> float:
    """Width of the middle half of a column, from its first ten thousand values."""
    known = column.values[:10_000]
    known = known[~np.isnan(known)]
    return float(np.subtract(*np.percentile(known, [75, 25]))) if len(known) else 0.0
