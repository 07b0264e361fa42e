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

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, Literal

import ibis
from ibis.config import Config

from kohort.compile.conditions import Scope, column_value, condition_value
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

# Squares are summed in parts of 20 bits, so that no square leaves 64 bits: (2^20 a + b)^2 = 2^40 a^2 + 2^21 ab + b^2.
_HALF = 20
_SUMMED_PARTS = ("hi", "mid", "lo")
_ENTROPY_DECIMALS = 1e9

_EARLIEST = parse_instant("1900-01-01T00:00:00Z")
_LATEST = parse_instant("3000-01-01T00:00:00Z")

Value = Callable[[Any], Any]
"""Given the table of all joined stages, the expression of one measure."""


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
                return _divided(met, self._plain("count", "", self._flag(selection)))
            case Sequence():
                return self._sequence(measure)
            case Ratio(numerator, denominator):
                above, below = self.measure(numerator), self.measure(denominator)
                return lambda t: above(t) / below(t).nullif(0.0)

    def _aggregate(self, measure: Aggregate, flag: str) -> Value:
        match measure.kind:
            case "count":
                return _number(self._plain("count", "", flag), nothing=0)
            case "recency" | "tenure":
                ts = self._plain("max" if measure.kind == "recency" else "min", self._value("ts"), flag)
                return self._days_ago(_column(ts))
            case "first" | "last" | "mode":
                return self._one_value(measure, flag)
            case "count_distinct":
                return _number(self._level(measure.column, "distinct", flag), nothing=0)
            case "entropy":
                return _entropy(
                    self._level(measure.column, "total", flag), self._level(measure.column, "n_log_n", flag)
                )
        assert measure.kind in NUMERIC_KINDS
        return self._numeric(measure, flag)

    def _numeric(self, measure: Aggregate, flag: str) -> Value:
        value, scale = self._value(measure.column), self.scope.scale(measure.column)
        need = {f: self._plain(f, value, flag) for f in _numeric_needs(measure.kind)}
        match measure.kind:
            case "sum":
                return _number(need["sum"], scale, nothing=0)
            case "mean":
                return lambda t: t[need["sum"]].cast("float64") / (t[need["present"]] * scale).nullif(0).cast("float64")
            case "std":
                return lambda t: _std(t, need, scale)
            case kind:
                return _number(need[kind], scale)

    def _one_value(self, measure: Aggregate, flag: str) -> Value:
        name = measure.column
        if measure.kind == "mode":
            found = _column(self._level(name, "mode", flag))
        else:
            key = (measure.kind, self._value(name), flag)
            found = _column(self.ordered.setdefault(key, f"o{len(self.ordered)}"))
        match self.scope.column(name).type:
            case "number":
                scale = self.scope.scale(name)
                return lambda t: _scaled(found(t), scale)
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
            need = {f: self._level(key, f"gap_coarse_{f}", flag) for f in _numeric_needs("std")}
            return lambda t: _std(t, need, 1 if by_day else DAY_US // SECOND_US)
        return _number(self._level(key, f"gap_{measure.statistic}", flag), unit)

    def _sequence(self, measure: Sequence) -> Value:
        first, then = (self._flag(Selection(s.events, s.where, measure.window)) for s in (measure.first, measure.then))
        key = (first, then, fixed_length(measure.within))
        return _number(self.sequences.setdefault(key, f"q{len(self.sequences)}"), nothing=0)

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
        flagged = self._flagged(events, customers)
        host = next((k for k in (self.values.get("order_id"), self.values.get("day")) if k in self.levels), None)
        joined = self._direct(flagged) if host is None else self._host(flagged, host)
        stages = [s for key in self.levels for s in self._level_stages(flagged, key, hosted=key == host)]
        stages += [self._ordered_stage(flagged)] if self.ordered else []
        stages += [_sequence_stage(flagged, *key, name) for key, name in self.sequences.items()]
        for n, stage in enumerate(stages):
            other = stage.rename(**{f"key{n}": "customer"})
            joined = joined.left_join(other, joined.customer == other[f"key{n}"]).drop(f"key{n}")
        return joined

    def _flagged(self, events: Any, customers: Rows[int] | None) -> Any:
        """Visible events with the values and flags that anything needs."""
        visible = events.filter(events.customer.notnull(), events.ts <= self.as_of)
        if customers is not None:
            visible = visible.filter(visible.customer.isin([int(c) for c in customers]))
        identity = ["customer", "ts"] + (["event_id"] if self.ordered else [])
        values = {n: column_value(visible, self.scope.column(c)) for c, n in self.values.items()}
        tested = {n: self._predicate(visible, p) for p, n in self.predicates.items()}
        table = visible.select(*identity, **values, **tested)
        flags = {n: self._flag_value(table, *key) for key, n in self.flags.items()}
        return table.select(*identity, *values, **flags)

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

    def _direct(self, flagged: Any) -> Any:
        """Everybody, with the plain aggregates straight from the events."""
        return flagged.group_by("customer").agg(**{name: _partial(flagged, *need) for need, name in self.plain.items()})

    def _host(self, flagged: Any, key: str) -> Any:
        """Everybody, with the plain aggregates and those of one key: first by (customer, key), then by customer."""
        level = flagged.group_by("customer", key).agg(
            **{name: _partial(flagged, *need) for need, name in self.plain.items()},
            **_level_partials(flagged, key, self.levels[key]),
        )
        again = {name: _merged(level, function, name) for (function, _, _), name in self.plain.items()}
        return level.group_by("customer").agg(**again, **_level_values(level, key, self.levels[key]))

    def _level_stages(self, flagged: Any, key: str, *, hosted: bool) -> list[Any]:
        """What one key contributes beyond what the host already carries."""
        needs = self.levels[key]
        rows = flagged.filter(flagged[key].notnull())
        used = sorted({flag for _, flag in needs})
        if all(used):
            rows = rows.filter(reduce(or_, (rows[flag] for flag in used)))
        level = rows.group_by("customer", key).agg(**_level_partials(rows, key, needs))
        values = {} if hosted else _level_values(level, key, needs)
        stages = [level.group_by("customer").agg(**values)] if values else []
        stages += [_mode_stage(level, key, flag, name) for (f, flag), name in needs.items() if f == "mode"]
        for flag in used:
            wanted = {f.removeprefix("gap_"): n for (f, g), n in needs.items() if g == flag and f.startswith("gap_")}
            stages += [_gap_stage(level, key, flag, wanted, by_day=key == self.values.get("day"))] if wanted else []
        return stages

    def _ordered_stage(self, flagged: Any) -> Any:
        order = ibis.struct({"ts": flagged.ts, "event_id": flagged.event_id})
        found = {}
        for (kind, value, flag), name in self.ordered.items():
            present = flagged[value].notnull() & flagged[flag] if flag else flagged[value].notnull()
            pick = flagged[value].argmin if kind == "first" else flagged[value].argmax
            found[name] = pick(order, where=present)
        return flagged.group_by("customer").agg(**found)


# Aggregates ----------------------------------------------------------------------------------------------------------


def _numeric_needs(kind: str) -> tuple[str, ...]:
    match kind:
        case "mean":
            return ("sum", "present")
        case "std":
            return ("sum", "present", "min", "max", *_SUMMED_PARTS)
        case _:
            return (kind,)


def _partial(table: Any, function: str, value: str, flag: str) -> Any:
    """One plain aggregate over the rows of a table where the flag is true."""
    where = table[flag] if flag else None
    if function == "count":
        return _count(table, where)
    return _summary(table[value], function, where)


def _count(table: Any, where: Any) -> Any:
    """How many rows; zero also where the condition is unknown for all of them (Spark would say null)."""
    return table.count() if where is None else ibis.coalesce(table.count(where=where), 0)


def _summary(value: Any, function: str, where: Any = None) -> Any:
    """One aggregate of a whole number; hi, mid and lo are the parts of the sum of squares."""
    high, low = value.abs() >> _HALF, value.abs() & ((1 << _HALF) - 1)
    summed = {"sum": value, "hi": high * high, "mid": high * low, "lo": low * low}
    if function in summed:
        return summed[function].sum(where=where)
    return {"present": value.count, "min": value.min, "max": value.max}[function](where=where)


def _merged(level: Any, function: str, name: str) -> Any:
    """A plain aggregate from its partial values: counts and sums add, extremes stay extremes."""
    column = level[name]
    return getattr(column, function if function in ("min", "max") else "sum")()


def _level_partials(rows: Any, key: str, needs: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Per (customer, key) and flag: how many events, the first and the last instant, as far as needed."""
    partials: dict[str, Any] = {}
    for function, flag in needs:
        where = rows[flag] if flag else None
        partials[f"n_{key}{flag}"] = _count(rows, where)
        if function in ("earliest", "latest") or function.startswith("gap_"):
            partials[f"first_{key}{flag}"] = rows.ts.min(where=where)
        if function == "mode":
            partials[f"last_{key}{flag}"] = rows.ts.max(where=where)
    return partials


def _level_values(level: Any, key: str, needs: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """What can be had from one more GROUP BY customer."""
    values: dict[str, Any] = {}
    for (function, flag), name in needs.items():
        n = level[f"n_{key}{flag}"]
        chosen = level[key].notnull() & (n > 0)
        match function:
            case "distinct":
                values[name] = _count(level, chosen)
            case "total":
                values[name] = n.sum(where=chosen)
            case "n_log_n":
                values[name] = (n.cast("float64") * n.nullif(0).cast("float64").log2()).sum(where=chosen)
            case "earliest":
                values[name] = _moment(level, key, flag).min(where=chosen)
            case "latest":
                values[name] = _moment(level, key, flag).max(where=chosen)
    return values


def _moment(level: Any, key: str, flag: str) -> Any:
    """When a key happened: days are their own number, an order is as old as its first event."""
    return level[key] if level[key].type().is_integer() else level[f"first_{key}{flag}"]


def _mode_stage(level: Any, key: str, flag: str, name: str) -> Any:
    n, last = level[f"n_{key}{flag}"], level[f"last_{key}{flag}"]
    ranked = level.filter(n > 0).mutate(
        place=ibis.row_number().over(group_by="customer", order_by=[ibis.desc(n), ibis.desc(last), level[key]])
    )
    return ranked.filter(ranked.place == 0).select("customer", **{name: ranked[key]})


def _gap_stage(level: Any, key: str, flag: str, wanted: Mapping[str, str], *, by_day: bool) -> Any:
    """Statistics of the distances between consecutive keys of one customer."""
    rows = level.filter(level[f"n_{key}{flag}"] > 0)
    moment = _moment(rows, key, flag)
    gaps = rows.mutate(gap=moment - moment.lag().over(group_by="customer", order_by=[moment, rows[key]]))
    gaps = gaps.filter(gaps.gap.notnull())
    # The spread of gaps between orders counts whole seconds; their extremes are exact.
    gaps = gaps.mutate(coarse=gaps.gap if by_day else gaps.gap // SECOND_US)
    return gaps.group_by("customer").agg(
        **{
            name: _summary(gaps["coarse" if f.startswith("coarse_") else "gap"], f.removeprefix("coarse_"))
            for f, name in wanted.items()
        }
    )


def _sequence_stage(flagged: Any, first: str, then: str, within: int, name: str) -> Any:
    """Per instant: how many events start the sequence, and does one end it; then look at the next instant that does."""
    a, b = (flagged[f] if f else ibis.literal(True) for f in (first, then))
    rows = flagged.filter(a | b)
    starts, ends = (rows[f] if f else ibis.literal(True) for f in (first, then))
    instants = rows.group_by("customer", "ts").agg(starts=_count(rows, starts), ends=_count(rows, ends))
    end_ts = (instants.ends > 0).ifelse(instants.ts, ibis.null("int64"))
    following = ibis.window(group_by=instants.customer, order_by=instants.ts, rows=(1, None))
    seen = instants.mutate(next_ts=end_ts.min().over(following))
    done = seen.next_ts - seen.ts <= within
    return seen.group_by("customer").agg(**{name: seen.starts.sum(where=done)})


# Values --------------------------------------------------------------------------------------------------------------


def _column(name: str) -> Value:
    return lambda t: t[name]


def _scaled(value: Any, scale: int) -> Any:
    number = value.cast("float64")
    return number if scale == 1 else number / float(scale)


def _number(name: str, scale: int = 1, *, nothing: int | None = None) -> Value:
    """A stored integer as a number of units; `nothing` = what no event at all means."""
    return lambda t: _scaled(t[name] if nothing is None else ibis.coalesce(t[name], nothing), scale)


def _divided(above: str, below: str) -> Value:
    return lambda t: t[above].cast("float64") / t[below].nullif(0).cast("float64")


def _std(table: Any, need: Mapping[str, str], scale: int) -> Any:
    """Sample standard deviation from integer sums; exactly 0 where all values are equal, missing below two values."""
    part = {f: table[name].cast("float64") for f, name in need.items()}
    squares = part["hi"] * float(1 << 2 * _HALF) + (part["mid"] * float(1 << _HALF + 1) + part["lo"])
    spread = squares - part["sum"] * part["sum"] / part["present"].nullif(0.0)
    variance = ibis.greatest(spread / (part["present"] - 1.0).nullif(0.0), 0.0)
    equal = table[need["min"]] == table[need["max"]]
    deviation = equal.ifelse(ibis.literal(0.0), variance.sqrt() / float(scale))
    return (table[need["present"]] >= 2).ifelse(deviation, ibis.null("float64"))


def _entropy(total: str, n_log_n: str) -> Value:
    """Shannon entropy in bits, rounded to nine decimals: logarithms and sums of engines differ beyond that."""

    def value(t: Any) -> Any:
        n = t[total].cast("float64")
        bits = n.log2() - t[n_log_n] / n
        return (bits * _ENTROPY_DECIMALS + 0.5).floor().cast("float64") / _ENTROPY_DECIMALS

    return value


__all__ = ["CUSTOMER", "Compiled", "compile_features", "to_sql"]
