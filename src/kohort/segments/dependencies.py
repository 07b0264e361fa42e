"""Which definitions refer to which: the order of evaluation, cycles, what is unknown, and who depends on a definition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from kohort.definitions.rules import leaves
from kohort.definitions.rules.tree import InSegment
from kohort.definitions.segments import asked_segments
from kohort.errors import NotFound, RefusedDefinition

if TYPE_CHECKING:
    from kohort.definitions.segments import RuleText, SegmentDefinition


def refers_to(definition: SegmentDefinition) -> frozenset[str]:
    """Names of the definitions that one asks for with `in_segment`, in any rule of any part."""
    return frozenset(name for name, _ in asked_segments(definition))


def in_order(definitions: Iterable[SegmentDefinition]) -> tuple[SegmentDefinition, ...]:
    """The definitions so that each comes after those it refers to.

    Raises:
        RefusedDefinition: Some refer to each other in a circle (`cyclic_reference`); the message shows the circle.
    """
    by_name = {d.name: d for d in definitions}
    needs = {name: sorted(refers_to(d) & by_name.keys()) for name, d in by_name.items()}
    try:
        return tuple(by_name[name] for name in TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise circular(error.args[1][::-1]) from None


def circular(circle: Sequence[str]) -> RefusedDefinition:
    """The refusal of a circle: names that each refer to the next, the first one again at the end."""
    first = circle.index(min(circle))  # the same circle is always told from the same place
    shown = " → ".join([*circle[first:-1], *circle[:first], circle[first]])
    message = f"{circle[0]!r} refers to itself." if len(circle) == 2 else f"These segments refer in a circle: {shown}."
    return RefusedDefinition(message, hint="Take one of the references out.", code="cyclic_reference")


def with_needed(definitions: Iterable[SegmentDefinition], names: Iterable[str]) -> tuple[SegmentDefinition, ...]:
    """The named definitions and all that they refer to, directly or not, in order of evaluation.

    What a paused definition refers to is not needed: its members stay as they are.

    Raises:
        NotFound: A name is not defined.
        RefusedDefinition: A circle.
    """
    ordered = in_order(definitions)
    by_name = {d.name: d for d in ordered}
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in by_name:
            raise NotFound("segment", name, by_name)
        if name not in needed:
            needed.add(name)
            if not by_name[name].paused:
                waiting += [n for n in refers_to(by_name[name]) if n in by_name]
    return tuple(d for d in ordered if d.name in needed)


def dependants(definitions: Iterable[SegmentDefinition], name: str) -> tuple[str, ...]:
    """Names of the definitions that refer to one, directly first, then through others."""
    return onward(users(definitions), name)


def users(definitions: Iterable[SegmentDefinition]) -> dict[str, list[str]]:
    """Name → the definitions that refer to it directly, in the order given."""
    found: dict[str, list[str]] = {}
    for definition in definitions:
        for used in refers_to(definition):
            found.setdefault(used, []).append(definition.name)
    return found


def onward(users: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    """As `dependants`, for those who ask about many names."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        nearer = [u for n in waiting for u in users.get(n, []) if u not in found and u != name]
        found.update(dict.fromkeys(nearer))
        waiting = list(dict.fromkeys(nearer))
    return tuple(found)


def unknown_references(
    definitions: Iterable[SegmentDefinition], stored: Mapping[str, Sequence[str]]
) -> dict[str, RefusedDefinition]:
    """By definition, the first reference that leads nowhere, with its place in the rule's text.

    Args:
        definitions: All of the workspace.
        stored: Further names that may be asked for (adopted segmentations) → the keys of their parts.
    """
    definitions = list(definitions)
    parts = {**stored, **{d.name: [p.key for p in d.parts] for d in definitions}}
    found: dict[str, RefusedDefinition] = {}
    for definition in definitions:
        for written, leaf in _references(definition):
            missing = (
                NotFound("segment", leaf.name, parts)
                if leaf.name not in parts
                else NotFound(f"part of {leaf.name!r}", leaf.key, parts[leaf.name])
                if leaf.key and leaf.key not in parts[leaf.name]
                else None
            )
            if missing and definition.name not in found:
                start, end = leaf.place if leaf.place != (0, 0) else (0, len(written.text))
                found[definition.name] = RefusedDefinition(
                    missing.message,
                    text=written.text,
                    start=start,
                    end=end,
                    hint=missing.hint,
                    code="unknown_segment",
                )
    return found


def _references(definition: SegmentDefinition) -> Iterator[tuple[RuleText, InSegment]]:
    for part in definition.parts:
        for written in (part.rule, part.keep):
            if written is not None:
                yield from ((written, leaf) for leaf in leaves(written.rule) if isinstance(leaf, InSegment))
