"""When a membership changes by time alone: the exact instant, without any new event, or that it does not.

The instants at which any condition could change are known (`kohort.segments.instants`); the rules are asked at those
instants, earliest first, and the whole decision is replayed (staying, stages, other segments that are referred to) until
the customer's part differs. Events that are stored already but dated later take effect when their time comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules import leaves
from kohort.definitions.rules.tree import (
    AllOf,
    AnyOf,
    Compare,
    InSegment,
    Leaf,
    Named,
    Not,
    Operand,
    Rule,
)
from kohort.definitions.segments import RuleText, SegmentDefinition, SegmentSettings
from kohort.model.limits import LIMITS, MARKS, Limit
from kohort.segments.crossings import crossings
from kohort.segments.decide import Circumstances, Decision, Truth, decide, rules_of, truth_of
from kohort.segments.drift import POINTS, Ask, Clause, passings
from kohort.segments.instants import Clock, Trace

HORIZON_YEARS = 10
MOST_MOMENTS = 5_000
"""Moments that are asked about at most: a rule on the hour of the day has 87,660 in ten years."""

_FIRST_LOOK = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One customer and one definition, with what it refers to.

    Attributes:
        definitions: In order of evaluation; the last one is asked about. Paused ones keep their stored members.
        standing: Definition → part and since when, as stored before the moment asked about.
        by_hand: Definition → part → put in or taken out; marks of what she forbids (`kohort.model.limits`) among them.
        buckets: Definition of buckets → the customer's random number.
        withheld: Whether a "no" of one of her ids binds for a purpose at a moment, see `kohort.model.consent`.
        zone: The workspace's.
        features: Features that rules may name.
    """

    definitions: tuple[SegmentDefinition, ...]
    zone: str = "UTC"
    features: Mapping[str, FeatureDefinition] = field(default_factory=dict)
    settings: SegmentSettings = field(default_factory=SegmentSettings)
    standing: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    by_hand: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    buckets: Mapping[str, float] = field(default_factory=dict)
    withheld: Callable[[str, int], bool] = field(default=lambda purpose, at: False, compare=False)
    _keys: dict[tuple[str, int], str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def asked(self) -> SegmentDefinition:
        return self.definitions[-1]

    def zone_of(self, definition: SegmentDefinition) -> str:
        return definition.zone or self.zone

    def consent(self, definition: SegmentDefinition) -> Clause | None:
        """The condition that says whether she agreed; None where the definition has no purpose."""
        if not definition.purpose:
            return None
        trait = dict(self.settings.consent)[definition.purpose]
        return Clause.of(self.zone_of(definition), Compare(Named(trait), "=", True))

    def clause(self, zone: str, leaf: Leaf) -> Clause:
        """A condition of one of the definitions; its text is made once."""
        place = (zone, id(leaf))
        if place not in self._keys:
            self._keys[place] = Clause.of(zone, leaf).key
        return Clause(zone, leaf, self._keys[place])

    def clauses(self) -> tuple[Clause, ...]:
        """Every condition of every definition, each once."""
        found: dict[str, Clause] = {}
        for definition in self.definitions:
            for leaf in (leaf for rule in rules_of(definition) for leaf in leaves(rule.rule)):
                if not isinstance(leaf, InSegment):
                    clause = self.clause(self.zone_of(definition), leaf)
                    found.setdefault(clause.key, clause)
            agreed = self.consent(definition)
            if agreed is not None:
                found.setdefault(agreed.key, agreed)
        return tuple(found.values())

    def decisions(
        self, at: int, truths: Mapping[str, Truth], standing: Mapping[str, tuple[str, int]]
    ) -> dict[str, Decision]:
        """Where she belongs in every definition at a moment.

        Args:
            truths: Of every question, by its key.
            standing: Before that moment.
        """
        found: dict[str, Decision] = {}
        for definition in self.definitions:
            zone = self.zone_of(definition)
            stood = standing.get(definition.name)
            if definition.paused:
                found[definition.name] = Decision(stood[0], "paused") if stood else Decision()
                continue
            agreed = self.consent(definition)
            given = Circumstances(
                stood,
                self.by_hand.get(definition.name),
                agreed is None or (truths[agreed.key] is True and not self.withheld(definition.purpose, at)),
                self.buckets.get(definition.name, 0.0),
                forbidding(self.by_hand, definition),
            )
            holds = self._holds(zone, truths, found, standing)
            found[definition.name] = decide(definition, holds, at, zone, given)
        return found

    def _holds(
        self,
        zone: str,
        truths: Mapping[str, Truth],
        found: Mapping[str, Decision],
        standing: Mapping[str, tuple[str, int]],
    ) -> Callable[[RuleText], bool]:
        def answer(leaf: Leaf) -> Truth:
            if isinstance(leaf, InSegment):
                return inside(leaf, found, standing)
            return truths[self.clause(zone, leaf).key]

        return lambda rule: truth_of(rule.rule, answer) is True


def forbidding(by_hand: Collection[str], definition: SegmentDefinition) -> Limit | None:
    """What of hers keeps her out of a definition, whatever it says."""
    asked = (limit for limit in LIMITS if limit == "restriction" or definition.profiles)
    return next((limit for limit in asked if MARKS[limit] in by_hand), None)


def inside(leaf: InSegment, found: Mapping[str, Decision], standing: Mapping[str, tuple[str, int]]) -> bool:
    """Whether she is in what a condition refers to: as decided at the moment, else as stored."""
    decided = found.get(leaf.name)
    stored = standing.get(leaf.name)
    part = decided.segment if decided is not None else stored[0] if stored else None
    return part is not None and leaf.key in ("", part)


@dataclass(frozen=True, slots=True)
class Change:
    """The next change by time alone.

    Attributes:
        at: The first instant at which she is in another part (µs UTC).
        before: Part until then; None = in none.
        after: Decision then.
        flipped: Conditions whose answer changes at that instant.
        by_event: Something stored already and dated at that instant takes effect then.
    """

    at: int
    before: str | None
    after: Decision
    flipped: tuple[Clause, ...]
    by_event: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """What time alone will do.

    Attributes:
        now: Decision at the moment asked about.
        change: None = no change until `until`.
        until: The instant up to which was looked, inclusive.
        truths: Of every condition at the moment asked about, by its key.
        others: Decisions of all definitions at the moment asked about.
        values: Of the operands asked for, at the moment asked about.
    """

    now: Decision
    change: Change | None
    until: int
    truths: Mapping[str, Truth]
    others: Mapping[str, Decision]
    values: Sequence[object] = ()


def next_change(
    case: Case,
    trace: Trace,
    ask: Ask,
    as_of: int,
    until: int,
    *,
    clauses: Sequence[Clause] = (),
    operands: Sequence[tuple[str, Operand]] = (),
) -> Outlook:
    """The first instant after `as_of`, up to `until`, at which the customer's part changes without a new event.

    Args:
        trace: When the customer's events happened, including those dated later than `as_of`.
        ask: Answers conditions about this customer.
        clauses, operands: Asked in passing about `as_of`: every question to an engine takes its time.

    Returns:
        As if every definition were evaluated at every instant; a run shows the change the next time it runs.
    """
    return _Replay(case, trace, ask, as_of, until).outlook(clauses, operands)


class _Replay:
    def __init__(self, case: Case, trace: Trace, ask: Ask, as_of: int, until: int) -> None:
        self.case, self.trace, self.ask, self.as_of, self.until = case, trace, ask, as_of, until
        self.clauses = case.clauses()
        self.standing = dict(case.standing)
        self.stays: list[int] = []
        self.known: dict[int, dict[str, Truth]] = {}
        self.future = {t for ts in trace.events.values() for t in ts if as_of < t <= until}
        self.clocks = {
            zone: Clock(trace, case.features, zone, case.zone, as_of, until) for zone in {q.zone for q in self.clauses}
        }
        self.instants = {q.key: self.clocks[q.zone].instants(q.leaf) | self.future for q in self.clauses}
        self.drifting = {q.key for q in self.clauses if self.clocks[q.zone].drifts(q.leaf)}

    def outlook(self, clauses: Sequence[Clause], operands: Sequence[tuple[str, Operand]]) -> Outlook:
        soon = heapq.nsmallest(_FIRST_LOOK, set().union(*self.instants.values()))
        everything, moments = (*self.clauses, *clauses), [self.as_of, *soon]
        found = self.ask(everything, operands, moments)
        self.known = {t: _by_key(everything, row) for t, row in zip(moments, found.truths, strict=True)}
        first, values = self.known[self.as_of], found.values[0] if operands else ()
        decisions = self.case.decisions(self.as_of, first, self.standing)
        now, at_first = decisions[self.case.asked.name], decisions
        self._settle(decisions, self.as_of)
        moving = self._moving(first)
        truths = dict(first)
        looked = self.until
        for t, answers in self._timeline(moving):
            if answers is None:
                looked = t
                break
            flipped = tuple(q for q in moving if q.key in answers and answers[q.key] != truths[q.key])
            truths.update(answers)
            decisions = self.case.decisions(t, truths, self.standing)
            self._settle(decisions, t)
            after = decisions[self.case.asked.name]
            if after.segment != now.segment:
                change = Change(t, now.segment, after, flipped, t in self.future)
                return Outlook(now, change, self.until, first, at_first, values)
        return Outlook(now, None, looked, first, at_first, values)

    def _settle(self, decisions: Mapping[str, Decision], at: int) -> None:
        """Where she stands from now on, and when a minimum stay will be over."""
        for definition in self.case.definitions:
            part, stood = decisions[definition.name].segment, self.standing.get(definition.name)
            since = stood[1] if stood and stood[0] == part else at
            now = None if part is None else (part, since)
            if now == stood and at != self.as_of:
                continue
            self.standing.pop(definition.name, None)
            if part is None:
                continue
            self.standing[definition.name] = (part, since)
            stay = next((p.minimum_stay for p in definition.parts if p.key == part), None)
            for t in crossings(stay, since, self.case.zone_of(definition)) if stay is not None else ():
                if at < t <= self.until:
                    heapq.heappush(self.stays, t)

    def _moving(self, first: Mapping[str, Truth]) -> tuple[Clause, ...]:
        """Questions whose answer may change and decide something: `a and b` needs no b while a stays false."""
        still = {q.key: first[q.key] for q in self.clauses if not self.instants[q.key] and q.key not in self.drifting}
        open_: dict[str, Clause] = {}
        for definition in self.case.definitions:
            zone = self.case.zone_of(definition)
            agreed = self.case.consent(definition)
            if agreed is not None and agreed.key not in still:
                open_[agreed.key] = agreed
            for rule in rules_of(definition):
                open_ |= {q.key: q for q in self._partly(rule.rule, zone, still)[1]}
        return tuple(open_.values())

    def _partly(
        self, rule: Rule, zone: str, still: Mapping[str, Truth], *, wanted: bool = True
    ) -> tuple[bool | None, list[Clause]]:
        """Whether a rule is as wanted, where what stands still decides that; else None and the conditions that do.

        Unknown is neither true nor false, so `a and b` with an unknown b is never true, and may be false.
        """
        match rule:
            case Not(item):
                return self._partly(item, zone, still, wanted=not wanted)
            case AllOf(items) | AnyOf(items):
                parts = [self._partly(item, zone, still, wanted=wanted) for item in items]
                ends = isinstance(rule, AnyOf) == wanted  # one such item decides
                answers = [answer for answer, _ in parts]
                if ends in answers:
                    return ends, []
                return (None if None in answers else not ends), [
                    c for answer, found in parts if answer is None for c in found
                ]
            case InSegment():
                return None, []  # its own definition says what can change
        clause = self.case.clause(zone, rule)
        return (still[clause.key] is wanted, []) if clause.key in still else (None, [clause])

    # The timeline ----------------------------------------------------------------------------------------------------

    def _timeline(self, moving: Sequence[Clause]) -> Iterator[tuple[int, dict[str, Truth] | None]]:
        """Instants in order with the answers of the moving questions from then on; None = not looked any further."""
        queue = sorted(set().union(*(self.instants[q.key] for q in moving)))
        last_truths: dict[str, Truth] = {}
        for t, answers in self._asked(moving, queue):
            while self.stays and self.stays[0] <= t:
                stay = heapq.heappop(self.stays)
                if stay < t:
                    yield stay, last_truths
            yield t, answers
            if answers is None:
                return
            last_truths = answers
        while self.stays:
            yield heapq.heappop(self.stays), last_truths

    def _asked(self, moving: Sequence[Clause], queue: list[int]) -> Iterator[tuple[int, dict[str, Truth] | None]]:
        drifting = [q for q in moving if q.key in self.drifting]
        at, size, before, asked = 0, _FIRST_LOOK, self.as_of, 0
        while at < len(queue) or (drifting and before < self.until):
            if asked > MOST_MOMENTS:
                yield before, None
                return
            chunk = queue[at : at + size]
            at, size = at + size, min(size * 4, 1024)
            end = queue[at] if at < len(queue) else self.until + 1
            passed = passings(drifting, [before, *chunk, end], self.ask) if drifting else set()
            moments = sorted({*chunk, *passed})
            asked += len(moments) + (POINTS * (len(chunk) + 1) if drifting else 0)
            if moments:
                yield from zip(moments, self._truths(moving, moments), strict=True)
            before = end if drifting else (chunk[-1] if chunk else before)

    def _truths(self, clauses: Sequence[Clause], moments: Sequence[int]) -> list[dict[str, Truth]]:
        new = [t for t in moments if t not in self.known]
        found = self.ask(clauses, (), new).truths if new else []
        asked = {t: _by_key(clauses, row) for t, row in zip(new, found, strict=True)}
        return [asked[t] if t in asked else {c.key: self.known[t][c.key] for c in clauses} for t in moments]


def _by_key(clauses: Sequence[Clause], row: Sequence[Truth]) -> dict[str, Truth]:
    return {c.key: truth for c, truth in zip(clauses, row, strict=True)}
