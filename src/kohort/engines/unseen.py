"""What rules name and the log has never shown: legal, but a typo looks like an empty crowd, so we say so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kohort.definitions import conditions as on_events
from kohort.definitions.columns import vocabulary
from kohort.definitions.conditions import Condition, Ref
from kohort.definitions.features import Aggregate, FeatureDefinition
from kohort.definitions.rules.tree import Among, Compare, Exactly, HasItems, Item, Measured, Named, Operand, Rule
from kohort.definitions.rules.walk import events_and_columns, filters, leaves
from kohort.definitions.segments import SegmentDefinition
from kohort.engines.measures import Measures


@dataclass(frozen=True, slots=True, order=True)
class Unseen:
    """One thing that no event of a customer has ever shown.

    Attributes:
        kind: "event": the name of an event; "column": a property or trait; "value": a text in a column.
        name: Of the event or the column.
        value: The text, for values.
    """

    kind: Literal["event", "column", "value"]
    name: str
    value: str = ""


def never_seen(
    definition: SegmentDefinition, features: Sequence[FeatureDefinition], measures: Measures
) -> tuple[Unseen, ...]:
    """What the rules of a definition name in vain; what its features are made from is not looked at again."""
    rules = [text.rule for part in definition.parts for text in (part.rule, part.keep) if text]
    named = {feature.name: feature for feature in features}
    columns = measures.snapshot.columns
    asked: dict[Unseen, Condition] = {}
    missing: set[Unseen] = set()
    for rule in rules:
        events, own = events_and_columns(rule)
        for event in events:
            asked[Unseen("event", event)] = on_events.Compare(Ref("event", exact=True), "=", event)
        for column in own - set(named):
            if column in columns:
                asked[Unseen("column", column)] = on_events.Missing(Ref(column), negated=True)
            else:
                missing.add(Unseen("column", column))
        for ref, text in _texts(rule, named):
            known = vocabulary(columns).get(ref.name)
            if known is not None and known.type in ("text", "list"):
                asked[Unseen("value", ref.name, text)] = on_events.Compare(ref, "=", text)
    seen = measures.seen(asked.values())
    missing |= {unseen for unseen, condition in asked.items() if condition not in seen}
    empty = {u.name for u in missing if u.kind == "column"}
    return tuple(sorted(u for u in missing if u.kind != "value" or u.name not in empty))


def _texts(rule: Rule, features: Mapping[str, FeatureDefinition]) -> Iterator[tuple[Ref, str]]:
    """Columns and the texts that they are compared with, in event filters and in conditions on customers."""
    for where in filters(rule):
        yield from _texts_of_filter(where.condition)
    for leaf in leaves(rule):
        match leaf:
            case Compare(left, "=" | "!=", str(text)):
                texts: tuple[object, ...] = (text,)
                of: Operand = left
            case Among(of_, values):
                of, texts = of_, values
            case HasItems(of_, _, items):
                of, texts = of_, items
            case _:
                continue
        ref = _column(of, features)
        if ref is not None:
            yield from ((ref, text) for text in texts if isinstance(text, str))


def _texts_of_filter(condition: Condition) -> Iterator[tuple[Ref, str]]:
    match condition:
        case on_events.AllOf(items) | on_events.AnyOf(items):
            for item in items:
                yield from _texts_of_filter(item)
        case on_events.Not(item):
            yield from _texts_of_filter(item)
        case on_events.Compare(left, "=" | "!=", str(text)):
            yield left, text
        case on_events.Among(column, values):
            yield from ((column, text) for text in values if isinstance(text, str))


def _column(operand: Operand, features: Mapping[str, FeatureDefinition], *, exact: bool = False) -> Ref | None:
    """The column whose values an operand shows."""
    match operand:
        case Exactly(of):
            return _column(of, features, exact=True)
        case Item(of):
            return _column(of, features, exact=exact)
        case Named(name) if name in features:
            measure = features[name].measure
        case Named(name):
            return Ref(name, exact=exact)
        case Measured(measure):
            pass
        case _:
            return None
    if isinstance(measure, Aggregate) and measure.kind in ("first", "last", "mode"):
        return Ref(measure.column, exact=exact)
    return None
