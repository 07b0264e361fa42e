"""From the syntax tree of an event filter to the values of `conditions`."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from kohort.definitions import conditions
from kohort.definitions.conditions import Ref
from kohort.definitions.sql_boolean import BooleanReader
from kohort.definitions.sql_text import Source, unwrapped


class ConditionReader(BooleanReader):
    """Sides of a comparison are columns, or `exactly(column)`."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, conditions)

    def is_operand(self, node: Any) -> bool:
        return isinstance(node, exp.Column | exp.Dot | exp.Anonymous | exp.Bracket | exp.Neg) and not is_number(node)

    def call(self, node: Any) -> Any | None:
        return None

    def operand(self, node: Any) -> Ref:
        start, end = self.place(node)
        if isinstance(node, exp.Anonymous) and node.name.lower() == "exactly" and len(node.expressions) == 1:
            self.source.take(node)
            return Ref(self.column_of(unwrapped(node.expressions[0])), exact=True, start=start, end=end)
        return Ref(self.column_of(node), start=start, end=end)

    def column_of(self, node: Any) -> str:
        inner = node
        while isinstance(inner, exp.Dot):
            inner = inner.this
        if isinstance(inner, exp.Anonymous):
            message = f"{inner.name!r} cannot be used in a condition on events."
            hint = "Only exactly(column) can." if inner.name.lower() != "exactly" else "Write exactly(column)."
            raise self.source.refused(node, message, hint, "unknown_function")
        if not isinstance(inner, exp.Column):
            raise self.not_allowed(node)
        return self.column(node)


def is_number(node: Any) -> bool:
    """Whether a node is a negative number."""
    return isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal)
