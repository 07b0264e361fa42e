"""Sums of decision trees as plain arrays: taken from scikit-learn, kept in a file without pickle, evaluated in numpy.

Each tree has at most 64 leaves, numbered from left to right, one bit each. A row begins with all bits; every split it goes
right at takes away the leaves on its left; the lowest bit that stays is its leaf (QuickScorer, Lucchese et al. 2015). So a
tree costs one comparison per split over whole columns, which numpy does several times faster than walking row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_LEAVES = 64
CHUNK_ROWS = 16_384
LEAF = -1


@dataclass(frozen=True, slots=True)
class Forest:
    """The nodes of many trees, one after the other.

    Attributes:
        start: First node of each tree, and behind the last one the number of nodes.
        feature: int32 column of the matrix that a node asks about; LEAF = it is a leaf.
        threshold: float32: rows with a value up to it go left.
        missing_left: Whether rows without a value go left.
        left, right: int32, within the tree. A child stands behind its parent.
        value: float64, of leaves.
        base: What is added to the sum.
    """

    start: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    base: float = 0.0

    def __len__(self) -> int:
        return len(self.start) - 1

    def total(self, X: np.ndarray) -> np.ndarray:
        """The sum over all trees for each row of a float32 matrix."""
        trees = [_tree(self, t) for t in range(len(self))]
        out = np.full(len(X), self.base)
        for begin in range(0, len(X), CHUNK_ROWS):
            part = np.asfortranarray(X[begin : begin + CHUNK_ROWS])
            gone = np.isnan(part)
            some = gone.any(axis=0)
            for splits, leaves in trees:
                out[begin : begin + CHUNK_ROWS] += leaves[_leaf(part, gone, some, splits, leaves)]
        return out


@dataclass(frozen=True, slots=True)
class _Split:
    feature: int
    threshold: np.float32
    missing_left: bool
    kept: int  # bits of the leaves that stay possible when a row goes right


def _leaf(
    X: np.ndarray, gone: np.ndarray, some: np.ndarray, splits: Sequence[_Split], leaves: np.ndarray
) -> np.ndarray:
    kind: Any = np.uint16 if len(leaves) <= 16 else np.uint64
    everything = np.iinfo(kind).max
    bits: Any = np.full(len(X), everything, kind)
    for s in splits:
        goes_left = X[:, s.feature] <= s.threshold
        if s.missing_left and some[s.feature]:
            goes_left |= gone[:, s.feature]
        bits &= np.array([s.kept & int(everything), everything], kind)[goes_left.view(np.uint8)]
    lowest = bits & (~bits + kind(1))
    return np.asarray(np.bitwise_count(lowest - kind(1)))


def _tree(f: Forest, number: int) -> tuple[list[_Split], np.ndarray]:
    """The splits of one tree with the leaves each rules out, and the values of the leaves from left to right."""
    begin = int(f.start[number])
    splits: list[_Split] = []
    values: list[float] = []

    def below(node: int) -> int:
        """Numbers the leaves under a node; answers the bits of those."""
        at = begin + node
        if f.feature[at] == LEAF:
            values.append(float(f.value[at]))
            return 1 << (len(values) - 1)
        left = below(int(f.left[at]))
        kept = ~left & (2**64 - 1)
        splits.append(_Split(int(f.feature[at]), np.float32(f.threshold[at]), bool(f.missing_left[at]), kept))
        return left | below(int(f.right[at]))

    below(0)
    return splits, np.array(values)


def sound(f: Forest, columns: int) -> bool:
    """Whether arrays of unknown origin are trees: every node has one parent, which stands before it, and so on."""
    nodes = len(f.feature)
    arrays = (f.threshold, f.missing_left, f.left, f.right, f.value)
    if any(a.shape != (nodes,) for a in arrays) or f.start.ndim != 1 or len(f.start) < 2:
        return False
    kinds = "".join(a.dtype.kind for a in (f.start, f.feature, f.left, f.right, f.threshold, f.value, f.missing_left))
    if kinds != "iiiiffb" or not np.isfinite(f.value).all() or np.isnan(f.threshold).any() or not np.isfinite(f.base):
        return False
    sizes = np.diff(f.start)
    if f.start[0] != 0 or f.start[-1] != nodes or (sizes < 1).any() or (sizes > 2 * MOST_LEAVES - 1).any():
        return False
    if (f.feature < LEAF).any() or (f.feature >= columns).any():
        return False
    return all(_sound_tree(f, int(b), int(e)) for b, e in zip(f.start[:-1], f.start[1:], strict=True))


def _sound_tree(f: Forest, begin: int, end: int) -> bool:
    inner = np.flatnonzero(f.feature[begin:end] != LEAF)
    children = np.concatenate([f.left[begin:end][inner], f.right[begin:end][inner]]).astype(np.int64)
    behind = bool((children > np.concatenate([inner, inner])).all())
    return behind and np.array_equal(np.sort(children), np.arange(1, end - begin))


def of_boosting(model: Any) -> Forest:
    """The trees of a fitted HistGradientBoostingClassifier of two classes; their sum is the log-odds."""
    trees = [stage[0].nodes for stage in model._predictors]
    parts = [
        (
            np.where(n["is_leaf"], LEAF, n["feature_idx"].astype(np.int64)),
            n["num_threshold"],
            n["missing_go_to_left"].astype(bool),
            n["left"],
            n["right"],
            n["value"],
        )
        for n in trees
    ]
    return _joined(parts, float(np.ravel(model._baseline_prediction)[0]))


def of_forest(trees: Sequence[Any]) -> Forest:
    """The trees of fitted decision trees of two classes; their sum is the mean share of positives in a row's leaves."""
    parts = []
    for tree in (t.tree_ for t in trees):
        shares = tree.value[:, 0, 1] / tree.value[:, 0, :].sum(axis=1)
        leaf = tree.children_left < 0
        parts.append(
            (
                np.where(leaf, LEAF, tree.feature),
                np.where(leaf, 0.0, tree.threshold),
                np.asarray(tree.missing_go_to_left).astype(bool),
                tree.children_left,
                tree.children_right,
                shares / len(trees),
            )
        )
    return _joined(parts, 0.0)


def _joined(parts: Sequence[tuple[np.ndarray, ...]], base: float) -> Forest:
    feature, threshold, missing_left, left, right, value = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    inner = feature != LEAF
    return Forest(
        start=np.cumsum([0, *(len(p[0]) for p in parts)]).astype(np.int32),
        feature=feature.astype(np.int32),
        threshold=_down(np.where(inner, threshold, 0.0)),
        missing_left=missing_left & inner,
        left=np.where(inner, left, 0).astype(np.int32),
        right=np.where(inner, right, 0).astype(np.int32),
        value=np.where(inner, 0.0, value).astype(np.float64),
        base=base,
    )


def _down(threshold: np.ndarray) -> np.ndarray:
    """The largest float32 that is not above: for float32 values, being at or below either is the same."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    too_far = near.astype(np.float64) > threshold
    return np.where(too_far, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)
