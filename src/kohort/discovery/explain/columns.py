"""A feature table as numpy columns, and whose words each column speaks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from kohort.model.columns import values as numbers
from kohort.model.feature import FeatureInfo, FeatureTable, Idea, Unit

# Conservative on purpose: a wrong idea puts wrong words on people. "Spending score" is not spend.
_NOT_BEHAVIOUR = re.compile(r"score|index|income|rate|ratio|share|percent|limit|budget|rank|salary|flag|_std|_var")
_IDEAS: tuple[tuple[str, Idea, Unit], ...] = (
    (r"days_since_(the_)?last|^recency_days$|days_inactive|^last_(order|purchase)_days", "recency", "days"),
    (r"^recency$|since_last_(order|purchase)", "recency", "number"),
    (r"days_since_(the_)?first|^tenure_days$|days_as_customer|^customer_age_days", "tenure", "days"),
    (r"^tenure$|^tenure_(months|years)$|^months_on_book$", "tenure", "number"),
    (r"days_between|(^|_)gap_days|^inter_?purchase_days", "rhythm", "days"),
    (r"(avg|average|mean)_(order|basket)|basket_(value|size)|order_value|^aov$", "basket", "money"),
    (r"return|refund", "returns", "number"),
    (r"distinct|different_(products|categories)|n_categories|product_count", "breadth", "count"),
    (
        r"^(n_|num_|number_of_|total_)?(orders|purchases)(_total|_count)?$|^(order|purchase)_count$",
        "frequency",
        "orders",
    ),
    (r"^frequency$", "frequency", "count"),
    (r"^monetary|^(total_)?(spend|spent|revenue|sales|turnover)(_total)?$|^amount_spent", "value", "money"),
)
"""A unit is inferred only where the name says it: tenure may count months, and nobody's recency is days by nature."""

GOOGOL = 1e100
"""No quantity of a customer is beyond this; such a number is taken for missing, as infinity is."""


@dataclass(frozen=True, slots=True)
class Column:
    """One feature's values in the order of the table.

    Attributes:
        info: What it means.
        values: float64 with NaN for missing, flags as 0 and 1; texts as int32 level numbers with −1 for missing.
        levels: The texts behind the level numbers; empty for numbers and flags.
        whole: All known values are whole numbers.
        beside: Known beside the features (revenue): it may lend words, but is no feature of the table.
    """

    info: FeatureInfo
    values: np.ndarray
    levels: tuple[str, ...] = ()
    whole: bool = False
    beside: bool = False

    def take(self, rows: np.ndarray) -> Column:
        """The same column for some rows only."""
        return replace(self, values=self.values[rows])

    def at(self, row: int) -> float | int | str | bool | None:
        """One value as a plain Python value; None where missing."""
        value = self.values[row]
        if self.info.type == "text":
            return self.levels[value] if value >= 0 else None
        if not np.isfinite(value):
            return None
        if self.info.type == "flag":
            return bool(value)
        return int(value) if self.whole else float(value)


def with_idea(info: FeatureInfo) -> FeatureInfo:
    """The feature with an idea and unit inferred from its name, where it has none and the name leaves no doubt.

    Example:
        >>> with_idea(FeatureInfo("days_since_last_order", "Days since last order")).idea
        'recency'
        >>> with_idea(FeatureInfo("spending_score", "Spending score")).idea
        'other'
    """
    name = info.name.lower()
    if info.idea != "other" or info.type != "number" or _NOT_BEHAVIOUR.search(name):
        return info
    for pattern, idea, unit in _IDEAS:
        if re.search(pattern, name):
            return replace(info, idea=idea, unit=unit if info.unit == "number" else info.unit)
    return info


def columns(table: FeatureTable) -> tuple[Column, ...]:
    """Every feature of the table as a `Column`, in order."""
    return tuple(_column(with_idea(info), table.data.column(i)) for i, info in enumerate(table.features))


def with_value(columns: tuple[Column, ...], table: FeatureTable) -> tuple[Column, ...]:
    """The columns and, where it is known, revenue over all time: features of value may look at a few months only."""
    if table.value is None:
        return columns
    info = FeatureInfo("net_revenue", "Net revenue", unit="money", idea="value")
    return (*columns, Column(info, np.asarray(table.value, dtype=np.float64), beside=True))


def _column(info: FeatureInfo, array: object) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    if info.type == "text":
        encoded = pc.dictionary_encode(array)
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.chunk(0)
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
        return Column(info, codes, tuple(str(level) for level in encoded.dictionary.to_pylist()))
    values = numbers(array)
    absurd = np.abs(values) > GOOGOL
    if absurd.any():
        values = np.where(absurd, np.nan, values)
    known = values[~np.isnan(values)]
    whole = info.type == "number" and info.unit not in ("money", "share") and bool((known == np.floor(known)).all())
    return Column(info, values, whole=whole)
