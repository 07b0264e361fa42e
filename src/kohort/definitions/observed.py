"""Names that definitions use and the data never showed: legal, but a typo looks like an empty crowd, so we say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kohort.definitions.conditions import refs
from kohort.definitions.defaults import DataProfile
from kohort.definitions.features import Aggregate, FeatureDefinition, Measure, Ratio, Sequence, conditions_of


def never_observed(definition: FeatureDefinition, profile: DataProfile) -> tuple[str, ...]:
    """Event names and declared columns that the definition needs and no customer's event has carried yet, sorted.

    Example:
        >>> from kohort.definitions.features import parse_features
        >>> [visits] = parse_features("visits: {count: events, event: pgae}")
        >>> never_observed(visits, DataProfile(1, {"page": 3}))
        ('pgae',)
    """
    events = set(_events(definition.measure)) - set(profile.events)
    columns = {c for c in _columns(definition.measure) if c.startswith(("p_", "t_")) and not profile.present.get(c)}
    return tuple(sorted(events | columns))


def notes(definitions: Iterable[FeatureDefinition], profile: DataProfile) -> tuple[str, ...]:
    """One sentence for each definition that needs what was never observed."""
    unseen = ((d.name, never_observed(d, profile)) for d in definitions)
    return tuple(
        f"The feature {name} looks for {', '.join(names)}, which the data has never shown. Is it spelt right?"
        for name, names in unseen
        if names
    )


def _events(measure: Measure) -> Iterator[str]:
    match measure:
        case Ratio(numerator, denominator):
            yield from _events(numerator)
            yield from _events(denominator)
        case Sequence(first, then):
            yield from first.events
            yield from then.events
        case _:
            yield from measure.selection.events


def _columns(measure: Measure) -> Iterator[str]:
    match measure:
        case Ratio(numerator, denominator):
            yield from _columns(numerator)
            yield from _columns(denominator)
        case Aggregate(_, column) if column:
            yield column
    for where in conditions_of(measure):
        yield from (ref.name for ref in refs(where.condition))
