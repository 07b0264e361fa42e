"""Whom time alone may change, and at which instants: questions to the log, not a structure per customer.

From the definitions follows once which stored instants matter: "30 days after an order", "a month after t_joined, by the
calendar of Paris". Whoever is reached by time in (after, until] is then found by range: with an index on time that is a
binary search per kind of instant, whatever the number of customers. The answer may hold an instant too many (an order
leaves a window that holds others); it never lacks one at which time alone changes an answer, but for what `drifting` names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules import leaves
from kohort.definitions.rules.tree import Leaf
from kohort.definitions.segments import SegmentDefinition
from kohort.model.event import ColumnType
from kohort.segments.decide import rules_of
from kohort.segments.instants import Clock, Trace
from kohort.segments.passages import ITSELF, Move, Passage, Passages, move
from kohort.segments.sweeps import Sweep, sweeps


class Stored(Protocol):
    """Events, as `store.major.Major` answers for them."""

    def crossing(
        self, after: int, until: int, *, events: frozenset[str] | None = None, column: str = "ts"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whose rows hold an instant in (after, until], and the instants."""
        ...

    def at_hand(self, customers: np.ndarray, columns: Collection[str]) -> pa.Table:
        """Rows of some customers that are quickly looked at. The more of them, the fewer instants are named in vain."""
        ...


