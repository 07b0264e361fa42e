"""scikit-learn's own checks accept the estimator, and it predicts alone on arrays and data frames."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from kohort.predict.estimator import Predictor

pytestmark = pytest.mark.slow


@parametrize_with_checks([Predictor()])
def test_scikit_learn_accepts(estimator, check) -> None:
    check(estimator)


def test_it_predicts_in_a_cross_validation_and_on_data_frames() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(450, 3))
    y = np.where(X[:, 0] + 0.5 * rng.normal(size=450) > 0, "left", "stayed")
    assert cross_val_score(Predictor(), X, y, cv=3, scoring="roc_auc").mean() > 0.9
    frame = pd.DataFrame({"a": X[:, 0], "plan": rng.choice(["x", "y"], 450), "paid": rng.random(450) < 0.5})
    found = Predictor().fit(frame, y)
    assert (found.predict(frame) == y).mean() > 0.8
    assert found.predict_proba(frame).sum(axis=1) == pytest.approx(1)


def test_without_signal_everybody_gets_the_same() -> None:
    rng = np.random.default_rng(1)
    found = Predictor().fit(rng.normal(size=(300, 3)), rng.random(300) < 0.3)
    assert found.model_ is None
    assert len(set(found.predict_proba(rng.normal(size=(10, 3)))[:, 1])) == 1
