"""From text to a syntax tree, for conditions and rules: a small closed dialect of SQL, fenced before and after parsing.

The tokenizer knows ten keywords and no comments, the parser knows no functions, no casts and no statements, so what is
not ours is a syntax error. Before parsing, every letter and token that can have no place is refused; after it, the
reader takes each name and value it understands, and what nobody took is refused too: nothing that was written is left
out silently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kohort.definitions.sql_text import DEEPEST, Noun, Source, kinds, text_problem
from kohort.errors import RefusedDefinition

if TYPE_CHECKING:
    from sqlglot.tokens import Token

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
        self.source, self.word, self.kinds = source, source.noun.word, kinds()
        of = self.kinds.of
        self.opening = {of.L_PAREN: of.R_PAREN, of.L_BRACKET: of.R_BRACKET}

    def check(self) -> None:
        """Every token between its neighbours, and that parentheses close."""
        tokens, opened = self.source.tokens, []
        for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
            self._check_kind(token)
            self._check_sign(before, token, after)
            if token.token_type in self.opening:
                opened.append(token)
                if len(opened) > DEEPEST:
                    raise self._refused(token, f"The {self.word} is nested too deeply.", code="too_deep")
            elif token.token_type in self.opening.values():
                if not opened or self.opening[opened[-1].token_type] != token.token_type:
                    raise self._refused(token, f"Nothing was opened that this {token.text} could close.")
                self.source.closing[opened.pop().start] = token.start
        if opened:
            raise self._refused(opened[-1], f"This {opened[-1].text} is never closed.")

    def _check_kind(self, token: Token) -> None:
        kind = token.token_type
        if kind not in self.kinds.allowed or (kind == self.kinds.of.NOT and token.text == "!"):
            written = self.source.text[token.start : token.start + 2]
            sign = "#" if written == "/*" else written[:1]
            message, hint = _ODD.get(sign, ("{sign!r} cannot be used in a {noun}.", ""))
            raise self._refused(token, message.format(noun=self.word, sign=sign), hint, "not_allowed")

    def _check_sign(self, before: Token | None, token: Token, after: Token | None) -> None:
        """A minus belongs to a number, a star stands for all events, `not` in front of what is true or false."""
        of, kind = self.kinds.of, token.token_type
        left, right = before and before.token_type, after and after.token_type
        if kind == of.DASH and right == of.DASH and after is not None and after.start == token.end + 1:
            raise self._refused(token, f"Comments cannot be used in a {self.word}.", code="not_allowed")
        signs_number = left not in self.kinds.ending and right == of.NUMBER
        stands_for_all = left == of.L_PAREN and right in (of.COMMA, of.R_PAREN)
        if (kind == of.DASH and not signs_number) or (kind == of.STAR and not stands_for_all):
            raise self._refused(token, f"A {self.word} does not calculate.", _NO_ARITHMETIC, "not_allowed")
        if kind == of.L_BRACKET and left not in self.kinds.ending:
            raise self._refused(token, "A list stands in parentheses.", "Write: t_country in ('DE', 'AT').")
        if kind == of.NOT and left in self.kinds.comparing:
            raise self._refused(token, "`not` cannot stand here.", "Write: not (left = right).")
        if kind == of.NOT and right == of.NULL and left != of.IS:
            raise self._refused(token, "`not` cannot stand here.", "Write: is not null.")
        if kind == left == right == of.NOT:
            raise self._refused(token, f"The {self.word} is nested too deeply.", "Take `not not` away.", "too_deep")

    def _refused(self, token: Token, message: str, hint: str = "", code: str = "") -> RefusedDefinition:
        return self.source.refused((token.start, token.end + 1), message, hint, code)


def _syntax_error(source: Source, error: Any) -> RefusedDefinition:
    """The place is the word that sqlglot stumbled over and what follows it without a sign between."""
    found, ending = error.errors[0] if error.errors else {}, kinds().ending
    place = (0, len(source.text))
    for token in source.tokens:
        if (token.line, token.col) == (found.get("line"), found.get("col")):
            place = (token.start, token.end + 1)
        elif place[0] and token.start > place[0]:
            if token.token_type not in ending or token.text in (")", "]"):
                break
            place = (place[0], token.end + 1)
    last = source.tokens[-1]
    if place == (last.start, last.end + 1) and last.token_type not in ending:
        return source.refused(place, f"The {source.noun.word} ends too early.", "Something must follow.")
    closed = "Expecting )" in found.get("description", "")
    hint = "A closing ) or a comma is missing before it." if closed else "Between two conditions stands `and` or `or`."
    return source.refused(place, f"{source.cut(place)!r} was not expected here.", hint)
