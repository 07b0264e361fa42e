"""Which definitions something that happened can change: only those are asked again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.segments.dependencies import refers_to
from kohort.segments.reach import EVERY, reach

Places = frozenset[int]
"""Places of definitions among all that are evaluated together."""

_MOST_KINDS = 4_096


class Concern:
    """Of some definitions; worked out once.

    Args:
        definitions: In order of evaluation. What one refers to that is not among them may change at any time.
        drifting: Those whose answers change at instants that nothing tells: they are asked whenever anything happens.
        features: What rules may name.
    """

    def __init__(
        self,
        definitions: Sequence[SegmentDefinition],
        drifting: Collection[str],
        features: Mapping[str, FeatureDefinition],
        settings: SegmentSettings,
    ) -> None:
        own = {d.name: EVERY if d.name in drifting else reach(d, features, settings) for d in definitions}
        asks: dict[str, frozenset[str]] = {}  # with all that those ask for, and itself
        for definition in definitions:
            asks[definition.name] = _with_theirs(definition, asks)
        self._asks = [asks[d.name] for d in definitions]
        whole = [[own.get(name, EVERY) for name in names] for names in self._asks]
        self._always = frozenset(i for i, parts in enumerate(whole) if any(part.every for part in parts))
        self._events = [frozenset().union(*(part.events for part in parts)) for parts in whole]
        self._columns = [frozenset().union(*(part.columns for part in parts)) for parts in whole]
        self._looked_at = sorted(frozenset().union(*self._columns))
        self._known: dict[tuple[frozenset[str], frozenset[str]], Places] = {}

    def of_events(self, rows: pa.Table | None) -> Places:
        """What these events can change for customers who had an event before; who had none is to be asked everything."""
        if rows is None or not rows.num_rows:
            return frozenset()
        events = frozenset(rows.column("event").unique().to_pylist())
        have = set(rows.column_names)
        held = frozenset(n for n in self._looked_at if n in have and rows.column(n).null_count < rows.num_rows)
        if (events, held) not in self._known:
            if len(self._known) >= _MOST_KINDS:  # names of events are the senders' to choose
                self._known.clear()
            touched = (i for i in range(len(self._asks)) if self._events[i] & events or self._columns[i] & held)
            self._known[events, held] = self._always.union(touched)
        return self._known[events, held]

    def of_names(self, names: Iterable[str]) -> Places:
        """These definitions and all that ask for one of them."""
        changed = frozenset(names)
        return self._always.union(i for i, asks in enumerate(self._asks) if asks & changed)


def _with_theirs(definition: SegmentDefinition, asks: Mapping[str, frozenset[str]]) -> frozenset[str]:
    theirs = (asks.get(name, frozenset({name})) for name in refers_to(definition))
    return frozenset({definition.name}).union(*theirs)
