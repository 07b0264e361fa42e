"""Trees as plain arrays say what scikit-learn's own say, whatever is missing."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from kohort.predict.calibrate import sigmoid
from kohort.predict.trees import of_boosting, of_forest, sound


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[:, 1] = X[:, 1].round(1)
    X[:, 2] = rng.integers(0, 3, n)
    X[rng.random((n, 5)) < 0.1] = np.nan
    X[:, 4] = rng.normal(size=n)  # a column without any missing at training
    y = (np.nan_to_num(X[:, 0]) + np.isnan(X[:, 1]) + X[:, 4] * np.nan_to_num(X[:, 2]) > rng.normal(size=n)).astype(
        float
    )
    return X, y


def unseen() -> np.ndarray:
    X = rows(3_000, 9)[0]
    X[::7, 4] = np.nan
    X[0] = [np.finfo(np.float32).max, -np.finfo(np.float32).max, 0, 1e-30, np.nan]
    return X


@pytest.mark.parametrize("leaves", [4, 16, 17, 64])
def test_boosting(leaves: int) -> None:
    X, y = rows(2_000, leaves)
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=leaves, early_stopping=False).fit(X, y)
    forest = of_boosting(model)
    assert sound(forest, 5)
    assert sigmoid(forest.total(unseen())) == pytest.approx(model.predict_proba(unseen())[:, 1], abs=1e-9)


@pytest.mark.parametrize("leaves", [2, 16, 64])
def test_forests_and_single_trees(leaves: int) -> None:
    X, y = rows(2_000, leaves)
    many = RandomForestClassifier(20, max_leaf_nodes=leaves, random_state=0).fit(X, y)
    one = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0).fit(X, y)
    for model, forest in ((many, of_forest(many.estimators_)), (one, of_forest([one]))):
        assert sound(forest, 5)
        assert forest.total(unseen()) == pytest.approx(model.predict_proba(unseen())[:, 1], abs=1e-9)


def test_values_exactly_at_a_threshold_go_the_same_way() -> None:
    X = np.array([[0.1], [0.2], [0.3], [0.4]] * 20, np.float32)
    y = (X[:, 0] > 0.25).astype(float)
    model = DecisionTreeClassifier().fit(X, y)
    at = np.float32(model.tree_.threshold[0])
    near = np.array([[at], [np.nextafter(at, np.float32(1))], [np.nextafter(at, np.float32(-1))]], np.float32)
    assert of_forest([model]).total(near).tolist() == model.predict_proba(near)[:, 1].tolist()


def test_arrays_that_are_no_trees_are_told() -> None:
    X, y = rows(500, 1)
    f = of_boosting(HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=4).fit(X, y))
    assert not sound(f, 1), "it asks for columns that are not there"
    for name, change in {
        "left": lambda a: a * 0,
        "right": lambda a: a + 100,
        "value": lambda a: a * np.nan,
        "start": lambda a: a[::-1].copy(),
        "feature": lambda a: a.astype(float),
        "threshold": lambda a: a[:-1],
    }.items():
        arrays = {n: getattr(f, n) for n in f.__dataclass_fields__} | {name: change(getattr(f, name))}
        assert not sound(type(f)(**arrays), 5), name
