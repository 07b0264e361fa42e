"""The workspace's features, compiled for single customers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from kohort.compile.pairs import CompiledPairs, compile_pairs
from kohort.definitions.features import check
from kohort.errors import RefusedDefinition

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.model.event import ColumnType


@lru_cache(maxsize=4)
def compiled_features(
    features: tuple[FeatureDefinition, ...], zone: str, currency: str, columns: tuple[tuple[str, ColumnType], ...]
) -> CompiledPairs:
    """Features for questions about single customers; those that do not fit the columns there are left out.

    Kept, because it takes longer than many answers and the loop makes its program anew after every full run.

    Args:
        columns: Declared columns of the log, sorted.
    """
    fitting = [feature for feature in features if _fits(feature, dict(columns))]
    return compile_pairs(
        (), features=features, wanted=fitting, zone=zone, currency=currency, columns=dict(columns), key=b""
    )


def _fits(feature: FeatureDefinition, columns: Mapping[str, ColumnType]) -> bool:
    try:
        check(feature, dict(columns))
    except RefusedDefinition:
        return False
    return True
