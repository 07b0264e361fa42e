"""How much value came and went with customers, and how much of that is chance: each mover counts as often as chance says."""

from __future__ import annotations

import math

import numpy as np

from kohort.model.segmentation import Estimate

FEWEST = 10
"""Movers below which no range is told: a few customers say nothing about the next few."""
_DEALS = 2_000
_MOST_DEALT = 2_000
_SEED = 20
_Z = 1.959963984540054


def moved_value(entered: np.ndarray, left: np.ndarray) -> tuple[float, Estimate | None]:
    """Value of those who entered less value of those who left, and where another such time would likely end up.

    Who enters and who leaves is taken for one draw of many: each mover might have come never, once or twice (Poisson). The
    range is the middle 95 % of such draws; of very many movers the normal curve that they follow.

    Args:
        entered, left: Value of each customer, major units.

    Returns:
        The difference, and the same with its range; None in its place below FEWEST movers.

    Example:
        >>> moved_value(np.full(40, 5.0), np.full(20, 5.0))[0]
        100.0
    """
    values = np.concatenate([entered, -left])
    net = float(values.sum())
    if len(values) < FEWEST:
        return net, None
    if len(values) > _MOST_DEALT:
        half = _Z * math.sqrt(float((values**2).sum()))
        return net, Estimate(net, net - half, net + half)
    times = np.random.default_rng(_SEED).poisson(1.0, (_DEALS, len(values)))
    low, high = np.quantile(times @ values, [0.025, 0.975]).tolist()
    return net, Estimate(net, float(min(low, net)), float(max(high, net)))
