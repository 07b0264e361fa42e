"""Conditions on one event: a closed, portable subset of SQL boolean expressions, read into values, never run as text.

Kept from SQL: comparisons, `and`, `or`, `not`, parentheses, `in`, `between`, `is null`, `like` with `%` at the ends.
The meaning of missing values is ours (docs/semantics.md): `!=`, `not in` and `not like` are true for a missing value;
all else is SQL's three-valued logic, and an event counts where the condition is true.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from kohort.definitions.columns import Column, find
from kohort.errors import RefusedDefinition
from kohort.model.event import LINE_KINDS, ColumnType

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = str | Decimal | bool
LONGEST = 2_000
_DAY_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].+)?")


@dataclass(frozen=True, slots=True)
class Ref:
    """A column named in a condition, with its place in the text.

    A column of lists means its items: a comparison, `in` and `like` are true where they are for **any** item, and
    `!=`, `not in`, `not like` where they are for none (so also for a missing list).

    `exact`, written `exactly(product)`: large and small letters differ in what this reference is compared with. Of
    two columns, one exact side is enough.
    """

    name: str
    exact: bool = False
    start: int = field(default=0, compare=False, kw_only=True)
    end: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`; numbers are in the units people write (pounds, pieces)."""

    left: Ref
    op: Operator
    right: Ref | Value


@dataclass(frozen=True, slots=True)
class Among:
    """`column [not] in (values)`."""

    column: Ref
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """`column is [not] null`; empty text is missing."""

    column: Ref
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    """`column [not] like pattern`: begins with, ends with or contains `text`."""

    column: Ref
    place: Literal["start", "end", "anywhere"]
    text: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    item: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    items: tuple[Condition, ...]


Condition = Compare | Among | Missing | Like | Not | AllOf | AnyOf


def parse_condition(text: str) -> Condition:
    """Read a condition; names and types are checked by `check_condition`.

    Raises:
        RefusedDefinition: A syntax error or something outside the subset, with its place in the text.

    Example:
        >>> parse_condition("amount > 12.50").op
        '>'
    """
    from kohort.definitions.conditions_read import ConditionReader
    from kohort.definitions.sql_fence import read_sql
    from kohort.definitions.sql_text import Noun

    if not text.strip():
        hint = "Leave `where` out to count every event."
        raise RefusedDefinition("The condition is empty.", text=text, start=0, end=len(text), hint=hint, code="empty")
    source = read_sql(text, Noun("condition", "bad_condition", LONGEST))
    condition: Condition = ConditionReader(source).read(source.tree)
    source.check_all_taken()
    return condition


def format_condition(condition: Condition) -> str:
    """The canonical text of a condition: one way to write each, with as few parentheses as it needs.

    Example:
        >>> format_condition(parse_condition("((amount>12.50)) AND (PRODUCT is null)"))
        'amount > 12.5 and PRODUCT is null'
    """
    import sys

    from kohort.definitions.sql_write import BooleanWriter, name_text

    def ref_text(ref: Ref) -> str:
        return f"exactly({name_text(ref.name)})" if ref.exact else name_text(ref.name)

    return BooleanWriter(sys.modules[__name__], ref_text).text(condition)


def refs(condition: Condition) -> Iterator[Ref]:
    """Every column reference, from left to right."""
    match condition:
        case Compare(left, _, right):
            yield left
            if isinstance(right, Ref):
                yield right
        case Among(column) | Missing(column) | Like(column):
            yield column
        case Not(item):
            yield from refs(item)
        case AllOf(items) | AnyOf(items):
            for item in items:
                yield from refs(item)


def check_condition(condition: Condition, known: Mapping[str, Column], text: str) -> None:
    """Check names and types against the columns there are.

    Raises:
        RefusedDefinition: The first mistake of `condition_mistakes`.
    """
    for mistake in condition_mistakes(condition, known, text):
        raise mistake


