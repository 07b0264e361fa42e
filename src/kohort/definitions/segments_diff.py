"""What changed between two versions of a definition, in plain words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kohort.definitions.segments_text import read_definition
from kohort.errors import RefusedDefinition

if TYPE_CHECKING:
    from kohort.definitions.rules.tree import Rule
    from kohort.definitions.segments import Part, RuleText, SegmentDefinition

_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b|<=|>=|!=|<|>|=")
"""What may differ between two spellings of one condition: its values and the way they are compared."""

_SUBJECT = re.compile(r"(not )?\w+(\('(?:[^']|'')*')?")

_WHOLE = (
    ("label", "Label"),
    ("description", "Description"),
    ("purpose", "Purpose"),
    ("zone", "Time zone"),
    ("salt", "Salt"),
    ("quantifier", "Users who must meet the rule"),
)


def diff_text(old: str, new: str) -> str:
    """What a new text of a definition changes, one sentence per line; empty where it means the same.

    Args:
        old: Text of one definition, as `write_definition` writes it, perhaps followed by comments that say what it takes
            from elsewhere (`# orders: count of events`). One that can no longer be read is compared line by line.
        new: The same.

    Example:
        >>> print(diff_text("a: recency_days <= 60", "a: recency_days <= 90 and orders > 1"))
        Rule: recency_days <= 60 is now recency_days <= 90
        Rule: added orders > 1
    """
    try:
        before, after = read_definition(old), read_definition(new)
    except RefusedDefinition:
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "before", "after", lineterm="", n=1)
        return "\n".join(lines)
    return "\n".join([*diff(before, after), *_elsewhere(_used(old), _used(new))])


def diff(before: SegmentDefinition, after: SegmentDefinition) -> tuple[str, ...]:
    """The same for two definitions, as sentences."""
    return tuple(_all(before, after))


def _used(text: str) -> dict[str, str]:
    """What the comments below a definition say: name → meaning."""
    lines = (line.removeprefix("# ").partition(": ") for line in text.splitlines() if line.startswith("# "))
    return {name: meaning for name, _, meaning in lines}


def _elsewhere(a: dict[str, str], b: dict[str, str]) -> Iterator[str]:
    """Changes of what both versions take from elsewhere; what only one takes is told with its rule."""
    for name in (n for n in a if n in b):
        yield from _changed(name, a[name], b[name])


def _all(a: SegmentDefinition, b: SegmentDefinition) -> Iterator[str]:
    if a.name != b.name:
        yield f"Name: {a.name} is now {b.name}"
    if a.kind != b.kind:
        yield f"Kind: {_plain(a.kind)} is now {_plain(b.kind)}"
    for attribute, word in _WHOLE:
        yield from _changed(word, getattr(a, attribute), getattr(b, attribute))
    if a.paused != b.paused:
        yield "It is paused now: members stay as they are" if b.paused else "It is no longer paused"
    if a.include_anonymous != b.include_anonymous:
        yield "Visitors without an id may be in it now" if b.include_anonymous else "Visitors without an id are out now"
    if a.profiling != b.profiling:
        yield "It counts as profiling now" if b.profiling else "It counts as no profiling now"
    yield from _parts(a, b)


def _parts(a: SegmentDefinition, b: SegmentDefinition) -> Iterator[str]:
    if len(a.parts) == len(b.parts) == 1:
        yield from _part(a.parts[0], b.parts[0], "")
        return
    old, new = {p.key: p for p in a.parts}, {p.key: p for p in b.parts}
    for key in (k for k in old if k not in new):
        yield f"{key}: removed"
    for key, part in new.items():
        if key in old:
            yield from _part(old[key], part, key)
        else:
            yield f"{key}: added{_with(part)}"
    kept = [k for k in old if k in new], [k for k in new if k in old]
    if kept[0] != kept[1]:
        yield f"Order: {', '.join(kept[0])} is now {', '.join(kept[1])}"


def _part(a: Part, b: Part, key: str) -> Iterator[str]:
    def named(word: str) -> str:
        return f"{key}: {word}" if key else word[:1].upper() + word[1:]

    if key:
        yield from _changed(named("label"), a.label, b.label)
    yield from _rules(named("rule"), a.rule, b.rule)
    yield from _rules(named("who may stay"), a.keep, b.keep)
    yield from _changed(named("minimum stay"), a.minimum_stay, b.minimum_stay)
    yield from _changed(named("then"), ", ".join(a.then) or "any stage", ", ".join(b.then) or "any stage")
    yield from _changed(named("share"), a.share, b.share)


def _rules(word: str, a: RuleText | None, b: RuleText | None) -> Iterator[str]:
    if a is None or b is None:
        yield from _changed(word, a and a.text, b and b.text)
    elif a.rule != b.rule:
        yield from (f"{word}: {said}" for said in _conditions(a.rule, b.rule))
        if sorted(_leaves(a.rule)) == sorted(_leaves(b.rule)) or _skeleton(a.rule) != _skeleton(b.rule):
            yield from _combined(word, a, b)


def _combined(word: str, a: RuleText, b: RuleText) -> Iterator[str]:
    """The whole rule, where more than single conditions of one list changed."""
    if _connector(a.rule) != _connector(b.rule) or not (_flat(a.rule) and _flat(b.rule)):
        yield f"{word}: conditions are combined anew: {b.text}"


def _conditions(a: Rule, b: Rule) -> Iterator[str]:
    """Conditions that changed, went and came, each told once."""
    gone, come = _without(_leaves(a), _leaves(b)), _without(_leaves(b), _leaves(a))
    for alike in (_masked, _subject):
        for was in list(gone):
            now = next((c for c in come if alike(c) == alike(was)), None)
            if now is not None:
                gone.remove(was)
                come.remove(now)
                yield f"{was} is now {now}"
    yield from (f"removed {text}" for text in gone)
    yield from (f"added {text}" for text in come)


def _leaves(rule: Rule) -> list[str]:
    """Texts of the conditions of a rule, a negation with what it negates."""
    from kohort.definitions.rules import format_rule
    from kohort.definitions.rules.tree import AllOf, AnyOf, Not

    match rule:
        case AllOf(items) | AnyOf(items):
            return [text for item in items for text in _leaves(item)]
        case Not(AllOf() | AnyOf() as item):
            return _leaves(item)
        case _:
            return [format_rule(rule)]


def _skeleton(rule: Rule) -> Any:
    """How conditions are combined, without what they say."""
    from kohort.definitions.rules.tree import AllOf, AnyOf, Not

    match rule:
        case AllOf(items):
            return "and", *(_skeleton(i) for i in items)
        case AnyOf(items):
            return "or", *(_skeleton(i) for i in items)
        case Not(AllOf() | AnyOf() as item):
            return "not", _skeleton(item)
        case _:
            return ""


def _connector(rule: Rule) -> str:
    """and, or, or what a single condition fits with."""
    shape = _skeleton(rule)
    return shape[0] if isinstance(shape, tuple) else "and"


def _flat(rule: Rule) -> bool:
    """Whether it is one condition, or one list of conditions."""
    shape = _skeleton(rule)
    return not isinstance(shape, tuple) or (shape[0] != "not" and all(part == "" for part in shape[1:]))


def _without(these: list[str], those: list[str]) -> list[str]:
    """What remains of a list when each text of another is taken out once."""
    rest = list(those)
    kept = []
    for text in these:
        if text in rest:
            rest.remove(text)
        else:
            kept.append(text)
    return kept


def _masked(text: str) -> str:
    return _LITERAL.sub("?", text)


def _subject(text: str) -> str:
    """What a condition is about: a name, or a function with what it is first asked of."""
    found = _SUBJECT.match(text)
    return found[0] if found else text


def _changed(word: str, a: object, b: object) -> Iterable[str]:
    if a == b:
        return ()
    return (f"{word}: {_said(a)} is now {_said(b)}",)


def _said(value: object) -> str:
    return "none" if value in (None, "") else str(value)


def _plain(kind: str) -> str:
    return {"rule": "a rule", "by_hand": "a list by hand"}.get(kind, kind)


def _with(part: Part) -> str:
    if part.rule:
        return f" with {part.rule.text}"
    return f" with {part.share} percent" if part.share else ""
