"""The canonical text of conditions and rules: one way to write each, with as few parentheses as it needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kohort.definitions.sql_text import WORDS

if TYPE_CHECKING:
    from kohort.definitions.conditions import Value

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANY, _ALL, _NOT, _TEST = range(4)
"""How strongly each kind binds."""


def text_literal(text: str) -> str:
    """Text in quotes.

    Example:
        >>> text_literal("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def number_text(number: Decimal) -> str:
    """A number without an exponent and without zeros at its end: 12.50 → 12.5."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_text(value: Value) -> str:
    """A plain value as it is written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, Decimal) else text_literal(value)


def name_text(name: str) -> str:
    """A name, in double quotes where it is one of the words of the language."""
    return f'"{name}"' if name.lower() in WORDS or not _PLAIN.fullmatch(name) else name


class BooleanWriter:
    """Writes trees of the nodes of one module.

    Args:
        nodes: The module with AllOf, AnyOf, Not, Compare, Among, Missing and Like.
        operand: Text of a side of a comparison that is not a plain value.
        other: Text of any other node that is true or false by itself.
    """

    def __init__(
        self, nodes: ModuleType, operand: Callable[[Any], str], other: Callable[[Any], str] | None = None
    ) -> None:
        self.nodes, self.operand, self.other = nodes, operand, other

    def text(self, node: Any, least: int = _ANY) -> str:
        """The text, in parentheses where it binds less strongly than `least`."""
        strength, text = self._written(node)
        return f"({text})" if strength < least else text

    def _written(self, node: Any) -> tuple[int, str]:
        nodes = self.nodes
        match node:
            case nodes.AllOf(items):
                limits = self._limits(items)
                if limits:
                    return _TEST, f"{limits[0]} between {limits[1]}"
                return _ALL, " and ".join(self.text(item, _NOT) for item in items)
            case nodes.AnyOf(items):
                return _ANY, " or ".join(self.text(item, _ALL) for item in items)
            case nodes.Not(item):
                return self._not(item)
            case _:
                return _TEST, self._test(node)

    def _not(self, item: Any) -> tuple[int, str]:
        nodes = self.nodes
        limits = self._limits(item.items) if isinstance(item, nodes.AllOf) else None
        if limits:
            return _TEST, f"{limits[0]} not between {limits[1]}"
        # `not x in (…)` is another spelling of `x not in (…)`, which is not the same for a missing x.
        enclosed = isinstance(item, nodes.Not | nodes.Among | nodes.Missing | nodes.Like)
        return _NOT, f"not ({self.text(item)})" if enclosed else f"not {self.text(item, _TEST)}"

    def _limits(self, items: tuple[Any, ...]) -> tuple[str, str] | None:
        """Operand and limits of what `between` is read as."""
        nodes = self.nodes
        match items:
            case (nodes.Compare(left, ">=", low), nodes.Compare(again, "<=", high)) if (
                left == again and self._is_value(low) and self._is_value(high)
            ):
                return self.operand(left), f"{value_text(low)} and {value_text(high)}"
        return None

    def _is_value(self, side: Any) -> bool:
        return isinstance(side, str | Decimal | bool)

    def _test(self, node: Any) -> str:
        nodes = self.nodes
        match node:
            case nodes.Compare(left, "=", True):
                return self.operand(left)
            case nodes.Compare(left, op, right):
                other = value_text(right) if self._is_value(right) else self.operand(right)
                return f"{self.operand(left)} {op} {other}"
            case nodes.Among(of, values, negated):
                listed = ", ".join(value_text(v) for v in values)
                return f"{self.operand(of)} {'not ' if negated else ''}in ({listed})"
            case nodes.Missing(of, negated):
                return f"{self.operand(of)} is {'not ' if negated else ''}null"
            case nodes.Like(of, where, text, negated):
                pattern = {"start": f"{text}%", "end": f"%{text}", "anywhere": f"%{text}%"}[where]
                return f"{self.operand(of)} {'not ' if negated else ''}like {text_literal(pattern)}"
        assert self.other is not None
        return self.other(node)
