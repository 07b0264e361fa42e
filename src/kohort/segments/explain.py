"""Putting into words why one customer is where she is: asks once for the values that conditions show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from kohort.definitions import figures
from kohort.definitions.columns import vocabulary
from kohort.definitions.features import Aggregate, Selection, unit_of
from kohort.definitions.rules import format_rule, leaves
from kohort.definitions.rules.tree import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    DaysUnchanged,
    Did,
    FirstTime,
    Follows,
    HasItems,
    InPeriods,
    InSegment,
    Leaf,
    Like,
    Measured,
    Missing,
    Named,
    Not,
    Operand,
    Restarted,
    Rule,
    Stopped,
)
from kohort.definitions.segments import Part, RuleText
from kohort.definitions.windows import EVER
from kohort.locale import gettext
from kohort.model.event import ColumnType
from kohort.model.feature import Unit
from kohort.segments import why_words as words
from kohort.segments.decide import Decision, Truth, rules_of, truth_of
from kohort.segments.drift import Ask, Clause
from kohort.segments.instants import Trace
from kohort.segments.missing import ToChange, holding, to_change
from kohort.segments.next_change import Case, Outlook, inside, next_change
from kohort.segments.reasons import Condition, How, Needed, PartWhy, Why

_MOST_PERIODS = 24


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What it takes to speak about conditions.

    Attributes:
        columns: Declared columns of the log.
        currency: Of money.
        language: Of the sentences of conditions: en, nl, da or de.
        labels: Plain words for names, as `say_rule` takes them.
    """

    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    currency: str = "EUR"
    language: str = "en"
    labels: Mapping[str, str] = field(default_factory=dict)


def explain(
    case: Case,
    trace: Trace,
    ask: Ask,
    as_of: int,
    until: int,
    *,
    knowledge: Knowledge,
    recorded: tuple[str, int] | None = None,
    part: str | None = None,
) -> Why:
    """Why one customer is where she is, from what an engine answers about her.

    Args:
        trace: When her events happened, those to come included.
        until: How far to look for a change by time alone.
        recorded: The part that was published at this moment, and since when; no run may have seen what is so now.
        part: Key of the part to explain; None = hers, else the one she is nearest to.
    """
    wanted = asked_values(case)
    outlook = next_change(case, trace, ask, as_of, until, clauses=wanted.periods, operands=wanted.operands)
    teller = _Teller(case, knowledge, outlook, wanted)
    parts = tuple(teller.part(p) for p in case.asked.parts)
    now = outlook.now
    chosen = part or now.segment or now.left_out or now.candidate or _nearest(parts)
    asked = next(p for p in parts if p.segment == chosen)
    labels = {p.segment: p.label for p in parts}
    told = (case.standing.get(case.asked.name), recorded)
    since = next((stay[1] for stay in told if stay is not None and stay[0] == now.segment), None)
    notes = tuple(teller.notes(now, labels, asked))
    change_text = teller.change_text(labels)
    return Why(
        name=case.asked.name,
        segment=now.segment,
        asked=asked,
        parts=parts,
        since=since,
        reason=now.reason,
        left_out=now.left_out,
        notes=notes,
        change=outlook.change,
        change_text=change_text,
        looked_until=outlook.until,
        text=teller.text(now, labels, asked, since, (*notes, change_text)),
    )


