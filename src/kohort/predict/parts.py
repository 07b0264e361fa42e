"""Questions with several parts: one look at the past for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kohort.definitions.features import FeatureDefinition
from kohort.model.feature import FeatureTable
from kohort.predict.dataset import Features


class Once:
    """An engine that computes the features of a moment once, however many questions are asked about that moment.

    What else a question asks for (whom it is about, what happened) is computed for it alone.
    """

    def __init__(self, features: Features, shared: Sequence[FeatureDefinition]) -> None:
        self._features, self._shared = features, list(shared)
        self._kept: dict[int, FeatureTable] = {}

    def __call__(
        self, snapshot: Any, definitions: Sequence[FeatureDefinition], *, as_of: int, **how: Any
    ) -> FeatureTable:
        """As `kohort.engines.evaluate.features`."""
        own = [d for d in definitions if d not in self._shared]
        if len(own) == len(definitions):
            return self._features(snapshot, own, as_of=as_of, **how)
        if as_of not in self._kept:
            self._kept[as_of] = self._features(snapshot, self._shared, as_of=as_of, **how)
        known = self._kept[as_of].select([d.name for d in definitions if d in self._shared])
        return _beside(known, self._features(snapshot, own, as_of=as_of, **how)) if own else known


def _beside(one: FeatureTable, other: FeatureTable) -> FeatureTable:
    """The features of both tables, which are of the same customers."""
    assert one.ids.equals(other.ids), "the same moment has the same customers"
    data = one.data
    for name in other.data.column_names:
        data = data.append_column(name, other.data.column(name))
    return replace(one, data=data, features=(*one.features, *other.features))
