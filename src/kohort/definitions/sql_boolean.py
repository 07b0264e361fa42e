"""What conditions on an event and rules on a customer share: and, or, not, comparisons, in, between, is null, like.

Both have nodes of these names and orders of parts; what stands on the sides of a comparison differs.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kohort.definitions.sql_text import WORDS, Place, Source, unwrapped
from kohort.errors import RefusedDefinition
from kohort.model.source import stored_name

if TYPE_CHECKING:
    from kohort.definitions.conditions import Operator

OPERATORS: dict[str, Operator] = {"EQ": "=", "NEQ": "!=", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
TURNED: dict[Operator, Operator] = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_OPERATOR_AND_FLAG = frozenset({"=", "==", "!=", "<>", "<", "<=", ">", ">=", "true", "false"})
_TESTS = frozenset({"And", "Or", "Not", "In", "Between", "Is", "Like", *OPERATORS})


class BooleanReader(ABC):
    """Turns a syntax tree into values of `nodes`, refusing every kind of node it does not know.

    Args:
        source: Text, tokens and tree.
        nodes: The module with AllOf, AnyOf, Not, Compare, Among, Missing and Like.
    """

    MOST = 300
    """Conditions of one text: what is built from them nests, and engines give up somewhere above a thousand."""

    def __init__(self, source: Source, nodes: ModuleType) -> None:
        self.source, self.nodes, self.count = source, nodes, 0

    @abstractmethod
    def is_operand(self, node: Any) -> bool:
        """Whether a node is a side of a comparison that is not a plain value."""

    @abstractmethod
    def operand(self, node: Any) -> Any:
        """A side of a comparison that is not a plain value."""

    @abstractmethod
    def call(self, node: Any) -> Any | None:
        """A node that is true or false by itself; None where it is no such node."""

    def build(self, kind: Any, place: Place, *parts: Any) -> Any:
        """A node from its parts."""
        return kind(*parts)

    def place(self, node: Any) -> Place:
        """Where a node stands, with the words that sqlglot does not mark."""
        place = self.source.span(node)
        kind = type(node).__name__
        if kind == "Is":
            return self.source.stretched(place, frozenset({"is", "not", "null"}))
        if kind in OPERATORS and type(node.expression).__name__ == "Boolean":
            return self.source.stretched(place, _OPERATOR_AND_FLAG)
        if kind == "Not":
            inner = self.place(node.this)
            if type(node.this).__name__ in ("In", "Is", "Like", "Between"):
                return inner
            return self.source.balanced(self.source.begun(inner, "not"))
        return place

    def around(self, node: Any, items: tuple[Any, ...]) -> Place:
        """Where items stand together."""
        return self.source.span(node)

    def read(self, node: Any) -> Any:
        """The node as a value."""
        kind = type(node).__name__
        match kind:
            case "Paren":
                return self.read(node.this)
            case "And" | "Or":
                items = self._flat(node, type(node))
                kind = self.nodes.AllOf if kind == "And" else self.nodes.AnyOf
                return self.build(kind, self.around(node, items), items)
            case "Not":
                return self._not(node)
        self.count += 1
        if self.count > self.MOST:
            message = f"A {self.source.noun.word} can have {self.MOST} conditions at most."
            raise self.source.refused(node, message, code="too_many")
        return self._test(node, kind)

    def _test(self, node: Any, kind: str) -> Any:  # noqa: PLR0911 - one per kind
        match kind:
            case "In":
                return self._in(node)
            case "Between":
                return self._between(node)
            case "Is":
                return self._is(node)
            case "Like":
                return self._like(node)
        if kind in OPERATORS:
            return self._compare(node, OPERATORS[kind])
        called = self.call(node)
        if called is not None:
            return called
        if self.is_operand(node):
            return self.build(self.nodes.Compare, self.place(node), self.operand(node), "=", True)
        if kind in ("Literal", "Boolean", "Null", "Neg"):
            hint = "Write the whole comparison, or use in: t_country in ('DE', 'AT')."
            raise self.source.refused(node, f"{self.source.cut(node)!r} is compared with nothing.", hint, "not_allowed")
        raise self.not_allowed(node)

    def column(self, node: Any) -> str:
        """The name that a node stands for; `t_address.city` is the stored column `t_address_city`.

        The node is a Column, whose parts sqlglot calls catalog, db, table and this, or Dots around one.
        """
        from sqlglot import exp

        parts: list[Any] = []
        while isinstance(node, exp.Dot):
            parts.append(node.expression)
            node = node.this
        parts += [node.args.get(part) for part in ("this", "table", "db", "catalog")]
        parts = [part for part in reversed(parts) if part is not None]
        if not all(isinstance(part, exp.Identifier) for part in parts):
            raise self.not_allowed(node)
        return self.joined(parts)

    def joined(self, parts: list[Any]) -> str:
        """The stored name of identifiers joined by dots."""
        for part in parts:
            self.source.take(part)
            if part is parts[0] and part.name.lower() in WORDS and not part.args.get("quoted"):
                raise self.source.refused(part, f"{part.name!r} was not expected here.")
            if not _NAME.fullmatch(part.name):
                hint = "Text stands in single quotes: 'text'." if part.args.get("quoted") else ""
                raise self.source.refused(part, f"{self.source.cut(part)!r} is not a name.", hint, "bad_name")
        first, *rest = (part.name for part in parts)
        if not rest:
            return str(first)
        if not first.startswith(("p_", "t_")):
            message = f"{first!r} has no parts."
            raise self.source.refused(parts[0], message, "Only p_… and t_… columns have parts.", "bad_name")
        return str(first[:2] + stored_name(".".join([first[2:], *rest])))

    def not_allowed(self, node: Any) -> Exception:
        message = f"{self.source.cut(node)!r} cannot be used in a {self.source.noun.word}."
        return self.source.refused(node, message, code="not_allowed")

    def _flat(self, node: Any, kind: Any) -> tuple[Any, ...]:
        """`a and b and c` as three items, without recursing once per item; what is wrong with each is told together."""
        items: list[Any] = []
        wrong: list[RefusedDefinition] = []
        stack: list[Any] = [node]
        while stack:
            current = stack.pop()
            if isinstance(current, kind):
                stack += [current.expression, current.this]
                continue
            try:
                items.append(self.read(current))
            except RefusedDefinition as error:
                wrong += [error, *error.others]
                error.others = ()
                if error.code == "too_many":
                    break
        if wrong:
            first, *others = wrong
            first.others = tuple(others)
            raise first
        return tuple(items)

    def _not(self, node: Any) -> Any:
        inner, nodes = self.read(node.this), self.nodes
        if type(node.this).__name__ in ("In", "Is", "Like"):
            match inner:
                case nodes.Among(of, values, False):
                    return self.build(nodes.Among, self.place(node), of, values, True)
                case nodes.Missing(of, False):
                    return self.build(nodes.Missing, self.place(node), of, True)
                case nodes.Like(of, where, text, False):
                    return self.build(nodes.Like, self.place(node), of, where, text, True)
        return self.build(nodes.Not, self.place(node), inner)

    def _compare(self, node: Any, op: Operator) -> Any:
        left, right = unwrapped(node.this), unwrapped(node.expression)
        for side in (left, right):
            if type(side).__name__ in _TESTS:
                hint = "Compare values; join what is true or false with and, or, not."
                raise self.source.refused(side, f"{self.source.cut(side)!r} is no value.", hint, "not_allowed")
        if not self.is_operand(left):
            if not self.is_operand(right):
                raise self.source.refused(node, *self.needs_operand())
            left, right, op = right, left, TURNED[op]
        of = self.operand(left)
        other = self.operand(right) if self.is_operand(right) else self.source.value(right)
        return self.build(self.nodes.Compare, self.place(node), of, op, other)

    def needs_operand(self) -> tuple[str, str]:
        """Sentence and hint for a comparison of two plain values."""
        return "A comparison needs a column.", "Write text in single quotes, names without."

    def _subject(self, node: Any) -> Any:
        inner = unwrapped(node.this)
        if not self.is_operand(inner):
            message = f"{self.source.cut(inner)!r} is not a column."
            raise self.source.refused(inner, message, "Write the column's name first.")
        return self.operand(inner)

    def _in(self, node: Any) -> Any:
        of = self._subject(node)
        if not node.expressions:
            place = self.source.stretched(self.source.span(node), frozenset({"not", "in", "(", ")"}))
            raise self.source.refused(place, "`in` needs a list of values.", "Write: column in ('a', 'b').")
        values = self.source.values(node, node.expressions)
        return self.build(self.nodes.Among, self.place(node), of, values, False)

    def _between(self, node: Any) -> Any:
        of, place = self._subject(node), self.place(node)
        low, high = self.source.value(node.args["low"]), self.source.value(node.args["high"])
        sides = tuple(self.build(self.nodes.Compare, place, of, op, v) for op, v in ((">=", low), ("<=", high)))
        return self.build(self.nodes.AllOf, place, sides)

    def _is(self, node: Any) -> Any:
        of = self._subject(node)
        if type(node.expression).__name__ == "Null":
            return self.build(self.nodes.Missing, self.place(node), of, False)
        hint = "Write = true or = false."
        raise self.source.refused(node, "Only `is null` and `is not null` can be used.", hint)

    def _like(self, node: Any) -> Any:
        of, pattern = self._subject(node), self.source.value(node.expression)
        if not isinstance(pattern, str):
            raise self.source.refused(node, "`like` needs text.", "Write: product like '85%'.")
        begins, ends = pattern.endswith("%"), pattern.startswith("%")
        core = pattern.removeprefix("%").removesuffix("%") if pattern != "%" else ""
        if not (begins or ends) or not core or any(c in core for c in "%_\\"):
            message = "`like` can have % at the beginning and the end only."
            raise self.source.refused(node, message, "Write '85%', '%85' or '%85%'.")
        where = "anywhere" if begins and ends else "start" if begins else "end"
        # sqlglot before 30 wrote `not like` as Not(Like), which `_not` reads.
        negated = bool(node.args.get("negate"))
        return self.build(self.nodes.Like, self.place(node), of, where, core, negated)
