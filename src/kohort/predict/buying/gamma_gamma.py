"""Gamma-Gamma: what a purchase of a customer is worth, from the mean of the few that were seen."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from kohort.errors import BadInput, NotEnough, WrongUsage
from kohort.predict.buying.likelihood import Likelihood, maximise
from kohort.predict.buying.model import FEWEST_REPEATERS, LEVEL, Caution, Fitted
from kohort.predict.buying.summary import Summary, read_summary

NOTABLE_CORRELATION = 0.3


class GammaGamma(Fitted):
    """The Gamma-Gamma model: amounts of a customer are Gamma(p, ν), and ν ~ Gamma(q, v) differs between customers.

    Tables have `frequency` (purchases the mean is over) and `monetary` (that mean), beside `recency` and `age`. The model takes
    how much somebody spends to say nothing about how often; `correlation_` says how far that holds, and a caution follows
    where it does not.

    Attributes:
        correlation_: Between frequency and monetary among those fitted on.
        left_out_: Customers with repeat purchases but without a positive, known amount; not fitted on.

    Source:
        Fader and Hardie (2013), The Gamma-Gamma model of monetary value; there v is called γ.

    Example:
        >>> model = GammaGamma.with_parameters(p=6.25, q=3.74, v=15.44)
        >>> history = {"frequency": [0, 1, 8], "recency": [0, 9, 9], "age": [9, 9, 9], "monetary": [None, 80.0, 80.0]}
        >>> model.expected_value(history).round(2).tolist()
        [35.22, 66.35, 77.67]
    """

    NAMES = ("p", "q", "v")

    def fit(self, table: Any, y: Any = None) -> Self:
        """Finds the parameters under which these mean amounts are most probable.

        Args:
            table: As `read_summary` takes it, with `monetary`. Customers without a repeat purchase say nothing here.
            y: Ignored.

        Raises:
            NotEnough: Fewer than 40 customers with repeat purchases and a positive amount, or all amounts the same.
        """
        x, mean, repeaters = _amounts(read_summary(table))
        if len(x) < FEWEST_REPEATERS:
            raise NotEnough(
                f"Not enough data: {len(x):,} customers with a second purchase have an amount, and {FEWEST_REPEATERS} are needed."
                if repeaters
                else "Not enough data: no customer bought a second time, so nothing says how much one spends again.",
                hint="Take a longer period, or use the average order value for everybody.",
            )
        if np.ptp(mean) == 0:
            raise NotEnough(
                "Not enough data: all mean amounts are the same, so customers do not differ in what they spend.",
                hint="Use that amount for everybody.",
            )
        typical = float(mean.mean())
        starts = [np.array([p, q, typical * (q - 1) / p]) for p, q in ((2.0, 3.0), (6.0, 4.0))]
        self._set(maximise(_likelihood(x, mean), starts, float(len(x))), len(x))
        self.left_out_ = repeaters - len(x)
        self.correlation_ = float(np.corrcoef(x, mean)[0, 1]) if np.ptp(x) > 0 else 0.0
        self.cautions_ = (*self.cautions_, *self._about_amounts())
        return self

    def _about_amounts(self) -> list[Caution]:
        found = []
        if abs(self.correlation_) > NOTABLE_CORRELATION:
            text = (
                f"How often customers buy and how much they spend go together (correlation {self.correlation_:.2f}); the model "
                "takes them for independent, so values of the most and least frequent buyers are off."
            )
            found.append(Caution("frequency_and_amount", text))
        if self.parameters_["q"] <= 1:
            text = (
                "Amounts differ so much that their mean over all customers does not exist (q is not above 1): there is no expected "
                "value for customers without a repeat purchase."
            )
            found.append(Caution("no_mean", text))
        return found

    def expected_value(self, table: Any) -> np.ndarray:
        """Expected amount of a future purchase of each customer: her mean so far, drawn towards everybody's.

        Returns:
            float64 in the unit of `monetary`, one per row; the mean of all for who has no repeat purchase or no known amount.
            NaN where the mean does not exist.
        """
        p = self._values[0]
        shape, rate = self.posterior(table)
        with np.errstate(divide="ignore"):
            return np.where(shape > 1, p * rate / np.where(shape > 1, shape - 1, 1.0), np.nan)

    def value_interval(self, table: Any, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Between which amounts a customer's true mean lies, with probability `level` if model and parameters are right.

        Exact: what is left to know about ν is Gamma(q + p·x, v + x·mean), and her true mean is p / ν.
        """
        from scipy.special import gammaincinv

        if not 0 < level < 1:
            raise WrongUsage("An interval needs a level between 0 and 1.")
        p = self._values[0]
        shape, rate = self.posterior(table)
        low = p * rate / gammaincinv(shape, (1 + level) / 2)
        high = p * rate / gammaincinv(shape, (1 - level) / 2)
        return low, high

    def posterior(self, table: Any) -> tuple[np.ndarray, np.ndarray]:
        """Shape and rate of ν per row."""
        p, q, v = self._values
        summary = read_summary(table)
        mean = _monetary(summary)
        known = (summary.frequency > 0) & ~np.isnan(mean)
        x = np.where(known, summary.frequency, 0)
        return q + p * x, v + x * np.where(known, mean, 0.0)


def _monetary(summary: Summary) -> np.ndarray:
    if summary.monetary is None:
        raise BadInput(
            "There is no column called 'monetary'.", hint="It holds the mean amount of the repeat purchases."
        )
    return summary.monetary


def _amounts(summary: Summary) -> tuple[np.ndarray, np.ndarray, int]:
    """Frequency and mean of those to fit on, and how many have a repeat purchase at all."""
    mean = _monetary(summary)
    again = summary.frequency > 0
    fit = again & (mean > 0) & np.isfinite(mean)
    return summary.frequency[fit].astype(float), mean[fit], int(again.sum())


def _likelihood(x: np.ndarray, mean: np.ndarray) -> Likelihood:
    from scipy.special import digamma, gammaln

    distinct, inverse = np.unique(x, return_inverse=True)
    count = np.bincount(inverse).astype(float)
    total = x * mean
    n = float(len(x))
    logs = float(np.log(mean).sum())
    x_logs = float(x @ np.log(mean)) + float(x @ np.log(x))

    def likelihood(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, v = (float(t) for t in parameters)
        log_sum = np.log(total + v)
        by_distinct = np.bincount(inverse, log_sum)
        x_log_sum, all_log_sum = float(distinct @ by_distinct), float(by_distinct.sum())
        value = (
            count @ (gammaln(p * distinct + q) - gammaln(p * distinct))
            + n * (q * np.log(v) - gammaln(q))
            + p * (x_logs - x_log_sum)
            - q * all_log_sum
            - logs
        )
        both = digamma(p * distinct + q)
        gradient = np.array(
            [
                count @ (distinct * (both - digamma(p * distinct))) + x_logs - x_log_sum,
                count @ both + n * (np.log(v) - digamma(q)) - all_log_sum,
                n * q / v - (p * x + q) @ (1 / (total + v)),
            ]
        )
        return float(value), gradient

    return likelihood
