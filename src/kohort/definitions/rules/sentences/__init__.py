"""Rules in plain words: `say_rule` writes a sentence in English, Dutch, Danish or German, `read_sentence` reads it back.

The sentences are a controlled language: few forms, each with one meaning, so that what a marketer reads is what the rule
says, letter by letter. docs/rule-sentences.md shows every form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from kohort.definitions.conditions import format_condition
from kohort.definitions.features import Where
from kohort.definitions.rules.sentences.grammar import grammar
from kohort.definitions.rules.sentences.languages import LANGUAGES
from kohort.definitions.rules.sentences.syntax import Reader, Syntax
from kohort.definitions.rules.tree import Rule
from kohort.errors import RefusedDefinition, WrongUsage

LONGEST = 100_000
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
        if _read(sentence, language, labels) in (rule, canonical(rule)):
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
    found = _read(text, language, labels)
    if isinstance(found, RefusedDefinition):
        raise found
    return found


def canonical(value: Any) -> Any:
    """A rule, or a part of it, whose event filters have their canonical text."""
    if isinstance(value, Where):
        return Where(format_condition(value.condition), value.condition)
    if isinstance(value, tuple):
        return tuple(canonical(v) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: canonical(getattr(value, f.name)) for f in fields(value)})
    return value


def _read(text: str, language: str, labels: Mapping[str, str]) -> Rule | RefusedDefinition:
    reader = Reader(text)
    if len(text) > LONGEST:
        return _refused(text, 0, len(text), f"A sentence can be {LONGEST:,} characters long at most.")
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
    return _expected(reader)


def _expected(reader: Reader) -> RefusedDefinition:
    text, start = reader.text, reader.furthest
    end = start
    while end < len(text) and not text[end].isspace():
        end += 1
    what = ", ".join(sorted(reader.expected)[:8])
    if start >= len(text):
        return _refused(text, len(text), len(text), "The sentence ends too early.", f"Expected: {what}.")
    return _refused(text, start, end, "Something else was expected here.", f"Expected: {what}.")


def _refused(text: str, start: int, end: int, message: str, hint: str = "") -> RefusedDefinition:
    return RefusedDefinition(message, text=text, start=start, end=end, hint=hint, code="bad_sentence")


def _grammar(language: str, labels: Mapping[str, str] | None) -> Syntax:
    if language not in LANGUAGES:
        raise WrongUsage(f"There are no sentences in {language!r}.", hint=f"Languages: {', '.join(LANGUAGES)}.")
    return grammar(language, None if labels is None else tuple(sorted(labels.items())))
