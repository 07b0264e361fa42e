"""The rule language: SQL boolean expressions over customers, read into a closed tree of values, never run as text.

A rule has three spellings that say the same: text (`parse_rule`, `format_rule`), JSON (`rule_from_json`,
`rule_to_json`) and a sentence (`kohort.definitions.rules.sentences`). What the tree means letter by letter stands in
docs/rules.md. Everything here is light to import: the parser is loaded with the first text that is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.definitions.rules.vocabulary import Vocabulary, vocabulary_of
from kohort.definitions.rules.walk import (
    all_operands,
    events_and_columns,
    filters,
    leaves,
    names,
    operands,
    references,
    scores,
    steps,
    walk,
)

if TYPE_CHECKING:
    from kohort.definitions.rules.tree import Operand, Rule
    from kohort.errors import RefusedDefinition
    from kohort.model.event import ColumnType

__all__ = [
    "Vocabulary",
    "all_operands",
    "check_rule",
    "events_and_columns",
    "filters",
    "format_rule",
    "leaves",
    "names",
    "operand_type",
    "operands",
    "parse_rule",
    "references",
    "rule_from_json",
    "rule_to_json",
    "scores",
    "steps",
    "vocabulary_of",
    "walk",
]


def parse_rule(text: str) -> Rule:
    """Read a rule; what it names is checked by `check_rule`.

    Raises:
        RefusedDefinition: The first thing that is not in the language, with its place, a code and a hint.

    Example:
        >>> parse_rule("t_country = 'DE'")
        Compare(left=Named(name='t_country'), op='=', right='DE')
    """
    from kohort.definitions.rules.parse import parse

    return parse(text)


def check_rule(rule: Rule, vocabulary: Vocabulary, text: str = "") -> list[RefusedDefinition]:
    """Everything that is wrong with a rule that was read: unknown names, types that never compare, impossible counts.

    Args:
        text: What the rule was read from; the places of the mistakes point into it.

    Returns:
        The mistakes in the order of their places; empty = the rule can be saved.

    Example:
        >>> [str(mistake) for mistake in check_rule(parse_rule("did('page', at_least => 0)"), Vocabulary())]
        ['At least 0 times is always true. Write at_least => 1, or never(…).']
    """
    from kohort.definitions.rules.check import mistakes

    return mistakes(rule, vocabulary, text)


def operand_type(operand: Operand, vocabulary: Vocabulary) -> ColumnType | None:
    """Type of a value of the customer; first, last and mode have the type of their column (a time stays a time).

    Returns:
        None for a column `p_…` or `t_…` that was never declared: always missing, it compares with everything.

    Raises:
        RefusedDefinition: A name that is not known.
    """
    from kohort.definitions.rules.types import type_of

    return type_of(operand, vocabulary)


def format_rule(rule: Rule) -> str:
    """The canonical text: `parse_rule(format_rule(rule)) == rule`, and rules that are equal have equal texts.

    Example:
        >>> format_rule(parse_rule("NOT (T_x IS null) AND ((did('page', at_least=>1)))"))
        "not (T_x is null) and did('page')"
    """
    from kohort.definitions.rules.write import write

    return write(rule)


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """The rule as JSON for a rule builder; docs/rules.md lists every form.

    Example:
        >>> rule_to_json(parse_rule("not did('page', within => '30 days')"))
        {'not': {'did': {'events': ['page'], 'within': '30 days', 'at_least': 1}}}
    """
    from kohort.definitions.rules.json_write import to_json

    return to_json(rule)


def rule_from_json(data: object) -> Rule:
    """The exact inverse of `rule_to_json`, for data that nobody has checked.

    Raises:
        RefusedDefinition: The first thing that is not a rule; the message begins with its JSON pointer.
    """
    from kohort.definitions.rules.json_read import from_json

    return from_json(data)
