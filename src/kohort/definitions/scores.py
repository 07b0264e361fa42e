"""Scores in rules: what `churn_90d.probability` means, as a question about a customer's events.

A stored score is an event (`kohort.model.event.SCORE`), so its value in a rule is the last one inside the window that the
prediction's freshness makes. Older ones count as missing by the same arithmetic that ends every other window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kohort.definitions.conditions import Compare, Ref
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection, Where
from kohort.definitions.sql_write import text_literal
from kohort.definitions.windows import Window
from kohort.model.event import SCORE, SCORE_OF, SCORE_PARTS

if TYPE_CHECKING:
    from kohort.definitions.predictions import Target

_USUAL = "probability"
"""What `score('churn_90d')` means."""


def score_features(targets: Iterable[Target]) -> tuple[FeatureDefinition, ...]:
    """What the scores of predictions are to rules: features under the names `churn_90d.probability`, `churn_90d.percentile`.

    They are handed to whatever evaluates rules together with the features; no feature can be called so. Predictions with
    several parts have no one score.
    """
    return tuple(
        FeatureDefinition(
            f"{target.name}.{part}",
            Aggregate("last", column, selection_of(target)),
            f"{target.text}: {part}",
            missing="no score, or it is stale",
        )
        for target in targets
        if not target.several
        for part, column in SCORE_PARTS.items()
    )


def selection_of(target: Target) -> Selection:
    """The scores of a prediction that are fresh at the moment asked about."""
    condition = Compare(Ref(SCORE_OF), "=", target.name)
    where = Where(f"{SCORE_OF} = {text_literal(target.name)}", condition)
    return Selection((SCORE,), where, Window(target.fresh))


def of_score(name: str, features: Mapping[str, FeatureDefinition]) -> FeatureDefinition | None:
    """The feature that a score in a rule means; None where there is no such prediction (any more)."""
    return features.get(name) or features.get(f"{name}.{_USUAL}")


def score_names(features: Iterable[FeatureDefinition]) -> frozenset[str]:
    """The predictions whose scores are among some features.

    Example:
        >>> from kohort.definitions.predictions import parse_target
        >>> sorted(score_names(score_features([parse_target("churn", {"churn": "order_line"})])))
        ['churn']
    """
    apart = (f.name.rpartition(".") for f in features)
    return frozenset(name for name, dot, part in apart if dot and part in SCORE_PARTS)
