"""Pareto/NBD: customers buy at their own steady rate and leave at an unseen moment of their own."""

from __future__ import annotations

import numpy as np

from kohort.predict.buying.grouped import Grouped, Histories
from kohort.predict.buying.likelihood import Likelihood
from kohort.predict.buying.model import BuyingModel
from kohort.predict.buying.quadrature import leaving


class ParetoNBD(BuyingModel):
    """The Pareto/NBD model: purchases at rate λ ~ Gamma(r, alpha), a lifetime of rate μ ~ Gamma(s, beta).

    Slower to fit than `bgnbd.BGNBD`, and its P(alive) falls for customers without a repeat purchase, too.

    Source:
        Schmittlein, Morrison and Colombo (1987), Management Science 33(1); form of the likelihood after Fader and Hardie
        (2005), A note on deriving the Pareto/NBD model.

    Example:
        >>> model = ParetoNBD.with_parameters(r=0.553, alpha=10.578, s=0.606, beta=11.669)
        >>> history = {"frequency": [0, 2], "recency": [0, 30.43], "age": [38.86, 38.86]}
        >>> model.expected_purchases(history, horizon=39).round(3).tolist(), model.probability_alive(history).round(3).tolist()
        ([0.107, 1.455], [0.295, 0.869])
    """

    NAMES = ("r", "alpha", "s", "beta")

    def _starts(self, groups: Grouped) -> list[np.ndarray]:
        typical = float(np.average(groups.age, weights=groups.customers)) or 1.0
        return [np.array([0.5, 0.4 * typical, 0.6, 0.4 * typical]), np.array([1.0, 0.8 * typical, 1.0, 2.0 * typical])]

    def _likelihood(self, groups: Grouped) -> Likelihood:
        from scipy.special import digamma, gammaln

        distinct, inverse = np.unique(groups.frequency, return_inverse=True)
        count = np.bincount(inverse, groups.customers)
        total = float(count.sum())
        x, age, customers = groups.frequency, groups.age, groups.customers

        def likelihood(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            r, alpha, s, beta = (float(p) for p in parameters)
            value = count @ gammaln(r + distinct) + total * (r * np.log(alpha) + s * np.log(beta) - gammaln(r))
            gradient = np.array(
                [
                    count @ digamma(r + distinct) + total * (np.log(alpha) - digamma(r)),
                    total * r / alpha,
                    total * np.log(beta),
                    total * s / beta,
                ]
            )
            before = leaving(parameters, groups.histories)
            log_alpha, log_beta = np.log(alpha + age), np.log(beta + age)
            here = -(r + x) * log_alpha - s * log_beta
            gone = np.log(s) + before.log_integral
            both = np.logaddexp(here, gone)
            left = customers * np.exp(gone - both)
            stayed = customers - left
            gradient -= [
                stayed @ log_alpha + left @ before.log_alpha,
                stayed @ ((r + x) / (alpha + age)) + left @ ((r + x) * before.by_alpha),
                stayed @ log_beta + left @ before.log_beta - left.sum() / s,
                s * (stayed @ (1 / (beta + age))) + (s + 1) * (left @ before.by_beta),
            ]
            return float(value + customers @ both), gradient

        return likelihood

    def _alive(self, parameters: np.ndarray, seen: Histories) -> np.ndarray:
        from scipy.special import expit

        r, alpha, s, beta = (float(p) for p in parameters)
        x, age = seen.frequency, seen.age
        gone = np.log(s) + leaving(parameters, seen).log_integral
        here = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
        alive: np.ndarray = expit(here - gone)
        return alive

    def _expected(self, parameters: np.ndarray, seen: Histories, ahead: float) -> np.ndarray:
        r, alpha, s, beta = parameters
        x, age = seen.frequency, seen.age
        rate = (r + x) / (alpha + age)
        expected: np.ndarray = self._alive(parameters, seen) * rate * _time_here(s, beta + age, ahead)
        return expected

    def _simulate(
        self,
        parameters: np.ndarray,
        seen: Histories,
        ahead: float,
        draws: int,
        draw: np.random.Generator,
    ) -> np.ndarray:
        r, alpha, s, beta = parameters
        x, age, size = seen.frequency, seen.age, (len(seen), draws)
        here = draw.random(size) < self._alive(parameters, seen)[:, None]
        rate = draw.standard_gamma((r + x)[:, None], size) / (alpha + age)[:, None]
        # a lifetime whose rate is Gamma(s, beta + age) is Pareto: the inverse of P(longer than t) = (1 + t / (beta + age))^−s
        stays = (beta + age)[:, None] * np.expm1(np.minimum(draw.standard_exponential(size) / s, 500.0))
        return np.where(here, draw.poisson(rate * np.minimum(stays, ahead)), 0)


def _time_here(s: float, since: np.ndarray, ahead: float) -> np.ndarray:
    """How much of the time ahead a customer who is here is expected to stay; smooth through s = 1."""
    longer = np.log1p(ahead / since)
    power = (s - 1) * longer
    small = np.abs(power) < 1e-8
    grown = np.where(small, 1 - power / 2, -np.expm1(-power) / np.where(small, 1.0, power))
    time: np.ndarray = since * longer * grown
    return time
