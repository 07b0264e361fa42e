"""What was known of buyers at a moment, and what they bought after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kohort.definitions.features import FeatureDefinition
from kohort.model.feature import FeatureTable
from kohort.predict.buying.summary import Summary, summarise
from kohort.predict.dataset import Features, joined, known_as

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.snapshot import Snapshot

Purchases = Callable[..., "pa.Table"]
"""As `kohort.engines.purchases.purchases`: (snapshot, as_of=…, after=…, currency=…) → one row per customer and day."""


@dataclass(frozen=True, slots=True)
class Bought:
    """What came, per customer asked about: days with a purchase, and their amounts together in major units."""

    count: np.ndarray
    amount: np.ndarray


@dataclass(frozen=True, slots=True)
class Rows:
    """Buyers at past moments and what came after: what a learned model learns from.

    Attributes:
        table: Features; `ids` are customers, who are there once per moment.
        bought: What came within the horizon.
    """

    table: FeatureTable
    bought: Bought

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True, slots=True)
class Past:
    """An event log to be asked about past moments.

    Attributes:
        snapshot: The log.
        definitions: Features that a learned model reads.
        purchases: The engine for purchases. Who may not be profiled is not in its answers.
        features: The engine for features, likewise.
        zone: Time zone of days.
        currency: Of amounts.
    """

    snapshot: Snapshot
    definitions: Sequence[FeatureDefinition]
    purchases: Purchases
    features: Features
    zone: str = "UTC"
    currency: str = "EUR"

    def summary(self, as_of: int) -> Summary:
        """Everybody who had bought by a moment; `monetary` is None where no purchase has an amount. Time is in weeks."""
        table = self.purchases(self.snapshot, as_of=as_of, currency=self.currency)
        found = summarise(table, as_of, zone=self.zone)
        amounts = table.column("amount")
        return found if amounts.null_count < len(amounts) else replace(found, monetary=None)

    def table(self, as_of: int, summary: Summary) -> FeatureTable:
        """Features at a moment of the customers of a summary, in its order."""
        import pyarrow as pa

        table = self.features(
            self.snapshot, list(self.definitions), as_of=as_of, zone=self.zone, currency=self.currency
        )
        ids, wanted = table.ids.to_numpy(zero_copy_only=False), _ids(summary)
        assert np.isin(wanted, ids).all(), "who bought has an event"
        order = np.argsort(ids, kind="stable")
        rows = pa.array(order[np.searchsorted(ids, wanted, sorter=order)])
        return replace(table, ids=table.ids.take(rows), data=table.data.take(rows), value=None)

    def after(self, summary: Summary, moment: int, end: int) -> Bought:
        """What the customers of a summary bought after a moment and by an end, under the ids that they have by then."""
        import pyarrow.compute as pc

        table = self.purchases(self.snapshot, as_of=end, after=moment, currency=self.currency)
        who, place = np.unique(table.column("customer").to_numpy(), return_inverse=True)
        amounts = pc.fill_null(table.column("amount"), 0.0).to_numpy()
        now = known_as(self.snapshot, _ids(summary), end)
        at = np.minimum(np.searchsorted(who, now), max(len(who) - 1, 0))
        there = who[at] == now if len(who) else np.zeros(len(now), bool)
        count, amount = np.bincount(place, minlength=len(who)), np.bincount(place, amounts, minlength=len(who))
        if not len(who):
            return Bought(np.zeros(len(now)), np.zeros(len(now)))
        return Bought(np.where(there, count[at], 0.0), np.where(there, amount[at], 0.0))

    def rows(self, moments: Sequence[int], ahead: int) -> Rows | None:
        """Buyers at several moments and what came within `ahead` µs of each; None where nobody had bought by any."""
        tables, found = [], []
        for moment in moments:
            summary = self.summary(moment)
            if len(summary):
                tables.append(self.table(moment, summary))
                found.append(self.after(summary, moment, moment + ahead))
        if not tables:
            return None
        count, amount = (np.concatenate([getattr(b, n) for b in found]) for n in ("count", "amount"))
        return Rows(joined(tables), Bought(count, amount))


def _ids(summary: Summary) -> np.ndarray:
    assert summary.customer is not None
    return np.asarray(summary.customer.to_numpy(zero_copy_only=False))
