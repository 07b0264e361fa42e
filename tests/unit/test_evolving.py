"""Evolutionary k-means against scikit-learn, against a general optimiser, and on customers who drift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.cluster import KMeans

from kohort.discovery.evolving import Moment, evolve, evolve_once, place, refit, shares_of
from kohort.errors import WrongUsage

CENTRES = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])


def crowd(centres: np.ndarray, each: int = 60, seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    return np.concatenate([c + chance.normal(0, 1, (each, 2)) for c in centres])


def moment(X: np.ndarray, at: int = 0, known: np.ndarray | None = None) -> Moment:
    return Moment(at, np.arange(len(X)), X.astype(np.float32), known)


@pytest.mark.parametrize("seed", range(5))
def test_without_a_past_it_is_the_k_means_of_scikit_learn_from_the_same_centres(seed: int) -> None:
    X = np.random.default_rng(seed).normal(0, 1, (300, 4))  # no groups at all: the hardest case to agree on
    start = X[:5]
    step = evolve_once(X, start, np.full(5, 0.2), 0.0)
    theirs = KMeans(5, init=start, n_init=1, tol=0, max_iter=1_000).fit(X)
    assert step.centres == pytest.approx(theirs.cluster_centers_, abs=1e-6)
    assert step.snapshot == pytest.approx(theirs.inertia_)
    assert np.array_equal(step.labels, theirs.labels_)


def test_with_nothing_but_the_past_the_centres_stay_whatever_comes() -> None:
    X = crowd(CENTRES + 5)
    step = evolve_once(X, CENTRES, np.array([0.2, 0.3, 0.5]), 1.0)
    assert np.array_equal(step.centres, CENTRES)
    assert step.history == 0
    course = evolve([moment(X), moment(X + 1), moment(X + 2)], CENTRES, 1.0)
    assert all(np.array_equal(c, CENTRES) for c in course.centres)


@given(st.floats(0.01, 0.99), st.integers(0, 50))
def test_the_cost_never_rises_and_is_the_sum_of_its_parts(weight: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    X, before, shares = chance.normal(0, 2, (80, 3)), chance.normal(0, 2, (4, 3)), chance.dirichlet(np.ones(4))
    step = evolve_once(X, before, shares, weight)
    assert all(b <= a + 1e-9 * a for a, b in zip(step.costs, step.costs[1:], strict=False))
    snapshot = sum(min(float(((x - c) ** 2).sum()) for c in step.centres) for x in X)
    history = sum(
        len(X) * s * float(((c - p) ** 2).sum()) for s, c, p in zip(shares, step.centres, before, strict=True)
    )
    assert step.costs[-1] == pytest.approx((1 - weight) * snapshot + weight * history, rel=1e-6)


def test_the_centres_are_the_best_ones_for_their_groups() -> None:
    X, before, shares, weight = crowd(CENTRES + 0.7), CENTRES, np.array([0.5, 0.3, 0.2]), 0.4
    step = evolve_once(X, before, shares, weight)

    def cost(flat: np.ndarray) -> float:
        C = flat.reshape(3, 2)
        fit = ((X - C[step.labels]) ** 2).sum()
        return float((1 - weight) * fit + weight * len(X) * (shares @ ((C - before) ** 2).sum(axis=1)))

    best = minimize(cost, before.ravel(), method="BFGS").x.reshape(3, 2)
    assert step.centres == pytest.approx(best, abs=1e-4)


def test_the_more_the_past_counts_the_less_centres_move_and_the_worse_they_fit() -> None:
    X = crowd(CENTRES + 1.5)
    steps = [evolve_once(X, CENTRES, np.full(3, 1 / 3), w) for w in (0.0, 0.25, 0.5, 0.75, 1.0)]
    history, snapshot = [s.history for s in steps], [s.snapshot for s in steps]
    assert history == sorted(history, reverse=True)
    assert snapshot == sorted(snapshot)


def test_a_group_that_nobody_is_in_keeps_its_place() -> None:
    far = np.array([[0.0, 0.0], [100.0, 100.0]])
    for weight in (0.0, 0.5):
        step = evolve_once(crowd(CENTRES[:1]), far, np.array([1.0, 0.0]), weight)
        assert step.centres[1].tolist() == [100.0, 100.0]


def test_groups_keep_their_numbers_while_everybody_drifts() -> None:
    moments = [moment(crowd(CENTRES + 0.4 * t, seed=t), t) for t in range(12)]
    truth = np.repeat(np.arange(3), 60)
    for course in (evolve(moments, CENTRES, 0.5), refit(moments, CENTRES, seed=9)):
        # After 12 months everybody is more than four standard deviations from where the group began.
        assert np.mean(course.labels[-1] == truth) > 0.97
    frozen = evolve(moments, CENTRES, 1.0)
    assert np.mean(frozen.labels[-1] == truth) < 0.9


def test_of_whom_little_is_known_is_placed_by_that_and_moves_no_border() -> None:
    X = crowd(CENTRES)
    known = np.ones(X.shape, bool)
    known[:10, 1] = False
    known[10] = False
    lost = X.copy()
    lost[~known] = 1e6
    one = evolve([moment(X[11:]), moment(X[11:])], CENTRES, 0.3)
    other = evolve([moment(lost, known=known)] * 2, CENTRES, 0.3)
    # The shares differ by the few who are placed on half of what is known; the centres hardly do.
    assert other.centres[1] == pytest.approx(one.centres[1], abs=0.05)
    assert other.labels[1][10] == -1
    assert (other.labels[1][:10] >= 0).all()


def test_shares_leave_aside_who_is_in_none() -> None:
    assert shares_of(np.array([0, 0, 1, -1]), 3).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert shares_of(np.array([-1]), 2).tolist() == [0.5, 0.5]
    assert place(CENTRES, moment(CENTRES)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_that_cannot_be_is_refused(weight: float) -> None:
    with pytest.raises(WrongUsage, match="0 to 1"):
        evolve_once(crowd(CENTRES), CENTRES, np.full(3, 1 / 3), weight)
