"""What the models of repeat buying have in common: fitting, uncertainty, and answers for plain tables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kohort.errors import BadInput, NotEnough, WrongUsage
from kohort.model.segmentation import Estimate
from kohort.predict.buying.grouped import Grouped, Histories, each, grouped
from kohort.predict.buying.likelihood import WIDEST, Fit, Likelihood, maximise
from kohort.predict.buying.summary import Summary, read_summary

FEWEST_CUSTOMERS = 100
FEWEST_REPEATERS = 40
"""Ten customers who came back for each of four parameters: with fewer, the intervals span factors of ten."""

LARGEST = 1e12
"""No fitted parameter comes near, nor near its inverse; a forged one could make numbers that nothing can draw."""

LEVEL = 0.95
PARAMETER_DRAWS = 25
TOTAL_DRAWS = 200
TOTAL_STEP = 1e-3

_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to know before the figures are used: a stable code and one plain sentence."""

    code: str
    text: str


class NotAChurnScore(UserWarning):
    """P(alive) of a model that cannot tell who left before buying again."""


class Fitted(BaseEstimator):  # type: ignore[misc]
    """A model with positive parameters that was fitted, or given its parameters.

    Attributes:
        parameters_: Name → value.
        standard_errors_: Name → standard error (from the curvature of the likelihood), or None where there is none.
        intervals_: Name → 95 % interval (value × exp(± 1.96 × standard error of its logarithm)), None likewise.
        covariance_: Of the logarithms of the parameters in the order of `parameters_`, or None; nothing in directions that the data
            leave open, where `cautions_` has "left_open".
        log_likelihood_: Of all customers, NaN where parameters were given.
        customers_: Customers fitted on.
        left_open_: Places in `NAMES` of parameters that the data leave open.
        cautions_: What to know before the figures are used.
    """

    NAMES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, random_state: int = 0) -> None:
        self.random_state = random_state

    @classmethod
    def with_parameters(cls, **parameters: float) -> Self:
        """The model with known parameters, as from a paper or an earlier fit. All positive and finite; without intervals."""
        if set(parameters) != set(cls.NAMES):
            raise WrongUsage(f"The parameters of this model are {', '.join(cls.NAMES)}.")
        values = np.array([parameters[n] for n in cls.NAMES], float)
        if not np.all(np.isfinite(values) & (values > 0)):
            raise WrongUsage("Parameters are positive, finite numbers.")
        model = cls()
        model._set(Fit(values, float("nan"), None, (), 0), 0)
        return model

    def as_dict(self) -> dict[str, object]:
        """Parameters with intervals, log-likelihood, customers and cautions, ready for JSON."""
        check_is_fitted(self, "parameters_")
        known = {
            n: {"value": v} if (e := self.intervals_[n]) is None else asdict(e) for n, v in self.parameters_.items()
        }
        likelihood = self.log_likelihood_ if np.isfinite(self.log_likelihood_) else None
        return {
            "model": type(self).__name__,
            "parameters": known,
            "log_likelihood": likelihood,
            "customers": self.customers_,
            "cautions": [asdict(c) for c in self.cautions_],
        }

    def state(self) -> dict[str, object]:
        """Everything that was fitted, as JSON; `of_state` reads it back."""
        check_is_fitted(self, "parameters_")
        return {
            "parameters": self.parameters_,
            "log_likelihood": self.log_likelihood_ if np.isfinite(self.log_likelihood_) else None,
            "covariance": None if self.covariance_ is None else self.covariance_.tolist(),
            "left_open": list(self.left_open_),
            "customers": self.customers_,
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """The inverse of `state`.

        Raises:
            WrongUsage: It is of another model, or its numbers cannot be.
        """
        model = cls.with_parameters(**state["parameters"])
        covariance = None if state["covariance"] is None else np.array(state["covariance"], float)
        size, left_open = len(cls.NAMES), tuple(int(i) for i in state["left_open"])
        sound = bool(((model._values > 1 / LARGEST) & (model._values < LARGEST)).all())
        if covariance is not None and sound:
            sound = covariance.shape == (size, size) and bool(np.isfinite(covariance).all())
            sound = sound and np.allclose(covariance, covariance.T)
            spread = np.linalg.eigvalsh(covariance) if sound else np.zeros(0)
            sound = sound and bool(((spread > -1e-6) & (spread < WIDEST**2 + 1e-6)).all())
        if not sound or not all(0 <= i < size for i in left_open):
            raise WrongUsage("What was kept of the model cannot be.")
        likelihood = float("nan") if state["log_likelihood"] is None else float(state["log_likelihood"])
        model._set(Fit(model._values, likelihood, covariance, left_open, 0), int(state["customers"]))
        return model

    def _set(self, fit: Fit, customers: int) -> None:
        from scipy.special import ndtri

        self.parameters_ = {n: float(v) for n, v in zip(self.NAMES, fit.parameters, strict=True)}
        self.log_likelihood_ = float(fit.log_likelihood)
        self.customers_ = customers
        self.covariance_ = fit.covariance
        self.evaluations_ = fit.evaluations
        self.left_open_ = fit.left_open
        self.standard_errors_: dict[str, float | None] = dict.fromkeys(self.NAMES)
        self.intervals_: dict[str, Estimate | None] = dict.fromkeys(self.NAMES)
        if fit.covariance is not None:
            spread = np.sqrt(np.diag(fit.covariance))
            for i, (name, value, error) in enumerate(zip(self.NAMES, fit.parameters, spread, strict=True)):
                if i in fit.left_open:
                    continue
                factor = float(np.exp(ndtri((1 + LEVEL) / 2) * error))
                self.standard_errors_[name] = float(value * error)
                self.intervals_[name] = Estimate(float(value), float(value / factor), float(value * factor))
        self.cautions_: tuple[Caution, ...] = tuple(_about_fit(fit, self.NAMES))

    @property
    def _values(self) -> np.ndarray:
        check_is_fitted(self, "parameters_")
        return np.array([self.parameters_[n] for n in self.NAMES])

    def _drawn(self, count: int, draw: np.random.Generator) -> np.ndarray:
        """(count, parameters) that are as likely as the data leave them: normal in the logarithms."""
        if self.covariance_ is None:
            return np.tile(self._values, (count, 1))
        logs = draw.multivariate_normal(np.log(self._values), self.covariance_, size=count, method="eigh")
        drawn: np.ndarray = np.exp(logs)
        return drawn


class BuyingModel(Fitted):
    """How often customers buy and whether they still do. Tables have `frequency`, `recency` and `age` (see `summary`)."""

    def fit(self, table: Any, y: Any = None) -> Self:
        """Finds the parameters under which these histories are most probable.

        Args:
            table: One row per customer: a `Summary`, a data frame, an Arrow table or a mapping of arrays, with columns
                `frequency`, `recency`, `age`. Never changed.
            y: Ignored.

        Raises:
            NotEnough: Fewer than 100 customers, or fewer than 40 who bought again.
            BadInput: `read_summary` refuses the table.
        """
        summary = self._read(table)
        demand_enough(summary)
        groups = grouped(summary)
        total = float(groups.customers.sum())
        starts = self._starts(groups)
        if (rough := self._rough(groups)) is not groups:
            starts = [maximise(self._likelihood(rough), starts, total).parameters]
        self._set(maximise(self._likelihood(groups), starts, total), len(summary))
        self.groups_ = len(groups)
        return self

    def expected_purchases(self, table: Any, horizon: float) -> np.ndarray:
        """Expected number of purchases of each customer in the next `horizon`.

        Args:
            table: As for `fit`; customers need not be those fitted on.
            horizon: In the unit of the table, from 0.

        Returns:
            float64, one per row.
        """
        ahead, values = self.ahead(horizon), self._values
        return each(self._read(table), lambda seen: (self._expected(values, seen, ahead),))[0]

    def probability_alive(self, table: Any) -> np.ndarray:
        """Probability under the model that each customer still buys at all at the end of her history.

        This is no churn score: it answers no question about a stated time and was not checked against who really left.
        To rank customers by whether they come back, use `expected_purchases`.
        """
        values = self._values
        return each(self._read(table), lambda seen: (self._alive(values, seen),))[0]

    def expected_purchases_of_new(self, horizon: Any) -> np.ndarray:
        """Expected number of repeat purchases of a customer about whom nothing is known but that she bought just now.

        Args:
            horizon: One or more, in the unit of the table fitted on. Returns one number each.
        """
        ahead = np.atleast_1d(np.asarray(horizon, float))
        nothing = Histories(np.zeros(1), np.zeros(1), np.zeros(1))
        return np.array([self._expected(self._values, nothing, self.ahead(t))[0] for t in ahead])

    def purchases_interval(
        self, table: Any, horizon: float, *, level: float = LEVEL, draws: int = 1_000
    ) -> tuple[np.ndarray, np.ndarray]:
        """Between which numbers of purchases each customer's will be, with probability `level` if the model is right.

        A predictive interval by simulation: parameters are drawn from their normal approximation (in logarithms), the
        customer's own rates from what her history leaves possible, then purchases. Few customers have equal chances of "none", so
        an interval covers at least `level`. The same `random_state` gives the same answer for a history in the same table.

        Args:
            level: Between 0 and 1.
            draws: Simulated futures per distinct history, from 100.

        Returns:
            Lowest and highest number, int64, one per row.
        """
        if not 0 < level < 1 or draws < 100:
            raise WrongUsage("An interval needs a level between 0 and 1 and at least 100 draws.")
        ahead = self.ahead(horizon)

        def answer(seen: Histories) -> tuple[np.ndarray, ...]:
            low, high = np.empty(len(seen), np.int64), np.empty(len(seen), np.int64)
            ends = [(1 - level) / 2, (1 + level) / 2]
            for rows, futures in self.futures(seen, ahead, draws):
                low[rows], high[rows] = np.quantile(futures, ends, axis=1, method="inverted_cdf")
            return low, high

        low, high = each(self._read(table), answer)
        return low, high

    def expected_total(self, table: Any, horizon: float) -> Estimate:
        """Purchases of all these customers together in the next `horizon`, with a 95 % predictive interval.

        Its variance is what the uncertainty of the parameters does to the expected total (delta method, in logarithms), plus the
        sum of the customers' own variances (simulated). The interval knows nothing of how wrong the model itself may be.
        """
        ahead, values = self.ahead(horizon), self._values
        groups = grouped(self._read(table))
        value = float(groups.customers @ self._expected(values, groups.histories, ahead))
        rough = self._rough(groups)
        variance = 0.0
        for rows, futures in self.futures(rough.histories, ahead, TOTAL_DRAWS, known=True):
            variance += float(rough.customers[rows] @ futures.var(axis=1))
        if self.covariance_ is not None:
            slope = np.empty(len(values))
            for i in range(len(values)):
                factor = np.exp(np.where(np.arange(len(values)) == i, TOTAL_STEP, 0.0))
                up, down = (
                    float(rough.customers @ self._expected(v, rough.histories, ahead))
                    for v in (values * factor, values / factor)
                )
                slope[i] = (up - down) / (2 * TOTAL_STEP)
            variance += float(slope @ self.covariance_ @ slope)
        spread = 1.959964 * float(np.sqrt(variance))
        return Estimate(value, max(value - spread, 0.0), value + spread)

    def futures(
        self,
        seen: Histories,
        ahead: float,
        draws: int,
        *,
        known: bool = False,
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Simulated numbers of purchases, (rows, draws), some rows at a time; with drawn parameters unless they are `known`."""
        draw = np.random.default_rng(self.random_state)
        sets = self._values[None, :] if known else self._drawn(PARAMETER_DRAWS, draw)
        shares = np.diff(np.linspace(0, draws, len(sets) + 1).astype(int))
        step = max(_AT_ONCE // draws, 1)
        for start in range(0, len(seen), step):
            rows = slice(start, start + step)
            parts = [self._simulate(p, seen[rows], ahead, int(n), draw) for p, n in zip(sets, shares, strict=True)]
            yield rows, np.concatenate(parts, axis=1)

    def _read(self, table: Any) -> Summary:
        return read_summary(table)

    def _rough(self, groups: Grouped) -> Grouped:
        return groups.coarse()

    def steps(self, horizon: float, most: int) -> list[float]:
        """Up to `most` moments from now to the horizon, evenly; the last is the horizon."""
        return [float(t) for t in np.linspace(0, self.ahead(horizon), most + 1)[1:]]

    def ahead(self, horizon: float) -> float:
        """The horizon as a number, checked."""
        ahead = float(horizon)
        if not (np.isfinite(ahead) and ahead >= 0):
            raise WrongUsage("The horizon is a finite number from 0.")
        return ahead

    @abstractmethod
    def _starts(self, groups: Grouped) -> list[np.ndarray]:
        """Where the search begins."""

    @abstractmethod
    def _likelihood(self, groups: Grouped) -> Likelihood:
        """The log-likelihood of these histories with its gradient."""

    @abstractmethod
    def _expected(self, parameters: np.ndarray, seen: Histories, ahead: float) -> np.ndarray:
        """Expected purchases ahead, given the histories."""

    @abstractmethod
    def _alive(self, parameters: np.ndarray, seen: Histories) -> np.ndarray:
        """Probability of still buying, given the histories."""

    @abstractmethod
    def _simulate(
        self,
        parameters: np.ndarray,
        seen: Histories,
        ahead: float,
        draws: int,
        draw: np.random.Generator,
    ) -> np.ndarray:
        """Numbers of purchases ahead, (rows, draws), given the histories."""


def demand_enough(summary: Summary) -> None:
    """Raises NotEnough where no honest model can be fitted."""
    repeaters = int(np.count_nonzero(summary.frequency))
    if len(summary) < FEWEST_CUSTOMERS:
        raise NotEnough(
            f"Not enough data: {len(summary):,} customers, and a model of repeat buying needs {FEWEST_CUSTOMERS}.",
            hint="Wait for more customers, or look at the past rate of buying alone.",
        )
    if repeaters == 0:
        raise NotEnough(
            f"Not enough data: none of {len(summary):,} customers bought a second time, so nothing says how often they do.",
            hint="Check that purchases of one customer carry one id, and that the period is long enough for a second purchase.",
        )
    if repeaters < FEWEST_REPEATERS:
        raise NotEnough(
            f"Not enough data: {repeaters:,} of {len(summary):,} customers bought a second time, and {FEWEST_REPEATERS} are needed.",
            hint="Take a longer period, or look at the share that buys again alone.",
        )
    if not summary.age.max() > 0:
        raise BadInput("No customer was watched for any time.", place="age")


def _about_fit(fit: Fit, names: tuple[str, ...]) -> Iterator[Caution]:
    if fit.left_open:
        yield Caution(
            "left_open",
            f"The data leave {' and '.join(names[i] for i in fit.left_open)} open: customers do not differ there, or do none of it, and "
            "many values fit equally well. These parameters have no interval; expected figures can be used.",
        )
