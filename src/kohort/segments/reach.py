"""Which events can change the answer of a definition: what need not be asked again after an event that cannot.

Read from a definition once. The answer may hold an event too many; it never lacks one that changes somebody's membership,
but for what every first event of a customer does: before it she is not there at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from kohort.definitions.features import FeatureDefinition, Selection, Step
from kohort.definitions.rules.tree import DaysUnchanged, InSegment, Named, Score
from kohort.definitions.scores import of_score
from kohort.definitions.segments import SegmentDefinition, SegmentSettings, remembers
from kohort.segments.decide import rules_of


@dataclass(frozen=True, slots=True)
class Reach:
    """Events that can change an answer: all of them, or those of a name, or those that hold something in a column.

    Attributes:
        every: All events; the others say nothing then.
        events: Names of events.
        columns: Columns (`t_…`) of which the latest value counts, whichever event brings it.
    """

    every: bool = False
    events: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    def __or__(self, other: Reach) -> Reach:
        return Reach(self.every or other.every, self.events | other.events, self.columns | other.columns)


EVERY = Reach(every=True)


def reach(
    definition: SegmentDefinition, features: Mapping[str, FeatureDefinition], settings: SegmentSettings | None = None
) -> Reach:
    """What can change who is in a definition; what it refers to has a reach of its own.

    Args:
        features: What rules may name.
        settings: Consent of the workspace, where a definition has a purpose.

    Example:
        >>> from kohort.definitions.rules import parse_rule
        >>> from kohort.definitions.segments import Part, RuleText
        >>> rule = RuleText("", parse_rule("did('cart', within => '7 days') and t_plan = 'pro'"))
        >>> found = reach(SegmentDefinition("keen", "rule", (Part("keen", rule=rule),)), {})
        >>> sorted(found.events), sorted(found.columns)
        (['cart'], ['t_plan'])
    """
    if remembers(definition):
        return EVERY  # each time it is asked is a step of what it remembers
    consent = dict(settings.consent if settings else ())
    agreed = [Reach(columns=frozenset({consent[definition.purpose]}))] if definition.purpose in consent else []
    return _joined([*agreed, *(_of(rule.rule, features) for rule in rules_of(definition))])


def _of(node: Any, features: Mapping[str, FeatureDefinition]) -> Reach:  # noqa: PLR0911 - one answer per kind
    """A part of a rule or of a measure. Whatever selects events does it by a Selection or a Step."""
    match node:
        case Selection(events=()) | Step(events=()):
            return EVERY
        case Score(name=name):
            found = of_score(name, features)
            return Reach() if found is None else _of(found.measure, features)
        case Selection(events=names) | Step(events=names):
            return Reach(events=frozenset(names))
        case Named(name=name) if name in features:
            return _of(features[name].measure, features)
        case Named(name=name) | DaysUnchanged(trait=name):
            return Reach(columns=frozenset({name}))
        case InSegment():
            return Reach()
    return _joined(_of(part, features) for part in _parts(node))


def _parts(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple):
        yield from node
    elif is_dataclass(node):
        yield from (getattr(node, field.name) for field in fields(node))


def _joined(found: Iterable[Reach]) -> Reach:
    whole = Reach()
    for one in found:
        whole |= one
    return whole
