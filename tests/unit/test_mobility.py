"""Figures of mobility against scikit-learn, scipy and loops over single customers."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from kohort.discovery import mobility as figures
from kohort.discovery.mobility import Outcomes, Panel, difference, estimate

MANY, MOMENTS, K = 400, 5, 3


def panel(seed: int = 0, stay: float = 0.8) -> Panel:
    rng = np.random.default_rng(seed)
    groups = np.full((MOMENTS, MANY), -1, np.int16)
    groups[0] = rng.integers(0, K, MANY)
    for t in range(1, MOMENTS):
        groups[t] = np.where(rng.random(MANY) < stay, groups[t - 1], rng.integers(0, K, MANY))
    absent = np.arange(MANY) % 7 == 0
    groups[:2, absent] = -1
    kept = groups.copy()
    kept[1:] = np.where((rng.random((MOMENTS - 1, MANY)) < 0.5) & (groups[:-1] >= 0), groups[:-1], groups[1:])
    return Panel(np.arange(MANY), groups, kept, K)


def outcomes(of: Panel, seed: int = 1) -> Outcomes:
    rng = np.random.default_rng(seed)
    bought = (rng.random(of.groups.shape) < 0.15 + 0.25 * np.maximum(of.groups, 0)).astype(float)
    bought[-1] = np.nan
    bought[0, 5] = np.nan
    spend = np.where(np.isnan(bought), np.nan, bought * rng.lognormal(3, 1, of.groups.shape))
    return Outcomes(bought, spend)


def value(tally) -> float:
    return float(tally(np.ones((1, MANY)))[0])


@pytest.mark.parametrize("lag", [1, 3])
def test_mobility_counts_pairs_of_moments_customer_by_customer(lag: int) -> None:
    of = panel()
    pairs = [
        (of.groups[t, c], of.groups[t + lag, c])
        for t in range(MOMENTS - lag)
        for c in range(MANY)
        if of.groups[t, c] >= 0 and of.groups[t + lag, c] >= 0
    ]
    assert value(figures.mobility(of, lag)) == pytest.approx(np.mean([a != b for a, b in pairs]))


def test_moves_by_borders_are_those_of_customers_who_had_stayed() -> None:
    of = panel()
    moved = [
        a != b and kept == a
        for a, b, kept in zip(of.groups[:-1].ravel(), of.groups[1:].ravel(), of.kept[1:].ravel(), strict=True)
        if a >= 0 and b >= 0
    ]
    assert value(figures.by_borders(of)) == pytest.approx(np.mean(moved))
    still = Panel(of.ids, of.groups, of.groups, K)  # no border ever moved
    assert value(figures.by_borders(still)) == 0


def test_what_is_beyond_chance_is_kappa() -> None:
    of = panel()
    theirs = []
    for before, after in zip(of.groups[:-3], of.groups[3:], strict=True):
        both = (before >= 0) & (after >= 0)
        theirs.append(cohen_kappa_score(before[both], after[both]))
    assert value(figures.beyond_chance(of, 3)) == pytest.approx(np.mean(theirs))


def test_groups_tell_who_buys_as_the_area_of_scikit_learn_says() -> None:
    of = panel()
    after = outcomes(of)
    areas, rates = [], None
    for groups, bought in zip(of.groups[:-1], after.bought[:-1], strict=True):
        known = (groups >= 0) & ~np.isnan(bought)
        if rates is not None:
            areas.append(roc_auc_score(bought[known], rates[groups[known]]))
        rates = np.array([bought[known & (groups == g)].mean() for g in range(K)])
    assert value(figures.tells_buying(of, after)) == pytest.approx(np.mean(areas))


def test_groups_tell_spend_as_a_correlation_says() -> None:
    of = panel()
    after = outcomes(of)
    found, means = [], None
    for groups, spend in zip(of.groups[:-1], after.spend[:-1], strict=True):
        known = (groups >= 0) & ~np.isnan(spend)
        y = np.sign(spend) * np.log1p(np.abs(spend))
        if means is not None:
            found.append(np.corrcoef(means[groups[known]], y[known])[0, 1] ** 2)
        means = np.array([y[known & (groups == g)].mean() for g in range(K)])
    assert value(figures.tells_spend(of, after)) == pytest.approx(np.mean(found))


def test_labels_without_meaning_tell_nothing() -> None:
    of, after = panel(), outcomes(panel())
    shuffled = np.random.default_rng(5).permuted(of.groups, axis=1)
    noise = Panel(of.ids, shuffled, shuffled, K)
    told = estimate(figures.tells_buying(noise, after), MANY)
    assert told is not None
    assert told.low < 0.5 < told.high


@pytest.mark.parametrize("real", [0.0, 0.5, 1.0])
def test_movers_stand_where_they_were_planted(real: float) -> None:
    rng = np.random.default_rng(8)
    n = 60_000
    groups = np.stack([rng.integers(0, 2, n), rng.integers(0, 2, n)]).astype(np.int16)
    rate = np.array([0.2, 0.6])
    old, new = rate[groups[0]], rate[groups[1]]
    bought = np.stack([np.full(n, np.nan), (rng.random(n) < old + real * (new - old)).astype(float)])
    of = Panel(np.arange(n), groups, groups, 2)
    tally = figures.movers_follow(of, Outcomes(bought, None))
    assert float(tally(np.ones((1, n)))[0]) == pytest.approx(real, abs=0.04)


def test_intervals_are_those_of_a_share() -> None:
    of = panel(stay=0.7)
    two = Panel(of.ids, of.groups[2:4], of.kept[2:4], K)  # one pair of moments: customers are independent draws
    told = estimate(figures.mobility(two), MANY, resamples=2_000)
    assert told is not None
    half = 1.96 * np.sqrt(told.value * (1 - told.value) / MANY)
    assert (told.high - told.low) / 2 == pytest.approx(half, rel=0.1)


def test_a_figure_less_itself_is_nothing_and_no_figure_is_no_figure() -> None:
    of = panel()
    same = estimate(difference(figures.mobility(of), figures.mobility(of)), MANY)
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    nobody = Panel(of.ids, np.full_like(of.groups, -1), of.kept, K)
    assert estimate(figures.mobility(nobody), MANY) is None
