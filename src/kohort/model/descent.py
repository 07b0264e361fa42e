"""Gradient descent for small networks held as plain arrays: Adam, with rows held back that say when to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Weights = dict[str, np.ndarray]
Slope = Callable[[Weights, np.ndarray], tuple[float, Weights]]
"""(weights, row numbers) → mean loss of these rows, and its gradient by each array."""
Loss = Callable[[Weights, np.ndarray], float]
"""(weights, row numbers) → mean loss of these rows."""

_MEAN, _SQUARE, _SMALL = 0.9, 0.999, 1e-8
STEEPEST = 1.0
"""Length that a gradient is cut to: a single strange batch must not throw the weights away."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a network is trained.

    Attributes:
        rate: Length of a step, as Adam means it.
        batch: Rows of a step.
        epochs: At most so many times through all rows.
        patience: So many epochs without a smaller loss of the rows held back, and it ends.
        decay: How much each step shrinks the weights named in `shrunk`, per unit of rate (Loshchilov and Hutter 2019).
    """

    rate: float = 3e-3
    batch: int = 512
    epochs: int = 30
    patience: int = 4
    decay: float = 0.01


@dataclass(frozen=True, slots=True)
class Descended:
    """Where a descent ended.

    Attributes:
        weights: Those with the smallest loss of the rows held back; the ones it began with, where no epoch made it smaller.
        losses: Of the rows held back: before the first epoch, then after each.
    """

    weights: Weights
    losses: tuple[float, ...]

    @property
    def epochs(self) -> int:
        """After how many epochs the weights were so; 0 = none helped."""
        return int(np.argmin(self.losses))


def descend(
    start: Weights,
    slope: Slope,
    loss: Loss,
    *,
    learn: np.ndarray,
    check: np.ndarray,
    pace: Pace,
    seed: int,
    shrunk: frozenset[str] = frozenset(),
) -> Descended:
    """Follow the gradient from `start` until the rows held back get no better.

    Args:
        start: Not changed.
        slope: Loss and gradient of some rows.
        loss: Loss of some rows.
        learn: Row numbers that are learned from.
        check: Row numbers that are held back. With none of them there is no reason to stop: all epochs are done.
        pace: How.
        seed: Of the order of rows: the same input and seed give the same weights on one machine and one number of threads.
        shrunk: Names of weights that decay.
    """
    rng = np.random.default_rng(seed)
    weights = {k: v.copy() for k, v in start.items()}
    mean = {k: np.zeros_like(v) for k, v in start.items()}
    square = {k: np.zeros_like(v) for k, v in start.items()}
    best = start
    losses = [loss(start, check) if len(check) else np.inf]
    step = 0
    for epoch in range(1, pace.epochs + 1):
        order = rng.permutation(learn)
        for at in range(0, len(order), pace.batch):
            step += 1
            gradient = _cut(slope(weights, np.sort(order[at : at + pace.batch]))[1])
            for name, g in gradient.items():
                mean[name] = _MEAN * mean[name] + (1 - _MEAN) * g
                square[name] = _SQUARE * square[name] + (1 - _SQUARE) * g * g
                first, second = mean[name] / (1 - _MEAN**step), square[name] / (1 - _SQUARE**step)
                shrink = pace.decay * weights[name] if name in shrunk else 0.0
                moved = pace.rate * (first / (np.sqrt(second) + _SMALL) + shrink)
                weights[name] = (weights[name] - moved).astype(weights[name].dtype)
        losses.append(loss(weights, check) if len(check) else -float(epoch))
        if losses[-1] == min(losses):
            best = {k: v.copy() for k, v in weights.items()}
        if epoch - int(np.argmin(losses)) >= pace.patience:
            break
    return Descended(best, tuple(losses))


def _cut(gradient: Weights) -> Weights:
    length = float(np.sqrt(sum(float((g * g).sum()) for g in gradient.values())))
    return gradient if length <= STEEPEST else {k: g * (STEEPEST / length) for k, g in gradient.items()}
