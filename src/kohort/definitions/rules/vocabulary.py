"""What rules may name: features, columns, segments, scores, and the words of the language itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentDefinition
    from kohort.model.event import ColumnType
    from kohort.model.feature import FeatureInfo

COUNTS = ("at_least", "at_most", "exactly", "more_than", "fewer_than")
AGGREGATES = {
    "sum": "sum",
    "mean": "mean",
    "min": "min",
    "max": "max",
    "distinct": "count_distinct",
    "first": "first",
    "last": "last",
    "mode": "mode",
}
"""Word in a rule, followed by `.property` → kind of aggregate."""
MEASURES = {"count": "count", "days_since": "recency", "days_since_first": "tenure"}
"""Word in a rule → kind of aggregate that takes no property."""
DATE_PARTS = ("year", "month", "day", "weekday", "hour")
HAS = {"has_any": "any", "has_all": "all", "has_none": "none"}
PERIODS = ("day", "week", "month", "year")
RULE_FUNCTIONS = (
    *("did", "never", "first_time", "stopped", "restarted", "in_periods", "sequence", "in_segment"),
    *HAS,
)
"""Functions that are true or false by themselves."""
OPERAND_FUNCTIONS = (
    *MEASURES,
    *AGGREGATES,
    *DATE_PARTS,
    *("days_unchanged", "random_bucket", "score", "distance_km", "now", "ago", "ahead", "exactly", "item_count"),
)
"""Functions whose value is compared."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What rules of one workspace may name.

    Attributes:
        features: By name.
        columns: Declared columns of the log (`p_…`, `t_…`).
        segments: Definition → the keys of its parts.
        scores: Names of predictions; rules ask for `churn.probability` and `churn.percentile`.
    """

    features: Mapping[str, FeatureInfo] = field(default_factory=dict)
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    segments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scores: frozenset[str] = frozenset()


def vocabulary_of(
    features: Iterable[FeatureDefinition],
    columns: Mapping[str, ColumnType],
    segments: Iterable[SegmentDefinition] = (),
    *,
    adopted: Mapping[str, tuple[str, ...]] | None = None,
    scores: Iterable[str] = (),
) -> Vocabulary:
    """The vocabulary of a workspace.

    Args:
        adopted: Adopted segmentations → the keys of their segments.

    Raises:
        RefusedDefinition: A feature does not fit the columns.
    """
    parts = {d.name: tuple(part.key for part in d.parts) for d in segments}
    infos = {d.name: d.info(columns) for d in features}
    return Vocabulary(infos, dict(columns), dict(adopted or {}) | parts, frozenset(scores))
