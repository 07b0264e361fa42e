"""Conditions as portable boolean expressions over the columns of the event table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from math import ceil, floor
from operator import and_, or_
from typing import Any
from zoneinfo import ZoneInfo

import ibis

from kohort.compile.values import joined
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
    refs,
)
from kohort.model.clock import micros
from kohort.model.event import LIST_MARK, ColumnType

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
            return joined(and_, (condition_value(events, item, scope) for item in items))
        case AnyOf(items):
            return joined(or_, (condition_value(events, item, scope) for item in items))
        case Not(item):
            return ~condition_value(events, item, scope)
        case _ if any(scope.never_declared(ref.name) for ref in refs(condition)):
            return _of_nothing(condition)
        case Missing(ref, negated):
            value = column_value(events, scope.column(ref.name))
            return value.notnull() if negated else value.isnull()
        case Like():
            return _like(events, condition, scope)
        case Among():
            return _among(events, condition, scope)
        case Compare(left, op, Ref() as right):
            return _two_columns(events, left, op, right, scope)
        case Compare(left, op, right):
            assert not isinstance(right, Ref)
            return _compare(events, left, op, right, scope)


def _of_nothing(condition: Condition) -> Any:
    """The answer about a column that the log never declared: it is missing in every event."""
    match condition:
        case Missing(_, negated):
            return ibis.literal(not negated)
        case Compare(_, "!=") | Among(_, _, True) | Like(_, _, _, True):
            return ibis.literal(True)
        case _:
            return ibis.null("boolean")


def fold(text: str) -> str:
    """Text without the difference between large and small letters, as `folded` does it in an engine."""
    return text.replace("İ", "i").lower().replace("ς", "σ")


def folded(value: Any) -> Any:
    """Fold letters in an engine. Engines lower all letters alike but two: dotted capital I and final sigma."""
    return value.replace("İ", "i").lower().replace("ς", "σ")


def _is_caseless(text: str) -> bool:
    return text == text.lower() == text.upper()


def comparable(value: Any, texts: Iterable[str], *, exact: bool = False) -> Any:
    """Text to compare with these texts: folded, unless asked not to or no text has letters that could differ."""
    return value if exact or all(_is_caseless(t) for t in texts) else folded(value)


def spelt(text: str, *, exact: bool) -> str:
    """A text to compare with what `comparable` makes."""
    return text if exact else fold(text)


def text_like(value: Any, place: str, text: str) -> Any:
    """Whether text starts with, ends with or contains another."""
    match place:
        case "start":
            return value.startswith(text)
        case "end":
            return value.endswith(text)
        case _:
            return value.contains(text)


def list_like(value: Any, place: str, text: str) -> Any:
    """Whether any item of a stored list does; `place` "whole" = equals."""
    if LIST_MARK in text:
        return value != value  # noqa: PLR0124 - no item has the mark, nothing is known of a missing list
    before = LIST_MARK if place in ("start", "whole") else ""
    after = LIST_MARK if place in ("end", "whole") else ""
    return value.contains(f"{before}{text}{after}")


def _like(events: Any, like: Like, scope: Scope) -> Any:
    column = scope.column(like.column.name)
    value = column_value(events, column)
    exact = like.column.exact or column.closed
    subject = comparable(value, [like.text], exact=exact)
    text = like.text if like.column.exact else fold(like.text)
    found = (list_like if column.type == "list" else text_like)(subject, like.place, text)
    return ~found | value.isnull() if like.negated else found


def _among(events: Any, among: Among, scope: Scope) -> Any:
    ref, column = among.column, scope.column(among.column.name)
    value = column_value(events, column)
    if column.type == "text":
        texts = [str(v) for v in among.values]
        subject = comparable(value, texts, exact=ref.exact or column.closed)
        found = subject.isin(sorted({spelt(t, exact=ref.exact) for t in texts}))
    else:
        found = joined(or_, (_compare(events, ref, "=", v, scope) for v in among.values))
    return ~found | value.isnull() if among.negated else found


def _two_columns(events: Any, a: Ref, op: Operator, b: Ref, scope: Scope) -> Any:
    columns = [scope.column(ref.name) for ref in (a, b)]
    left, right = (column_value(events, column) for column in columns)
    compared = compare_values(op, left, right, (columns[0].type, columns[1].type), exact=a.exact or b.exact)
    return compared | left.isnull() | right.isnull() if op == "!=" else compared


def compare_values(op: Operator, left: Any, right: Any, types: tuple[ColumnType, ColumnType], *, exact: bool) -> Any:
    """Two values; of text large and small letters are the same, and of a list one item is enough.

    Of missing values nothing is known, also with `!=`.
    """
    if types[0] in ("text", "list") and not exact:
        left, right = folded(left), folded(right)
    if "list" not in types:
        return apply(op, left, right)
    # Marks on both sides make a text an item. A list is never an item of another one.
    mark = ibis.literal(LIST_MARK)
    items, item = (left, right) if types[0] == "list" else (right, left)
    found = items.contains(mark + item + mark)
    return ~found if op == "!=" else found


def _compare(events: Any, ref: Ref, op: Operator, literal: Value, scope: Scope) -> Any:
    column = scope.column(ref.name)
    value = column_value(events, column)
    if isinstance(literal, bool):
        return ~value.identical_to(literal) if op == "!=" else value == literal
    if op == "!=":
        return ~_compare(events, ref, "=", literal, scope) | value.isnull()
    if isinstance(literal, Decimal):
        return _compare_number(value, op, literal * scope.scale(column.name))
    if column.type == "time":
        return compare_time(value, op, literal, scope.zone)
    text = spelt(literal, exact=ref.exact)
    subject = comparable(value, [literal], exact=ref.exact or column.closed)
    return list_like(subject, "whole", text) if column.type == "list" else subject == text


def _compare_number(value: Any, op: Operator, literal: Decimal) -> Any:
    """Compare stored integers with a number that may lie between two of them."""
    if literal == literal.to_integral_value():
        return apply(op, value, int(literal))
    if op == "=":
        return value != value  # noqa: PLR0124 - false for every present value, null for a missing one
    return value <= floor(literal) if op in ("<", "<=") else value >= ceil(literal)


def compare_time(value: Any, op: Operator, text: str, zone: str) -> Any:
    """Compare an instant with a moment, or with a whole local day."""
    read = day_or_instant(text)
    assert read is not None
    when, whole_day = read
    if not whole_day:
        return apply(op, value, micros(when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))))
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


def apply(op: Operator, left: Any, right: Any) -> Any:
    """The comparison itself."""
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
