"""Conditions on one event: a closed, portable subset of SQL boolean expressions, read into values, never run as text.

Kept from SQL: comparisons, `and`, `or`, `not`, parentheses, `in`, `between`, `is null`, `like` with `%` at the ends.
The meaning of missing values is ours (docs/semantics.md): `!=`, `not in` and `not like` are true for a missing value;
all else is SQL's three-valued logic, and an event counts where the condition is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from kohort.definitions.columns import Column, find
from kohort.errors import RefusedDefinition
from kohort.model.event import LINE_KINDS

if TYPE_CHECKING:
    from sqlglot import exp

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = str | Decimal | bool
LONGEST = 2_000
_DEEPEST = 40
_PARTS = frozenset({"this", "expression", "expressions", "low", "high", "is_string", "table"})
"""Parts of sqlglot's nodes that the reader below reads or refuses by name."""


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
    import sqlglot
    from sqlglot.errors import SqlglotError

    if len(text) > LONGEST:
        raise _refused(text, f"A condition can be {LONGEST} characters long at most.", 0, len(text))
    if not text.strip():
        raise _refused(text, "The condition is empty.", 0, len(text), "Leave `where` out to count every event.")
    _check_depth(text)
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, RecursionError) as error:
        start, end = _place_of_error(text, error)
        raise _refused(text, "This is not a condition we can read.", start, end) from error
    if len(trees) != 1 or trees[0] is None:
        raise _refused(text, "Write one condition, without a semicolon.", 0, len(text))
    return _Reader(text).condition(trees[0])


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
        RefusedDefinition: An unknown column (with a suggestion) or a comparison between types that never compare.
    """
    match condition:
        case Compare(right=Ref() as right):
            _check_pair(condition, right, known, text)
        case Compare(left, op, right):
            assert not isinstance(right, Ref)
            _check_value(left, find(left.name, known, text=text, start=left.start), op, right, text)
        case Among(ref, values):
            column = find(ref.name, known, text=text, start=ref.start)
            for value in values:
                _check_value(ref, column, "=", value, text)
        case Like(ref):
            column = find(ref.name, known, text=text, start=ref.start)
            if column.type not in ("text", "list"):
                raise _refused(text, f"{ref.name!r} is not text, so `like` cannot be used.", ref.start, ref.end)
        case Missing(ref):
            find(ref.name, known, text=text, start=ref.start)
        case Not(item):
            check_condition(item, known, text)
        case AllOf(items) | AnyOf(items):
            for item in items:
                check_condition(item, known, text)


def day_or_instant(text: str) -> tuple[datetime, bool] | None:
    """A moment as written in a condition and whether it is a whole day; None where it is no moment."""
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if not 1800 <= parsed.year <= 2999:
        return None
    return parsed, len(text.strip()) == len("2011-12-09")


def _check_pair(compare: Compare, right: Ref, known: Mapping[str, Column], text: str) -> None:
    left = compare.left
    a, b = (find(ref.name, known, text=text, start=ref.start) for ref in (left, right))
    if (a.type, a.scale) != (b.type, b.scale):
        message = f"{left.name!r} and {right.name!r} hold different things and cannot be compared."
        raise _refused(text, message, left.start, right.end)
    _check_order(left, a, compare.op, text)


def _check_value(ref: Ref, column: Column, op: Operator, value: Value, text: str) -> None:
    fits = {
        "text": isinstance(value, str),
        "number": isinstance(value, Decimal),
        "flag": isinstance(value, bool),
        "time": isinstance(value, str) and day_or_instant(value) is not None,
        "list": isinstance(value, str),
    }[column.type]
    if not fits:
        write = {"text": "'text'", "number": "a number", "flag": "true or false", "time": "'2011-12-09'"}.get(
            column.type, "'text'"
        )
        raise _refused(
            text, f"{ref.name!r} is compared with a value of another type.", ref.start, ref.end, f"Write {write}."
        )
    if value == "":
        raise _refused(text, "Empty text is missing.", ref.start, ref.end, f"Write: {ref.name} is null.")
    if column.name == "line_kind" and str(value).lower() not in LINE_KINDS:
        import difflib

        near = difflib.get_close_matches(str(value).lower(), LINE_KINDS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Kinds: " + ", ".join(LINE_KINDS) + "."
        raise _refused(text, f"No order line is of the kind {value!r}.", ref.start, ref.end, hint)
    _check_order(ref, column, op, text)


def _check_order(ref: Ref, column: Column, op: Operator, text: str) -> None:
    if op not in ("=", "!=") and column.type in ("text", "flag", "list"):
        raise _refused(
            text,
            f"{ref.name!r} has no order that is the same everywhere; {op} cannot be used.",
            ref.start,
            ref.end,
            "Use =, !=, in or like.",
        )


class _Reader:
    """Turns sqlglot's tree into our values, refusing every node we do not know."""

    def __init__(self, text: str) -> None:
        self.text = text

    def condition(self, node: exp.Expression) -> Condition:
        from sqlglot import exp

        readers: dict[type, Callable[[Any], Condition]] = {
            exp.And: lambda n: AllOf(self._flat(n, exp.And)),
            exp.Or: lambda n: AnyOf(self._flat(n, exp.Or)),
            exp.Paren: lambda n: self.condition(n.this),
            exp.Not: self._not,
            exp.EQ: lambda n: self._compare(n, "="),
            exp.NEQ: lambda n: self._compare(n, "!="),
            exp.LT: lambda n: self._compare(n, "<"),
            exp.LTE: lambda n: self._compare(n, "<="),
            exp.GT: lambda n: self._compare(n, ">"),
            exp.GTE: lambda n: self._compare(n, ">="),
            exp.In: self._in,
            exp.Between: self._between,
            exp.Is: self._is,
            exp.Like: self._like,
            exp.Column: lambda n: Compare(self._ref(n), "=", True),
        }
        self._check_parts(node)
        reader = readers.get(type(node))
        if reader is None:
            raise self.refused(node, f"{self._words(node)!r} cannot be used in a condition.")
        return reader(node)

    def _check_parts(self, node: Any) -> None:
        """Refuse a node that says more than we read: nothing that was written may be left out silently."""
        read = _PARTS | {"negate"} if type(node).__name__ == "Like" else _PARTS
        if any(value for part, value in node.args.items() if part not in read):
            raise self.refused(node, f"{self._words(node)!r} cannot be used in a condition.")

    def _flat(self, node: Any, kind: Any) -> tuple[Condition, ...]:
        """`a and b and c` as three items, without recursing once per item."""
        items: list[Condition] = []
        stack: list[Any] = [node]
        while stack:
            current = stack.pop()
            if isinstance(current, kind):
                stack += [current.expression, current.this]
            else:
                items.append(self.condition(current))
        return tuple(items)

    def _not(self, node: Any) -> Condition:
        inner = self.condition(node.this)
        if isinstance(inner, Among | Missing | Like) and not inner.negated:
            from sqlglot import exp

            if not isinstance(node.this, exp.Paren):
                return replace(inner, negated=True)
        return Not(inner)

    def _compare(self, node: Any, op: Operator) -> Condition:
        left, right = self._operand(node.this), self._operand(node.expression)
        if isinstance(left, Ref):
            return Compare(left, op, right)
        if isinstance(right, Ref):
            turned: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
            return Compare(right, turned.get(op, op), left)
        raise self.refused(node, "A comparison needs a column.")

    def _in(self, node: Any) -> Condition:
        if not node.expressions:
            raise self.refused(node, "`in` needs a list of values.", "Write: column in ('a', 'b').")
        return Among(self._ref(node.this), tuple(self._value(v) for v in node.expressions))

    def _between(self, node: Any) -> Condition:
        ref = self._ref(node.this)
        low, high = self._value(node.args["low"]), self._value(node.args["high"])
        return AllOf((Compare(ref, ">=", low), Compare(ref, "<=", high)))

    def _is(self, node: Any) -> Condition:
        from sqlglot import exp

        ref = self._ref(node.this)
        if isinstance(node.expression, exp.Null):
            return Missing(ref)
        raise self.refused(node, "Only `is null` and `is not null` can be used.", "Write = true or = false.")

    def _like(self, node: Any) -> Condition:
        ref, pattern = self._ref(node.this), self._value(node.expression)
        if not isinstance(pattern, str):
            raise self.refused(node, "`like` needs text.", "Write: product like '85%'.")
        begins, ends = pattern.endswith("%"), pattern.startswith("%")
        core = pattern.removeprefix("%").removesuffix("%") if pattern != "%" else ""
        if not (begins or ends) or not core or any(c in core for c in "%_\\"):
            raise self.refused(
                node, "`like` can have % at the beginning and the end only.", "Write '85%', '%85' or '%85%'."
            )
        place: Literal["start", "end", "anywhere"] = "anywhere" if begins and ends else "start" if begins else "end"
        # sqlglot before 30 wrote `not like` as Not(Like), which `_not` reads.
        return Like(ref, place, core, bool(node.args.get("negate")))

    def _operand(self, node: Any) -> Ref | Value:
        from sqlglot import exp

        return self._ref(node) if isinstance(node, exp.Column) else self._value(node)

    def _ref(self, node: Any) -> Ref:
        from sqlglot import exp

        self._check_parts(node)
        if not isinstance(node, exp.Column) or node.args.get("table") is not None:
            raise self.refused(node, f"{self._words(node)!r} is not a column.", "Write the column's name first.")
        start, end = self._span(node)
        return Ref(node.name, start=start, end=end)

    def _value(self, node: Any) -> Value:
        from sqlglot import exp

        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
            return -self._number(node.this)
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, exp.Literal):
            return str(node.this) if node.is_string else self._number(node)
        if isinstance(node, exp.Null):
            raise self.refused(node, "Nothing equals null.", "Write: column is null.")
        raise self.refused(
            node, f"{self._words(node)!r} is not a plain value.", "Write text in 'quotes', a number, true or false."
        )

    def _number(self, node: Any) -> Decimal:
        try:
            number = Decimal(node.this)
        except InvalidOperation as error:
            raise self.refused(node, f"{node.this!r} is not a number.") from error
        exponent = number.as_tuple().exponent
        if abs(number) >= 10**12 or not isinstance(exponent, int) or exponent < -12:
            raise self.refused(node, "A number can have 12 digits before and 12 after the point at most.")
        return number

    def _words(self, node: Any) -> str:
        start, end = self._span(node)
        return self.text[start:end]

    def _span(self, node: Any) -> tuple[int, int]:
        """Where a node stands: sqlglot marks names and literals, so the rest is what they enclose."""
        marks = [n._meta for n in node.walk() if n._meta and "start" in n._meta]
        if not marks:
            return 0, len(self.text)
        return min(m["start"] for m in marks), max(m["end"] for m in marks) + 1

    def refused(self, node: Any, message: str, hint: str = "") -> RefusedDefinition:
        return _refused(self.text, message, *self._span(node), hint)


def _check_depth(text: str) -> None:
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth > _DEEPEST:
            raise _refused(text, "The condition is nested too deeply.", position, position + 1)
    if text.lower().count("not") > 4 * _DEEPEST:
        raise _refused(text, "The condition is nested too deeply.", 0, len(text))


def _place_of_error(text: str, error: Exception) -> tuple[int, int]:
    for found in getattr(error, "errors", ()):
        context, word = found.get("start_context") or "", found.get("highlight") or ""
        at = text.find(context + word)
        if at >= 0:
            return at + len(context), at + len(context) + len(word)
    return 0, len(text)


def _refused(text: str, message: str, start: int, end: int, hint: str = "") -> RefusedDefinition:
    return RefusedDefinition(message, text=text, start=start, end=end, hint=hint, code="bad_condition")
