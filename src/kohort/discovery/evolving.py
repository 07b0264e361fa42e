"""Evolutionary k-means: groups that follow the customers from moment to moment, and do not jump.

Chakrabarti, Kumar and Tomkins, "Evolutionary clustering" (KDD 2006) weigh two costs at every moment: how badly the groups fit
the customers as they are now (snapshot), and how far they are from the groups of the moment before (history). With the centres
c of now, p of the moment before, the n customers x of now and the share s of customers of each group before:

    (1 − w) · Σ_x |x − c(x)|²  +  w · Σ_j n · s_j · |c_j − p_j|²

For groups given, the best centre is the mean of its customers drawn towards the centre before, each weighted by how many stand
for it; that is the paper's update, without its scaling to unit length, which is meant for texts. Rounds of it never raise the
cost. `w` = 0 is Lloyd's k-means from the centres before; `w` = 1 leaves the centres where they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kohort.discovery.algorithms import Model, fit_kmeans, squared_distances
from kohort.discovery.partial import label_known
from kohort.discovery.stability import continues
from kohort.errors import WrongUsage

ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """Customers as they were at one moment, prepared.

    Attributes:
        as_of: Microseconds UTC.
        ids: Of the customers, unique (int64).
        X: float32 (customers, columns).
        known: bool, same shape: False where nothing is known; None = everything is.
    """

    as_of: int
    ids: np.ndarray
    X: np.ndarray
    known: np.ndarray | None = None

    @property
    def complete(self) -> np.ndarray:
        """Rows of those of whom everything is known: centres are fitted on them."""
        return self.X if self.known is None else self.X[self.known.all(axis=1)]


@dataclass(frozen=True, slots=True)
class Step:
    """Groups at one moment.

    Attributes:
        centres: float64 (k, columns); group j continues group j of the moment before.
        labels: int32, group of each row.
        snapshot: Σ |x − c(x)|².
        history: Σ n · s_j · |c_j − p_j|².
        costs: (1 − w) · snapshot + w · history after each round.
    """

    centres: np.ndarray
    labels: np.ndarray
    snapshot: float
    history: float
    costs: tuple[float, ...]

    @property
    def shares(self) -> np.ndarray:
        """Share of the rows in each group."""
        return shares_of(self.labels, len(self.centres))


@dataclass(frozen=True, slots=True)
class Course:
    """Groups at consecutive moments under the same numbers.

    Attributes:
        centres: float64 (k, columns) at each moment.
        labels: int32 per moment, group of each customer of that moment; −1 where nothing is known of her.
    """

    centres: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]

    @property
    def k(self) -> int:
        return len(self.centres[0])


def evolve_once(X: np.ndarray, before: np.ndarray, shares: np.ndarray, weight: float) -> Step:
    """The groups of a moment, from those of the moment before.

    Args:
        X: (rows, columns) prepared customers of whom everything is known.
        before: (k, columns) centres of the moment before.
        shares: (k,) share of the customers in each group at that moment.
        weight: What the past counts, 0 (nothing) to 1 (everything).

    Returns:
        A group without rows stays where it was, whatever the weight, so that it can fill again.

    Raises:
        WrongUsage: The weight is not 0 to 1.

    Source:
        Chakrabarti, Kumar, Tomkins (2006), section 4; the history cost is here that of the squared distance.

    Example:
        >>> X = np.array([[0.0], [2.0], [10.0], [12.0]])
        >>> evolve_once(X, np.array([[0.0], [20.0]]), np.array([0.5, 0.5]), 0.5).centres.ravel().tolist()
        [0.5, 15.5]
    """
    check_weight(weight)
    X, before = np.asarray(X, dtype=float), np.asarray(before, dtype=float)
    k, n = len(before), len(X)
    pull = weight * n * np.asarray(shares, dtype=float)
    centres, costs = before.copy(), []
    while True:
        D = squared_distances(X, centres)
        labels = D.argmin(axis=1)
        snapshot = float(D[np.arange(n), labels].sum())
        history = float(n * shares @ ((centres - before) ** 2).sum(axis=1))
        costs.append((1 - weight) * snapshot + weight * history)
        if len(costs) > ROUNDS or (len(costs) > 1 and costs[-2] - costs[-1] <= 1e-9 * max(costs[0], 1e-300)):
            return Step(centres, labels.astype(np.int32), snapshot, history, tuple(costs))
        counts, sums = np.bincount(labels, minlength=k), _sums(X, labels, k)
        mass = (1 - weight) * counts + pull
        drawn = ((1 - weight) * sums + pull[:, None] * before) / np.where(mass > 0, mass, 1.0)[:, None]
        centres = np.where((mass > 0)[:, None], drawn, before)


def evolve(moments: Sequence[Moment], start: np.ndarray, weight: float) -> Course:
    """Groups from moment to moment, the first moment counted from `start`.

    Args:
        start: (k, columns) centres that the customers of the first moment are placed by.
        weight: What the past counts, 0 to 1. At 1 nothing ever moves but the customers.
    """
    check_weight(weight)
    centres = [np.asarray(start, dtype=float)]
    labels = [place(centres[0], moments[0])]
    for moment in moments[1:]:
        step = evolve_once(moment.complete, centres[-1], shares_of(labels[-1], len(start)), weight)
        centres.append(step.centres)
        labels.append(place(step.centres, moment))
    return Course(tuple(centres), tuple(labels))


def refit(moments: Sequence[Moment], start: np.ndarray, *, seed: int = 0, starts: int = 5) -> Course:
    """What most do instead: k-means anew at each moment, the groups then matched to those of the moment before.

    Matched are groups that share most customers when the old and the new centres look at the same moment, as an adopted
    segmentation is matched when it is found again.
    """
    k = len(start)
    centres = [np.asarray(start, dtype=float)]
    labels = [place(centres[0], moments[0])]
    for number, moment in enumerate(moments[1:], 1):
        model = fit_kmeans(moment.complete, k, seed=seed + number, starts=starts)
        fresh = model.arrays["centres"].astype(float)
        order = np.argsort(continues(place(centres[-1], moment), place(fresh, moment), k))
        centres.append(fresh[order])
        labels.append(place(fresh[order], moment))
    return Course(tuple(centres), tuple(labels))


def place(centres: np.ndarray, moment: Moment) -> np.ndarray:
    """The group of each customer of a moment, by what is known of her; −1 where nothing is."""
    model = Model("kmeans", len(centres), {"centres": np.asarray(centres, dtype=np.float32)})
    return label_known(model, moment.X, moment.known)[0]


def shares_of(labels: np.ndarray, k: int) -> np.ndarray:
    """Share of the rows in each group, rows in none left aside; equal shares where nobody is in any."""
    counts = np.bincount(labels[labels >= 0], minlength=k).astype(float)
    return counts / counts.sum() if counts.sum() else np.full(k, 1 / k)


def check_weight(weight: float) -> None:
    if not 0.0 <= weight <= 1.0:
        raise WrongUsage(
            f"The weight of the past must be 0 to 1, not {weight}.", hint="0 = refit freely, 1 = never change a border."
        )


def _sums(X: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    member = np.zeros((k, len(X)))
    member[labels, np.arange(len(X))] = 1.0
    return np.asarray(member @ X)
