"""A value model that is learned: purchases or amounts to come, as a function of the same features as every prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from kohort.errors import NotEnough
from kohort.model.feature import FeatureTable
from kohort.predict.encode import Encoder, fit_encoder
from kohort.predict.families import SMALL_ROWS, Candidate, Learned
from kohort.predict.lifetime.held import choose, deviance
from kohort.predict.trees import of_boosting

if TYPE_CHECKING:
    import pyarrow as pa

FOLDS = 5
LEAST_ROWS = 200
LEAST_BUYERS = 50
"""Rows to learn from, and of those the ones after which something was bought."""

Band = tuple[float, float, float]
"""Of customers of whom up to so much was expected: the 2.5 % and the 97.5 % point of what came. The last has no end."""

MOST_ROWS = 400_000
CHUNK_ROWS = 65_536
SMALLEST = -20.0
"""Logarithm, in units of the mean: less is as good as nothing."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """A fitted model: exp(what it adds up) × scale, never more than the most that was seen.

    Attributes:
        encoder: How features become numbers.
        learned: The sum; its exponent is in units of `scale`.
        scale: Mean of what it learned from.
        most: Largest that it learned from, in units of `scale`.
    """

    encoder: Encoder
    learned: Learned
    scale: float
    most: float

    def expected(self, data: pa.Table) -> np.ndarray:
        """Expected amount per row of a table of features.

        Raises:
            WrongUsage: A feature it was trained with is not in the table, or is of another type.
        """
        found = np.empty(data.num_rows)
        for start in range(0, data.num_rows, CHUNK_ROWS):
            X = self.encoder.matrix(data.slice(start, CHUNK_ROWS))
            found[start : start + len(X)] = self._of_matrix(X)
        return found

    def _of_matrix(self, X: np.ndarray) -> np.ndarray:
        raw = np.clip(self.learned.total(self.encoder, X), SMALLEST, np.log(self.most))
        return np.asarray(np.exp(raw) * self.scale)


@dataclass(frozen=True, slots=True)
class Compared:
    """Settings judged on customers they had not seen.

    Attributes:
        candidate: The one taken.
        expected: What it expected of each judged customer.
        tried: For reports: family, setting, mean loss, whether it was taken.
    """

    candidate: Candidate
    expected: np.ndarray
    tried: list[dict[str, Any]]


def candidates(rows: int) -> tuple[Candidate, ...]:
    """What is compared on so many rows, the simplest first."""
    if rows < SMALL_ROWS:
        return _poisson(0.3), _poisson(0.03), _boosting(0.05, 60, 4, least=max(20, rows // 20))
    return _poisson(0.3), _poisson(0.003), _boosting(0.06, 100, 6, least=60), _boosting(0.05, 250, 12, least=40)


def compare(
    early: FeatureTable,
    came: np.ndarray,
    judged: FeatureTable,
    actual: np.ndarray,
    *,
    seed: int = 0,
    threads: int = 1,
) -> Compared:
    """Judges every setting on later rows of customers that it did not learn from.

    Args:
        early: Rows whose outcome was known before the judged ones; one per customer and moment.
        came: What came after each.
        judged: One row per customer.
        actual: What came after each of these.

    Raises:
        NotEnough: There is too little to learn from.
    """
    import pyarrow as pa

    demand_enough(came)
    own, theirs = (t.ids.to_numpy(zero_copy_only=False) for t in (early, judged))
    fold_of_early, fold_of_judged = _dealt(own, theirs, seed)
    tried = candidates(len(early))
    expected = {c.title: np.empty(len(judged)) for c in tried}
    some = _sample(len(early), seed)
    with _quick(threads):
        for k in range(FOLDS):
            learn, judge = np.flatnonzero(some & (fold_of_early != k)), np.flatnonzero(fold_of_judged == k)
            data, y = early.data.take(pa.array(learn)), came[learn]
            encoder = fit_encoder(data, early.features)
            if not encoder.columns:
                raise NotEnough("No feature differs between customers, so there is nothing to learn from.")
            X, later = encoder.matrix(data), judged.data.take(pa.array(judge))
            for candidate in tried:
                expected[candidate.title][judge] = _fitted(candidate, encoder, X, y, seed).expected(later)
    losses = {name: deviance(e, actual) for name, e in expected.items()}
    taken = choose(losses)
    told = [
        {
            "family": c.family,
            "setting": c.setting,
            "deviance": float(losses[c.title].mean()),
            "chosen": c.title == taken,
        }
        for c in tried
    ]
    return Compared(next(c for c in tried if c.title == taken), expected[taken], told)


def learn(table: FeatureTable, came: np.ndarray, candidate: Candidate, *, seed: int = 0, threads: int = 1) -> Amounts:
    """One setting fitted to all rows."""
    import pyarrow as pa

    rows = np.flatnonzero(_sample(len(table), seed))
    data = table.data.take(pa.array(rows))
    with _quick(threads):
        encoder = fit_encoder(data, table.features)
        return _fitted(candidate, encoder, encoder.matrix(data), came[rows], seed)


def demand_enough(came: np.ndarray) -> None:
    """Raises NotEnough where nothing can be learned."""
    buyers = int(np.count_nonzero(came))
    if len(came) < LEAST_ROWS or buyers < LEAST_BUYERS:
        raise NotEnough(
            f"After {buyers:,} of {len(came):,} past rows something was bought; {LEAST_BUYERS} of {LEAST_ROWS} are needed to learn from."
        )


def _fitted(candidate: Candidate, encoder: Encoder, X: np.ndarray, y: np.ndarray, seed: int) -> Amounts:
    scale = float(y.mean()) or 1.0
    learned = candidate.fit(encoder, X, y / scale, np.arange(len(y)), seed)
    return Amounts(encoder, learned, scale, max(float(y.max()) / scale, 1.0))


def _dealt(early: np.ndarray, judged: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The fold of every row; a customer has one, whenever she is asked about."""
    everybody, place = np.unique(np.concatenate([early, judged]), return_inverse=True)
    fold_of = np.random.default_rng(seed).permutation(len(everybody)) % FOLDS
    return fold_of[place[: len(early)]], fold_of[place[len(early) :]]


