"""A rule as rows of plain fields, as a form has them, and back. What no row can show stays a row of text, so nothing is lost.

A row is one condition. Rows are joined by "all" or "any"; neighbours that share a group are joined the other way round and count
as one. Fields are texts as somebody typed them: an unfinished row is a row, `row_rule` says what it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from kohort.definitions.features import Selection, Where
from kohort.definitions.rules import format_rule, operand_type, parse_rule, tree
from kohort.definitions.sql_text import plain_number
from kohort.definitions.sql_write import number_text
from kohort.definitions.windows import EVER, parse_within
from kohort.errors import RefusedDefinition

if TYPE_CHECKING:
    from kohort.definitions.conditions import Operator, Value
    from kohort.definitions.rules.tree import Operand, Rule
    from kohort.definitions.rules.vocabulary import Vocabulary
    from kohort.model.event import ColumnType

RowKind = Literal["did", "did_not", "has", "is_in", "is_not_in", "text"]
Match = Literal["all", "any"]

NOT_FINISHED = ("not_finished", "empty")
"""Codes of rows that somebody is still filling in."""

ANY_EVENT = "*"
UNITS = ("hours", "days", "calendar days", "weeks", "months", "years")
COUNTED: tuple[tree.Counted, ...] = ("at_least", "at_most", "exactly")
COMPARED: Mapping[str, Operator] = {
    "is": "=",
    "is_not": "!=",
    "more": ">",
    "at_least": ">=",
    "less": "<",
    "at_most": "<=",
}
"""Test of a row → operator, where a value is asked for."""
LIKE: Mapping[str, Literal["start", "end", "anywhere"]] = {"starts": "start", "ends": "end", "contains": "anywhere"}
FLAGS = {"yes": True, "no": False}
GIVEN = {"known": True, "not_known": False}
LISTED = {"among": False, "not_among": True}
TESTS = (*COMPARED, *LIKE, *LISTED, *FLAGS, *GIVEN)
WITHOUT_VALUE = (*FLAGS, *GIVEN)


@dataclass(frozen=True, slots=True)
class Row:
    """One condition.

    Attributes:
        fields: did: event, counted, times, length, unit, where. did_not: event, length, unit, where. has: of, test, value.
            is_in, is_not_in: segment (`in_segment('value', 'gold')`). text: text, beside
            the others too. One that is missing is empty; an empty unit means ever.
        group: Neighbours with the same one are joined the other way round; empty = it stands alone.
    """

    kind: RowKind
    fields: Mapping[str, str] = field(default_factory=dict)
    group: str = ""

    def get(self, name: str) -> str:
        return self.fields.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Rows:
    """A whole rule."""

    match: Match = "all"
    rows: tuple[Row, ...] = ()


# From a rule ---------------------------------------------------------------------------------------------------------


def rows_of(rule: Rule, known: Vocabulary | None = None) -> Rows:
    """The rows of a rule: `rule_of(rows_of(rule)) == rule`.

    Example:
        >>> rows_of(parse_rule("did('page') and (t_plan = 'gold' or in_segment('vip'))")).rows[1]
        Row(kind='has', fields={'of': 't_plan', 'test': 'is', 'value': 'gold'}, group='1')
    """
    match rule:
        case tree.AnyOf(items):
            return Rows("any", _rows(items, tree.AllOf, known))
        case tree.AllOf(items):
            return Rows("all", _rows(items, tree.AnyOf, known))
        case _:
            return Rows("all", (row_of(rule, known),))


def _rows(
    items: Sequence[Rule], other: type[tree.AllOf] | type[tree.AnyOf], known: Vocabulary | None
) -> tuple[Row, ...]:
    found: list[Row] = []
    for number, item in enumerate(items):
        if isinstance(item, other):
            found += [row_of(one, known, str(number)) for one in item.items]
        else:
            found.append(row_of(item, known))
    return tuple(found)


def row_of(rule: Rule, known: Vocabulary | None = None, group: str = "") -> Row:
    """One condition as a row; as a row of text where no other says exactly the same."""
    row = _shown(rule)
    if row is not None:
        row = Row(row.kind, row.fields, group)
        try:
            if row_rule(row, known) == rule:
                return row
        except RefusedDefinition:
            pass  # the text says it
    return Row("text", {"text": format_rule(rule)}, group)


def _shown(rule: Rule) -> Row | None:  # noqa: PLR0911 - one answer per kind
    match rule:
        case tree.Did(selection, "exactly", 0):
            return _happened("did_not", selection)
        case tree.Did(selection, counted, times):
            return _happened("did", selection, {"counted": counted, "times": str(times)})
        case tree.InSegment():
            return Row("is_in", {"segment": format_rule(rule)})
        case tree.Not(tree.InSegment() as item):
            return Row("is_not_in", {"segment": format_rule(item)})
        case tree.Missing(of, negated):
            return _has(of, "known" if negated else "not_known")
        case tree.Like(of, where, text, False):
            return _has(of, next(word for word, place in LIKE.items() if place == where), text)
        case tree.Among(of, values, negated):
            return _has(of, "not_among" if negated else "among", ", ".join(map(_value_text, values)))
        case tree.Compare(of, "=", bool(flag)):
            return _has(of, "yes" if flag else "no")
        case tree.Compare(of, op, str() | Decimal() as value):
            return _has(of, next(word for word, sign in COMPARED.items() if sign == op), _value_text(value))
    return None


def _happened(kind: RowKind, selection: Selection, more: Mapping[str, str] | None = None) -> Row | None:
    window, events = selection.window, selection.events
    if len(events) > 1 or window.end is not None:
        return None
    fields = {"event": events[0] if events else ANY_EVENT, **(more or {})}
    if window.start is not None:
        length, unit = str(window.start).split(" ", 1)
        fields |= {"length": length, "unit": unit if unit.endswith("s") else unit + "s"}
    return Row(kind, fields | ({"where": selection.where.text} if selection.where else {}))


def _has(of: Operand, test: str, value: str = "") -> Row:
    return Row("has", {"of": _operand_text(of), "test": test} | ({"value": value} if test not in WITHOUT_VALUE else {}))


def _operand_text(of: Operand) -> str:
    return format_rule(tree.Missing(of)).removesuffix(" is null")


def _value_text(value: Value) -> str:
    return number_text(value) if isinstance(value, Decimal) else str(value)


# To a rule -----------------------------------------------------------------------------------------------------------


def rule_of(rows: Rows, known: Vocabulary | None = None) -> Rule:
    """The rule that rows say.

    Raises:
        RefusedDefinition: There is no row, or the first row that is not finished.
    """
    return joined(rows, [row_rule(row, known) for row in rows.rows])


def joined(rows: Rows, rules: Sequence[Rule]) -> Rule:
    """The same where each row was read already.

    Raises:
        RefusedDefinition: There is none.
    """
    whole, group = (tree.AllOf, tree.AnyOf) if rows.match == "all" else (tree.AnyOf, tree.AllOf)
    items: list[Rule] = []
    for places in places_of(rows):
        inside = tuple(rules[place] for place in places)
        items.append(inside[0] if len(inside) == 1 else group(inside))
    if not items:
        raise _lacks("There is no condition yet.", "Add one.", "empty")
    return items[0] if len(items) == 1 else whole(tuple(items))


def places_of(rows: Rows) -> list[tuple[int, ...]]:
    """The rows that make each condition of the whole: one, or those of a group; by their place."""
    numbered = list(enumerate(rows.rows))
    alike = groupby(numbered, key=lambda one: one[1].group or one[0])
    return [tuple(place for place, _ in some) for _, some in alike]


def row_rule(row: Row, known: Vocabulary | None = None) -> Rule:
    """The condition of one row; names are not looked up.

    Args:
        known: Says which values are numbers; without it what looks like one is.

    Raises:
        RefusedDefinition: What the row lacks, and what to write.
    """
    return _READ[row.kind](row, known)


def _did(row: Row, _: Vocabulary | None) -> Rule:
    asked = row.get("counted")
    counted: tree.Counted = next((word for word in COUNTED if word == asked), "at_least")
    times = row.get("times") or "1"
    if not times.isascii() or not times.isdigit() or len(times) > 9:
        raise _lacks(f"{times!r} is not a number of times.", "Write a whole number, for example 3.", "bad_count")
    return tree.Did(_selection(row), counted, int(times))


def _did_not(row: Row, _: Vocabulary | None) -> Rule:
    return tree.Did(_selection(row), "exactly", 0)


def _selection(row: Row) -> Selection:
    from kohort.definitions.conditions import format_condition, parse_condition

    event, unit, length, where = (row.get(name) for name in ("event", "unit", "length", "where"))
    if not event:
        raise _lacks("What the customer did is not chosen.", "Choose what happened.")
    window = EVER
    if unit:
        if not length.isascii() or not length.isdigit():
            said = f"{length!r} is not a number of {unit}." if length else f"How many {unit} is not said."
            raise _lacks(said, "Write a whole number, for example 30.", "bad_window")
        window = parse_within(f"{length} {unit}")
    condition = parse_condition(where) if where else None
    only = Where(format_condition(condition), condition) if condition is not None else None
    return Selection(() if event == ANY_EVENT else (event,), only, window)


def _is_in(row: Row, _: Vocabulary | None) -> Rule:
    if not row.get("segment"):
        raise _lacks("The segment is not chosen.", "Choose one.")
    rule = parse_rule(row.get("segment"))
    if not isinstance(rule, tree.InSegment):
        raise _lacks("This is not a segment.", "Choose one from the list.")
    return rule


def _comparison(row: Row, known: Vocabulary | None) -> Rule:
    test, typed = row.get("test") or "is", row.fields.get("value", "")
    of = _operand(row.get("of"))
    if test in GIVEN:
        return tree.Missing(of, GIVEN[test])
    if test in FLAGS:
        return tree.Compare(of, "=", FLAGS[test])
    if not typed.strip():
        raise _lacks("The value is missing.", "Write what to compare with.", "bad_value")
    if test in LIKE:
        return tree.Like(of, LIKE[test], typed.strip())
    kind = _type(of, known)
    if test in LISTED:
        values = tuple(_value(one, kind) for one in (part.strip() for part in typed.split(",")) if one)
        return tree.Among(of, values, LISTED[test])
    if test not in COMPARED:
        raise _lacks("How to compare is not chosen.", "Choose one from the list.")
    return tree.Compare(of, COMPARED[test], _value(typed.strip(), kind))


def _operand(text: str) -> Operand:
    if not text:
        raise _lacks("What to look at is not chosen.", "Choose something that is known of customers.")
    rule = parse_rule(f"{text} is null")
    if not isinstance(rule, tree.Missing):
        raise _lacks("This is not something of a customer.", "Choose one from the list.")
    return rule.of


def _type(of: Operand, known: Vocabulary | None) -> ColumnType | None:
    """None where nobody knows it yet, or the name is wrong, which whoever looks names up says."""
    from kohort.definitions.rules.vocabulary import Vocabulary

    try:
        return operand_type(of, known or Vocabulary())
    except RefusedDefinition:
        return None


def _value(typed: str, kind: ColumnType | None) -> Value:
    number = plain_number(typed)
    if kind == "number" and number is None:
        hint = "Write for example 250 or 12.5, with a point and nothing else."
        raise _lacks(f"{typed[:40]!r} is not a number.", hint, "bad_value")
    return number if number is not None and kind in ("number", None) else typed


def _text(row: Row, _: Vocabulary | None) -> Rule:
    return parse_rule(row.fields.get("text", ""))


def _lacks(message: str, hint: str, code: str = "not_finished") -> RefusedDefinition:
    return RefusedDefinition(message, hint=hint, code=code)


_READ: Mapping[RowKind, Callable[[Row, Vocabulary | None], Rule]] = {
    "did": _did,
    "did_not": _did_not,
    "has": _comparison,
    "is_in": _is_in,
    "is_not_in": lambda row, known: tree.Not(_is_in(row, known)),
    "text": _text,
}


def as_row(kind: RowKind, row: Row, known: Vocabulary | None = None) -> Row:
    """A row of another kind that keeps what both have; to text it takes what it says. What was text stays beside what is not."""
    if kind == "text" and row.kind != "text":
        try:
            return Row("text", {"text": format_rule(row_rule(row, known))}, row.group)
        except RefusedDefinition:
            return Row("text", {"text": row.fields.get("text", "")}, row.group)
    if row.kind == "text" and kind != "text":
        try:
            shown = row_of(row_rule(row, known), known, row.group)
        except RefusedDefinition:
            return row
        return shown if shown.kind == kind else Row(kind, row.fields, row.group)
    return Row(kind, row.fields, row.group)


def first_row(kind: RowKind = "did", group: str = "") -> Row:
    """What a new row begins with.

    Example:
        >>> first_row().get("length")
        '30'
    """
    usual = {"counted": "at_least", "times": "1", "length": "30", "unit": "days"} if kind in ("did", "did_not") else {}
    return Row(kind, usual, group)