@dataclass(frozen=True, slots=True)
class Due:
    """Who is to be evaluated when: one entry per customer and instant, ordered by instant, then customer.

    Attributes:
        customers: int64, as the rows name them: who they are led to by links is for the reader to say.
        at: int64, microseconds UTC.
        names: The definitions whose answers may change.
    """

    customers: np.ndarray
    at: np.ndarray
    names: tuple[frozenset[str], ...]

    @staticmethod
    def of(found: Iterable[tuple[np.ndarray, np.ndarray, frozenset[str]]]) -> Due:
        """From (customers, instants, definitions) in any order; repeated ones count once, for all their definitions."""
        pairs = [pair for pair in found if len(pair[0])]
        customers, at = (np.concatenate([np.empty(0, np.int64), *(p[n] for p in pairs)]) for n in (0, 1))
        pair = np.repeat(np.arange(len(pairs)), [len(p[0]) for p in pairs])
        order = np.lexsort((customers, at))
        customers, at, pair = customers[order], at[order], pair[order]
        new = np.ones(len(at), bool)
        new[1:] = (at[1:] != at[:-1]) | (customers[1:] != customers[:-1])
        first = np.flatnonzero(new)
        return Due(customers[new], at[new], tuple(_named(pairs, some) for some in np.split(pair, first)[1:]))

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class Source:
    """Stored instants that matter, and the definitions for which they do."""

    passage: Passage
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Range:
    """Stored instants in (low, high], all of which are passed in the interval asked about.

    Attributes:
        events: Names of the events that hold them; None = all.
        source: Where it comes from.
        sweep: When exactly each is passed.
    """

    low: int
    high: int
    column: str
    events: frozenset[str] | None
    source: Source
    sweep: Sweep

    def instants(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When values in the range are passed: (place of a value, instant); a value may have two."""
        return _instants(self.sweep, values, strict=self.source.passage.strict)

    def reached(self, stored: Stored) -> tuple[np.ndarray, np.ndarray, frozenset[str]]:
        """Whom time reaches by what is stored, when, and for which definitions."""
        customers, values = stored.crossing(self.low, self.high, events=self.events, column=self.column)
        places, instants = self.instants(values)
        customers, enough = customers[places], self.source.passage.enough
        if not enough or not len(customers):
            return customers, instants, self.source.names
        # What the edge has reached by then: of values that it passes at one moment, the last.
        edges = values[places] if self.sweep.shift is not None else np.full(len(places), self.sweep.high)
        others = stored.at_hand(np.unique(customers), ("customer", "event", "ts"))
        others = others.filter(pc.is_in(others["event"], value_set=pa.array(sorted(self.events or ()), pa.string())))
        matters = ~_enough_later(others, customers, edges, instants, enough)
        return customers[matters], instants[matters], self.source.names


@dataclass(frozen=True, slots=True)
class Stay:
    """A part that nobody leaves before a time is over: the edge that has to reach the beginning of a stay."""

    name: str
    segment: str
    move: Move


@dataclass(frozen=True, slots=True)
class StayRange:
    """Stays in a part that began in (low, high] are over in the interval asked about."""

    stay: Stay
    low: int
    high: int
    sweep: Sweep

    def instants(self, since: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `Range.instants`."""
        return _instants(self.sweep, since, strict=False)


@dataclass(frozen=True, slots=True)
class TimePlan:
    """Everything about some definitions that time acts on; made once, whenever definitions change.

    Attributes:
        sources: Instants to look for, few: definitions that look for the same share one.
        stays: Parts with a minimum stay.
        drifting: Definitions whose answer may also change at instants that nothing stored tells: a ratio with days in
            it, days compared with another value that moves otherwise. They are right whenever they are evaluated.
        columns: Time columns that the crossings are asked for.
    """

    sources: tuple[Source, ...]
    stays: tuple[Stay, ...]
    drifting: frozenset[str]
    columns: frozenset[str]
    _common: tuple[tuple[Clock, Leaf, str], ...] = field(repr=False)

    @staticmethod
    def of(
        definitions: Sequence[SegmentDefinition],
        *,
        features: Mapping[str, FeatureDefinition],
        columns: Mapping[str, ColumnType],
        zone: str,
    ) -> TimePlan:
        """From all definitions that are evaluated; paused ones keep their members and take no part.

        Args:
            features: What rules may name.
            columns: Declared columns of the log.
            zone: The workspace's.
        """
        return _planned([d for d in definitions if not d.paused], features, columns, zone)

    def ranges(self, after: int, until: int) -> tuple[Range, ...]:
        """What to look for, so that every instant in (after, until] is found."""
        found = []
        for source in self.sources:
            passage = source.passage
            events = frozenset(passage.events) or None
            for sweep in sweeps(passage.move, after, until):
                low = sweep.low - 1 if passage.strict else sweep.low
                found.append(Range(low, sweep.high, passage.column, events, source, sweep))
        return tuple(found)

    def reached(self, stored: Stored, after: int, until: int) -> Due:
        """Whom time reaches in (after, until], when and for which definitions, by what is stored: windows, limits of days,
        periods, moments. What refers to one of the definitions is not named.

        Args:
            stored: Usually an index that holds `columns`.
        """
        return Due.of([r.reached(stored) for r in self.ranges(after, until)])

    def due(self, rows: pa.Table, after: int, until: int) -> Due:
        """As `reached` for rows in memory: new events whose instants lie within what was looked ahead for already.

        Args:
            rows: In the event schema (customer, event, ts and `columns` suffice); those without a customer are left out.
        """
        return self.reached(InMemory(rows), after, until)

    def everybody(self, after: int, until: int) -> dict[int, frozenset[str]]:
        """Instants at which the answers of some definitions may change for everybody: dates written in rules, hours.

        Returns:
            Instant → definitions, in order of time.
        """
        found: dict[int, set[str]] = {}
        for clock, leaf, name in self._common:
            for t in Clock(clock.trace, clock.features, clock.zone, clock.features_zone, after, until).common(leaf):
                found.setdefault(t, set()).add(name)
        return {t: frozenset(found[t]) for t in sorted(found)}

    def stay_ranges(self, after: int, until: int) -> tuple[StayRange, ...]:
        """Which beginnings of stays to look for, so that every minimum stay that is over in (after, until] is found."""
        return tuple(
            StayRange(stay, sweep.low, sweep.high, sweep)
            for stay in self.stays
            for sweep in sweeps(stay.move, after, until)
        )

    def stays_over(self, standing: pa.Table, after: int, until: int) -> Due:
        """Whose minimum stay is over in (after, until], and when.

        Args:
            standing: customer, name, segment, since: members at the beginning. Who enters a part later than that
                begins a stay of her own, to be asked about then.
        """
        found = []
        names, segments = standing.column("name"), standing.column("segment")
        customers, since = (standing.column(n).to_numpy() for n in ("customer", "since"))
        for r in self.stay_ranges(after, until):
            own = pc.and_(pc.equal(names, r.stay.name), pc.equal(segments, r.stay.segment)).to_numpy()
            begun = np.flatnonzero(own & (since > r.low) & (since <= r.high))
            places, instants = r.instants(since[begun])
            found.append((customers[begun][places], instants, frozenset({r.stay.name})))
        return Due.of(found)


def _named(pairs: Sequence[tuple[np.ndarray, np.ndarray, frozenset[str]]], some: np.ndarray) -> frozenset[str]:
    """The definitions of some pairs together."""
    return pairs[some[0]][2] if len(some) == 1 else frozenset().union(*(pairs[i][2] for i in set(some.tolist())))


def _enough_later(
    rows: pa.Table, customers: np.ndarray, edges: np.ndarray, instants: np.ndarray, enough: int
) -> np.ndarray:
    """Of which customers so many rows are later than an edge and seen at an instant."""
    who, ts = (rows[name].to_numpy() for name in ("customer", "ts"))
    order = np.lexsort((ts, who))
    people, code = np.unique(who[order], return_inverse=True)
    distinct, rank = np.unique(ts[order], return_inverse=True)
    ts, own = ts[order], np.searchsorted(people, customers)
    # The rows in order as numbers: a customer's first row later than an edge is found in one search for all.
    steps = len(distinct) + 1
    last = np.searchsorted(code * steps + rank, own * steps + np.searchsorted(distinct, edges, "right")) + enough - 1
    found = np.zeros(len(customers), bool)
    there = np.flatnonzero((last < len(ts)) & (own < len(people)))
    own, last = own[there], last[there]
    found[there] = (people[own] == customers[there]) & (code[last] == own) & (ts[last] <= instants[there])
    return found


def _instants(sweep: Sweep, values: np.ndarray, *, strict: bool) -> tuple[np.ndarray, np.ndarray]:
    places = np.arange(len(values))
    if sweep.shift is None:
        return places, np.full(len(values), sweep.at, np.int64)
    passed = values > sweep.low if strict else places >= 0
    found = [(places[passed], values[passed] + sweep.shift)]
    if strict:  # an edge is later than a value where it reaches the next one
        passed = values < sweep.high
        found.append((places[passed], values[passed] + 1 + sweep.shift))
    return np.concatenate([p for p, _ in found]), np.concatenate([t for _, t in found])


# Making a plan -------------------------------------------------------------------------------------------------------


def _planned(
    definitions: Sequence[SegmentDefinition],
    features: Mapping[str, FeatureDefinition],
    columns: Mapping[str, ColumnType],
    zone: str,
) -> TimePlan:
    times = {name: () for name, kind in columns.items() if kind == "time"}
    found: dict[Passage, set[str]] = {}
    common: list[tuple[Clock, Leaf, str]] = []
    stays, drifting = [], set()
    for definition in definitions:
        own = definition.zone or zone
        clock = Clock(Trace({}, times), features, own, zone, 0, 0)
        reader = Passages(features, times, own, zone)
        found.setdefault(ITSELF, set()).add(definition.name)
        for leaf in (leaf for rule in rules_of(definition) for leaf in leaves(rule.rule)):
            for passage in reader.of(leaf):
                found.setdefault(passage, set()).add(definition.name)
            if clock.has_common(leaf):
                common.append((clock, leaf, definition.name))
            if clock.drifts(leaf):
                drifting.add(definition.name)
        stays += [
            Stay(definition.name, part.key, move(part.minimum_stay, own))
            for part in definition.parts
            if part.minimum_stay
        ]
    sources = _shared(found)
    asked = frozenset(s.passage.column for s in sources) - {"ts"}
    return TimePlan(sources, tuple(stays), frozenset(drifting), asked, tuple(common))


def _shared(found: Mapping[Passage, set[str]]) -> tuple[Source, ...]:
    """One source for all that look at the same column with the same edge, of whatever events; what does not matter where
    there are enough others is looked for by itself."""
    by_edge: dict[tuple[str, Move, tuple[str, ...], int], list[Passage]] = {}
    for passage in sorted(found, key=repr):
        alone = passage.events if passage.enough else ()
        by_edge.setdefault((passage.column, passage.move, alone, passage.enough), []).append(passage)
    sources = []
    for (column, edge, _, enough), passages in by_edge.items():
        every = any(not p.events for p in passages)
        events = () if every else tuple(sorted({e for p in passages for e in p.events}))
        names = frozenset(name for p in passages for name in found[p])
        sources.append(Source(Passage(column, events, edge, any(p.strict for p in passages), enough), names))
    return tuple(sources)


class InMemory:
    """A table, asked like an index. Most ranges lie far from the few rows of a tick: they cost nothing."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows.filter(rows.column("customer").is_valid()) if rows.column("customer").null_count else rows
        self._customers = self._rows.column("customer").to_numpy()
        self._columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def at_hand(self, customers: np.ndarray, columns: Collection[str]) -> pa.Table:
        return self._rows.select(list(columns)).filter(pa.array(np.isin(self._customers, customers)))

    def crossing(
        self, after: int, until: int, *, events: frozenset[str] | None = None, column: str = "ts"
    ) -> tuple[np.ndarray, np.ndarray]:
        places, values = self._held(column)
        inside = np.flatnonzero((values > after) & (values <= until))
        if events is not None and len(inside):
            names = self._rows.column("event").take(places[inside]).to_pylist()
            inside = inside[np.fromiter((name in events for name in names), bool, len(names))]
        return self._customers[places[inside]], values[inside]

    def _held(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows that hold an instant in a column, and the instants."""
        if column not in self._columns:
            if column in self._rows.column_names:
                held = self._rows.column(column)
                places = np.flatnonzero(held.is_valid().to_numpy())
                self._columns[column] = places, held.drop_null().to_numpy().astype(np.int64)
            else:
                self._columns[column] = np.empty(0, np.int64), np.empty(0, np.int64)
        return self._columns[column]
