"""Many feature definitions → one expression: needs are registered first and add up, so that many cost one scan.

Stages, each one `GROUP BY customer`, joined at the end:

- **direct**: plain aggregates over events, filtered by flags (one boolean column per distinct condition and window);
- **by key**: what needs a second level (distinct, mode, entropy, gaps) first groups by (customer, key). One such stage,
  the host, also carries the plain aggregates as partial sums: reading the events once more would cost more than that;
- **sequence**: one per definition, grouping by (customer, instant).

Only integers are summed (entropy excepted, which is rounded by definition); divisions happen once per customer, in
float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, Literal

import ibis
from ibis.config import Config

from kohort.compile.conditions import Scope, condition_value, is_present, stored_value
from kohort.compile.stages import (
    gap_stage,
    level_partials,
    level_values,
    merged,
    mode_stage,
    partial,
    sequence_stage,
)
from kohort.compile.values import Value, column, divided, entropy, number, numeric_needs, scaled, std
from kohort.compile.windows import bounds, fixed_length
from kohort.definitions.columns import vocabulary
from kohort.definitions.conditions import Condition
from kohort.definitions.features import (
    NUMERIC_KINDS,
    Aggregate,
    FeatureDefinition,
    Gap,
    Measure,
    Ratio,
    Selection,
    Sequence,
    Share,
    check,
)
from kohort.errors import BadInput
from kohort.model.clock import DAY_US, SECOND_US, parse_instant
from kohort.model.event import FIXED_COLUMNS, ColumnType
from kohort.model.feature import FeatureInfo

CUSTOMER = "_customer"
"""Key column of a compiled expression; no feature can be called that."""

_EARLIEST = parse_instant("1900-01-01T00:00:00Z")
_LATEST = parse_instant("3000-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Compiled:
    """One expression over the relation `events` and what its columns mean.

    Attributes:
        expr: One row per customer with at least one visible event: `_customer`, then one column per feature.
        features: What the columns mean, in order.
    """

    expr: Any
    features: tuple[FeatureInfo, ...]


def compile_features(
    definitions: Rows[FeatureDefinition],
    *,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    columns: Mapping[str, ColumnType] | None = None,
    customers: Rows[int] | None = None,
) -> Compiled:
    """Compile definitions for one moment.

    Args:
        definitions: Names are unique.
        as_of: Nothing later is visible, microseconds UTC.
        zone: Zone in which calendar windows step.
        currency: Says how many minor units make one major unit.
        columns: Declared columns of the log (`p_…`, `t_…`).
        customers: Only these; None = everybody.

    Returns:
        Number features are float64 with null for missing; text and flags keep their type.

    Raises:
        RefusedDefinition: A definition does not fit the columns there are.
        BadInput: `as_of` lies outside the years 1900 to 2999.
    """
    if not _EARLIEST <= as_of <= _LATEST:
        raise BadInput("The moment asked about lies outside the years 1900 to 2999.", code="bad_time")
    declared = dict(columns or {})
    for definition in definitions:
        check(definition, declared)
    plan = _Plan(Scope(vocabulary(declared), currency, zone), as_of)
    values = {d.name: plan.measure(d.measure) for d in definitions}
    joined = plan.build(_events(declared), customers)
    expr = joined.select(**{CUSTOMER: joined.customer}, **{name: value(joined) for name, value in values.items()})
    return Compiled(expr, tuple(d.info(declared) for d in definitions))


def to_sql(expr: Any, dialect: Literal["duckdb", "spark"] = "duckdb") -> str:
    """The text of a compiled expression (or of a `Compiled`) in the language of one engine."""
    if isinstance(expr, Compiled):
        expr = expr.expr
    if dialect == "spark" and ibis.options.pyspark is None:
        # Set by ibis when its Spark backend connects; we only want the text and connect ourselves.
        ibis.options.pyspark = _SparkOptions()
    return str(ibis.to_sql(expr, dialect="pyspark" if dialect == "spark" else "duckdb"))


class _SparkOptions(Config):  # type: ignore[misc]
    treat_nan_as_null: bool = False


def _events(declared: Mapping[str, ColumnType]) -> Any:
    types = {"bool": "boolean"}
    fixed = {name: types.get(kind, kind) for name, kind in FIXED_COLUMNS.items()}
    extra = {name: {"text": "string", "flag": "boolean"}.get(kind, "int64") for name, kind in sorted(declared.items())}
    return ibis.table(fixed | extra, name="events")


Predicate = tuple[tuple[str, ...], Condition | None]


class _Plan:
    """What all measures together need, each need once; `build` turns it into tables."""

    def __init__(self, scope: Scope, as_of: int) -> None:
        self.scope, self.as_of = scope, as_of
        self.predicates: dict[Predicate, str] = {}
        self.flags: dict[tuple[tuple[Predicate, ...], int | None, int | None], str] = {}
        self.values: dict[str, str] = {}  # column → name of its value in the flagged events
        self.plain: dict[tuple[str, str, str], str] = {}  # (function, value, flag) → name
        self.ordered: dict[tuple[str, str, str], str] = {}  # first and last, likewise
        self.levels: dict[str, dict[tuple[str, str], str]] = {}  # value → (function, flag) → name
        self.sequences: dict[tuple[str, str, int], str] = {}

    # Needs -----------------------------------------------------------------------------------------------------------

    def measure(self, measure: Measure) -> Value:
        """Register what a measure needs; the answer makes its value from the joined stages."""
        match measure:
            case Aggregate():
                return self._aggregate(measure, self._flag(measure.selection))
            case Gap():
                return self._gap(measure)
            case Share(of, selection):
                met = self._plain("count", "", self._flag(selection, (((), of.condition),)))
                return divided(met, self._plain("count", "", self._flag(selection)))
            case Sequence():
                return self._sequence(measure)
            case Ratio(numerator, denominator):
                above, below = self.measure(numerator), self.measure(denominator)
                return lambda t: above(t) / below(t).nullif(0.0)

    def _aggregate(self, measure: Aggregate, flag: str) -> Value:
        match measure.kind:
            case "count":
                return number(self._plain("count", "", flag), nothing=0)
            case "recency" | "tenure":
                ts = self._plain("max" if measure.kind == "recency" else "min", self._value("ts"), flag)
                return self._days_ago(column(ts))
            case "first" | "last" | "mode":
                return self._one_value(measure, flag)
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

    def _one_value(self, measure: Aggregate, flag: str) -> Value:
        name = measure.column
        if measure.kind == "mode":
            found = column(self._level(name, "mode", flag))
        else:
            key = (measure.kind, self._value(name), flag)
            found = column(self.ordered.setdefault(key, f"o{len(self.ordered)}"))
        match self.scope.column(name).type:
            case "number":
                scale = self.scope.scale(name)
                return lambda t: scaled(found(t), scale)
            case "time":
                return self._days_ago(found)
            case _:
                return found

    def _gap(self, measure: Gap) -> Value:
        flag, by_day = self._flag(measure.selection), measure.between == "days"
        key, unit = ("day", 1) if by_day else ("order_id", DAY_US)
        if measure.statistic == "mean":
            first, last, n = (self._level(key, f, flag) for f in ("earliest", "latest", "distinct"))
            return lambda t: (t[last] - t[first]).cast("float64") / ((t[n] - 1) * unit).nullif(0).cast("float64")
        if measure.statistic == "std":
            need = {f: self._level(key, f"gap_coarse_{f}", flag) for f in numeric_needs("std")}
            return lambda t: std(t, need, 1 if by_day else DAY_US // SECOND_US)
        return number(self._level(key, f"gap_{measure.statistic}", flag), unit)

    def _sequence(self, measure: Sequence) -> Value:
        first, then = (self._flag(Selection(s.events, s.where, measure.window)) for s in (measure.first, measure.then))
        key = (first, then, fixed_length(measure.within))
        return number(self.sequences.setdefault(key, f"q{len(self.sequences)}"), nothing=0)

    def _days_ago(self, instant: Value) -> Value:
        return lambda t: (ibis.literal(self.as_of, "int64") - instant(t)).cast("float64") / float(DAY_US)

    def _plain(self, function: str, value: str, flag: str) -> str:
        return self.plain.setdefault((function, value, flag), f"a{len(self.plain)}")

    def _level(self, column: str, function: str, flag: str) -> str:
        level = self.levels.setdefault(self._value(column), {})
        return level.setdefault((function, flag), f"{self._value(column)}_{len(level)}")

    def _value(self, column: str) -> str:
        return "ts" if column == "ts" else self.values.setdefault(column, f"v{len(self.values)}")

    def _flag(self, selection: Selection, further: tuple[Predicate, ...] = ()) -> str:
        """Name of the boolean column that says which events are selected; empty = all visible ones."""
        where = selection.where.condition if selection.where else None
        parts = (((selection.events, where),) if selection.events or where else ()) + further
        after, until = bounds(selection.window, self.as_of, self.scope.zone)
        limit = None if selection.window.end is None else until
        if not parts and after is None and limit is None:
            return ""
        for part in parts:
            self.predicates.setdefault(part, f"p{len(self.predicates)}")
        return self.flags.setdefault((parts, after, limit), f"f{len(self.flags)}")

    # Tables ----------------------------------------------------------------------------------------------------------

    def build(self, events: Any, customers: Rows[int] | None) -> Any:
        """All stages, joined: one row per customer."""
        tested = self._tested(events, customers)
        host = next((k for k in (self.values.get("order_id"), self.values.get("day")) if k in self.levels), None)
        joined = self._direct(tested) if host is None else self._host(tested, host)
        stages = [s for key in self.levels for s in self._level_stages(tested, key, hosted=key == host)]
        stages += [self._ordered_stage(tested)] if self.ordered else []
        stages += [
            sequence_stage(self._flagged(tested, (first, then)), first, then, within, name)
            for (first, then, within), name in self.sequences.items()
        ]
        for n, stage in enumerate(stages):
            other = stage.rename(**{f"key{n}": "customer"})
            joined = joined.left_join(other, joined.customer == other[f"key{n}"]).drop(f"key{n}")
        return joined

    def _tested(self, events: Any, customers: Rows[int] | None) -> Any:
        """Visible events with the values and the tested conditions that anything needs: what all stages share."""
        visible = events.filter(events.customer.notnull(), events.ts <= self.as_of)
        if customers is not None:
            visible = visible.filter(visible.customer.isin([int(c) for c in customers]))
        identity = ["customer", "ts"] + (["event_id"] if self.ordered else [])
        values = {n: stored_value(visible, self.scope.column(c)) for c, n in self.values.items()}
        return visible.select(
            *identity, **values, **{n: self._predicate(visible, p) for p, n in self.predicates.items()}
        )

    def _flagged(self, tested: Any, flags: Iterable[str], *others: str) -> Any:
        """The events with the flags (and other columns) of one stage. Windows are cheaper to test again than to keep."""
        keys = {name: key for key, name in self.flags.items()}
        columns = dict.fromkeys(("customer", "ts", *sorted(c for c in others if c)))
        return tested.select(*columns, **{f: self._flag_value(tested, *keys[f]) for f in sorted(set(flags)) if f})

    def _predicate(self, events: Any, predicate: Predicate) -> Any:
        names, condition = predicate
        parts = [events.event == names[0] if len(names) == 1 else events.event.isin(names)] if names else []
        if condition is not None:
            parts.append(condition_value(events, condition, self.scope))
        return reduce(and_, parts)

    def _flag_value(self, table: Any, parts: tuple[Predicate, ...], after: int | None, until: int | None) -> Any:
        tests = [table[self.predicates[p]] for p in parts]
        if after is not None:
            tests.append(table.ts > after)
        if until is not None:
            tests.append(table.ts <= until)
        return reduce(and_, tests)

    def _direct(self, tested: Any) -> Any:
        """Everybody, with the plain aggregates straight from the events."""
        flagged = self._flagged(tested, [f for _, _, f in self.plain], *(v for _, v, _ in self.plain))
        return flagged.group_by("customer").agg(**{name: partial(flagged, *need) for need, name in self.plain.items()})

    def _host(self, tested: Any, key: str) -> Any:
        """Everybody, with the plain aggregates and those of one key: first by (customer, key), then by customer."""
        needs = self.levels[key]
        flags = [f for _, _, f in self.plain] + [f for _, f in needs]
        flagged = self._flagged(tested, flags, key, *(v for _, v, _ in self.plain))
        level = flagged.group_by("customer", key).agg(
            **{name: partial(flagged, *need) for need, name in self.plain.items()},
            **level_partials(flagged, key, needs),
        )
        again = {name: merged(level, function, name) for (function, _, _), name in self.plain.items()}
        return level.group_by("customer").agg(**again, **level_values(level, key, needs))

    def _level_stages(self, tested: Any, key: str, *, hosted: bool) -> list[Any]:
        """What one key contributes beyond what the host already carries."""
        needs = self.levels[key]
        if hosted and not any(f == "mode" or f.startswith("gap_") for f, _ in needs):
            return []
        used = sorted({flag for _, flag in needs})
        rows = self._flagged(tested, used, key)
        rows = rows.filter(is_present(rows[key]))
        if all(used):
            rows = rows.filter(reduce(or_, (rows[flag] for flag in used)))
        if len(needs) == 1 and ("distinct", used[0]) in needs:
            pairs = rows.select("customer", key).distinct()
            return [pairs.group_by("customer").agg(**{needs["distinct", used[0]]: pairs.count()})]
        level = rows.group_by("customer", key).agg(**level_partials(rows, key, needs))
        values = {} if hosted else level_values(level, key, needs)
        stages = [level.group_by("customer").agg(**values)] if values else []
        stages += [mode_stage(level, key, flag, name) for (f, flag), name in needs.items() if f == "mode"]
        for flag in used:
            wanted = {f.removeprefix("gap_"): n for (f, g), n in needs.items() if g == flag and f.startswith("gap_")}
            stages += [gap_stage(level, key, flag, wanted, by_day=key == self.values.get("day"))] if wanted else []
        return stages

    def _ordered_stage(self, tested: Any) -> Any:
        kept = {value for _, value, _ in self.ordered}
        flagged = self._flagged(tested, [flag for _, _, flag in self.ordered], "event_id", *kept)
        order = ibis.struct({"ts": flagged.ts, "event_id": flagged.event_id})
        found = {}
        for (kind, value, flag), name in self.ordered.items():
            there = is_present(flagged[value])
            present = there & flagged[flag] if flag else there
            pick = flagged[value].argmin if kind == "first" else flagged[value].argmax
            found[name] = pick(order, where=present)
        return flagged.group_by("customer").agg(**found)
