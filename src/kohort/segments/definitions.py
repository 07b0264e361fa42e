"""Versions of definitions: what a definition meant, kept whenever its meaning changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kohort.definitions.features import Ratio, describe
from kohort.definitions.rules import names, scores
from kohort.definitions.scores import of_score
from kohort.errors import NotFound, WrongUsage
from kohort.segments.dependencies import in_order, refers_to, unknown_references

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition, Measure
    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.store.store import Store


@dataclass(frozen=True, slots=True)
class Meaning:
    """What rules mean beside their own text.

    Attributes:
        features: The workspace's features, by name.
        zone: Its time zone.
        settings: Consent traits and the account column.
    """

    features: Mapping[str, FeatureDefinition]
    zone: str
    settings: SegmentSettings


def version_text(definition: SegmentDefinition, meaning: Meaning, versions: Mapping[str, str]) -> str:
    """Everything that decides who is in: the definition as YAML, and as comments what it takes from elsewhere.

    Its label, its description and a pause are not part of it: changing them changes nobody's membership. Features,
    other segments, the time zone, consent and accounts are: whoever edits one of them edits this definition too.

    Args:
        versions: Of the segments it refers to.
    """
    from kohort.definitions.segments_text import write_definition

    bare = replace(
        definition, label="", description="", paused=False, parts=tuple(replace(p, label="") for p in definition.parts)
    )
    return write_definition(bare) + "".join(f"# {line}\n" for line in _used(definition, meaning, versions))


def adopted_parts(store: Store) -> dict[str, tuple[str, ...]]:
    """The newest version of each adopted segmentation: its name → the ids of its segments."""
    newest = {row["name"]: row["version"] for row in store.state.segmentations() if row["adopted"]}
    found = ((name, store.state.segmentation(name, version=version)) for name, version in newest.items())
    return {name: tuple(s.id for s in kept.segments) for name, kept in found if kept is not None}


def adopted_ids(store: Store) -> dict[str, str]:
    """Each adopted segmentation → what tells its newest version from others: definitions that ask for it mean that one."""
    return {row["name"]: row["id"] for row in store.state.segmentations() if row["adopted"]}


def checked(
    store: Store, definitions: Sequence[SegmentDefinition], new: SegmentDefinition
) -> tuple[SegmentDefinition, ...]:
    """All definitions with a new or edited one in its place, once it is certain that they fit together.

    Types and columns are checked where text is read; here it is about what one definition is to the others.

    Raises:
        RefusedDefinition: A circle, or a reference that leads nowhere: from the new one, or from one that refers to a
            part it no longer has.
        WrongUsage: An adopted segmentation has this name.
    """
    adopted = adopted_parts(store)
    if new.name in adopted:
        raise taken(new.name)
    everything = (*(new if d.name == new.name else d for d in definitions),)
    if new.name not in {d.name for d in definitions}:
        everything = (*everything, new)
    in_order(everything)
    before = unknown_references(definitions, adopted)
    lost = {
        n: error for n, error in unknown_references(everything, adopted).items() if n == new.name or n not in before
    }
    if lost:
        raise lost.get(new.name) or next(iter(lost.values()))
    return everything


def taken(name: str) -> WrongUsage:
    """The refusal of a name that an adopted segmentation has."""
    return WrongUsage(f"An adopted segmentation is called {name!r}.", hint="Choose another name.")


def named(definitions: Sequence[SegmentDefinition], name: str) -> SegmentDefinition:
    """The definition of a name.

    Raises:
        NotFound: There is none.
    """
    for definition in definitions:
        if definition.name == name:
            return definition
    raise NotFound("segment", name, [d.name for d in definitions])


def _used(definition: SegmentDefinition, meaning: Meaning, versions: Mapping[str, str]) -> Iterator[str]:
    rules = [r.rule for part in definition.parts for r in (part.rule, part.keep) if r]
    asked = {name for rule in rules for name in names(rule)}
    found = (of_score(name, meaning.features) for rule in rules for name in scores(rule))
    asked |= {score.name for score in found if score is not None}
    for name in sorted(asked & meaning.features.keys()):
        yield f"{name}: {_said(meaning.features[name].measure)}"
    for name in sorted(refers_to(definition) & versions.keys()):
        yield f"in_segment({name!r}): {versions[name]}"
    if definition.kind not in ("by_hand", "buckets") and not definition.zone:
        yield f"time zone: {meaning.zone}"
    if definition.purpose:
        yield f"consent: {dict(meaning.settings.consent).get(definition.purpose, '')}, of all her ids the strictest"
    if definition.kind == "accounts":
        yield f"account: {meaning.settings.accounts}"


def _said(measure: Measure) -> str:
    """A measure in full: a ratio of named features says what they are."""
    if isinstance(measure, Ratio):
        return f"({_said(measure.numerator)}) / ({_said(measure.denominator)})"
    return describe(measure)
