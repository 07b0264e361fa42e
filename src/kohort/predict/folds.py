"""Which rows a model learns from and which it is judged on: customers apart, later rows judged by what was known before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kohort.errors import NotEnough

FOLDS = 5
LATER = 0.3
"""Share of the rows that a model is judged on where there is a time: the latest ones."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Row numbers to learn from, and row numbers to be judged on. No group is in both."""

    learn: np.ndarray
    judge: np.ndarray


@dataclass(frozen=True, slots=True)
class Folds:
    """How a table is validated.

    Attributes:
        folds: Every judged row is judged once.
        cut: With a time: rows at this time or later are judged, by models that learned only what was known before it.
            None = no time.
    """

    folds: tuple[Fold, ...]
    cut: float | None = None

    @property
    def judged(self) -> np.ndarray:
        """All judged rows, ascending."""
        return np.sort(np.concatenate([f.judge for f in self.folds]))


def make_folds(
    y: np.ndarray,
    groups: np.ndarray,
    *,
    time: np.ndarray | None = None,
    known_at: np.ndarray | None = None,
    count: int = FOLDS,
    seed: int = 0,
) -> Folds:
    """Stratified folds that keep the rows of a group together; split by time where there is one.

    Args:
        y: 0 or 1 per row.
        groups: Whole number per row, 0 … G−1: customers, or rows that are copies of each other.
        time: When the features of a row were so; larger is later.
        known_at: When its outcome was known; a model judged at the cut learns from no later one. None = at its time.
        seed: Of the order in which groups are dealt.

    Raises:
        NotEnough: With a time, nothing (or only one outcome) is known before the latest rows.
    """
    fold_of = _deal(y, groups, count, seed)[groups]
    if time is None:
        return Folds(tuple(Fold(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(count)))
    known = time if known_at is None else known_at
    cut = _cut(time)
    early, late = (known <= cut) & (time < cut), time >= cut
    folds = []
    for k in range(count):
        learn, judge = np.flatnonzero(early & (fold_of != k)), np.flatnonzero(late & (fold_of == k))
        if len(np.unique(y[learn])) < 2:
            raise NotEnough(
                "Too little was known before the latest rows to learn from.",
                hint="Use more past moments, a shorter horizon, or leave the time out.",
            )
        if len(judge):
            folds.append(Fold(learn, judge))
    return Folds(tuple(folds), float(cut))


def _cut(time: np.ndarray) -> float:
    """The time that about the latest LATER of the rows have reached; the rows of one time stay together."""
    times, counts = np.unique(time, return_counts=True)
    if len(times) < 2:
        raise NotEnough("All rows are of one time.", hint="Leave the time out, or bring rows of several times.")
    later = np.cumsum(counts[::-1])[::-1] / len(time)
    return float(times[1:][np.argmin(np.abs(later[1:] - LATER))])


def _deal(y: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold of each group: dealt in turn among those alike in size and in whether they have a positive."""
    sizes, positives = np.bincount(groups), np.bincount(groups, y)
    order = np.lexsort((np.random.default_rng(seed).random(len(sizes)), sizes, positives))
    fold_of = np.empty(len(sizes), int)
    fold_of[order] = np.arange(len(sizes)) % count
    return fold_of
