"""A text with its tokens and its syntax tree: places, plain values, and what of it was understood."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

from kohort.errors import RefusedDefinition

if TYPE_CHECKING:
    from sqlglot.tokens import Token

    from kohort.definitions.conditions import Value

Place = tuple[int, int]
DEEPEST = 25
"""Levels of parentheses; the parser below needs about 20 frames for each."""
WORDS = frozenset({"and", "or", "not", "in", "is", "null", "between", "like", "true", "false"})
"""The words of the language; a name that is one of them stands in double quotes."""
MOST_VALUES = 1_000
"""Values of one list."""
LONGEST_TEXT = 500
"""Letters of one text in quotes."""

_BAD_IN_QUOTES = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Kinds of tokens. sqlglot is imported on first use: it is slow to import and most commands read no rule."""

    of: Any  # sqlglot's enumeration
    allowed: frozenset[Any]
    carrying: frozenset[Any]  # a name or a value
    ending: frozenset[Any]  # a value can end with it
    comparing: frozenset[Any]


@cache
def kinds() -> Kinds:
    """The kinds of tokens that the language knows."""
    from sqlglot.tokens import TokenType as T

    carrying = frozenset({T.VAR, T.IDENTIFIER, T.STRING, T.NUMBER})
    ending = carrying | {T.R_PAREN, T.R_BRACKET, T.TRUE, T.FALSE, T.NULL}
    comparing = frozenset({T.EQ, T.NEQ, T.LT, T.LTE, T.GT, T.GTE, T.LIKE, T.BETWEEN, T.IN})
    words = {T.AND, T.OR, T.NOT, T.IS, T.FARROW, T.L_PAREN, T.L_BRACKET, T.COMMA, T.DOT, T.DASH, T.STAR}
    return Kinds(T, ending | comparing | words, carrying, ending, comparing)


@dataclass(frozen=True, slots=True)
class Noun:
    """What is read: how refusals call it, their usual code, and how long it can be."""

    word: str
    code: str
    longest: int


@dataclass(slots=True)
class Source:
    """A text with its tokens and the tree that sqlglot made of it."""

    text: str
    noun: Noun
    tokens: list[Token]
    tree: Any = None
    taken: set[int] = field(default_factory=set)
    closing: dict[int, int] = field(default_factory=dict)
    """Where a parenthesis opens → where its partner stands."""

    def refused(self, at: Any, message: str, hint: str = "", code: str = "") -> RefusedDefinition:
        """The error for a node or a place of this text."""
        start, end = at if isinstance(at, tuple) else self.span(at)
        return RefusedDefinition(message, text=self.text, start=start, end=end, hint=hint, code=code or self.noun.code)

    def take(self, node: Any) -> None:
        """Note that a name or a value was understood."""
        self.taken.add((node._meta or {}).get("start", -1))

    def check_all_taken(self) -> None:
        """Refuse the first word or value that nobody took."""
        known = kinds()
        for token in self.tokens:
            if token.token_type in known.carrying and token.start not in self.taken:
                place = (token.start, token.end + 1)
                raise self.refused(place, f"{self.cut(place)!r} cannot be used here.", code="not_allowed")

    def cut(self, at: Any) -> str:
        """The words of a node or a place, shortened."""
        start, end = at if isinstance(at, tuple) else self.span(at)
        return self.text[start:end] if end - start <= 60 else self.text[start : start + 59] + "…"

    def span(self, node: Any) -> Place:
        """Where a node stands: sqlglot marks names and values, so the rest is what they and their parentheses enclose."""
        marks = [(n._meta["start"], self._end(n)) for n in node.walk() if n._meta and "start" in n._meta]
        if not marks:
            return 0, len(self.text)
        return self.balanced((min(m[0] for m in marks), max(m[1] for m in marks)))

    def balanced(self, place: Place) -> Place:
        """The place with the partner of every parenthesis in it."""
        start, end = place
        for opens, closes in sorted(self.closing.items(), reverse=True):
            if start <= opens < end <= closes:
                end = closes + 1
            elif opens < start <= closes < end:
                start = opens
        return start, end

    def _end(self, node: Any) -> int:
        """Where a marked node ends: a call with its parenthesis, all else with its word."""
        end = int(node._meta["end"]) + 1
        if type(node).__name__ != "Anonymous":
            return end
        opens = next((t.start for t in self.tokens if t.start >= end), end)
        return self.closing.get(opens, end - 1) + 1

    def stretched(self, place: Place, words: frozenset[str]) -> Place:
        """The place with the words right behind it, as far as they are among `words`."""
        start, end = place
        for token in self.tokens:
            if token.start >= end:
                if token.text.lower() not in words or token.token_type in kinds().carrying:
                    break
                end = token.end + 1
        return start, end

    def begun(self, place: Place, word: str) -> Place:
        """The place with the word and the parentheses that stand right before it."""
        start, end = place
        for token in reversed(self.tokens):
            if token.start < start and (token.text == "(" or token.text.lower() == word):
                start = token.start
                if token.text != "(":
                    return start, end
            elif token.start < start:
                break
        return place

    def option_name(self, value: Any) -> Place:
        """Where the name of an option stands: sqlglot does not mark it, but its value."""
        start = self.span(value)[0]
        before = [t for t in self.tokens if t.start < start]
        arrow = max((i for i, t in enumerate(before) if t.text == "=>"), default=0)
        name = before[arrow - 1]
        return name.start, name.end + 1

    # Values ----------------------------------------------------------------------------------------------------------

    def value(self, node: Any) -> Value:
        """Text, a number or a flag as written."""
        from sqlglot import exp

        node = unwrapped(node)
        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
            return -self.number(node.this)
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, exp.Literal):
            return self.words(node) if node.is_string else self.number(node)
        if isinstance(node, exp.Null):
            raise self.refused(node, "Nothing equals null.", "Write: is null.")
        hint = "Write text in 'quotes', a number, true or false."
        raise self.refused(node, f"{self.cut(node)!r} is not a plain value.", hint)

    def words(self, node: Any) -> str:
        """The text of a literal."""
        self.take(node)
        text = str(node.this)
        if len(text) > LONGEST_TEXT:
            raise self.refused(node, f"A text can be {LONGEST_TEXT} letters long at most.", code="too_long")
        return text

    def number(self, node: Any) -> Decimal:
        """The number of a literal, exact."""
        self.take(node)
        number = plain_number(str(node.this))
        if number is None:
            message = "A number can have 12 digits before and 12 after the point at most."
            raise self.refused(node, message, code="bad_value")
        return number

    def values(self, node: Any, nodes: list[Any]) -> tuple[Value, ...]:
        """A list of values."""
        if len(nodes) > MOST_VALUES:
            raise self.refused(node, f"A list can hold {MOST_VALUES:,} values at most.", code="too_many")
        return tuple(self.value(n) for n in nodes)


def plain_number(text: str) -> Decimal | None:
    """A number that is finite and not beyond the limits; None for any other."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    exponent = number.as_tuple().exponent
    within = isinstance(exponent, int) and -12 <= exponent <= 12 and abs(number) < 10**12
    return number if within else None


def unwrapped(node: Any) -> Any:
    """The node inside any parentheses."""
    from sqlglot import exp

    while isinstance(node, exp.Paren):
        node = node.this
    return node


def text_problem(text: str) -> str | None:
    """What is wrong with a text in quotes: letters nobody can see or store; None where nothing is."""
    found = _BAD_IN_QUOTES.search(text)
    return None if found is None else f"The letter U+{ord(found[0]):04X} cannot be used in a text."
