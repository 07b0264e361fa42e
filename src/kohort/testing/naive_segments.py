"""The naive judge of segment definitions: where one customer belongs, and everybody of a small world.

One evaluation decides in this order: rules (less what was taken out by hand), the candidate, whether she stays where she
was, what was put in by hand, consent. See docs/semantics.md, "Segments".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.segments import Part, Quantifier, SegmentDefinition, SegmentSettings
from kohort.model.event import ColumnType, Event
from kohort.model.limits import MARKS
from kohort.testing.naive_rules import Judge, Segments

ByHand = Mapping[str, bool]
"""Part → put in (True) or taken out (False) by a person; the part '' means every one."""
Standing = tuple[str, int]
"""The part a customer was in before, and since when."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a customer or an account belongs.

    Attributes:
        part: None = in no part.
        reason: rule, keep, minimum stay, not allowed yet, by hand or random; empty without a part.
        left_out: Would be in a part, but did not agree to the purpose.
    """

    part: str | None = None
    reason: str = ""
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """What an evaluation looks at beside definitions and events.

    Attributes:
        as_of: Microseconds UTC.
        zone: The workspace's.
        key: Of random buckets.
        by_hand: (definition, customer) → what people decided. Under a mark of `kohort.model.limits`: she forbids that.
        standing: (definition, customer or account) → where she was strictly before `as_of`.
        withheld: (purpose, customer) of whom an id said no, and nothing said since then counts for it.
    """

    as_of: int
    zone: str = "UTC"
    currency: str = "EUR"
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    features: Sequence[FeatureDefinition] = ()
    settings: SegmentSettings = field(default_factory=SegmentSettings)
    key: bytes = b""
    by_hand: Mapping[tuple[str, int], ByHand] = field(default_factory=dict)
    standing: Mapping[tuple[str, int | str], Standing] = field(default_factory=dict)
    withheld: Collection[tuple[str, int]] = frozenset()

    def forbids(self, definition: SegmentDefinition, customer: int) -> bool:
        """M10: her data may not be used at all, or not for profiling and the definition needs that."""
        restricted, objected = (self.by_hand.get((MARKS[x], customer)) for x in ("restriction", "objection"))
        return bool(restricted) or (bool(objected) and definition.profiles)

    def judge(self, events: Iterable[Event], zone: str, segments: Segments) -> Judge:
        return Judge(
            events,
            as_of=self.as_of,
            zone=zone or self.zone,
            currency=self.currency,
            columns=self.columns,
            features=self.features,
            segments=segments,
            key=self.key,
            features_zone=self.zone,
        )


def place(
    definition: SegmentDefinition,
    events: Sequence[Event],
    situation: Situation,
    *,
    segments: Segments = lambda name, key: False,
) -> Verdict:
    """Where one customer belongs in a definition that is not of accounts.

    Args:
        events: The customer's, in any order; at least one.
        segments: Whether she is in a part of another definition at the same moment.
    """
    customer = events[0].customer
    assert customer is not None, "events without a customer belong to nobody"
    judge = situation.judge(events, definition.zone, segments)
    if situation.forbids(definition, customer):
        return Verdict()  # M10
    by_hand = situation.by_hand.get((definition.name, customer), {})
    open_parts = [p for p in definition.parts if by_hand.get(p.key) is not False and by_hand.get("") is not False]
    if definition.kind == "buckets":
        candidate = bucket(definition, judge.random(definition.salt or definition.name))
        candidate = candidate if candidate in open_parts else None
    else:
        candidate = next((p for p in open_parts if p.rule and judge.rule(p.rule.rule) is True), None)
    part, reason = candidate, "random" if definition.kind == "buckets" else "rule"

    standing, since = situation.standing.get((definition.name, customer), ("", 0))
    stood = next((p for p in open_parts if p.key == standing), None)
    if stood is not None and stood != candidate:
        why = why_stay(definition, stood, since, candidate, judge)
        part, reason = (stood, why) if why else (part, reason)
    put_in = next((p for p in definition.parts if by_hand.get(p.key) is True), None)
    if put_in is not None:
        part, reason = put_in, "by hand"  # M4
    if part is None:
        return Verdict()
    withheld = (definition.purpose, customer) in situation.withheld
    if definition.purpose and (withheld or not agreed(definition.purpose, situation, judge)):
        return Verdict(left_out=True)  # M9
    return Verdict(part.key, reason)


def why_stay(definition: SegmentDefinition, stood: Part, since: int, candidate: Part | None, judge: Judge) -> str:
    """Why a customer stays in her part although the candidate is another one (or none); empty = she does not."""
    if stood.minimum_stay is not None and since > judge.own.ago(stood.minimum_stay):
        return "minimum stay"
    order = definition.parts.index
    no_better = candidate is None or order(candidate) > order(stood)
    if stood.keep is not None and no_better and judge.rule(stood.keep.rule) is True:
        return "keep"
    if definition.kind == "stages" and candidate is not None and stood.then and candidate.key not in stood.then:
        return "not allowed yet"
    return ""


def bucket(definition: SegmentDefinition, number: float) -> Part | None:
    """The part in whose cumulated share a number from 0 to 100 falls; the rest of the customers are in none (M7)."""
    limit = Decimal(0)
    for part in definition.parts:
        limit += part.share or 0
        if number < float(limit):
            return part
    return None


def agreed(purpose: str, situation: Situation, judge: Judge) -> bool:
    """The consent trait of the purpose is true; unknown is no consent."""
    trait = dict(situation.settings.consent)[purpose]
    return judge.trait(trait) is True


def members(
    definitions: Sequence[SegmentDefinition], people: Mapping[int, Sequence[Event]], situation: Situation
) -> dict[str, dict[int | str, Verdict]]:
    """Verdicts of everybody, by definition; accounts are keyed by their name.

    Args:
        people: Customer → events. Those without a visible event are nobody yet (L7).

    Returns:
        One verdict per customer of the universe, for definitions of accounts per account that has users.
    """
    return _Everybody(definitions, people, situation).all()


class _Everybody:
    def __init__(
        self, definitions: Sequence[SegmentDefinition], people: Mapping[int, Sequence[Event]], situation: Situation
    ) -> None:
        self.definitions = {d.name: d for d in definitions}
        self.people = {c: e for c, e in people.items() if any(x.ts <= situation.as_of for x in e)}
        self.situation = situation
        self.found: dict[tuple[str, int], Verdict] = {}

    def all(self) -> dict[str, dict[int | str, Verdict]]:
        return {
            d.name: self.accounts(d) if d.kind == "accounts" else {c: self.verdict(d.name, c) for c in self.people}
            for d in self.definitions.values()
        }

    def verdict(self, name: str, customer: int) -> Verdict:
        """L8: the verdict at the same moment, or the stored membership of what is not evaluated in this run."""
        if (name, customer) not in self.found:
            definition = self.definitions.get(name)
            if definition is not None and customer < 0 and not definition.include_anonymous:
                return Verdict()  # L7
            if definition is None or definition.paused:
                stored = self.situation.standing.get((name, customer))
                self.found[name, customer] = Verdict(stored[0], "stored") if stored else Verdict()
            else:
                self.found[name, customer] = place(
                    definition, self.people[customer], self.situation, segments=self.asked_by(customer)
                )
        return self.found[name, customer]

    def asked_by(self, customer: int) -> Segments:
        def inside(name: str, part: str) -> bool:
            found = self.verdict(name, customer).part
            return found is not None and part in ("", found)

        return inside

    def accounts(self, definition: SegmentDefinition) -> dict[int | str, Verdict]:
        """M8: which accounts have any, all or none of their users meeting the rule. No users, no answer."""
        rule = definition.parts[0].rule
        assert rule is not None
        users: dict[str, list[bool]] = {}
        for customer, events in self.people.items():
            if customer < 0:
                continue  # visitors use no account
            judge = self.situation.judge(events, definition.zone, self.asked_by(customer))
            meets = judge.rule(rule.rule) is True and not self.situation.forbids(definition, customer)
            for account in accounts_of(self.situation.settings.accounts, judge):
                users.setdefault(account, []).append(meets)
        meeting: dict[Quantifier, Callable[[list[bool]], bool]] = {"any": any, "all": all, "none": lambda u: not any(u)}
        holds, key = meeting[definition.quantifier], definition.parts[0].key
        return {a: Verdict(key, "rule") if holds(answers) else Verdict() for a, answers in users.items()}


def accounts_of(column: str, judge: Judge) -> set[str]:
    """The accounts a customer uses: the latest value of a trait, every value of an event property."""
    if column.startswith("t_"):
        latest = judge.trait(column)
        return {latest} if isinstance(latest, str) else set()
    values = (judge.own.value(e, column) for e in judge.own.events)
    return {v for v in values if isinstance(v, str)}