def _sample(rows: int, seed: int) -> np.ndarray:
    """A mask of about MOST_ROWS rows: more teach nothing new and take minutes."""
    if rows <= MOST_ROWS:
        return np.ones(rows, bool)
    return np.asarray(np.random.default_rng(seed).random(rows) < MOST_ROWS / rows)


def _quick(threads: int) -> Any:
    """Fits on so many threads, without the checks of parameters that take longer than growing a small tree."""
    from contextlib import ExitStack

    from sklearn import config_context
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    stack = ExitStack()
    stack.enter_context(threadpool_limits(limits=threads))
    stack.enter_context(config_context(skip_parameter_validation=True, assume_finite=True))
    return stack


def _poisson(alpha: float) -> Candidate:
    def fit(encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> Learned:
        from sklearn.linear_model import PoissonRegressor

        del groups, seed
        model = PoissonRegressor(alpha=alpha, solver="newton-cholesky", max_iter=300, tol=1e-6)
        with catch_warnings():  # one that stops early is judged like any other
            simplefilter("ignore")
            model.fit(encoder.linear(X), y)
        return Learned("poisson", np.append(model.coef_, model.intercept_).astype(np.float64))

    return Candidate("poisson", f"alpha {alpha:g}", fit)


def _boosting(rate: float, rounds: int, leaves: int, *, least: int) -> Candidate:
    def fit(encoder: Encoder, X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> Learned:
        from sklearn.ensemble import HistGradientBoostingRegressor

        del encoder, groups
        model: Any = HistGradientBoostingRegressor(
            loss="poisson",
            learning_rate=rate,
            max_iter=rounds,
            max_leaf_nodes=leaves,
            min_samples_leaf=least,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        ).fit(X, y)
        return Learned("boosting", forest=of_boosting(model))

    return Candidate("boosting", f"{rounds} rounds of {leaves} leaves", fit)


def bands(expected: np.ndarray, actual: np.ndarray, most: int = 20, least: int = 100) -> list[Band]:
    """What came to customers of whom about as much was expected, ascending.

    Bands have equal numbers of customers, `least` at the fewest; there is at least one.
    """
    order = np.argsort(expected, kind="stable")
    parts = np.array_split(order, int(np.clip(len(order) // least, 1, most)))
    found = []
    for number, rows in enumerate(parts):
        low, high = np.quantile(actual[rows], (0.025, 0.975), method="inverted_cdf")
        end = float("inf") if number == len(parts) - 1 else float(expected[rows].max())
        found.append((end, float(low), float(high)))
    return found