def condition_mistakes(
    condition: Condition, known: Mapping[str, Column], text: str, *, undeclared: bool = False
) -> Iterator[RefusedDefinition]:
    """Every unknown column (with a suggestion) and every comparison between types that never compare.

    Args:
        text: What the places of the condition's references point into.
        undeclared: Let columns `p_…` and `t_…` be that were never declared: always missing, so they compare with all.
    """
    match condition:
        case Not(item):
            yield from condition_mistakes(item, known, text, undeclared=undeclared)
        case AllOf(items) | AnyOf(items):
            for item in items:
                yield from condition_mistakes(item, known, text, undeclared=undeclared)
        case _:
            columns: list[Column | None] = []
            for ref in refs(condition):
                if undeclared and ref.name not in known and ref.name.startswith(("p_", "t_")):
                    columns.append(None)
                    continue
                try:
                    columns.append(find(ref.name, known, text=text, start=ref.start, end=ref.end))
                except RefusedDefinition as error:
                    columns.append(None)
                    yield error
            problem = _problem(condition, columns)
            if problem is not None:
                named = list(refs(condition))
                start, end = min(ref.start for ref in named), max(ref.end for ref in named)
                yield RefusedDefinition(problem[0], text=text, start=start, end=end, hint=problem[1], code="wrong_type")


def _problem(  # noqa: PLR0911 - one answer per kind
    condition: Condition, columns: list[Column | None]
) -> tuple[str, str] | None:
    """What does not fit in one comparison: a sentence and a hint. A column that is not known fits with everything."""
    column = columns[0]
    if column is None or None in columns:
        return None
    match condition:
        case Compare(left, op, Ref() as right):
            other = columns[1]
            assert other is not None
            if (column.type, column.scale) != (other.type, other.scale) or column.type == "list":
                return f"{left.name!r} and {right.name!r} hold different things and cannot be compared.", ""
            return order_problem(left.name, column.type, op)
        case Compare(left, op, right):
            assert not isinstance(right, Ref)
            return _value_problem(left, column, right, op) or order_problem(left.name, column.type, op)
        case Among(ref, values):
            return next((p for p in (_value_problem(ref, column, v) for v in values) if p), None)
        case Like(ref):
            return like_problem(ref.name, column.type)
    return None


def _value_problem(ref: Ref, column: Column, value: Value, op: Operator = "=") -> tuple[str, str] | None:
    if column.name == "line_kind" and isinstance(value, str) and value and value.lower() not in LINE_KINDS:
        near = difflib.get_close_matches(value.lower(), LINE_KINDS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Kinds: " + ", ".join(LINE_KINDS) + "."
        return f"No order line is of the kind {value!r}.", hint
    return value_problem(ref.name, column.type, value, op)


def value_problem(name: str, kind: ColumnType, value: Value, op: Operator = "=") -> tuple[str, str] | None:
    """Why a value cannot be compared with something of a type: a sentence and a hint; None where it can."""
    match kind:
        case "number":
            fits, write = isinstance(value, Decimal), "a number"
        case "flag":
            fits, write = isinstance(value, bool), "true or false"
        case "time":
            fits, write = isinstance(value, str) and day_or_instant(value) is not None, "'2011-12-09'"
        case _:
            fits, write = isinstance(value, str), "'text'"
    if not fits:
        return f"{name!r} is compared with a value of another type.", f"Write {write}."
    hint = f"Write: {name} is {'not ' if op == '!=' else ''}null."
    return ("Empty text is missing.", hint) if value == "" else None


def order_problem(name: str, kind: ColumnType, op: Operator) -> tuple[str, str] | None:
    """Why a type cannot be compared with this operator."""
    if op in ("=", "!=") or kind in ("number", "time"):
        return None
    message = f"{name!r} has no order that is the same everywhere; {op} cannot be used."
    return message, "Use = or !=." if kind == "flag" else "Use =, !=, in or like."


def like_problem(name: str, kind: ColumnType) -> tuple[str, str] | None:
    """Why `like` cannot be used on a type."""
    return None if kind in ("text", "list") else (f"{name!r} is not text, so `like` cannot be used.", "Use = or in.")


def day_or_instant(text: str) -> tuple[datetime, bool] | None:
    """A moment as written in a condition and whether it is a whole day; None where it is no moment.

    Dates are written with their two dashes: ISO 8601 has spellings (20111209, 2011-W49) that would be read as midnight.
    """
    found = _DAY_AND_TIME.fullmatch(text.strip())
    try:
        parsed = datetime.fromisoformat(found[0]) if found else None
    except ValueError:
        return None
    if found is None or parsed is None or not 1800 <= parsed.year <= 2999:
        return None
    return parsed, found[1] is None
