"""From text to a syntax tree, for conditions and rules: a small closed dialect of SQL, fenced before and after parsing.

The tokenizer knows ten keywords and no comments, the parser knows no functions, no casts and no statements, so what is
not ours is a syntax error. Before parsing, every letter and token that can have no place is refused; after it, the
reader takes each name and value it understands, and what nobody took is refused too: nothing that was written is left
out silently.
"""

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
MOST_VALUES = 1_000
"""Values of one list."""
LONGEST_TEXT = 500
"""Letters of one text in quotes."""

_BAD_IN_QUOTES = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_IN_QUOTES = re.compile("'(?:[^']|'')*'|\"[^\"]*\"")
_BAD_OUTSIDE = re.compile(r"[^\t\n\r -~]")
_LOOKALIKES = {
    **dict.fromkeys("‘’‚‛“”„‟′″´", "Write text in straight 'quotes'."),
    "≥": "Write >=.",
    "≤": "Write <=.",
    "≠": "Write !=.",
    **dict.fromkeys("−–—", "Write a plain -."),
    "\u00a0": "Write a plain space.",
}
_NO_ARITHMETIC = "Define a feature for it, for example {ratio: [revenue, orders]}."
_ODD = {
    ";": ("Write one {noun}, without a semicolon.", ""),
    **dict.fromkeys("+-*/%^", ("A {noun} does not calculate.", _NO_ARITHMETIC)),
    ":": ("Types are not converted.", "Compare with a value of the same type."),
    "#": ("Comments cannot be used in a {noun}.", ""),
    "!": ("Write `not` as a word.", ""),
    "`": ("Write text in straight 'quotes'.", ""),
}


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
        names = _names()
        for token in self.tokens:
            if token.token_type in names.carrying and token.start not in self.taken:
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
                if token.text.lower() not in words or token.token_type in _names().carrying:
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


def read_sql(text: str, noun: Noun) -> Source:
    """Tokens and syntax tree of a text.

    Raises:
        RefusedDefinition: Too long, too deep, a letter or sign without a place, or a syntax error; with its place.
    """
    from sqlglot.errors import ParseError

    from kohort.definitions.sql_dialect import Kohort

    dialect, source = Kohort(), Source(text, noun, [])
    if len(text) > noun.longest:
        message = f"A {noun.word} can be {noun.longest:,} characters long at most."
        raise source.refused((0, len(text)), message, code="too_long")
    source.tokens = _tokens(source, dialect)
    _Fence(source).check()
    try:
        trees = dialect.parser().parse(source.tokens, text)
    except ParseError as error:
        raise _syntax_error(source, error) from None
    except RecursionError:
        raise source.refused((0, len(text)), f"The {noun.word} is nested too deeply.", code="too_deep") from None
    if len(trees) != 1 or trees[0] is None:
        raise source.refused((0, len(text)), f"This is not a {noun.word} we can read.")
    source.tree = trees[0]
    return source


def _tokens(source: Source, dialect: Any) -> list[Token]:
    from sqlglot.errors import TokenError

    text = source.text
    for found in _IN_QUOTES.finditer(text):
        problem = text_problem(found[0]) if found[0][0] == "'" else None
        if problem:
            raise source.refused(found.span(), problem, code="bad_character")
    odd = _BAD_OUTSIDE.search(_IN_QUOTES.sub(lambda m: " " * len(m[0]) if m[0][0] == "'" else m[0], text))
    if odd is not None:
        hint = _LOOKALIKES.get(odd[0], "")
        message = f"The letter U+{ord(odd[0]):04X} cannot be used outside of a text in quotes."
        raise source.refused(odd.span(), message, hint, "bad_character")
    try:
        tokens: list[Token] = dialect.tokenize(text)
    except TokenError:
        mark = max(text.rfind("'"), text.rfind('"'))
        raise source.refused((mark, len(text)), "A quote is not closed.", "End text with '.") from None
    if not tokens:
        raise source.refused((0, len(text)), f"The {source.noun.word} is empty.", code="empty")
    return tokens