def observed(leaf: Leaf) -> tuple[Operand, ...]:  # noqa: PLR0911 - one answer per kind
    """The values that say what is so: how often it happened, when last, what is compared."""
    match leaf:
        case Did(selection):
            return (Measured(Aggregate("count", "", selection)),)
        case FirstTime(selection):
            return (Measured(Aggregate("tenure", "", Selection(selection.events, selection.where, EVER))),)
        case Stopped(step) | Restarted(step):
            return (Measured(Aggregate("recency", "", Selection(step.events, step.where))),)
        case Follows(first, then):
            second = Selection(then.events, then.where, first.window)
            return Measured(Aggregate("count", "", first)), Measured(Aggregate("count", "", second))
        case Compare(left, _, right):
            return (left,) if isinstance(right, str | Decimal | bool) else (left, right)
        case Among(of) | Missing(of) | Like(of) | HasItems(of):
            return (of,)
        case InPeriods() | InSegment():
            return ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What has to be asked to show the conditions of one definition.

    Attributes:
        shown: Its conditions by the key of their clause.
        operands: In the order of the conditions, the values of each.
        periods: Conditions that together say in how many periods something happened.
    """

    shown: Mapping[str, Leaf]
    operands: tuple[tuple[str, Operand], ...]
    periods: tuple[Clause, ...]


def asked_values(case: Case) -> Shown:
    """What has to be asked to show the conditions of the definition asked about."""
    zone = case.zone_of(case.asked)
    found = (leaf for rule in rules_of(case.asked) for leaf in leaves(rule.rule) if not isinstance(leaf, InSegment))
    shown = {case.clause(zone, leaf).key: leaf for leaf in found}
    return Shown(
        shown,
        tuple((zone, operand) for leaf in shown.values() for operand in observed(leaf)),
        tuple(Clause.of(zone, period) for leaf in shown.values() for period in _periods(leaf)),
    )


class _Teller:
    """Puts answers into words."""

    def __init__(self, case: Case, knowledge: Knowledge, outlook: Outlook, wanted: Shown) -> None:
        self.case, self.knowledge, self.outlook = case, knowledge, outlook
        self.zone = case.zone_of(case.asked)
        self.say = words.Speech(knowledge.currency, self.zone)
        self.columns = vocabulary(knowledge.columns)
        self.truths = outlook.truths
        each = iter(outlook.values)
        self.values = {
            key: [*(next(each) for _ in observed(leaf)), *self._counted(leaf)] for key, leaf in wanted.shown.items()
        }

    def _counted(self, leaf: Leaf) -> list[object]:
        """In how many periods: the largest k that is true."""
        periods = list(_periods(leaf))
        return [sum(self.truths[Clause.of(self.zone, p).key] is True for p in periods)] if periods else []

    # Parts -----------------------------------------------------------------------------------------------------------

    def part(self, part: Part) -> PartWhy:
        rule = part.rule.rule if part.rule else None
        true = None if rule is None else truth_of(rule, self._truth)
        missing = ToChange() if rule is None or true else to_change(rule, self._truth, self._possible)
        held = holding(rule, self._truth) if rule is not None and true else ()
        return PartWhy(
            part.key,
            part.label or part.key,
            true,
            self._conditions(part.rule),
            self._conditions(part.keep),
            tuple(self._needed(leaf, wanted) for leaf, wanted in missing.leaves),
            tuple(self.condition(leaf) for leaf in held),
        )

    def _conditions(self, rule: RuleText | None) -> tuple[Condition, ...]:
        if rule is None:
            return ()
        outermost = rule.rule.items if isinstance(rule.rule, AllOf) else (rule.rule,)
        return tuple(self.condition(r) for r in outermost)

    def condition(self, rule: Rule) -> Condition:
        text, sentence = format_rule(rule), self._sentence(rule)
        match rule:
            case Not(item):
                return Condition(text, sentence, "", truth_of(rule, self._truth), "not", (self.condition(item),))
            case AllOf(items) | AnyOf(items):
                how: How = "all" if isinstance(rule, AllOf) else "any"
                nested = tuple(self.condition(item) for item in items)
                return Condition(text, sentence, "", truth_of(rule, self._truth), how, nested)
        holds = self._truth(rule)
        actual = words.actual(rule, self._values(rule), self._unit(rule), self.say, holds=holds)
        return Condition(text, sentence, actual, holds)

    def _truth(self, leaf: Leaf) -> Truth:
        if isinstance(leaf, InSegment):
            return inside(leaf, self.outlook.others, self.case.standing)
        return self.truths[self.case.clause(self.zone, leaf).key]

    def _values(self, leaf: Leaf) -> list[object]:
        if isinstance(leaf, InSegment):
            decided = self.outlook.others.get(leaf.name)
            stored = self.case.standing.get(leaf.name)
            found = decided.segment if decided is not None else stored[0] if stored else None
            if found is None:
                return [None]
            return [gettext("is in %(name)s", name=found) if found != leaf.name else gettext("is in it")]
        return self.values[self._key(leaf)]

    def _key(self, leaf: Leaf) -> str:
        return self.case.clause(self.zone, leaf).key

    def _unit(self, leaf: Leaf) -> Unit:
        match leaf:
            case Compare(of) | Among(of):
                return self._unit_of(of)
            case _:
                return "number"

    def _unit_of(self, operand: Operand) -> Unit:
        match operand:
            case Named(name) if name in self.case.features:
                return self.case.features[name].info(self.knowledge.columns).unit
            case Measured(measure) if not measure.column or measure.column in self.columns:
                return unit_of(measure, self.columns)
            case DaysUnchanged():
                return "days"
            case _:
                return "number"

    def _sentence(self, rule: Rule) -> str:
        return said(format_rule(rule), self.knowledge.language, tuple(sorted(self.knowledge.labels.items())))

    def _needed(self, leaf: Leaf, wanted: bool) -> Needed:
        far = words.distance(leaf, self._values(leaf), self._unit(leaf), self.say, wanted=wanted)
        possible = self._possible(leaf, wanted)
        return Needed(format_rule(leaf), self._sentence(leaf), wanted, far, possible)

    def _possible(self, leaf: Leaf, wanted: bool) -> bool:
        """Whether events or waiting can make a condition what is wanted; what has happened once never has not."""
        values = self._values(leaf)
        match leaf:
            case Did(selection, counted, n) if selection.window.start is None:
                most = (
                    n if wanted and counted != "at_least" else n - 1 if not wanted and counted == "at_least" else None
                )
                return most is None or _as_number(values[0]) <= most
            case FirstTime(selection):
                return not wanted or values[0] is None or selection.window.end is not None
            case Compare(Measured(Aggregate("tenure")), op) if values[0] is not None:
                return (op in (">", ">=")) == wanted
            case _:
                return True

    # Sentences -------------------------------------------------------------------------------------------------------

    def notes(self, now: Decision, labels: Mapping[str, str], asked: PartWhy) -> Iterator[str]:
        """What decides beside the conditions."""
        hands = self.case.by_hand.get(self.case.asked.name, {})
        if now.forbidden == "objection":
            yield gettext("She objected to profiling, and this segment needs it.")
        if now.forbidden == "restriction":
            yield gettext("Her data may be kept but not used, so she is in no segment.")
        if now.left_out is not None:
            purpose = self.case.asked.purpose
            yield gettext(
                "She would be in %(name)s, but has not agreed to %(purpose)s.",
                name=labels[now.left_out],
                purpose=repr(purpose),
            )
        taken_out = [labels.get(key, "") for key, added in hands.items() if not added and (not key or key in labels)]
        for label in taken_out:
            yield (
                gettext("A person took her out of %(name)s; no rule puts her back.", name=label)
                if label
                else gettext("A person took her out; no rule puts her back.")
            )
        if now.reason in ("keep", "minimum stay", "not allowed yet") and now.candidate != now.segment:
            yield (
                gettext("Without staying rules she would be in %(name)s.", name=labels[now.candidate])
                if now.candidate
                else gettext("Without staying rules she would be in no part.")
            )
        if self.case.asked.kind == "buckets":
            drawn = figures.number(self.case.buckets.get(self.case.asked.name, 0.0), 2)
            yield gettext("Her random number is %(n)s of 100; it never changes.", n=drawn)
        if now.segment is not None and now.segment != asked.segment and now.candidate == now.segment:
            yield gettext("%(name)s comes first.", name=labels[now.segment])
        if self.case.asked.kind == "accounts":
            # Told by the command line and the API only: pages explain no accounts.
            every = self.case.asked.quantifier
            yield f"Members are accounts: one is in when {every} of its users meet the rule. This is about one user."

    def change_text(self, labels: Mapping[str, str]) -> str:
        change = self.outlook.change
        if change is None:
            return words.no_change(self.outlook.until, self.say)
        names = sorted({name for clause in change.flipped for name in _event_names(clause.leaf)})
        before, after = (labels.get(key or "", "") for key in (change.before, change.after.segment))
        return words.until(change.at, before, after, self.say, unless=names, by_event=change.by_event)

    def text(
        self, now: Decision, labels: Mapping[str, str], asked: PartWhy, since: int | None, further: Sequence[str]
    ) -> str:
        if now.segment is not None:
            first = [words.membership(labels[now.segment], now.reason, since, self.say)]
        else:
            first = [gettext("Is not in %(name)s.", name=asked.label)]
            first += (
                [gettext("Missing: %(conditions)s.", conditions="; ".join(_missing_words(n) for n in asked.missing))]
                if asked.missing
                else []
            )
        return " ".join([*first, *further])


def _nearest(parts: Sequence[PartWhy]) -> str:
    """The part with the fewest conditions missing; of equals the last one, which asks the least."""
    far = [(sum(not n.possible for n in p.missing), len(p.missing), -i) for i, p in enumerate(parts)]
    return parts[-min(far)[2]].segment


def _periods(leaf: Leaf) -> Iterator[InPeriods]:
    """Questions that together say in how many periods it happened: in at least 1, in at least 2 …"""
    if isinstance(leaf, InPeriods) and leaf.of <= _MOST_PERIODS:
        yield from (InPeriods(leaf.step, k, leaf.of, leaf.period) for k in range(1, leaf.of + 1))


def _event_names(leaf: Leaf) -> Iterator[str]:
    match leaf:
        case Did(selection) | FirstTime(selection) | Follows(selection):
            yield from selection.events
        case Stopped(step) | Restarted(step) | InPeriods(step):
            yield from step.events
        case Compare(Measured(measure)):
            yield from measure.selection.events
        case _:
            return


@lru_cache(maxsize=4096)
def said(text: str, language: str, labels: tuple[tuple[str, str], ...]) -> str:
    """The sentence of a rule's canonical text. Sentences are read back before they are given, so each is said once."""
    from kohort.definitions.rules import parse_rule
    from kohort.definitions.rules.sentences import say_rule

    return say_rule(parse_rule(text), language, labels=dict(labels))


def _missing_words(needed: Needed) -> str:
    told = needed.sentence if needed.wanted else gettext("not any more: %(rule)s", rule=needed.sentence)
    if not needed.possible:
        return gettext("%(rule)s (nothing can bring that about)", rule=told)
    return f"{told} ({needed.distance})" if needed.distance else told


def _as_number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
