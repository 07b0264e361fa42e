"""The same groups with scikit-learn's manners, for arrays and data frames without any workspace."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from kohort.discovery.algorithms import FAMILIES, Model
from kohort.discovery.assign import GroupAssigner
from kohort.discovery.group import find_groups
from kohort.discovery.grouping import Assigner, Grouping
from kohort.discovery.prepare import Preparation
from kohort.errors import NotEnough
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.segmentation import Candidate, Estimate, Structure


class Segmenter(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Finds groups in rows, says honestly whether they are groups, and labels later rows.

    NaN is a missing value. Data frames may have text and true/false columns. The input is never changed; the same
    input and `random_state` give the same groups, in any order of the rows up to rounding. With fewer rows than 30
    nothing is tested for structure.

    Args:
        n_clusters: Number of groups, or "auto": chosen from 2 to 12, or one group of everybody where no cut holds.
        algorithm: "auto" or one of kmeans, hierarchical, mixture, hdbscan.
        random_state: int for repeatable results, None, or a RandomState.
        threads: Threads for linear algebra.

    Attributes:
        labels_: int32 per row, −1 = left out.
        confidence_: float32 per row, 0 to 1.
        n_clusters_: Number of groups found.
        structure_: The verdict with its evidence (`kohort.model.segmentation.Structure`), None for tiny input.
        stability_: Per group the bootstrap Jaccard with interval, None where not measured.
        candidates_: Every grouping that was compared.
        grouping_: Everything found (`kohort.discovery.grouping.Grouping`), None where nothing could be.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0, 0], [9, 9]], 100, axis=0)
        >>> found = Segmenter().fit(rows)
        >>> found.structure_.verdict, found.n_clusters_, found.predict([[0, 1]]) == found.labels_[0]
        ('separate', 2, array([ True]))
    """

    def __init__(
        self,
        n_clusters: int | str = "auto",
        *,
        algorithm: str = "auto",
        random_state: Any = 0,
        threads: int = 1,
    ) -> None:
        self.n_clusters = n_clusters
        self.algorithm = algorithm
        self.random_state = random_state
        self.threads = threads

    def _set_one_group(self, rows: int) -> None:
        self.grouping_: Grouping | None = None
        self.structure_: Structure | None = None
        self.assigner_: Assigner = GroupAssigner(Preparation(()), Model("tiers", 1))
        self.labels_, self.confidence_ = np.zeros(rows, np.int32), np.ones(rows, np.float32)
        self.n_clusters_ = 1
        self.stability_: tuple[Estimate | None, ...] = (None,)
        self.candidates_: tuple[Candidate, ...] = ()

    def fit(self, X: Any, y: Any = None) -> Self:
        """Finds the groups of the rows of X (rows, features). `y` is ignored."""
        k = self._asked()
        table = self._table(X, reset=True)
        if k is not None and k > len(table):
            raise ValueError(f"n_clusters={k} is more than the {len(table)} rows")
        if k == 1:
            self._set_one_group(len(table))
            return self
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        try:
            found = find_groups(table, self.algorithm, k, micro=False, seed=seed, threads=self.threads)
        except NotEnough:  # rows that are all alike are one group
            self._set_one_group(len(table))
            return self
        self.grouping_ = found
        self.assigner_ = found.assigner
        self.labels_, self.confidence_ = found.labels, found.confidence
        self.n_clusters_ = found.k
        self.structure_, self.stability_ = found.structure, found.stability
        self.candidates_ = found.candidates
        return self

    def predict(self, X: Any) -> np.ndarray:
        """int32 labels of rows with the same features, −1 = left out."""
        check_is_fitted(self, "assigner_")
        labels: np.ndarray = self.assigner_.assign(self._table(X, reset=False))[0]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    def _asked(self) -> int | None:
        if self.algorithm not in ("auto", *FAMILIES):
            raise ValueError(f"algorithm must be auto, {', '.join(FAMILIES)}; got {self.algorithm!r}")
        asked: Any = self.n_clusters
        if isinstance(asked, str) and asked == "auto":
            return None
        if isinstance(asked, Integral) and int(asked) >= 1:
            return int(asked)
        raise ValueError(f"n_clusters must be 'auto' or a whole number from 1; got {self.n_clusters!r}")

    def _table(self, X: Any, *, reset: bool) -> FeatureTable:
        import pyarrow as pa

        if hasattr(X, "dtypes") and hasattr(X, "columns") and not _all_numbers(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            data = pa.Table.from_pandas(X, preserve_index=False)
            data = data.rename_columns([str(c) for c in X.columns])
            infos = tuple(FeatureInfo(n, n, _kind(data[n].type)) for n in data.column_names)
            return FeatureTable(pa.array(np.arange(len(data))), data, infos)
        rows = validate_data(
            self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2 if reset else 1
        )
        names = [str(n) for n in getattr(self, "feature_names_in_", [f"x{i}" for i in range(rows.shape[1])])]
        data = pa.table({n: pa.array(np.ascontiguousarray(rows[:, i])) for i, n in enumerate(names)})
        return FeatureTable(pa.array(np.arange(len(rows))), data, tuple(FeatureInfo(n, n) for n in names))


def _all_numbers(frame: Any) -> bool:
    return all(getattr(t, "kind", "O") in "iuf" for t in frame.dtypes)


def _kind(arrow_type: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_boolean(arrow_type):
        return "flag"
    number = pa.types.is_integer(arrow_type) or pa.types.is_floating(arrow_type)
    return "number" if number else "text"
