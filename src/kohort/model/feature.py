"""What a feature is to those who use its values: name, words, unit, type; and the table that carries many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FeatureType = Literal["number", "text", "flag"]
Unit = Literal[
    "days", "minutes", "money", "orders", "items", "events", "share", "count", "hour", "number", "bits", "text", "flag"
]
Idea = Literal[
    "recency",
    "frequency",
    "value",
    "basket",
    "tenure",
    "rhythm",
    "breadth",
    "returns",
    "timing",
    "channel",
    "trait",
    "other",
]
"""What a feature is about, so that explanations can choose words: recency → "last ordered …"."""


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """How to speak about one feature.

    Attributes:
        name: Column name, a valid identifier: `recency_days`.
        label: Plain words for a marketer: "Days since last order".
        type: number, text or flag. Numbers are float64, null where missing; money is in major units (pounds).
        unit: Unit of the value.
        idea: What it is about.
        definition: Canonical text of the definition, or the column's origin for a plain table.
        missing: What a missing value means, in plain words: "no second order yet".
    """

    name: str
    label: str
    type: FeatureType = "number"
    unit: Unit = "number"
    idea: Idea = "other"
    definition: str = ""
    missing: str = ""

    def as_dict(self) -> dict[str, object]:
        return {k: getattr(self, k) for k in ("name", "label", "type", "unit", "idea", "definition", "missing")}


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of many customers at one moment.

    Attributes:
        ids: Arrow array, one id per customer, unique. int64 pseudonyms inside; anything for a plain table.
        data: Arrow table with one column per entry of `features`, same order; number → float64 (null = missing),
            text → string, flag → bool.
        features: What the columns mean.
        as_of: Instant of the values, microseconds UTC; None for a plain table of unknown date.
        value: Net revenue per customer in major units, for value shares; None where unknown.
        currency: ISO 4217 of `value` and of money features; empty where unknown.
        key: What a plain table calls its ids; empty where they have no name of their own.
        notes: What a reader of the result should know about the table itself, whole sentences.
    """

    ids: pa.Array
    data: pa.Table
    features: tuple[FeatureInfo, ...]
    as_of: int | None = None
    value: np.ndarray | None = None
    currency: str = ""
    key: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """One Arrow table, the ids first as `customer_id`: what pandas, Polars and DuckDB read without a copy."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """The ids as `customer_id`, then one column per feature."""
        return self.data.add_column(0, "customer_id", self.ids)

    def without(self, ids: np.ndarray) -> FeatureTable:
        """The table without some customers (int64 pseudonyms)."""
        import numpy as np
        import pyarrow as pa

        kept = ~np.isin(self.ids.to_numpy(zero_copy_only=False), ids)
        if kept.all():
            return self
        value = None if self.value is None else self.value[kept]
        mask = pa.array(kept)
        return replace(self, ids=self.ids.filter(mask), data=self.data.filter(mask), value=value)

    def select(self, names: Sequence[str]) -> FeatureTable:
        """The same customers with only the named features, in the order given."""
        by_name = {f.name: f for f in self.features}
        return replace(self, data=self.data.select(list(names)), features=tuple(by_name[n] for n in names))


def infos(features: Sequence[FeatureInfo]) -> Mapping[str, FeatureInfo]:
    """Features by name."""
    return {f.name: f for f in features}
