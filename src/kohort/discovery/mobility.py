"""How much customers move between groups over time, and whether their moves mean anything.

All figures are sums over customers, so that their intervals come from drawing customers with replacement (bootstrap), each with
all of her months: months of one customer are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kohort.discovery.evolving import Course, Moment, place
from kohort.model.segmentation import Estimate

RESAMPLES = 200
ABSENT = -1
_SEED = 7

Tally = Callable[[np.ndarray], np.ndarray]
"""Weights of customers (resamples, customers) → a figure per resample, NaN where it has none."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Who was in which group when.

    Attributes:
        ids: Customers, ascending.
        groups: int16 (moments, customers), ABSENT = not there yet, or in none.
        kept: The same by the centres of the moment before: where customers would be had no border moved.
        k: Number of groups.
    """

    ids: np.ndarray
    groups: np.ndarray
    kept: np.ndarray
    k: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What customers did between each moment and the next, in the order of a panel; NaN = not known.

    Attributes:
        bought: (moments, customers) 1 or 0.
        spend: (moments, customers) net, major units; None where there is no money.
    """

    bought: np.ndarray
    spend: np.ndarray | None


def everybody(moments: Sequence[Moment]) -> np.ndarray:
    """Ids of all customers of some moments, ascending."""
    return np.unique(np.concatenate([m.ids for m in moments]))


def panel(moments: Sequence[Moment], course: Course) -> Panel:
    """The groups of a course, customer by customer."""
    ids = everybody(moments)
    groups = np.full((len(moments), len(ids)), ABSENT, np.int16)
    kept = groups.copy()
    for t, moment in enumerate(moments):
        rows = np.searchsorted(ids, moment.ids)
        groups[t, rows] = course.labels[t]
        kept[t, rows] = place(course.centres[t - 1], moment) if t else course.labels[t]
    return Panel(ids, groups, kept, course.k)


def mobility(of: Panel, lag: int = 1) -> Tally:
    """Share in another group `lag` moments later, of customers in a group at both, all such pairs of moments together."""
    before, after = of.groups[:-lag], of.groups[lag:]
    both = (before >= 0) & (after >= 0)
    return _share((both & (before != after)).sum(axis=0), both.sum(axis=0))


def by_borders(of: Panel) -> Tally:
    """Share in another group a moment later only because borders moved: under the old ones they had stayed."""
    before, after, kept = of.groups[:-1], of.groups[1:], of.kept[1:]
    both = (before >= 0) & (after >= 0)
    return _share((both & (before != after) & (before == kept)).sum(axis=0), both.sum(axis=0))


def beyond_chance(of: Panel, lag: int = 1) -> Tally:
    """Cohen's kappa of the groups `lag` moments apart, averaged over pairs of moments: 1 = nobody moves, 0 = as by chance.

    Groups of very unequal sizes make for few moves by themselves; this takes that away.
    """
    pairs = list(zip(of.groups[:-lag], of.groups[lag:], strict=True))

    def figure(W: np.ndarray) -> np.ndarray:
        found = []
        for before, after in pairs:
            both = (before >= 0) & (after >= 0)
            one, two = _members(before, of.k, both), _members(after, of.k, both)
            n = np.maximum(W @ both, 1e-12)
            agreed = W @ (both & (before == after)) / n
            chance = ((W @ one) * (W @ two)).sum(axis=1) / n**2
            found.append(np.where(chance < 1, (agreed - chance) / np.where(chance < 1, 1 - chance, 1.0), np.nan))
        return np.asarray(np.mean(found, axis=0))

    return figure


def tells_buying(of: Panel, outcomes: Outcomes) -> Tally:
    """How well the group tells who buys next: area under the ROC curve, averaged over moments.

    Groups are ordered by how many of their members bought in the period before, so that nothing of the period told is used.
    """

    def figure(W: np.ndarray) -> np.ndarray:
        before: np.ndarray | None = None
        areas = []
        for groups, bought in zip(of.groups, outcomes.bought, strict=True):
            known = (groups >= 0) & ~np.isnan(bought)
            if not known.any():
                continue
            member = _members(groups, of.k, known)
            yes, all_ = W @ (member * np.nan_to_num(bought)[:, None]), W @ member
            if before is not None:
                areas.append(_area(before, yes, all_ - yes))
            before = yes / np.maximum(all_, 1e-12)
        return np.asarray(np.mean(areas, axis=0)) if areas else np.full(len(W), np.nan)

    return figure


