"""The smallest set of conditions that would have to change for a rule to be true, and the smallest that makes it true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kohort.definitions.rules import format_rule
from kohort.definitions.rules.tree import AllOf, AnyOf, Leaf, Not, Rule
from kohort.segments.decide import Truth, truth_of


@dataclass(frozen=True, slots=True)
class ToChange:
    """Conditions and what each would have to be; how many of them nothing can bring about."""

    leaves: tuple[tuple[Leaf, bool], ...] = ()
    impossible: int = 0


def to_change(
    rule: Rule, truth: Callable[[Leaf], Truth], possible: Callable[[Leaf, bool], bool], *, wanted: bool = True
) -> ToChange:
    """The smallest set of conditions that would have to change for a rule to be as wanted, possible ones first.

    Args:
        truth: Of each condition now; unknown counts as neither true nor false.
        possible: Whether anything can make a condition what is wanted.
    """
    match rule:
        case Not(item):
            return to_change(item, truth, possible, wanted=not wanted)
        case AllOf(items) | AnyOf(items):
            sets = [to_change(item, truth, possible, wanted=wanted) for item in items]
            if isinstance(rule, AllOf) == wanted:
                return _union(sets)
            return min(sets, key=lambda s: (s.impossible, len(s.leaves)))
    if truth(rule) is wanted:
        return ToChange()
    return ToChange(((rule, wanted),), 0 if possible(rule, wanted) else 1)


def holding(rule: Rule, truth: Callable[[Leaf], Truth], *, wanted: bool = True) -> tuple[Leaf, ...]:
    """The smallest set of conditions that make a rule what is wanted, given that it is."""
    match rule:
        case Not(item):
            return holding(item, truth, wanted=not wanted)
        case AllOf(items) | AnyOf(items):
            if isinstance(rule, AllOf) == wanted:
                found = [leaf for item in items for leaf in holding(item, truth, wanted=wanted)]
                return tuple({format_rule(leaf): leaf for leaf in found}.values())
            enough = [item for item in items if truth_of(item, truth) is wanted]
            return min((holding(item, truth, wanted=wanted) for item in enough), key=len)
    return (rule,)


def _union(sets: Sequence[ToChange]) -> ToChange:
    found = {(format_rule(leaf), wanted): (leaf, wanted) for s in sets for leaf, wanted in s.leaves}
    return ToChange(tuple(found.values()), sum(s.impossible for s in sets))
