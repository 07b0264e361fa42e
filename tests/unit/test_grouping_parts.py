"""The parts of finding groups, each against something independent: scikit-learn, closed forms, sets."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.cluster import KMeans
from sklearn.isotonic import isotonic_regression
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score
from sklearn.mixture import GaussianMixture

from kohort.discovery.algorithms import cut_ward, fit_dense, fit_kmeans, fit_mixture, ward_tree
from kohort.discovery.choose import explained, tree_agreement
from kohort.discovery.density import gabriel_pairs, landscape, modes, nearest, saddles, valley
from kohort.discovery.null import fine_grained, fit_null, peaks_apart, rising, single_peak, single_peaked
from kohort.discovery.ranks import mid_ranks, normal_quantile
from kohort.discovery.stability import estimates, jaccard_table, steady
from kohort.discovery.structure import measure_gaps
from kohort.discovery.worlds import blobs


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_kmeans_is_as_good_as_scikit_learns() -> None:
    X, _ = blobs(rng(), 1_500, 6, 4, 4.0)
    ours = fit_kmeans(X.astype(np.float32), 6)
    D = ((X[:, None] - ours.arrays["centres"][None]) ** 2).sum(axis=2).min(axis=1).sum()
    assert 1.001 * KMeans(6, n_init=10, random_state=0).fit(X).inertia_ >= D


def test_kmeans_with_fewer_different_rows_than_groups_is_finite() -> None:
    model = fit_kmeans(np.repeat(np.eye(2, dtype=np.float32), 20, axis=0), 4)
    assert np.isfinite(model.arrays["centres"]).all()


def test_mixture_agrees_with_scikit_learns() -> None:
    X, truth = blobs(rng(), 1_500, 3, 3, 6.0, stretch=3)
    start = fit_kmeans(X.astype(np.float32), 3).label(X.astype(np.float32))[0]
    labels, confidence = fit_mixture(X.astype(np.float32), start).label(X.astype(np.float32))
    theirs = GaussianMixture(3, random_state=0, n_init=3).fit_predict(X)
    assert adjusted_rand_score(labels, truth) >= adjusted_rand_score(theirs, truth) - 0.01
    assert confidence.min() >= 1 / 3 - 1e-6
    assert confidence.max() <= 1


def test_ward_and_dense_groups_find_what_is_plain_to_see() -> None:
    X, truth = blobs(rng(), 600, 3, 3, 9.0)
    X = X.astype(np.float32)
    assert adjusted_rand_score(cut_ward(X, ward_tree(X), 3).label(X)[0], truth) == 1
    dense = fit_dense(X, 30)
    assert dense is not None
    assert adjusted_rand_score(dense.label(X)[0], truth) > 0.98
    far = dense.label(np.full((1, 3), 500, np.float32))
    assert (far[0][0], far[1][0]) == (-1, 0)


def test_ranks_and_quantiles_equal_scipys() -> None:
    X = rng().integers(0, 5, (50, 3)).astype(float)
    assert np.allclose(mid_ranks(X), rankdata(X, axis=0) - 1)
    p = np.linspace(0.01, 0.99, 9)
    assert np.allclose(normal_quantile(p), norm.ppf(p))


def test_rising_is_isotonic_regression_and_a_single_peak_is_never_worse_at_its_place() -> None:
    y = rng().random(30)
    assert np.allclose(rising(y), isotonic_regression(y))
    fit = single_peak(y)
    top = int(fit.argmax())
    assert (np.diff(fit[: top + 1]) >= -1e-12).all()
    assert (np.diff(fit[top:]) <= 1e-12).all()


def test_nearest_neighbours_equal_the_slow_way_in_few_and_many_dimensions() -> None:
    for d in (3, 9):
        X = rng().standard_normal((80, d)).astype(np.float32)
        D = np.sqrt(((X[:, None].astype(float) - X[None]) ** 2).sum(axis=2))
        np.fill_diagonal(D, np.inf)
        distance, near = nearest(X, 5)
        assert np.allclose(distance, np.sort(D, axis=1)[:, :5], atol=1e-3)
        assert not (near == np.arange(80)[:, None]).any()


def test_two_blobs_have_two_modes_and_a_valley_one_has_none() -> None:
    one = rng().standard_normal((800, 2)).astype(np.float32)
    two = one + np.repeat([[0, 0], [7, 0]], 400, axis=0).astype(np.float32)
    bar = 1.5
    assert len(np.unique(modes(landscape(one), 10, bar)[1])) == 1
    prominences, basins = modes(landscape(two), 10, bar)
    assert prominences[0] > bar
    assert adjusted_rand_score(basins, np.repeat([0, 1], 400)) > 0.99
    assert valley(two[:400, 0], two[400:, 0])[0] > 0.95
    half = np.argsort(one[:, 0])
    assert valley(one[half[:400], 0], one[half[400:], 0])[0] < 0.4
    assert saddles(landscape(one), (one[:, 0] > 0).astype(int))[0, 1] < 0.3


def test_neighbours_have_nobody_between_them() -> None:
    assert gabriel_pairs(np.array([[0.0], [1.0], [2.0]])) == [(0, 1), (1, 2)]


def test_the_null_model_keeps_correlation_and_spread_and_loses_gaps() -> None:
    X = np.column_stack([rng().standard_normal((3_000, 2)) @ np.array([[1, 0.8], [0, 0.6]]), rng().random(3_000)])
    X[:1_500, 2] += 3
    drawn = fit_null(X).draw(3_000, rng())
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(np.corrcoef(X.T)[0, 1], abs=0.05)
    assert drawn.std(axis=0) == pytest.approx(X.std(axis=0), rel=0.25)
    assert peaks_apart(X[:, 2])
    assert not peaks_apart(drawn[:, 2])
    assert not peaks_apart(X[:, 0])
    assert np.ptp(single_peaked(X[:, 2])) <= np.ptp(X[:, 2])


def test_ties_and_absence_are_smoothed_out() -> None:
    x = rng().poisson(2, 2_000).astype(np.float32)
    missing = np.zeros((2_000, 2), dtype=bool)
    missing[:500, 1] = True
    X = np.column_stack([x, np.where(missing[:, 1], 0, 2 * x)]).astype(np.float32)
    Y = fine_grained(X, missing, rng())
    assert len(np.unique(Y[:, 0])) > 1_900
    assert abs(Y[:, 0].mean() - x.mean()) < 0.1
    assert np.corrcoef(Y[:500, 1], x[:500])[0, 1] > 0.9
    assert np.array_equal(X[:, 0], x)


@pytest.mark.parametrize(("apart", "found"), [(0.0, False), (5.0, True)])
def test_the_structure_test_sees_a_gap_and_only_a_gap(apart: float, found: bool) -> None:
    X = rng().standard_normal((1_000, 4)).astype(np.float32)
    X[::2, 0] += apart
    gaps = measure_gaps(X)
    assert gaps.found is found
    assert (gaps.evidence()["peaks"] > 1) is found


def test_jaccard_is_the_best_overlap_of_sets() -> None:
    a, b = rng().integers(-1, 3, 200), rng().integers(-1, 4, 200)
    sets_b = [set(np.flatnonzero(b == g)) for g in range(4)]
    for g, J in enumerate(jaccard_table(a, b, 3)):
        own = set(np.flatnonzero(a == g))
        assert pytest.approx(max(len(own & o) / len(own | o) for o in sets_b)) == J


def test_a_grouping_holds_on_average_and_in_each_group() -> None:
    good, poor = np.full((10, 3), 0.9), np.tile([1.0, 1.0, 0.5], (10, 1))
    assert steady(estimates(good))
    assert not steady(estimates(poor))
    assert estimates(good)[0].low <= 0.9 <= estimates(good)[0].high


def test_explained_share_and_tree_agreement() -> None:
    labels = np.repeat([0, 1], 50)
    X = np.column_stack([labels.astype(float), np.tile([0.0, 1.0], 50)])
    assert explained(X[:, :1], labels, 2) == pytest.approx(1)
    assert explained(X[:, 1:], labels, 2) == pytest.approx(0)
    mixed = rng().permutation(100)
    assert tree_agreement(X[mixed], labels[mixed]) == pytest.approx(1)
    noise = rng().random((400, 2))
    truth = rng().integers(0, 2, 400)
    assert tree_agreement(noise, truth) < 0.3
    assert cohen_kappa_score(truth, truth) == 1


def test_a_mixture_survives_covariances_that_rounding_made_indefinite() -> None:
    from kohort.discovery.algorithms import covariance_root

    S = np.array([[[1.0, 1.0 + 1e-4], [1.0 + 1e-4, 1.0]], [[2.0, 0.0], [0.0, 3.0]]])
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(S)
    root = covariance_root(S, 1e-3)
    mended = root @ root.transpose(0, 2, 1)
    assert np.linalg.eigvalsh(mended).min() > 0
    np.testing.assert_allclose(mended, S, atol=2e-3)


def test_a_tree_is_not_asked_to_learn_groups_of_one() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(44, 3)), np.arange(44)
    assert tree_agreement(X, labels) == 0.0