class _Fence:
    """Looks at the tokens alone and refuses what can have no place in any condition or rule."""

    def __init__(self, source: Source) -> None:
        self.source, self.names = source, _names()

    def check(self) -> None:
        opened: list[Token] = []
        for before, token, after in self._threes():
            self._check_type(token)
            self._check_sign(before, token, after)
            if token.text in "([" and token.token_type not in self.names.carrying:
                opened.append(token)
                if len(opened) > DEEPEST:
                    raise self._refused(token, f"The {self.source.noun.word} is nested too deeply.", code="too_deep")
            elif token.text in ")]" and token.token_type not in self.names.carrying:
                if not opened or (opened[-1].text == "(") != (token.text == ")"):
                    raise self._refused(token, f"Nothing was opened that this {token.text} could close.")
                self.source.closing[opened.pop().start] = token.start
        if opened:
            raise self._refused(opened[-1], f"This {opened[-1].text} is never closed.")

    def _threes(self) -> Any:
        tokens = self.source.tokens
        return zip([None, *tokens], tokens, [*tokens[1:], None], strict=False)

    def _check_type(self, token: Token) -> None:
        if token.token_type not in self.names.allowed or token.text == "!":
            start = self.source.text[token.start : token.end + 1][:1]
            if self.source.text[token.start : token.start + 2] == "/*":
                start = "#"
            message, hint = _ODD.get(start, ("{sign!r} cannot be used in a {noun}.", ""))
            text = message.format(noun=self.source.noun.word, sign=start)
            raise self._refused(token, text, hint, "not_allowed")

    def _check_sign(self, before: Token | None, token: Token, after: Token | None) -> None:
        """A minus belongs to a number, a star stands for all events, `not` in front of what is true or false."""
        names, kind = self.names, token.token_type
        noun = self.source.noun.word
        if kind == names.dash:
            if after is not None and after.token_type == names.dash and after.start == token.end + 1:
                raise self._refused(token, f"Comments cannot be used in a {noun}.", code="not_allowed")
            follows_value = before is not None and before.token_type in names.ending
            if follows_value or after is None or after.token_type != names.number:
                raise self._refused(token, f"A {noun} does not calculate.", _NO_ARITHMETIC, "not_allowed")
        elif kind == names.star:
            alone = before is not None and before.text == "(" and after is not None and after.text in ",)"
            if not alone:
                raise self._refused(token, f"A {noun} does not calculate.", _NO_ARITHMETIC, "not_allowed")
        elif kind == names.negation:
            if before is not None and before.token_type in names.comparing:
                raise self._refused(token, "`not` cannot stand here.", "Write: not (left = right).")
            if after is not None and after.text.lower() == "null" and (before is None or before.text.lower() != "is"):
                raise self._refused(token, "`not` cannot stand here.", "Write: is not null.")
            if before is not None and before.token_type == kind and after is not None and after.token_type == kind:
                raise self._refused(token, f"The {noun} is nested too deeply.", "Take `not not` away.", "too_deep")

    def _refused(self, token: Token, message: str, hint: str = "", code: str = "") -> RefusedDefinition:
        return self.source.refused((token.start, token.end + 1), message, hint, code)


def _syntax_error(source: Source, error: Any) -> RefusedDefinition:
    found = error.errors[0] if error.errors else {}
    place, names = (0, len(source.text)), _names()
    for token in source.tokens:
        if (token.line, token.col) == (found.get("line"), found.get("col")):
            place = (token.start, token.end + 1)
        elif place[0] and token.start > place[0] and token.token_type in names.ending and token.text not in ")]":
            place = (place[0], token.end + 1)
        elif place[0] and token.start > place[0]:
            break
    hint = "A closing ) or a comma is missing before it." if "Expecting )" in found.get("description", "") else ""
    last = source.tokens[-1]
    if place == (last.start, last.end + 1) and last.token_type not in names.ending:
        return source.refused(place, f"The {source.noun.word} ends too early.", "Something must follow.")
    hint = hint or "Between two conditions stands `and` or `or`."
    return source.refused(place, f"{source.cut(place)!r} was not expected here.", hint)


@dataclass(frozen=True, slots=True)
class _Names:
    """Kinds of tokens by what the fence asks of them."""

    allowed: frozenset[Any]
    carrying: frozenset[Any]  # a name or a value
    ending: frozenset[Any]  # a value can end with it
    comparing: frozenset[Any]
    dash: Any
    star: Any
    negation: Any
    number: Any


@cache
def _names() -> _Names:
    from sqlglot.tokens import TokenType as T

    carrying = frozenset({T.VAR, T.IDENTIFIER, T.STRING, T.NUMBER})
    ending = carrying | {T.R_PAREN, T.R_BRACKET, T.TRUE, T.FALSE, T.NULL}
    comparing = frozenset({T.EQ, T.NEQ, T.LT, T.LTE, T.GT, T.GTE, T.LIKE, T.BETWEEN, T.IN})
    words = {T.AND, T.OR, T.NOT, T.IS, T.FARROW, T.L_PAREN, T.L_BRACKET, T.COMMA, T.DOT, T.DASH, T.STAR}
    return _Names(ending | comparing | words, carrying, ending, comparing, T.DASH, T.STAR, T.NOT, T.NUMBER)
