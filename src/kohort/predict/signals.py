"""Early signals: which behaviours come how long before an outcome, more often (or more rarely) than chance can.

Customers with the outcome are compared with those without it at the same moment. Each customer is looked at once, so outcomes can be
exchanged among the customers of a moment, and the largest of all figures is held against the largest that chance gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PERMUTATIONS = 499
SURE = 0.05
"""How often at most anything at all is called a signal where there is none."""

LEAST = 50
"""Customers of either outcome, as for a model."""

MOST_ROWS = 50_000
CUSTOMARY = (0, 7, 14, 30, 60, 90, 180)
"""Edges of the times before, in days."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Who did something in one stretch of time before her moment.

    Attributes:
        behaviour: Name of the event.
        since, until: Days before the moment: from `since` (the farther end) to `until`.
        did: bool per row.
    """

    behaviour: str
    since: int
    until: int
    did: np.ndarray


@dataclass(frozen=True, slots=True)
class Signal:
    """One behaviour in one stretch of time before.

    Attributes:
        with_it: Share of the customers with the outcome who did it then; `without` of the others at the same moments.
        z: How many standard errors these are apart.
        p: How often chance alone gives as much in any of the figures.
    """

    behaviour: str
    since: int
    until: int
    with_it: float
    without: float
    z: float
    p: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "behaviour": self.behaviour,
            "days_before": {"from": self.since, "to": self.until},
            "with_outcome": round(self.with_it, 6),
            "without": round(self.without, 6),
            "times": round(self.with_it / self.without, 3) if self.without else None,
            "z": round(self.z, 3),
            "p": self.p,
            "signal": self.p <= SURE,
        }


def once_each(customers: np.ndarray, moments: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Row numbers, one per customer, at a moment that is drawn for her; at most `MOST_ROWS`.

    Args:
        customers: Of each row.
        moments: Of each row; not looked at but for the order, so that the same data gives the same rows.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort((moments, customers))
    luck = rng.random(len(order))
    drawn = order[np.lexsort((luck, customers[order]))]
    first = np.unique(customers[drawn], return_index=True)[1]
    rows = drawn[first]
    return np.sort(rows if len(rows) <= MOST_ROWS else rng.choice(rows, MOST_ROWS, replace=False))


def signals(seen: Sequence[Seen], y: np.ndarray, moments: np.ndarray, *, seed: int = 0) -> list[Signal]:
    """Every behaviour and stretch with its test, the strongest first.

    Args:
        seen: What was done; all of the same rows, of customers who are there once.
        y: 0 or 1 per row.
        moments: Whole number or instant per row: outcomes are compared within moments.
        seed: Of the permutations.
    """
    if not seen:
        return []
    stratum = np.unique(moments, return_inverse=True)[1]
    did = np.column_stack([s.did for s in seen]).astype(np.float64)
    expected, spread = _expected(did, y, stratum)
    score = _score(did, y, expected, spread)
    rng = np.random.default_rng(seed)
    largest = np.empty(PERMUTATIONS)
    for n in range(PERMUTATIONS):
        largest[n] = np.abs(_score(did, _exchanged(y, stratum, rng), expected, spread)).max()
    with_it = (did * y[:, None]).sum(axis=0) / y.sum()
    without = _without(did, y, stratum)
    found = [
        Signal(
            s.behaviour,
            s.since,
            s.until,
            float(a),
            float(b),
            float(z),
            (1 + int((largest >= abs(z) - 1e-9).sum())) / (PERMUTATIONS + 1),
        )
        for s, a, b, z in zip(seen, with_it, without, score, strict=True)
    ]
    return sorted(found, key=lambda f: (-abs(f.z), f.behaviour, f.until))


def lead(days: np.ndarray) -> dict[str, float] | None:
    """How long before: the middle and the middle half of some numbers of days; None of nobody."""
    known = days[~np.isnan(days)]
    if not len(known):
        return None
    low, middle, high = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
    return {"median": round(middle, 1), "from": round(low, 1), "to": round(high, 1), "customers": len(known)}


def in_words(signal: Signal, outcome: str) -> str:
    """One sentence of a signal.

    Example:
        >>> in_words(Signal("manual", 60, 30, 0.4, 0.1, 5.0, 0.002), "it happens")
        '“manual” 30 to 60 days before: 40% of those where it happens, 10% of the others.'
    """
    return (
        f"“{signal.behaviour}” {signal.until} to {signal.since} days before: {signal.with_it:.0%} of those where {outcome}, "
        f"{signal.without:.0%} of the others."
    )


def _expected(did: np.ndarray, y: np.ndarray, stratum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What chance gives of those with the outcome who did it, and how far it spreads (Mantel and Haenszel, within moments)."""
    mean, variance = np.zeros(did.shape[1]), np.zeros(did.shape[1])
    for one in range(int(stratum.max()) + 1):
        mine = stratum == one
        n, yes = int(mine.sum()), float(y[mine].sum())
        share = did[mine].mean(axis=0)
        mean += yes * share
        if n > 1:
            variance += yes * (n - yes) / (n - 1) * share * (1 - share)
    return mean, np.sqrt(variance)


def _score(did: np.ndarray, y: np.ndarray, expected: np.ndarray, spread: np.ndarray) -> np.ndarray:
    away = y @ did - expected
    return np.asarray(np.divide(away, spread, out=np.zeros_like(away), where=spread > 0))


def _exchanged(y: np.ndarray, stratum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outcomes dealt anew among the customers of each moment."""
    dealt = np.empty_like(y)
    order = np.argsort(stratum, kind="stable")
    shuffled = np.lexsort((rng.random(len(y)), stratum))
    dealt[order] = y[shuffled]
    return dealt


def _without(did: np.ndarray, y: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """The share among those without the outcome, moments weighed as they are among those with it."""
    shares, weights = [], []
    for one in range(int(stratum.max()) + 1):
        others = (stratum == one) & (y == 0)
        if others.any():
            shares.append(did[others].mean(axis=0))
            weights.append(float(y[stratum == one].sum()))
    weight = np.array(weights)
    if not weight.sum():
        return np.zeros(did.shape[1])
    return np.asarray((np.array(shares) * weight[:, None]).sum(axis=0) / weight.sum())
