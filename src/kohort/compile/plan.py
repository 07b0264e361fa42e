"""What many measures need together, each need registered once: so that many definitions cost one scan.

`kohort.compile.tables` turns the needs into tables. Only integers are summed (entropy excepted, which is rounded by
definition); divisions happen once per customer, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from copy import copy
from functools import reduce
from operator import and_
from typing import Any, TypeVar

import ibis

from kohort.compile.clock import NOW, Clock, Edge, Instant, on
from kohort.compile.conditions import Scope
from kohort.compile.values import Value, column, constant, divided, entropy, number, numeric_needs, scaled, std
from kohort.compile.windows import fixed_length
from kohort.definitions.conditions import Condition, Missing, Ref, refs
from kohort.definitions.features import (
    NUMERIC_KINDS,
    Aggregate,
    Gap,
    Measure,
    Ratio,
    Selection,
    Sequence,
    Sessions,
    Share,
    Step,
)
from kohort.definitions.windows import Span, TimeUnit, Window
from kohort.model.clock import DAY_US, MINUTE_US, SECOND_US
from kohort.model.event import SCORE_OF

K = TypeVar("K")
L = TypeVar("L")

Predicate = tuple[tuple[str, ...], Condition | None, str]
"""Event names, a condition, and the zone of the dates in it."""

Flag = tuple[tuple[Predicate, ...], Instant | None, tuple[Instant, ...]]
"""Which events: all predicates hold, later than one instant, not later than some others."""

SessionKey = tuple[str, tuple[int, int, int]]
"""Flag of the events, the pause and the greatest length in microseconds, the most events (0 = any number)."""

_STORED = {"day": "local_day", "weekday": "local_day", "hour": "local_hour", "refund": "amount"}
"""Columns that definitions name, and what they are computed from."""

_BEHAVIOUR: Predicate = ((), Missing(Ref(SCORE_OF)), "")
"""What customers did: a score that was stored for them is nothing of the kind."""


class Plan:
    """Needs are registered first; the answers make values from the joined tables."""

    def __init__(self, scope: Scope, clock: Clock) -> None:
        self.scope, self.clock = scope, clock
        self.predicates: dict[Predicate, str] = {}
        self.flags: dict[Flag, str] = {}
        self.values: dict[str, str] = {}  # column → name of its value in the flagged events
        self.plain: dict[tuple[str, str, str], str] = {}  # (function, value, flag) → name
        self.ordered: dict[tuple[str, str, str], str] = {}  # first and last, likewise
        self.levels: dict[str, dict[tuple[str, str], str]] = {}  # value → (function, flag) → name
        self.sequences: dict[tuple[str, str, int, bool], str] = {}  # (first, then, within, alone) → name
        self.sessions: dict[SessionKey, dict[str, str]] = {}  # where they end → function → name
        self.periods: dict[tuple[str, tuple[Instant, ...]], str] = {}
        self.changes: dict[str, str] = {}

    def in_zone(self, zone: str) -> Plan:
        """The same plan for definitions whose windows and dates follow another zone; needs go to one place."""
        if zone == self.scope.zone:
            return self
        other = copy(self)
        other.scope = self.scope.in_zone(zone)
        return other

    # Needs -----------------------------------------------------------------------------------------------------------

    def measure(self, measure: Measure) -> Value:
        """Register what a measure needs; the answer makes its value from the joined stages."""
        match measure:
            case Aggregate():
                return self._aggregate(measure, self.flag(measure.selection))
            case Gap():
                return self._gap(measure)
            case Share(of, selection):
                met = self._plain("count", "", self.flag(selection, (((), of.condition, self.scope.zone),)))
                return divided(met, self._plain("count", "", self.flag(selection)))
            case Sessions():
                return self._sessions(measure)
            case Sequence(first, then, within, window):
                starts, ends = (self.flag(Selection(s.events, s.where, window)) for s in (first, then))
                return number(self._follow(starts, ends, within, alone=False), nothing=0)
            case Ratio(numerator, denominator):
                above, below = self.measure(numerator), self.measure(denominator)
                return lambda t: above(t) / below(t).nullif(0.0)

    def times(self, selection: Selection) -> Value:
        """How many events, as a whole number."""
        name = self._plain("count", "", self.flag(selection))
        return lambda t: ibis.coalesce(t[name], 0)

    def earliest(self, selection: Selection) -> Value:
        """The instant of the first event, missing without any."""
        return column(self._plain("min", self._value("ts"), self.flag(selection)))

    def followed(self, first: Selection, then: Step, within: Span) -> Value:
        """How many first events have another one after them, both inside the window of the first."""
        ends = self.flag(Selection(then.events, then.where, first.window))
        return column(self._follow(self.flag(first), ends, within, alone=False))

    def alone(self, first: Selection, then: Step, within: Span) -> Value:
        """How many first events have had `within` pass without another one after them."""
        passed = self.clock.at(Edge("ago", within, self.scope.zone))
        starts, ends = self.flag(first, until=passed), self.flag(Selection(then.events, then.where))
        return column(self._follow(starts, ends, within, alone=True))

    def active_periods(self, step: Step, unit: TimeUnit, of: int) -> Value:
        """In how many of the last complete periods there was an event; missing for none."""
        zone = self.scope.zone
        edges = tuple(self.clock.at(Edge("period", Span(back, unit), zone)) for back in range(of, -1, -1))
        flag = self.flag(Selection(step.events, step.where))
        return column(self.periods.setdefault((flag, edges), f"n{len(self.periods)}"))

    def changed(self, name: str) -> Value:
        """When a column last took another value; missing where it never had one."""
        return column(self.changes.setdefault(self._value(name), f"c{len(self.changes)}"))

    def inside(self, window: Window) -> Callable[[Any, Any], Any]:
        """Whether an instant lies in a window, given a table that `build` made and the instant over it."""
        after, limits = self._limits(window)

        def value(table: Any, instant: Any) -> Any:
            tests = [instant > on(table, after)] if after is not None else []
            tests += [instant <= on(table, limit) for limit in limits]
            return reduce(and_, tests, instant.notnull())

        return value

    def picked(self, kind: str, name: str, selection: Selection) -> Value:
        """The stored value that first, last or mode takes."""
        flag = self.flag(selection)
        if kind == "mode":
            return column(self._level(name, "mode", flag))
        return column(self.ordered.setdefault((kind, self._value(name), flag), f"o{len(self.ordered)}"))

    def now(self, table: Any) -> Any:
        """The moment asked about, over any table that `build` made."""
        return on(table, self.clock.at(NOW))

    def days_ago(self, instant: Value) -> Value:
        """Days from an instant to the moment asked about."""
        self.clock.at(NOW)
        return lambda t: (self.now(t) - instant(t)).cast("float64") / float(DAY_US)

    def _aggregate(self, measure: Aggregate, flag: str) -> Value:  # noqa: PLR0911 - one per kind
        if self.scope.never_declared(measure.column):
            return constant(0.0 if measure.kind in ("sum", "count_distinct") else None)
        match measure.kind:
            case "count":
                return number(self._plain("count", "", flag), nothing=0)
            case "recency" | "tenure":
                ts = self._plain("max" if measure.kind == "recency" else "min", self._value("ts"), flag)
                return self.days_ago(column(ts))
            case "first" | "last" | "mode":
                return self._shown(measure)
            case "count_distinct":
                return number(self._level(measure.column, "distinct", flag), nothing=0)
            case "entropy":
                return entropy(self._level(measure.column, "total", flag), self._level(measure.column, "n_log_n", flag))
        assert measure.kind in NUMERIC_KINDS
        return self._numeric(measure, flag)

    def _numeric(self, measure: Aggregate, flag: str) -> Value:
        value, scale = self._value(measure.column), self.scope.scale(measure.column)
        need = {f: self._plain(f, value, flag) for f in numeric_needs(measure.kind)}
        match measure.kind:
            case "sum":
                return number(need["sum"], scale, nothing=0)
            case "mean":
                return lambda t: t[need["sum"]].cast("float64") / (t[need["present"]] * scale).nullif(0).cast("float64")
            case "std":
                return lambda t: std(t, need, scale)
            case kind:
                return number(need[kind], scale)

    def _shown(self, measure: Aggregate) -> Value:
        found, name = self.picked(measure.kind, measure.column, measure.selection), measure.column
        match self.scope.column(name).type:
            case "number":
                scale = self.scope.scale(name)
                return lambda t: scaled(found(t), scale)
            case "time":
                return self.days_ago(found)
            case _:
                return found

    def _gap(self, measure: Gap) -> Value:
        flag, by_day = self.flag(measure.selection), measure.between == "days"
        key, unit = ("day", 1) if by_day else ("order_id", DAY_US)
        if measure.statistic == "mean":
            first, last, n = (self._level(key, f, flag) for f in ("earliest", "latest", "distinct"))
            return lambda t: (t[last] - t[first]).cast("float64") / ((t[n] - 1) * unit).nullif(0).cast("float64")
        if measure.statistic == "std":
            need = {f: self._level(key, f"gap_coarse_{f}", flag) for f in numeric_needs("std")}
            return lambda t: std(t, need, 1 if by_day else DAY_US // SECOND_US)
        return number(self._level(key, f"gap_{measure.statistic}", flag), unit)

    def _sessions(self, measure: Sessions) -> Value:
        limits = fixed_length(measure.pause), fixed_length(measure.longest), measure.most or 0
        needs = self.sessions.setdefault((self.flag(measure.selection), limits), {})

        def need(function: str) -> str:
            return needs.setdefault(function, f"t{sum(map(len, self.sessions.values()))}")

        match measure.fact:
            case "count" | "cut":
                return number(need(measure.fact), nothing=0)
            case "events":
                return divided(need("events"), need("count"))
            case "last_length":
                return number(need("last_length"), MINUTE_US)
        length, count = need("length"), need("count")
        return lambda t: t[length].cast("float64") / (t[count] * MINUTE_US).nullif(0).cast("float64")

    def _follow(self, first: str, then: str, within: Span, *, alone: bool) -> str:
        return self.sequences.setdefault((first, then, fixed_length(within), alone), f"q{len(self.sequences)}")

    def _plain(self, function: str, value: str, flag: str) -> str:
        return self.plain.setdefault((function, value, flag), f"a{len(self.plain)}")

    def _level(self, column: str, function: str, flag: str) -> str:
        level = self.levels.setdefault(self._value(column), {})
        return level.setdefault((function, flag), f"{self._value(column)}_{len(level)}")

    def _value(self, column: str) -> str:
        return "ts" if column == "ts" else self.values.setdefault(column, f"v{len(self.values)}")

    def flag(self, selection: Selection, further: tuple[Predicate, ...] = (), *, until: Instant | None = None) -> str:
        """Name of the boolean column that says which events are selected; empty = all visible ones.

        A selection that names no event passes scores over, where there are any.
        """
        where, zone = selection.where.condition if selection.where else None, self.scope.zone
        own = (selection.events, where, zone if where else "")
        parts = ((own,) if selection.events or where else ()) + further
        if not selection.events and SCORE_OF in self.scope.known:
            parts += (_BEHAVIOUR,)
        after, limits = self._limits(selection.window)
        limits += (until,) if until is not None else ()
        if not parts and after is None and not limits:
            return ""
        for part in parts:
            self.predicates.setdefault(part, f"p{len(self.predicates)}")
        return self.flags.setdefault((parts, after, limits), f"f{len(self.flags)}")

    def _limits(self, window: Window) -> tuple[Instant | None, tuple[Instant, ...]]:
        zone = self.scope.zone
        after = None if window.start is None else self.clock.at(Edge("ago", window.start, zone))
        return after, () if window.end is None else (self.clock.at(Edge("ago", window.end, zone)),)

    def reads(self) -> frozenset[str]:
        """The columns of the event table that the needs so far are made from."""
        conditions = [c for _, c, _ in self.predicates if c is not None]
        named = {*self.values, *(ref.name for c in conditions for ref in refs(c))}
        stored = {_STORED.get(name, name) for name in named if not self.scope.never_declared(name)}
        return frozenset({"customer", "event_id", "event", "ts"} | stored)

    def needs(self) -> dict[str, Hashable]:
        """Name of every column that `build` adds → what it is, whatever else the plan holds: equal keys, equal values."""
        columns, flags = ({name: key for key, name in d.items()} for d in (self.values, self.flags))
        scope = (self.scope.currency,)

        def flag(name: str) -> Hashable:
            return flags[name] if name else ()

        found: dict[str, Hashable] = {}
        for (function, value, chosen), name in (*self.plain.items(), *self.ordered.items()):
            found[name] = (scope, function, columns.get(value, value), flag(chosen))
        for value, needs in self.levels.items():
            found |= {n: (scope, "level", f, columns.get(value, value), flag(g)) for (f, g), n in needs.items()}
        for (first, then, within, alone), name in self.sequences.items():
            found[name] = (scope, "sequence", flag(first), flag(then), within, alone)
        for (chosen, limits), facts in self.sessions.items():
            found |= {name: (scope, "sessions", f, flag(chosen), limits) for f, name in facts.items()}
        found |= {name: (scope, "periods", flag(f), edges) for (f, edges), name in self.periods.items()}
        found |= {name: (scope, "changes", columns.get(value, value)) for value, name in self.changes.items()}
        return found

    def only(self, names: Collection[str]) -> Plan:
        """The same plan with these columns alone."""
        other = copy(self)
        for part in ("plain", "ordered", "sequences", "periods", "changes"):
            setattr(other, part, {key: name for key, name in getattr(self, part).items() if name in names})
        other.levels = _kept(self.levels, names)
        other.sessions = _kept(self.sessions, names)
        return other


def _kept(needs: Mapping[K, Mapping[L, str]], names: Collection[str]) -> dict[K, dict[L, str]]:
    """Needs in two levels, those with a name that is asked for."""
    kept = {first: {key: n for key, n in inner.items() if n in names} for first, inner in needs.items()}
    return {first: inner for first, inner in kept.items() if inner}