def tells_spend(of: Panel, outcomes: Outcomes) -> Tally:
    """How well the group tells what is spent next: squared correlation of log spend with the group's mean before.

    A correlation, so that a month in which everybody spends more is no error.
    """
    assert outcomes.spend is not None
    spent = np.sign(outcomes.spend) * np.log1p(np.abs(outcomes.spend))

    def figure(W: np.ndarray) -> np.ndarray:
        before: np.ndarray | None = None
        found = []
        for groups, y in zip(of.groups, spent, strict=True):
            known = (groups >= 0) & ~np.isnan(y)
            if not known.any():
                continue
            member, mine = _members(groups, of.k, known), np.where(known, y, 0.0)
            n, total = W @ member, W @ (member * mine[:, None])
            if before is not None:
                found.append(_squared_correlation(before, n, total, W @ mine**2))
            before = total / np.maximum(n, 1e-12)
        return np.asarray(np.mean(found, axis=0)) if found else np.full(len(W), np.nan)

    return figure


def movers_follow(of: Panel, outcomes: Outcomes) -> Tally:
    """Are moves real? Where movers stand between those who stayed in their old group (0) and in their new one (1).

    Of a mover from A to B, y is whether she bought next, and a, b the shares of stayers of A and B who did: the slope of y − a on
    b − a. Beyond 1 they are more unlike their old group than the new one is.
    """
    top, bottom = np.zeros(len(of.ids)), np.zeros(len(of.ids))
    for before, now, bought in zip(of.groups, of.groups[1:], outcomes.bought[1:], strict=False):
        known = (before >= 0) & (now >= 0) & ~np.isnan(bought)
        stays, moves = known & (before == now), np.flatnonzero(known & (before != now))
        n = np.bincount(now[stays], minlength=of.k)
        rates = np.bincount(now[stays], weights=bought[stays], minlength=of.k) / np.maximum(n, 1)
        moves = moves[(n[before[moves]] > 0) & (n[now[moves]] > 0)]
        old, new = rates[before[moves]], rates[now[moves]]
        top[moves] += (bought[moves] - old) * (new - old)
        bottom[moves] += (new - old) ** 2
    return _share(top, bottom)


def estimate(tally: Tally, customers: int, *, resamples: int = RESAMPLES, seed: int = _SEED) -> Estimate | None:
    """A figure with its 95 % interval, by drawing customers with replacement; None where it has no value."""
    value = float(tally(np.ones((1, customers)))[0])
    if not np.isfinite(value):
        return None
    rng, drawn = np.random.default_rng(seed), []
    for some in np.array_split(np.arange(resamples), max(1, resamples * customers // 2_000_000)):
        rows = rng.integers(0, customers, (len(some), customers))
        W = np.stack([np.bincount(r, minlength=customers) for r in rows]).astype(np.float64)
        drawn.append(tally(W))
    low, high = np.nanquantile(np.concatenate(drawn), (0.025, 0.975)).tolist()
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def difference(one: Tally, other: Tally) -> Tally:
    """One figure less another of the same customers, so that what both have in common does not blur it."""
    return lambda W: one(W) - other(W)


def _share(part: np.ndarray, whole: np.ndarray) -> Tally:
    def figure(W: np.ndarray) -> np.ndarray:
        below = W @ whole.astype(float)
        return np.where(below > 0, W @ part.astype(float) / np.where(below > 0, below, 1.0), np.nan)

    return figure


def _members(groups: np.ndarray, k: int, some: np.ndarray) -> np.ndarray:
    """(customers, k) 1.0 where the customer is one of `some` and in the group."""
    return np.asarray(((groups[:, None] == np.arange(k)) & some[:, None]).astype(float))


def _area(rates: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of a score that is equal within groups; all arguments (resamples, k)."""
    above = (rates[:, :, None] > rates[:, None, :]) + 0.5 * (rates[:, :, None] == rates[:, None, :])
    won = np.einsum("bi,bij,bj->b", yes, above, no)
    pairs = yes.sum(axis=1) * no.sum(axis=1)
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), np.nan)


def _squared_correlation(told: np.ndarray, n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Of what each group is told to spend with what its members spend; all (resamples, k), `squares` (resamples,)."""
    N = np.maximum(n.sum(axis=1), 1e-12)
    mean_told, mean = (n * told).sum(axis=1) / N, total.sum(axis=1) / N
    together = (told * total).sum(axis=1) / N - mean_told * mean
    spread = ((n * told**2).sum(axis=1) / N - mean_told**2) * (squares / N - mean**2)
    return np.where(spread > 1e-15, together**2 / np.where(spread > 1e-15, spread, 1.0), 0.0)
