"""BG/NBD: customers buy at their own steady rate and may stop for good right after any purchase."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from kohort.predict.buying.grouped import Grouped, Histories, joined
from kohort.predict.buying.likelihood import Fit, Likelihood
from kohort.predict.buying.model import BuyingModel, Caution, NotAChurnScore
from kohort.predict.buying.quadrature import beta_mean
from kohort.predict.buying.summary import read_summary

ALWAYS_ALIVE = (
    "P(alive) of the BG/NBD model is 1 for every customer without a repeat purchase, because it lets nobody leave before "
    "one. It is no churn score (on the CDNOW data it ranks worse than chance); use expected purchases."
)


class BGNBD(BuyingModel):
    """The BG/NBD model: purchases at rate λ ~ Gamma(r, alpha), and after each a chance p ~ Beta(a, b) of never again.

    Source:
        Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science 24(2).

    Example:
        >>> model = BGNBD.with_parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
        >>> history = {"frequency": [2], "recency": [30.43], "age": [38.86]}
        >>> model.expected_purchases(history, horizon=39).round(3).tolist(), model.probability_alive(history).round(3).tolist()
        ([1.226], [0.727])
    """

    NAMES = ("r", "alpha", "a", "b")

    def probability_alive(self, table: Any) -> np.ndarray:
        """Probability under the model that each customer still buys; 1 for whoever has no repeat purchase, so no churn score.

        Warns `NotAChurnScore` where the table has such customers.
        """
        summary = read_summary(table)
        if np.any(summary.frequency == 0):
            warnings.warn(ALWAYS_ALIVE, NotAChurnScore, stacklevel=2)
        return super().probability_alive(summary)

    def _set(self, fit: Fit, customers: int) -> None:
        super()._set(fit, customers)
        self.cautions_ = (*self.cautions_, Caution("not_a_churn_score", ALWAYS_ALIVE))

    def _starts(self, groups: Grouped) -> list[np.ndarray]:
        typical = float(np.average(groups.age, weights=groups.customers)) or 1.0
        return [np.array([0.5, 0.3 * typical, 0.7, 2.5])]

    def _likelihood(self, groups: Grouped) -> Likelihood:
        from scipy.special import digamma, gammaln

        distinct, inverse = np.unique(groups.frequency, return_inverse=True)
        count = np.bincount(inverse, groups.customers)
        total = float(count.sum())
        again = groups.frequency > 0
        once_age, once = groups.age[~again], groups.customers[~again]
        x, recency, age, customers = (
            v[again] for v in (groups.frequency, groups.recency, groups.age, groups.customers)
        )

        def likelihood(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            r, alpha, a, b = (float(p) for p in parameters)
            value = count @ (
                gammaln(r + distinct) + gammaln(a + b) + gammaln(b + distinct) - gammaln(b) - gammaln(a + b + distinct)
            ) + total * (r * np.log(alpha) - gammaln(r))
            by_all = digamma(a + b) - digamma(a + b + distinct)
            gradient = np.array(
                [
                    count @ digamma(r + distinct) + total * (np.log(alpha) - digamma(r)),
                    total * r / alpha,
                    count @ by_all,
                    count @ (by_all + digamma(b + distinct) - digamma(b)),
                ]
            )
            value -= r * (once @ np.log(alpha + once_age))
            gradient -= [once @ np.log(alpha + once_age), r * (once @ (1 / (alpha + once_age))), 0.0, 0.0]

            log_age, log_recency = np.log(alpha + age), np.log(alpha + recency)
            here = -(r + x) * log_age
            gone = np.log(a) - np.log(b + x - 1) - (r + x) * log_recency
            both = np.logaddexp(here, gone)
            left = np.exp(gone - both)
            value += customers @ both
            mean_log = log_age + left * (log_recency - log_age)
            mean_by = (1 - left) / (alpha + age) + left / (alpha + recency)
            gradient += [
                -(customers @ mean_log),
                -(customers @ ((r + x) * mean_by)),
                customers @ left / a,
                -(customers @ (left / (b + x - 1))),
            ]
            return float(value), gradient

        return likelihood

    def _alive(self, parameters: np.ndarray, seen: Histories) -> np.ndarray:
        from scipy.special import expit

        r, alpha, a, b = parameters
        x, recency, age = seen.frequency, seen.recency, seen.age
        again = x > 0
        divisor = np.where(again, b + x - 1, 1.0)
        odds = np.log(a) - np.log(divisor) + (r + x) * np.log((alpha + age) / (alpha + recency))
        return np.where(again, expit(-odds), 1.0)

    def _expected(self, parameters: np.ndarray, seen: Histories, ahead: float) -> np.ndarray:
        """Given that she is still there, λ ~ Gamma(r + x, alpha + age) and p ~ Beta(a, b + x): the mean over p of what a
        customer with that p buys. The paper's form has 2F1 instead, which overflows for large x, and 0 / 0 at a = 1."""
        r, alpha, a, b = parameters
        x, age = seen.frequency, seen.age
        _, index, inverse = np.unique(joined(x, age), return_index=True, return_inverse=True)
        shape, rate = (r + x[index])[:, None], (alpha + age[index])[:, None]

        def purchases(p: np.ndarray, rows: slice) -> np.ndarray:
            bought: np.ndarray = -np.expm1(-shape[rows] * np.log1p(p * (ahead / rate[rows]))) / p
            return bought

        of_alive = beta_mean(a, b + x[index], purchases)
        expected: np.ndarray = of_alive[inverse] * self._alive(parameters, seen)
        return expected

    def _simulate(
        self,
        parameters: np.ndarray,
        seen: Histories,
        ahead: float,
        draws: int,
        draw: np.random.Generator,
    ) -> np.ndarray:
        r, alpha, a, b = parameters
        x, age, size = seen.frequency, seen.age, (len(seen), draws)
        here = draw.random(size) < self._alive(parameters, seen)[:, None]
        rate = draw.standard_gamma((r + x)[:, None], size) / (alpha + age)[:, None]
        stop = np.maximum(draw.beta(a, (b + x)[:, None], size), 1e-12)
        # a customer stops after her n-th purchase from now with probability stop × (1 − stop)^(n − 1)
        return np.where(here, np.minimum(draw.poisson(rate * ahead), draw.geometric(stop)), 0)
