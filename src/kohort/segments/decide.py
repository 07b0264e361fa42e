"""Where one customer belongs in one definition, once it is known which rules are true for her at a moment.

The same decision that a run makes for everybody (docs/semantics.md): rules, staying, hands, consent, in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kohort.compile.windows import bounds
from kohort.definitions.rules.tree import AllOf, AnyOf, Leaf, Not, Rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.definitions.windows import Window
from kohort.model.limits import Limit

Truth = bool | None
"""None = unknown."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides beside rules.

    Attributes:
        standing: Part and since when (µs UTC), strictly before the moment; None = she was in none.
        by_hand: Part → put in (True) or taken out (False); the part "" means every one.
        agreed: She agreed to the purpose of the definition; True where it has none.
        bucket: Her random number, 0 to 100; of buckets only.
        forbidden: What she forbids that keeps her out of the definition; None = nothing.
    """

    standing: tuple[str, int] | None = None
    by_hand: Mapping[str, bool] | None = None
    agreed: bool = True
    bucket: float = 0.0
    forbidden: Limit | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Where she belongs.

    Attributes:
        segment: Key of the part; None = in none.
        reason: rule, keep, minimum stay, not allowed yet, by hand or random; empty in no part.
        candidate: The part that rules or chance alone would give.
        left_out: Part she would be in if she had agreed to the purpose.
        forbidden: What she forbids, where that keeps her out of the definition.
    """

    segment: str | None = None
    reason: str = ""
    candidate: str | None = None
    left_out: str | None = None
    forbidden: Limit | None = None


def decide(
    definition: SegmentDefinition,
    holds: Callable[[RuleText], bool],
    at: int,
    zone: str,
    given: Circumstances,
) -> Decision:
    """The decision at one moment; accounts are decided by their users and not here.

    Args:
        holds: Whether a rule is true for her then (unknown is not true).
        at: The moment, microseconds UTC.
        zone: Of the minimum stay.
    """
    if given.forbidden is not None:
        return Decision(forbidden=given.forbidden)
    hands = given.by_hand or {}
    opened = [p for p in definition.parts if hands.get(p.key) is not False and hands.get("") is not False]
    candidate = _candidate(definition, opened, holds, given.bucket)
    part, reason = candidate, "random" if definition.kind == "buckets" else "rule"
    stood = next((p for p in opened if given.standing and p.key == given.standing[0]), None)
    if stood is not None and given.standing is not None and stood != candidate:
        why = _staying(definition, stood, candidate, holds, since=given.standing[1], at=at, zone=zone)
        part, reason = (stood, why) if why else (part, reason)
    put_in = next((p for p in definition.parts if hands.get(p.key) is True), None)
    if put_in is not None:
        part, reason = put_in, "by hand"
    by_rule = candidate.key if candidate else None
    if part is None:
        return Decision(candidate=by_rule)
    if not given.agreed:
        return Decision(candidate=by_rule, left_out=part.key)
    return Decision(part.key, reason, by_rule)


def _candidate(
    definition: SegmentDefinition, opened: list[Part], holds: Callable[[RuleText], bool], bucket: float
) -> Part | None:
    if definition.kind == "buckets":
        limit = Decimal(0)
        for part in definition.parts:
            limit += part.share or 0
            if bucket < float(limit):
                return part if part in opened else None
        return None
    return next((p for p in opened if p.rule is not None and holds(p.rule)), None)


def _staying(
    definition: SegmentDefinition,
    stood: Part,
    candidate: Part | None,
    holds: Callable[[RuleText], bool],
    *,
    since: int,
    at: int,
    zone: str,
) -> str:
    """Why she stays although the candidate is another part, or none; empty = she does not."""
    if stood.minimum_stay is not None:
        after, _ = bounds(Window(stood.minimum_stay), at, zone)
        if after is not None and since > after:
            return "minimum stay"
    order = definition.parts.index
    if stood.keep is not None and (candidate is None or order(candidate) > order(stood)) and holds(stood.keep):
        return "keep"
    if definition.kind == "stages" and candidate is not None and stood.then and candidate.key not in stood.then:
        return "not allowed yet"
    return ""


def truth_of(rule: Rule, answer: Callable[[Leaf], Truth]) -> Truth:
    """Three-valued and, or, not over the answers of the leaves."""
    match rule:
        case Not(item):
            inner = truth_of(item, answer)
            return None if inner is None else not inner
        case AllOf(items):
            found = [truth_of(item, answer) for item in items]
            return False if False in found else None if None in found else True
        case AnyOf(items):
            found = [truth_of(item, answer) for item in items]
            return True if True in found else None if None in found else False
        case _:
            return answer(rule)


def rules_of(definition: SegmentDefinition) -> Iterator[RuleText]:
    """Every rule of a definition: who gets in and who may stay, part by part."""
    for part in definition.parts:
        yield from (r for r in (part.rule, part.keep) if r is not None)
