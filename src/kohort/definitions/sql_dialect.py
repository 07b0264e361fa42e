"""The dialect of conditions and rules: ten words, no comments, no statements, no functions, so all calls read alike.

The one module that imports sqlglot when it is imported; the others wait for the first text.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import parser, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import TokenType as T


class Kohort(Dialect):  # type: ignore[misc]
    class Tokenizer(tokens.Tokenizer):  # type: ignore[misc]
        KEYWORDS: ClassVar[dict[str, T]] = {
            "AND": T.AND,
            "OR": T.OR,
            "NOT": T.NOT,
            "IN": T.IN,
            "IS": T.IS,
            "NULL": T.NULL,
            "BETWEEN": T.BETWEEN,
            "LIKE": T.LIKE,
            "TRUE": T.TRUE,
            "FALSE": T.FALSE,
            "=>": T.FARROW,
            "<=": T.LTE,
            ">=": T.GTE,
            "<>": T.NEQ,
            "!=": T.NEQ,
            "==": T.EQ,
        }
        COMMENTS: ClassVar[list[Any]] = []
        COMMANDS: ClassVar[set[Any]] = set()

    class Parser(parser.Parser):  # type: ignore[misc]
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {}
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {}
        STATEMENT_PARSERS: ClassVar[dict[Any, Any]] = {}

        def _parse_statement(self) -> Any:
            return self._parse_disjunction()
