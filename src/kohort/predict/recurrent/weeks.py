"""Weeks beside features: an engine that answers what it is asked about single weeks by one scan of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kohort.definitions.features import Aggregate, FeatureDefinition
from kohort.engines.weeks import PREFIX, Channel, ChannelKind, definitions, weekly
from kohort.model.event import ORDER_LINE
from kohort.model.feature import FeatureTable

WEEKS = 52
"""How far back a sequence reaches: a whole year, so that what comes once a year was there once."""


class WithWeeks:
    """An engine of features that counts weeks by `weekly`: a hundred and more columns cost one scan instead of one sum each.

    The values are those that the compiler of all features gives.
    """

    def __init__(self, features: Callable[..., FeatureTable]) -> None:
        self._features = features

    def __call__(
        self,
        snapshot: Any,
        asked: Sequence[FeatureDefinition],
        *,
        as_of: int,
        zone: str = "UTC",
        currency: str = "EUR",
        **how: Any,
    ) -> FeatureTable:
        """As `kohort.engines.evaluate.features`."""
        import pyarrow as pa

        own = [d for d in asked if not d.name.startswith(PREFIX)]
        table = self._features(snapshot, own, as_of=as_of, zone=zone, currency=currency, **how)
        if len(own) == len(asked):
            return table
        channels, weeks = layout(asked)
        ids, series = weekly(
            snapshot, channels, as_of=as_of, weeks=weeks, currency=currency, customers=how.get("customers")
        )
        there = table.ids.to_numpy(zero_copy_only=False)
        place = np.minimum(np.searchsorted(ids, there), max(len(ids) - 1, 0))
        found = np.zeros((len(there), weeks, len(channels)))
        if len(ids):
            same = ids[place] == there
            found[same] = series[place[same]]
        columns = found.reshape(len(there), -1).T
        made = definitions(channels, weeks)
        data = table.data
        for d, column in zip(made, columns, strict=True):
            data = data.append_column(d.name, pa.array(np.ascontiguousarray(column)))
        infos = (*table.features, *(d.info({}) for d in made))
        by_name = {f.name: f for f in infos}
        names = [d.name for d in asked]
        return replace(table, data=data.select(names), features=tuple(by_name[n] for n in names))


def layout(asked: Sequence[FeatureDefinition]) -> tuple[tuple[Channel, ...], int]:
    """The channels and the number of weeks that some definitions speak of, as `definitions` wrote them."""
    mine = [d for d in asked if d.name.startswith(PREFIX)]
    first = [d for d in mine if d.name.endswith("_000")]
    channels = tuple(_channel(d) for d in first)
    return channels, len(mine) // max(len(channels), 1)


def words_of(asked: Sequence[FeatureDefinition]) -> tuple[str, ...]:
    """Plain words of each channel that some definitions speak of; empty = of none."""
    return tuple(c.title for c in layout(asked)[0])


def without_weeks(asked: Sequence[FeatureDefinition]) -> tuple[FeatureDefinition, ...]:
    """Definitions of everything but single weeks."""
    return tuple(d for d in asked if not d.name.startswith(PREFIX))


def _channel(d: FeatureDefinition) -> Channel:
    assert isinstance(d.measure, Aggregate)
    selection = d.measure.selection
    if selection.where is None:
        return Channel("event", selection.events[0])
    kind: ChannelKind = (
        "value" if d.measure.kind == "sum" else "returns" if "amount < 0" in selection.where.text else "lines"
    )
    assert selection.events == (ORDER_LINE,)
    return Channel(kind)
