"""Conditions as portable boolean expressions over the columns of the event table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import reduce
from math import ceil, floor
from operator import and_, or_
from typing import Any
from zoneinfo import ZoneInfo

import ibis

from kohort.compile.windows import day_start
from kohort.definitions.columns import Column, find, scale_of
from kohort.definitions.conditions import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    Condition,
    Like,
    Missing,
    Not,
    Operator,
    Ref,
    Value,
    day_or_instant,
)
from kohort.model.clock import micros

# Seven million days: a whole number of weeks that keeps the remainder positive, since engines differ on negative ones.
_WEEKS = 7_000_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean in one workspace: its columns, the scale of its money, the zone of its days."""

    known: Mapping[str, Column]
    currency: str
    zone: str

    def column(self, name: str) -> Column:
        return find(name, self.known)

    def scale(self, name: str) -> int:
        return scale_of(self.column(name), self.currency)

    def never_declared(self, name: str) -> bool:
        """Whether a name may be a column but the log has none of it: legal, and always missing (N4)."""
        return name.startswith(("p_", "t_")) and name not in self.known

    def in_zone(self, zone: str) -> Scope:
        return self if zone in ("", self.zone) else replace(self, zone=zone)


def column_value(events: Any, column: Column) -> Any:
    """The column as an expression; computed ones are computed, empty text is missing."""
    value = stored_value(events, column)
    return value.nullif("") if column.type == "text" and not column.closed and column.name != "event" else value


def stored_value(events: Any, column: Column) -> Any:
    """As `column_value`, but empty text stays: `is_present` tells it apart later, per group instead of per event."""
    match column.name:
        case "day":
            return events.local_day.cast("int64")
        case "hour":
            return events.local_hour.cast("int64")
        case "weekday":
            return (events.local_day.cast("int64") + 3 + _WEEKS) % 7 + 1
        case "refund":
            return (events.amount < 0).ifelse(-events.amount, ibis.null("int64"))
        case name:
            return events[name]


def is_present(value: Any) -> Any:
    """Whether a stored value is there: neither null nor empty text."""
    return value != "" if value.type().is_string() else value.notnull()


def condition_value(events: Any, condition: Condition, scope: Scope) -> Any:  # noqa: PLR0911 - one per kind
    """True, false or null for each event."""
    match condition:
        case AllOf(items):
            return reduce(and_, (condition_value(events, item, scope) for item in items))
        case AnyOf(items):
            return reduce(or_, (condition_value(events, item, scope) for item in items))
        case Not(item):
            return ~condition_value(events, item, scope)
        case Missing(ref, negated):
            value = column_value(events, scope.column(ref.name))
            return value.notnull() if negated else value.isnull()
        case Like():
            return _like(events, condition, scope)
        case Among(ref, values, negated):
            return _among(events, scope.column(ref.name), values, negated, scope)
        case Compare(left, op, Ref(name)):
            return _two_columns(events, scope.column(left.name), op, scope.column(name))
        case Compare(left, op, right):
            assert not isinstance(right, Ref)
            return _compare(events, scope.column(left.name), op, right, scope)


def fold(text: str) -> str:
    """Text without the difference between large and small letters, as `folded` does it in an engine."""
    return text.replace("İ", "i").lower().replace("ς", "σ")


def folded(value: Any) -> Any:
    """Fold letters in an engine. Engines lower all letters alike but two: dotted capital I and final sigma."""
    return value.replace("İ", "i").lower().replace("ς", "σ")


def _is_caseless(text: str) -> bool:
    return text == text.lower() == text.upper()


def _comparable(value: Any, column: Column, texts: list[str]) -> Any:
    """The column's value, folded unless no text it is compared with has letters that could differ."""
    return value if column.closed or all(_is_caseless(t) for t in texts) else folded(value)


def _like(events: Any, like: Like, scope: Scope) -> Any:
    column = scope.column(like.column.name)
    value = column_value(events, column)
    text = fold(like.text)
    subject = _comparable(value, column, [like.text])
    match like.place:
        case "start":
            found = subject.startswith(text)
        case "end":
            found = subject.endswith(text)
        case "anywhere":
            found = subject.contains(text)
    return ~found | value.isnull() if like.negated else found


def _among(events: Any, column: Column, values: tuple[Value, ...], negated: bool, scope: Scope) -> Any:
    found = reduce(or_, (_compare(events, column, "=", v, scope) for v in values))
    if column.type == "text":
        texts = [str(v) for v in values]
        found = _comparable(column_value(events, column), column, texts).isin(sorted({fold(t) for t in texts}))
    return ~found | column_value(events, column).isnull() if negated else found


def _two_columns(events: Any, a: Column, op: Operator, b: Column) -> Any:
    left, right = column_value(events, a), column_value(events, b)
    if a.type == "text":
        left, right = folded(left), folded(right)
    compared = _apply(op, left, right)
    return compared | left.isnull() | right.isnull() if op == "!=" else compared


def _compare(events: Any, column: Column, op: Operator, literal: Value, scope: Scope) -> Any:
    value = column_value(events, column)
    if isinstance(literal, bool):
        return ~value.identical_to(literal) if op == "!=" else value == literal
    if op == "!=":
        return ~_compare(events, column, "=", literal, scope) | value.isnull()
    if isinstance(literal, Decimal):
        return _compare_number(value, op, literal * scope.scale(column.name))
    if column.type == "time":
        return _compare_time(value, op, literal, scope.zone)
    return _comparable(value, column, [literal]) == fold(literal)


def _compare_number(value: Any, op: Operator, literal: Decimal) -> Any:
    """Compare stored integers with a number that may lie between two of them."""
    if literal == literal.to_integral_value():
        return _apply(op, value, int(literal))
    if op == "=":
        return value != value  # noqa: PLR0124 - false for every present value, null for a missing one
    return value <= floor(literal) if op in ("<", "<=") else value >= ceil(literal)


def _compare_time(value: Any, op: Operator, text: str, zone: str) -> Any:
    """Compare an instant with a moment, or with a whole local day."""
    read = day_or_instant(text)
    assert read is not None
    when, whole_day = read
    if not whole_day:
        return _apply(op, value, micros(when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))))
    start, end = (day_start(when.date() + timedelta(days=n), zone) for n in (0, 1))
    match op:
        case "<":
            return value < start
        case "<=":
            return value < end
        case ">":
            return value >= end
        case ">=":
            return value >= start
        case _:
            return (value >= start) & (value < end)


def _apply(op: Operator, left: Any, right: Any) -> Any:
    match op:
        case "=":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
