"""What a customer will be worth: how often she will buy, times what one purchase of hers is worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from kohort.errors import WrongUsage
from kohort.model.segmentation import Estimate
from kohort.predict.buying.bgnbd import BGNBD
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.grouped import Histories
from kohort.predict.buying.model import LEVEL, TOTAL_DRAWS, BuyingModel, Caution
from kohort.predict.buying.summary import Summary, read_summary

_STEPS = 52


class CustomerValue(BaseEstimator):  # type: ignore[misc]
    """A model of purchases and one of amounts together.

    Args:
        purchases: Unfitted; None = `BGNBD()`.
        spend: Unfitted; None = `GammaGamma()`.

    Attributes:
        purchases_: The fitted model of purchases.
        spend_: The fitted model of amounts.
        cautions_: Of both.

    Example:
        >>> value = CustomerValue.of(
        ...     BGNBD.with_parameters(r=0.243, alpha=4.414, a=0.793, b=2.426), GammaGamma.with_parameters(p=6.25, q=3.74, v=15.44)
        ... )
        >>> history = {"frequency": [2], "recency": [30.43], "age": [38.86], "monetary": [22.35]}
        >>> value.expected_value(history, horizon=39).round(2).tolist()
        [30.24]
    """

    def __init__(self, purchases: BuyingModel | None = None, spend: GammaGamma | None = None) -> None:
        self.purchases = purchases
        self.spend = spend

    @classmethod
    def of(cls, purchases: BuyingModel, spend: GammaGamma) -> Self:
        """Two models that are fitted already."""
        value = cls(purchases, spend)
        value._take(purchases, spend)
        return value

    def fit(self, table: Any, y: Any = None) -> Self:
        """Fits both models on one table with `frequency`, `recency`, `age` and `monetary`; raises what they raise."""
        summary = read_summary(table)
        purchases = clone(self.purchases) if self.purchases is not None else BGNBD()
        spend = clone(self.spend) if self.spend is not None else GammaGamma()
        self._take(purchases.fit(summary), spend.fit(summary))
        return self

    def expected_value(self, table: Any, horizon: float, *, discount: float = 0.0) -> np.ndarray:
        """Expected revenue from each customer in the next `horizon`, in the unit of `monetary`.

        Args:
            horizon: In the unit of the table.
            discount: What money loses per unit of time: 0.002 = 0.2 % a week. Taken at the middle of up to 52 steps.

        Returns:
            float64, one per row.
        """
        check_is_fitted(self, "purchases_")
        if not 0 <= discount < 1:
            raise WrongUsage("A discount is a share from 0 to below 1 per unit of time.")
        summary = read_summary(table)
        value: np.ndarray = self._purchases_now(summary, float(horizon), discount) * self.spend_.expected_value(summary)
        return value

    def value_interval(
        self, table: Any, horizon: float, *, level: float = LEVEL, draws: int = 1_000
    ) -> tuple[np.ndarray, np.ndarray]:
        """Between which amounts the revenue from each customer will be, with probability `level` if the models are right.

        A predictive interval by simulation, not discounted: numbers of purchases as in `BuyingModel.purchases_interval`, times
        amounts drawn for each of them from what her history leaves possible. Takes time in proportion to rows × draws.

        Returns:
            Low and high, float64, one per row.
        """
        check_is_fitted(self, "purchases_")
        if not 0 < level < 1 or draws < 100:
            raise WrongUsage("An interval needs a level between 0 and 1 and at least 100 draws.")
        summary = read_summary(table)
        ends = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.empty(len(summary)), np.empty(len(summary))
        for rows, amount in self._futures(summary, horizon, draws):
            low[rows], high[rows] = np.quantile(amount, ends, axis=1)
        return low, high

    def expected_total(self, table: Any, horizon: float, *, draws: int = TOTAL_DRAWS) -> Estimate:
        """Revenue from all these customers together in the next `horizon`, with a 95 % predictive interval by simulation.

        Each simulated future has one set of parameters of the model of purchases for everybody, as likely as the data leave it;
        those of the amounts are taken as known. Not discounted. Takes time in proportion to rows × draws.
        """
        check_is_fitted(self, "purchases_")
        summary = read_summary(table)
        total = np.zeros(draws)
        for _, amount in self._futures(summary, horizon, draws):
            total += amount.sum(axis=0)
        value = float(self.expected_value(summary, horizon).sum())
        low, high = np.quantile(total, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(value, min(float(low), value), max(float(high), value))

    def _futures(self, summary: Summary, horizon: float, draws: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Simulated revenue, (rows, draws), some rows at a time."""
        draw = np.random.default_rng(self.purchases_.random_state)
        shape, rate = self.spend_.posterior(summary)
        p = self.spend_.parameters_["p"]
        ahead = self.purchases_.ahead(horizon)
        for rows, bought in self.purchases_.futures(Histories.of(summary), ahead, draws):
            amount = draw.standard_gamma(p * bought)
            amount *= rate[rows][:, None] / draw.standard_gamma(shape[rows][:, None], bought.shape)
            yield rows, amount

    def _take(self, purchases: BuyingModel, spend: GammaGamma) -> None:
        self.purchases_, self.spend_ = purchases, spend
        self.cautions_: tuple[Caution, ...] = (*purchases.cautions_, *spend.cautions_)

    def _purchases_now(self, summary: Summary, horizon: float, discount: float) -> np.ndarray:
        """Expected purchases, each counted at what money is worth then."""
        if discount == 0:
            return self.purchases_.expected_purchases(summary, horizon)
        steps = self.purchases_.steps(horizon, _STEPS)
        total, before, begun = np.zeros(len(summary)), np.zeros(len(summary)), 0.0
        for until in steps:
            reached = self.purchases_.expected_purchases(summary, until)
            total += (reached - before) * (1 - discount) ** ((begun + until) / 2)
            before, begun = reached, until
        return total
