"""Rules in plain words: `say_rule` writes a sentence in English, Dutch, Danish or German, `read_sentence` reads it back.

The sentences are a controlled language: few forms, each with one meaning, so that what a marketer reads is what the rule
says, letter by letter. docs/rule-sentences.md shows every form.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from kohort.definitions.conditions import Ref
from kohort.definitions.rules import format_rule, parse_rule
from kohort.definitions.rules.sentences.grammar import grammar
from kohort.definitions.rules.sentences.languages import LANGUAGES
from kohort.definitions.rules.sentences.languages import language as words_of
from kohort.definitions.rules.sentences.syntax import Reader, Syntax
from kohort.definitions.rules.tree import Node, Place, Rule
from kohort.errors import LISTED, RefusedDefinition, WrongUsage

__all__ = ["LANGUAGES", "read_sentence", "say_rule"]

LONGEST = 100_000
"""Characters of a sentence; the longest rule that text can write has fewer."""
_NONE: Mapping[str, str] = {}


def say_rule(rule: Rule, language: str, *, labels: Mapping[str, str] = _NONE) -> str:
    """A rule in plain words.

    Args:
        rule: Any rule.
        language: en, nl, da or de.
        labels: Plain words for names of features, traits (`t_…`), columns, events and segments. Words of an event complete
            "has …": "viewed a page". Where words could be taken for something else, the name in quotes stands instead.

    Raises:
        WrongUsage: Another language.

    Example:
        >>> from kohort.definitions.rules.tree import Did, InSegment, AllOf
        >>> from kohort.definitions.features import Selection
        >>> say_rule(AllOf((Did(Selection(("page",)), times=3), InSegment("vip"))), "en")
        "has viewed a page at least 3 times, and is in the segment 'vip'"
    """
    for known in (labels, None):
        said = _grammar(language, known).say(rule)
        if said is None:
            raise WrongUsage("This is not a rule that can be said in words.", hint="Check it with check_rule.")
        sentence = said.removesuffix(",")
        # Unlucky labels could still form a phrase of the grammar. What does not read back is said with names in quotes.
        if _read(sentence, language, labels) == rule:
            return sentence
    raise AssertionError(f"no unambiguous sentence: {sentence}")


def read_sentence(text: str, language: str, *, labels: Mapping[str, str] = _NONE) -> Rule:
    """The rule that a sentence means: the exact inverse of `say_rule`.

    Letters may be large or small outside of quotes, and commas before "and" and "or" may be missing.

    Raises:
        RefusedDefinition: Not such a sentence; with the place and what was expected there.
        WrongUsage: Another language.

    Example:
        >>> read_sentence("has not viewed a page in the last 30 days", "en").times
        0
    """
    if len(text) > LONGEST:
        raise _refused(text, 0, len(text), f"A sentence can be {LONGEST:,} characters long at most.")
    rule = _read(text, language, labels)
    if isinstance(rule, RefusedDefinition):
        raise rule
    written = format_rule(rule)
    try:
        same = parse_rule(written) == rule
    except RefusedDefinition as error:
        raise _refused(text, 0, len(text), error.message, error.hint) from None
    if not same:
        raise _refused(text, 0, len(text), "No rule says this.", f"Nearest: {written}")
    return rule


def _read(text: str, language: str, labels: Mapping[str, str]) -> Rule | RefusedDefinition:
    reader = Reader(text, _placed)
    try:
        found = _grammar(language, labels).read(reader, 0)
    except RecursionError:
        return _refused(text, 0, len(text), "The sentence is nested too deeply.")
    if found is not None:
        rule: Rule = found[0]
        end = reader.skip(found[1])
        if text[end:].strip() in ("", "."):
            return rule
        reader.miss(end, "the end")
    return _expected(reader, language)


def _placed(value: Any, place: Place) -> Any:
    """A node that knows where it stands in the sentence, as the nodes inside that no words of their own stand for."""
    if isinstance(value, Ref):
        return replace(value, start=place[0], end=place[1]) if not value.end else value
    if not isinstance(value, Node) or value.place != (0, 0):
        return value
    parts = {f.name: getattr(value, f.name) for f in fields(value) if f.name != "place"}
    inner = {
        name: tuple(_placed(p, place) for p in part) if isinstance(part, tuple) else _placed(part, place)
        for name, part in parts.items()
    }
    return type(value)(**inner, place=place)


def _expected(reader: Reader, code: str) -> RefusedDefinition:
    """What stands at the furthest place that anything came to, and what could stand there."""
    text, start = reader.text, reader.furthest
    found = re.match(r"\w([\w.,]*\w)?|\S?", text[start:])
    assert found is not None
    joining = {words_of(code).templates[key].strip(", ") for key in ("and", "or")}
    known = sorted(words.strip("“”") for words in reader.expected)
    near = difflib.get_close_matches(found[0].lower(), [word.lower() for word in known], n=1)
    hint = f"Expected: {', '.join(sorted(reader.expected)[:LISTED])}."
    if near:
        hint = f"Did you mean “{near[0]}”?"
    elif found[0].lower() in joining and joining & set(known):
        hint = f"“{'” and “'.join(sorted(joining))}” do not mix: put one group in parentheses."
    message = f"“{found[0]}” was not expected here." if found[0] else "The sentence ends too early."
    return _refused(text, start, start + found.end(), message, hint)


def _refused(text: str, start: int, end: int, message: str, hint: str = "") -> RefusedDefinition:
    return RefusedDefinition(message, text=text, start=start, end=end, hint=hint, code="bad_sentence")


def _grammar(language: str, labels: Mapping[str, str] | None) -> Syntax:
    if language not in LANGUAGES:
        raise WrongUsage(f"There are no sentences in {language!r}.", hint=f"Languages: {', '.join(LANGUAGES)}.")
    return grammar(language, None if labels is None else tuple(sorted(labels.items())))
