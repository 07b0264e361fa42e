"""Series about the world in rules: what `rain_30d > 50` means, as a question about a customer's events.

What is known where a customer is, is noted for her as an event (`kohort.model.event.CONTEXT_VALUE`), like a score. So its value in a rule
is the last one noted inside a window: as it was known at the moment asked about, in every engine, and missing once it is stale.
"""

from __future__ import annotations

from collections.abc import Iterable

from kohort.definitions.features import FeatureDefinition, aggregate
from kohort.definitions.sql_write import text_literal
from kohort.definitions.windows import Span, Window
from kohort.model.context import ContextSeries
from kohort.model.event import CONTEXT_OF, CONTEXT_VALUE, SCORE, SCORE_OF


def noted_features(series: Iterable[ContextSeries]) -> tuple[FeatureDefinition, ...]:
    """What the features of series are to rules, under their own names; of series without `rules` none.

    Example:
        >>> from kohort.model.context import ContextFeature
        >>> rain = ContextFeature("rain_30d", "sum", "rain_mm", 30 * 86_400)
        >>> [f.name for f in noted_features([ContextSeries("weather", "w.csv", "day", (rain,), rules_s=86_400)])]
        ['rain_30d']
    """
    return tuple(
        FeatureDefinition(
            feature.name,
            aggregate(
                "last",
                CONTEXT_VALUE,
                event=SCORE,
                where=f"{SCORE_OF} = {text_literal(CONTEXT_OF + feature.name)}",
                window=Window(Span(one.rules_s // 60, "minute")),
            ),
            feature.name.replace("_", " ").capitalize(),
            missing="not noted, or it is stale",
        )
        for one in series
        if one.rules_s
        for feature in one.features
    )
