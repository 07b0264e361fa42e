"""What people define under `segments:`: rules, tiers, lifecycle stages, random buckets, lists by hand, accounts.

One definition has one name and one or more **parts**. A customer is in at most one part of a definition. A definition
with one part is simply a segment, and its part has the definition's name as key.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kohort.definitions.rules.tree import Rule
    from kohort.definitions.windows import Span

SegmentKind = Literal["rule", "tiers", "stages", "buckets", "by_hand", "accounts"]
"""rule: one rule. tiers: ordered rules, the first that is true wins. stages: tiers with memory (allowed moves, minimum
stay). buckets: shares of a keyed random number. by_hand: only whom people put in. accounts: members are accounts."""

Quantifier = Literal["any", "all", "none"]


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule and its canonical text."""

    text: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Part:
    """One segment of a definition.

    Attributes:
        key: Unique in the definition; what memberships carry.
        label: Plain name; made from the key where not given.
        rule: Who gets in; None for buckets and lists by hand.
        keep: Who, being in already, may stay although `rule` is no longer true (hysteresis); None = nobody.
        minimum_stay: Nobody leaves earlier by a rule; None = at once.
        then: Stages that may follow (stages only); empty = every other one.
        share: Percent of customers (buckets only).
    """

    key: str
    label: str = ""
    rule: RuleText | None = None
    keep: RuleText | None = None
    minimum_stay: Span | None = None
    then: tuple[str, ...] = ()
    share: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SegmentDefinition:
    """One definition under `segments:`.

    Attributes:
        name: Unique; letters, digits, spaces, `-` and `_`.
        kind: See `SegmentKind`.
        parts: In order; one for rule, by_hand and accounts.
        label: Plain name; made from the name where not given.
        description: What it is for, in plain words.
        purpose: Purpose whose consent a member needs; empty = none.
        zone: IANA zone of its calendar windows and dates; empty = the workspace's.
        salt: Of buckets; the name where not given.
        quantifier: Of accounts: how many users must meet the rule.
        paused: Keeps its members as they are and emits nothing.
        include_anonymous: Visitors, of whom nothing but an anonymous id is known, may be members too. Not of accounts.
        profiling: Whether being in it takes an evaluation of what somebody does or is; see `profiles`.
    """

    name: str
    kind: SegmentKind
    parts: tuple[Part, ...]
    label: str = ""
    description: str = ""
    purpose: str = ""
    zone: str = ""
    salt: str = ""
    quantifier: Quantifier = "any"
    paused: bool = False
    include_anonymous: bool = False
    profiling: bool = True

    @property
    def profiles(self) -> bool:
        """Whether somebody who objects to profiling stays out of it. Lists by hand and random buckets evaluate nobody."""
        return self.profiling and self.kind not in ("by_hand", "buckets")


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """What all segment definitions of a workspace share.

    Attributes:
        consent: Purpose → the trait (`t_…`, a flag) that says the customer agreed.
        accounts: Column that says which account a customer belongs to: a trait `t_…` (its latest value) or an event
            property `p_…` (every value the customer's events carried); empty = there are no accounts.
    """

    consent: tuple[tuple[str, str], ...] = ()
    accounts: str = ""


def asked_segments(definition: SegmentDefinition) -> frozenset[tuple[str, str]]:
    """The segments (name, part) that a definition asks for with `in_segment`, in any rule of any part."""
    from kohort.definitions.rules import references

    rules = [text.rule for part in definition.parts for text in (part.rule, part.keep) if text]
    return frozenset(reference for rule in rules for reference in references(rule))


def remembers(definition: SegmentDefinition) -> bool:
    """Whether who is in depends on who was in before."""
    return definition.kind == "stages" or any(p.keep or p.minimum_stay for p in definition.parts)
