"""BG/BB: at each occasion a customer who is still there buys or not, and may leave after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from kohort.errors import BadInput
from kohort.predict.buying.grouped import Grouped, Histories
from kohort.predict.buying.likelihood import Likelihood
from kohort.predict.buying.model import BuyingModel
from kohort.predict.buying.summary import Summary, read_summary

_AT_ONCE = 1 << 20
MOST_OCCASIONS = 10_000


class BGBB(BuyingModel):
    """The BG/BB model for buying by occasions (years, issues, events): p ~ Beta(alpha, beta), leaving θ ~ Beta(gamma, delta).

    Tables count occasions: `age` = how many there were after the first purchase, `frequency` = at how many somebody
    bought, `recency` = the number of the last of those (`summary.summarise_periods` makes them). The horizon is a whole
    number of occasions.

    Source:
        Fader, Hardie and Shang (2010), Customer-base analysis in a discrete-time noncontractual setting, Marketing Science 29(6).

    Example:
        >>> model = BGBB.with_parameters(alpha=1.204, beta=0.750, gamma=0.657, delta=2.783)
        >>> history = {"frequency": [0, 6], "recency": [0, 6], "age": [6, 6]}
        >>> model.expected_purchases(history, horizon=5).round(2).tolist()
        [0.07, 3.75]
    """

    NAMES = ("alpha", "beta", "gamma", "delta")

    def _read(self, table: Any) -> Summary:
        summary = read_summary(table)
        for name, values in (("recency", summary.recency), ("age", summary.age)):
            if np.any(values != np.rint(values)):
                raise BadInput("This model counts occasions in whole numbers.", place=name)
        if np.any(summary.frequency > summary.recency):
            raise BadInput("Nobody buys at more occasions than there were.", place="frequency")
        if len(summary) and summary.age.max() > MOST_OCCASIONS:
            raise BadInput(f"There are more than {MOST_OCCASIONS:,} occasions.", place="age", hint="Use BGNBD instead.")
        return summary

    def _rough(self, groups: Grouped) -> Grouped:
        return groups  # occasions are few, and have no fractions

    def ahead(self, horizon: float) -> float:
        ahead = super().ahead(horizon)
        if ahead != int(ahead) or ahead > MOST_OCCASIONS:
            raise BadInput(f"The horizon is a whole number of occasions up to {MOST_OCCASIONS:,}.", place="horizon")
        return ahead

    def steps(self, horizon: float, most: int) -> list[float]:
        return sorted({float(np.ceil(t)) for t in super().steps(horizon, most)})

    def _starts(self, groups: Grouped) -> list[np.ndarray]:
        return [np.array([1.0, 1.0, 0.7, 2.5]), np.array([0.5, 1.5, 1.0, 10.0])]

    def _likelihood(self, groups: Grouped) -> Likelihood:
        def likelihood(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            both, _, gradient = _histories(parameters, groups.histories, slopes=True)
            return float(groups.customers @ both), gradient @ groups.customers

        return likelihood

    def _alive(self, parameters: np.ndarray, seen: Histories) -> np.ndarray:
        both, here, _ = _histories(parameters, seen)
        alive: np.ndarray = np.exp(here - both)
        return alive

    def _expected(self, parameters: np.ndarray, seen: Histories, ahead: float) -> np.ndarray:
        """Chance of buying while here, times the expected number of occasions ahead at which she is. The paper's closed
        form of that sum divides by gamma − 1; the sum itself has no such place."""
        from scipy.special import betaln

        alpha, beta, gamma, delta = parameters
        x, age = seen.frequency, seen.age
        ages, inverse = np.unique(age, return_inverse=True)
        steps = np.arange(1, int(ahead) + 1)
        stays = np.array([np.exp(betaln(gamma, delta + n + steps) - betaln(gamma, delta + n)).sum() for n in ages])
        buys: np.ndarray = (alpha + x) / (alpha + beta + age)
        expected: np.ndarray = self._alive(parameters, seen) * buys * stays[inverse]
        return expected

    def _simulate(
        self,
        parameters: np.ndarray,
        seen: Histories,
        ahead: float,
        draws: int,
        draw: np.random.Generator,
    ) -> np.ndarray:
        alpha, beta, gamma, delta = parameters
        x, age, size = seen.frequency, seen.age, (len(seen), draws)
        here = draw.random(size) < self._alive(parameters, seen)[:, None]
        buys = draw.beta((alpha + x)[:, None], (beta + age - x)[:, None], size)
        leaves = np.clip(draw.beta(gamma, (delta + age)[:, None], size), 1e-12, 1.0)
        stays = np.minimum(draw.geometric(leaves) - 1, int(ahead))
        return np.where(here, draw.binomial(stays, buys), 0)


def _histories(
    parameters: np.ndarray, seen: Histories, *, slopes: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per history: its log-probability, that of it with the customer still here at the end, and the gradient (4, rows).

    A history that ends before the last occasion is explained by leaving after occasion recency, recency + 1, … or by not
    leaving: a sum over the occasion, in logarithms.
    """
    alpha, beta, gamma, delta = (float(p) for p in parameters)
    x, recency, age = seen.frequency, seen.recency, seen.age
    longest = int(age.max(initial=0)) + 1
    distinct, which = np.unique(x, return_inverse=True)
    occasion = np.arange(longest, dtype=float)
    missed = np.maximum(occasion[None, :] - distinct[:, None], 0)
    bought = _Beta(alpha + distinct[:, None], beta + missed) - _Beta(alpha, beta)
    left = _Beta(gamma + 1, delta + occasion) - _Beta(gamma, delta)
    stayed = _Beta(gamma, delta + occasion) - _Beta(gamma, delta)

    end = age.astype(int)
    begin = recency.astype(int)
    here = bought.log[which, end] + stayed.log[end]
    both = np.empty(len(x))
    gradient = np.zeros((4, len(x)) if slopes else (4, 0))
    step = max(_AT_ONCE // longest, 1)
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        row = which[rows]
        term = bought.log[row] + left.log
        term[(occasion < begin[rows, None]) | (occasion >= end[rows, None])] = -np.inf
        term[np.arange(len(row)), end[rows]] = here[rows]
        top = term.max(axis=1)
        mass = np.exp(term - top[:, None])
        total = mass.sum(axis=1)
        both[rows] = top + np.log(total)
        if slopes:
            mass /= total[:, None]
            last = mass[np.arange(len(row)), end[rows]]
            gradient[0, rows] = np.einsum("ij,ij->i", mass, bought.by_first[row])
            gradient[1, rows] = np.einsum("ij,ij->i", mass, bought.by_second[row])
            for i, (if_left, if_stayed) in enumerate(
                ((left.by_first, stayed.by_first), (left.by_second, stayed.by_second)), start=2
            ):
                gradient[i, rows] = mass @ if_left + last * (if_stayed - if_left)[end[rows]]
    return both, here, gradient


class _Beta:
    """log B(first, second) with its derivatives; the difference of two is that of quotients."""

    def __init__(self, first: Any, second: Any) -> None:
        from scipy.special import betaln, digamma

        both = digamma(first + second)
        self.log: np.ndarray = betaln(first, second)
        self.by_first: np.ndarray = digamma(first) - both
        self.by_second: np.ndarray = digamma(second) - both

    def __sub__(self, other: _Beta) -> _Beta:
        less = object.__new__(_Beta)
        less.log = self.log - other.log
        less.by_first = self.by_first - other.by_first
        less.by_second = self.by_second - other.by_second
        return less
