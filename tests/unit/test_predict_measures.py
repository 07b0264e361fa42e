"""Every figure of a report is held against scikit-learn, and every interval against what it claims."""

import numpy as np
import pytest
from sklearn import metrics

from kohort.predict import measures
from kohort.predict.measures import Scored, Tally


def drawn(rows: int, seed: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 3, rows)
    y = (rng.random(rows) < p).astype(float)
    return (p.round(1) if ties else p), y


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    p, y = drawn(400, seed, ties=ties)
    w = np.random.default_rng(seed + 99).integers(0, 4, 400).astype(float)
    t = Scored(p, y).tally(w)
    said = p >= 0.3
    assert measures.roc_auc(t) == pytest.approx(metrics.roc_auc_score(y, p, sample_weight=w))
    assert measures.average_precision(t) == pytest.approx(metrics.average_precision_score(y, p, sample_weight=w))
    q = np.clip(p, measures.TINY, 1 - measures.TINY)
    assert measures.log_loss(t) == pytest.approx(metrics.log_loss(y, q, sample_weight=w))
    assert measures.brier(t) == pytest.approx(metrics.brier_score_loss(y, p, sample_weight=w))
    assert measures.precision(t, 0.3) == pytest.approx(metrics.precision_score(y, said, sample_weight=w))
    assert measures.recall(t, 0.3) == pytest.approx(metrics.recall_score(y, said, sample_weight=w))
    assert measures.f1(t, 0.3) == pytest.approx(metrics.f1_score(y, said, sample_weight=w))


def test_the_error_of_the_auc_is_that_of_many_samples() -> None:
    found = [measures.auc_and_error(*drawn(500, seed), np.arange(500)) for seed in range(200)]
    spread = float(np.std([auc for auc, _ in found]))
    assert float(np.mean([error for _, error in found])) == pytest.approx(spread, rel=0.15)


def test_rows_of_one_customer_widen_the_error() -> None:
    p, y = drawn(300, 1)
    three = (np.tile(p, 3), np.tile(y, 3))
    alone, apart = measures.auc_and_error(p, y, np.arange(300)), measures.auc_and_error(*three, np.arange(900))
    together = measures.auc_and_error(*three, np.tile(np.arange(300), 3))
    assert together == pytest.approx(alone)
    assert apart[1] < 0.65 * alone[1]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = float(np.mean([measures.brier(Scored(*drawn(20_000, seed)).tally()) for seed in range(500, 510)]))
    held = 0
    for seed in range(100):
        e = Scored(*drawn(300, seed), seed=seed).estimates({"brier": measures.brier})["brier"]
        held += e.low <= truth <= e.high
    assert 88 <= held <= 99


def test_calibration_error_is_zero_only_where_said_is_happened() -> None:
    levels = np.array([0.2, 0.8])
    assert measures.calibration_error(Tally(levels, np.array([2.0, 8.0]), np.array([8.0, 2.0]))) == pytest.approx(0)
    assert measures.calibration_error(Tally(levels, np.array([5.0, 5.0]), np.array([5.0, 5.0]))) == pytest.approx(0.3)


def test_gain_of_a_perfect_and_of_a_useless_order() -> None:
    best = Tally(np.array([0.0, 1.0]), np.array([0.0, 10.0]), np.array([90.0, 0.0]))
    same = Tally(np.array([0.1]), np.array([10.0]), np.array([90.0]))
    assert measures.gain(best, 0.1) == pytest.approx(1.0)
    assert measures.gain(best, 0.05) == pytest.approx(0.5)
    assert measures.gain(same, 0.2) == pytest.approx(0.2)


def test_what_cannot_be_had_is_nan_and_none() -> None:
    only = Scored(np.array([0.1, 0.2]), np.array([0.0, 0.0]))
    assert np.isnan(measures.roc_auc(only.tally()))
    told = measures.as_dict(only.estimates({"roc_auc": measures.roc_auc}))
    assert told["roc_auc"] == {"value": None, "low": None, "high": None}
