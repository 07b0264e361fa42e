"""On shuffled labels the answer is “no signal” at least 95 times in 100, on tables of several shapes."""

import numpy as np
import pyarrow as pa
import pytest

from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.train import train

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
SHUFFLES = 200


@pytest.mark.parametrize(("rows", "columns", "rate"), [(300, 5, 0.4), (1_000, 20, 0.1), (3_000, 10, 0.2)])
def test_shuffled_labels_have_no_signal(rows: int, columns: int, rate: float) -> None:
    names = [f"x{i}" for i in range(columns)]
    said = 0
    for seed in range(SHUFFLES):
        rng = np.random.default_rng(seed)
        X = np.exp(rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns)) / 4)
        y = rng.permutation(np.arange(rows) < rate * rows).astype(float)
        data = pa.table({n: X[:, i] for i, n in enumerate(names)})
        table = FeatureTable(pa.array(range(rows)), data, tuple(FeatureInfo(n, n) for n in names))
        said += train(table, y, seed=seed).report["code"] == "no_signal"
    assert said / SHUFFLES >= 0.95
