"""Going through a rule: its nodes, leaves, values, and what it names."""

from __future__ import annotations

from collections.abc import Iterator

from kohort.definitions.conditions import refs
from kohort.definitions.features import Selection, Step, Where
from kohort.definitions.rules.tree import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    DatePart,
    DaysUnchanged,
    Did,
    Distance,
    Exactly,
    FirstTime,
    Follows,
    HasItems,
    InPeriods,
    InSegment,
    Item,
    ItemCount,
    Leaf,
    Like,
    Measured,
    Missing,
    Named,
    Not,
    Operand,
    Restarted,
    Rule,
    Score,
    Stopped,
)


def walk(rule: Rule) -> Iterator[Rule]:
    """Every node that is true or false: a rule before its items, items from left to right."""
    stack: list[Rule] = [rule]
    while stack:
        node = stack.pop()
        yield node
        match node:
            case Not(item):
                stack.append(item)
            case AllOf(items) | AnyOf(items):
                stack += reversed(items)


def leaves(rule: Rule) -> Iterator[Leaf]:
    """Every single condition, from left to right."""
    for node in walk(rule):
        if not isinstance(node, Not | AllOf | AnyOf):
            yield node


def operands(rule: Rule) -> Iterator[Operand]:
    """The values of the customer that the conditions compare, in the order of `leaves`; not what they are made from."""
    for leaf in leaves(rule):
        match leaf:
            case Compare(left, _, right):
                yield left
                if not isinstance(right, str | bool) and isinstance(right, Operand):
                    yield right
            case Among(of) | Missing(of) | Like(of) | HasItems(of):
                yield of


def all_operands(rule: Rule) -> Iterator[Operand]:
    """As `operands`, each followed by those it is made from."""
    stack = list(operands(rule))[::-1]
    while stack:
        operand = stack.pop()
        yield operand
        match operand:
            case Distance(latitude, longitude):
                stack += [longitude, latitude]
            case DatePart(_, of) | Exactly(of) | Item(of) | ItemCount(of):
                stack.append(of)


def steps(rule: Rule) -> Iterator[Step]:
    """Events and filter of everything in the rule that looks at events, in no particular order."""
    for operand in all_operands(rule):
        if isinstance(operand, Measured):
            yield _step(operand.measure.selection)
    for leaf in leaves(rule):
        match leaf:
            case Did(selection) | FirstTime(selection):
                yield _step(selection)
            case Stopped(step) | Restarted(step) | InPeriods(step):
                yield step
            case Follows(first, then):
                yield from (_step(first), then)


def filters(rule: Rule) -> Iterator[Where]:
    """Every event filter."""
    yield from (step.where for step in steps(rule) if step.where)


def references(rule: Rule) -> frozenset[tuple[str, str]]:
    """The segments a rule is built on: (definition, part), the part empty where any will do.

    Example:
        >>> references(Not(InSegment("value", "gold")))
        frozenset({('value', 'gold')})
    """
    return frozenset((leaf.name, leaf.key) for leaf in leaves(rule) if isinstance(leaf, InSegment))


def names(rule: Rule) -> frozenset[str]:
    """The bare names: features and traits."""
    named = {operand.name for operand in all_operands(rule) if isinstance(operand, Named)}
    return frozenset(named | {o.trait for o in all_operands(rule) if isinstance(o, DaysUnchanged)})


def scores(rule: Rule) -> frozenset[str]:
    """The predictions whose scores it compares, as they are written."""
    return frozenset(operand.name for operand in all_operands(rule) if isinstance(operand, Score))


def events_and_columns(rule: Rule) -> tuple[frozenset[str], frozenset[str]]:
    """Event names, and columns `p_…` and `t_…`, that a rule itself names; those of its features are not among them.

    What the log never showed of these is "never observed": legal, and worth a warning.
    """
    events = {event for step in steps(rule) for event in step.events}
    columns = {ref.name for where in filters(rule) for ref in refs(where.condition)} | names(rule)
    columns |= {operand.measure.column for operand in all_operands(rule) if isinstance(operand, Measured)}
    return frozenset(events), frozenset(c for c in columns if c.startswith(("p_", "t_")))


def _step(selection: Selection) -> Step:
    return Step(selection.events, selection.where)
