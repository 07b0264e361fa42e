"""The same models with scikit-learn's manners, for arrays and data frames without any workspace."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.model import Model
from kohort.predict.train import train


class Predictor(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Compares models, takes the simplest within one standard error of the best, and calibrates its probabilities.

    NaN is a missing value. Data frames may have text and true/false columns. Where there is too little data or no signal,
    everybody gets the share of positives, and `report_` says why.

    Args:
        random_state: int for repeatable results, None, or a RandomState.
        threads: Threads of fits.

    Attributes:
        classes_: The two outcomes, in order; the second is predicted.
        report_: The validation (docs/predict.md).
        model_: The model (`kohort.predict.model.Model`), None where there is none.
        base_rate_: Share of the second class.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> rows = rng.normal(size=(400, 2))
        >>> found = Predictor().fit(rows, rows[:, 0] + rng.normal(size=400) > 0)
        >>> found.report_["model"], found.predict_proba([[2, 0]])[0, 1] > 0.9
        ('logistic', np.True_)
    """

    def __init__(self, *, random_state: Any = 0, threads: int = 1) -> None:
        self.random_state = random_state
        self.threads = threads

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learns from rows X (rows, features) and their outcomes; rows of one of `groups` are never apart."""
        table, y = self._table(X, y, reset=True)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) > 2:
            raise ValueError(f"Only binary classification is supported. There are {len(self.classes_)} classes.")
        if len(self.classes_) < 2:
            raise ValueError("This classifier needs samples of 2 classes; there is 1 class.")
        happened = (y == self.classes_[1]).astype(float)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        codes = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        found = train(table, happened, groups=codes, seed=seed, threads=self.threads)
        self.model_: Model | None = found.model
        self.report_, self.base_rate_ = found.report, float(happened.mean())
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (rows, 2) of both outcomes."""
        check_is_fitted(self, "report_")
        table = self._table(X, None, reset=False)[0]
        p = np.full(len(table), self.base_rate_) if self.model_ is None else self.model_.probability(table.data)
        return np.column_stack([1 - p, p])

    def predict(self, X: Any) -> np.ndarray:
        """The outcome that is more probable than not, of each row."""
        p = self.predict_proba(X)[:, 1]
        return np.asarray(self.classes_[(p >= 0.5).astype(int)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True  # with the few rows of scikit-learn's checks the answer is “too few”
        return tags

    def _table(self, X: Any, y: Any, *, reset: bool) -> tuple[FeatureTable, Any]:
        import pyarrow as pa

        given = "no_validation" if y is None else y
        if (
            hasattr(X, "dtypes")
            and hasattr(X, "columns")
            and not all(getattr(t, "kind", "O") in "iuf" for t in X.dtypes)
        ):
            validate_data(self, X, reset=reset, skip_check_array=True)
            data = pa.Table.from_pandas(X, preserve_index=False)
            data = data.rename_columns([str(c) for c in X.columns])
            y = None if y is None else np.asarray(y)
        else:
            checked = validate_data(self, X, given, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
            rows, y = (checked, None) if y is None else checked
            names = [str(n) for n in getattr(self, "feature_names_in_", [f"x{i}" for i in range(rows.shape[1])])]
            data = pa.table({n: pa.array(np.ascontiguousarray(rows[:, i])) for i, n in enumerate(names)})
        infos = tuple(FeatureInfo(n, n, _kind(data[n].type)) for n in data.column_names)
        return FeatureTable(pa.array(np.arange(data.num_rows)), data, infos), y


def _kind(arrow_type: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_boolean(arrow_type):
        return "flag"
    number = pa.types.is_integer(arrow_type) or pa.types.is_floating(arrow_type)
    return "number" if number else "text"
