"""scikit-learn's own checks accept the estimator, all of them."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from kohort.discovery.estimator import Segmenter

pytestmark = pytest.mark.slow


@parametrize_with_checks([Segmenter()])
def test_scikit_learn_accepts(estimator, check) -> None:
    check(estimator)
