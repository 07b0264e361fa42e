"""The text form of segment definitions, read with every mistake noted, and written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kohort.definitions.segments import Part, SegmentDefinition, SegmentSettings
from kohort.definitions.segments_reading import Reader, Source, folded
from kohort.definitions.yaml_text import Document, Path, read_yaml, write_yaml

if TYPE_CHECKING:
    from kohort.definitions.rules import Vocabulary
    from kohort.definitions.rules.tree import Rule


def read_segments(
    document: Document,
    data: Any,
    path: Path,
    vocabulary: Vocabulary | None = None,
    *,
    settings: SegmentSettings | None = None,
) -> tuple[SegmentDefinition, ...]:
    """Definitions from the value at `path`; mistakes go to the document. See `read_sources`."""
    return read_sources([Source(document, data, path)], vocabulary, settings=settings)[0]


def read_sources(
    sources: Sequence[Source],
    vocabulary: Vocabulary | None = None,
    *,
    settings: SegmentSettings | None = None,
) -> list[tuple[SegmentDefinition, ...]]:
    """Definitions of several documents that make one set: names are unique over all of them.

    Args:
        vocabulary: What rules may name; its `segments` are those beside the definitions read here (adopted ones).
            None = rules are read, but what they name is not looked up.
        settings: What purposes and accounts are there; None = not looked up.

    Returns:
        The definitions of each source; what is wrong is left out and noted in its document.
    """
    readers = [Reader(source, settings) for source in sources]
    for reader in readers:
        reader.read()
    _names_once(readers, vocabulary.segments if vocabulary else ())
    if vocabulary is not None:
        _check_rules(readers, vocabulary)
    _check_references(readers)
    return [tuple(reader.definitions.values()) for reader in readers]


def read_definition(text: str, *, name: str = "definition") -> SegmentDefinition:
    """One definition from its own text (`write_definition`).

    Raises:
        RefusedDefinition: It is none.
    """
    document = read_yaml(text, name)
    if not isinstance(document.data, dict) or len(document.data) != 1:
        document.mistake((), "A definition is written as name: {…}.")
        document.finish()
    found = read_segments(document, document.data, ())
    document.finish()
    return found[0]


def write_definition(definition: SegmentDefinition) -> str:
    """The text of one definition on its own; `read_definition` reads it back to an equal value.

    Example:
        >>> write_definition(read_definition("friends: {by_hand: true, label: 'Friends'}"))
        'friends:\\n  by_hand: true\\n  label: Friends\\n'
    """
    return write_yaml(write_segments((definition,)))


def write_segments(definitions: Iterable[SegmentDefinition]) -> dict[str, Any]:
    """The inverse of `read_segments`: name → rule or mapping, only what is not implied."""
    return {d.name: _short(_write(d)) for d in definitions}


def title(name: str, label: str = "") -> str:
    """What people read for a name: its label, or the name as a phrase.

    Example:
        >>> title("big_spenders"), title("x", "Big customers")
        ('Big spenders', 'Big customers')
    """
    words = label or " ".join(name.replace("_", " ").split())
    return words[:1].upper() + words[1:]


# Writing --------------------------------------------------------------------------------------------------------------


def _write(d: SegmentDefinition) -> dict[str, Any]:
    match d.kind:
        case "rule":
            body = _write_part(d.parts[0])
        case "tiers" | "stages":
            body = {d.kind: {p.key: _short(_write_part(p) | _label(p.label)) for p in d.parts}}
        case "buckets":
            body = {"buckets": {p.key: _write_bucket(p) for p in d.parts}}
        case "by_hand":
            body = {"by_hand": True}
        case "accounts":
            body = {"accounts": {d.quantifier: d.parts[0].rule.text if d.parts[0].rule else ""}}
    words = {
        "description": d.description,
        "purpose": d.purpose,
        "timezone": d.zone,
        "salt": d.salt,
        "paused": d.paused,
        "include_anonymous": d.include_anonymous,
    }
    unprofiled = {} if d.profiling else {"profiling": False}
    return body | _label(d.label) | {k: v for k, v in words.items() if v} | unprofiled


def _write_part(part: Part) -> dict[str, Any]:
    written: dict[str, Any] = {"rule": part.rule.text if part.rule else ""}
    if part.keep:
        written["keep"] = part.keep.text
    if part.minimum_stay:
        written["minimum_stay"] = str(part.minimum_stay)
    if part.then:
        written["then"] = list(part.then)
    return written


def _write_bucket(part: Part) -> Any:
    share = part.share or Decimal(0)
    number = int(share) if share == share.to_integral_value() else float(share)
    return {"share": number} | _label(part.label) if part.label else number


def _label(label: str) -> dict[str, str]:
    return {"label": label} if label else {}


def _short(written: dict[str, Any]) -> Any:
    """The rule alone where nothing else is said."""
    return written["rule"] if written.keys() == {"rule"} else written


# What concerns several definitions ------------------------------------------------------------------------------------


def _names_once(readers: Sequence[Reader], adopted: Iterable[str]) -> None:
    taken = {folded(name): name for name in adopted}
    seen: dict[str, tuple[str, Reader]] = {}
    for reader in readers:
        for name in reader.data if isinstance(reader.data, dict) else ():
            path = (*reader.path, name)
            if folded(name) in taken:
                reader.mistake(path, f"{taken[folded(name)]!r} is an adopted segmentation.", "Choose another name.")
            if (other := seen.get(folded(name))) is None:
                seen[folded(name)] = name, reader
            elif other[0] != name:
                reader.mistake(path, f"{name!r} and {other[0]!r} differ by large and small letters only.")
            else:
                reader.mistake(path, f"{name!r} is defined in {other[1].document.name} too.", "A name is used once.")


def _check_rules(readers: Sequence[Reader], vocabulary: Vocabulary) -> None:
    from kohort.definitions.rules import check_rule

    written = {name: parts for reader in readers for name, parts in reader.targets().items()}
    known = replace(vocabulary, segments={**vocabulary.segments, **written})
    for reader in readers:
        for rule in reader.rules:
            for error in check_rule(rule.rule, known, rule.text):
                reader.document.refused(rule.path, error)


def _check_references(readers: Sequence[Reader]) -> None:
    """Note circles, each once, and references to segments whose members are not customers."""
    accounts = {d.name for reader in readers for d in reader.definitions.values() if d.kind == "accounts"}
    needs: dict[str, set[str]] = {}
    for reader in readers:
        for rule in reader.rules:
            targets = {name for name, _ in _references(rule.rule)}
            needs.setdefault(rule.name, set()).update(targets)
            for name in sorted(targets & accounts):
                reader.mistake(rule.path, f"The members of {name!r} are accounts, not customers.")
    for circle in circles(needs):
        said = " → ".join([*circle, circle[0]])
        first, second = circle[0], circle[1 % len(circle)]
        reader, rule = next((rd, r) for rd in readers for r in rd.rules if r.name == first and second in _names(r.rule))
        reader.mistake(
            rule.path,
            f"The definition needs itself: {said}.",
            "Take one of the references out.",
            code="cyclic_reference",
        )


def circles(needs: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Circles of needs, each once, beginning with the name that comes first in the alphabet.

    Example:
        >>> circles({"a": ["b"], "b": ["a", "c"], "c": []}), circles({"x": ["x"]})
        ([('a', 'b')], [('x',)])
    """
    found: dict[frozenset[str], tuple[str, ...]] = {}
    done: set[str] = set()
    for start in sorted(needs):
        trail: list[str] = []
        waiting = [iter([start])]
        while waiting:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
                if trail:
                    done.add(trail.pop())
            elif name in trail:
                circle = trail[trail.index(name) :]
                first = circle.index(min(circle))
                found.setdefault(frozenset(circle), (*circle[first:], *circle[:first]))
            elif name in needs and name not in done:
                trail.append(name)
                waiting.append(iter(sorted(needs[name])))
    return list(found.values())


def _references(rule: Rule) -> frozenset[tuple[str, str]]:
    from kohort.definitions.rules import references

    return references(rule)


def _names(rule: Rule) -> set[str]:
    return {name for name, _ in _references(rule)}
