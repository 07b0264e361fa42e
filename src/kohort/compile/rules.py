"""Rules as portable boolean expressions over the joined stages of a plan: true, false or null for a customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import and_, or_
from typing import Any

import ibis

from kohort.compile.conditions import (
    apply,
    comparable,
    compare_time,
    compare_values,
    list_like,
    spelt,
    text_like,
)
from kohort.compile.operands import Operands, Typed
from kohort.compile.plan import Plan
from kohort.compile.values import Value, joined
from kohort.definitions.conditions import Operator, day_or_instant
from kohort.definitions.conditions import Value as Literal
from kohort.definitions.features import FeatureDefinition, Selection
from kohort.definitions.rules.tree import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    Did,
    FirstTime,
    Follows,
    HasItems,
    InPeriods,
    InSegment,
    Like,
    Missing,
    Not,
    Restarted,
    Rule,
    Stopped,
)
from kohort.definitions.windows import EVER, Window

InSegments = Callable[[InSegment], Value]
"""How membership of another segment is answered."""


class Rules:
    """Reads rules for one plan: first every rule registers its needs, then the answers make expressions.

    Args:
        plan: In the workspace's zone, which features follow.
        features: By name.
        key: Of random buckets.
        in_segments: See `InSegments`.
    """

    def __init__(
        self, plan: Plan, features: Mapping[str, FeatureDefinition], key: bytes, in_segments: InSegments
    ) -> None:
        self.plan, self.in_segments = plan, in_segments
        self.operands = Operands(plan, features, key)
        self._read: dict[tuple[Rule, str], Value] = {}

    def read(self, rule: Rule, zone: str = "") -> Value:
        """Register a rule whose calendar follows a zone (empty = the plan's); equal rules are read once."""
        zone = zone or self.plan.scope.zone
        if (rule, zone) not in self._read:
            self._read[rule, zone] = self._rule(rule, self.plan.in_zone(zone))
        return self._read[rule, zone]

    def _rule(self, rule: Rule, plan: Plan) -> Value:  # noqa: PLR0911 - one per kind
        zone = plan.scope.zone
        match rule:
            case AllOf(items):
                every = [self.read(item, zone) for item in items]
                return lambda t: joined(and_, (item(t) for item in every))
            case AnyOf(items):
                some = [self.read(item, zone) for item in items]
                return lambda t: joined(or_, (item(t) for item in some))
            case Not(item):
                denied = self.read(item, zone)
                return lambda t: ~denied(t)
            case InSegment():
                return self.in_segments(rule)
            case Did() | FirstTime() | Stopped() | Restarted() | InPeriods() | Follows():
                return _happened(rule, plan)
            case Compare():
                return self._compare(rule, plan)
            case Among(of, values, negated):
                typed = self.operands.read(of, plan)
                return _complement(_among(typed, values, zone), typed, negated=negated)
            case Like(of, where, text, negated):
                typed = self.operands.read(of, plan)
                return _complement(_like(typed, where, text), typed, negated=negated)
            case HasItems(of, how, items):
                typed = self.operands.read(of, plan)
                return _complement(_has(typed, items, every=how == "all"), typed, negated=how == "none")
            case Missing(of, negated):
                value = self.operands.read(of, plan).value
                return lambda t: value(t).notnull() if negated else value(t).isnull()

    def _compare(self, rule: Compare, plan: Plan) -> Value:
        left = self.operands.read(rule.left, plan)
        if isinstance(rule.right, str | Decimal | bool):
            return _with_literal(left, rule.op, rule.right, plan.scope.zone)
        return _with_operand(left, rule.op, self.operands.read(rule.right, plan))


# What happened -------------------------------------------------------------------------------------------------------


def _happened(rule: Did | FirstTime | Stopped | Restarted | InPeriods | Follows, plan: Plan) -> Value:
    """True or false, never unknown: a customer without any such event did it 0 times."""
    match rule:
        case Did(selection, counted, times):
            count = plan.times(selection)
            op: Operator = {"at_least": ">=", "at_most": "<=", "exactly": "="}[counted]  # type: ignore[assignment]
            return lambda t: apply(op, count(t), times)
        case FirstTime(selection):
            first = plan.earliest(Selection(selection.events, selection.where))
            inside = plan.inside(selection.window)
            return lambda t: _sure(inside(t, first(t)))
        case Stopped(step, within, recent):
            before = plan.times(Selection(step.events, step.where, Window(within, recent)))
            lately = plan.times(Selection(step.events, step.where, Window(recent)))
            return lambda t: (before(t) > 0) & (lately(t) == 0)
        case Restarted(step, within, recent):
            first = plan.earliest(Selection(step.events, step.where, EVER))
            before = plan.times(Selection(step.events, step.where, Window(within, recent)))
            lately = plan.times(Selection(step.events, step.where, Window(recent)))
            long_ago = plan.inside(Window(None, within))
            return lambda t: (lately(t) > 0) & (before(t) == 0) & _sure(long_ago(t, first(t)))
        case InPeriods(step, at_least, of, period):
            active = plan.active_periods(step, period, of)
            return lambda t: ibis.coalesce(active(t), 0) >= at_least
        case Follows(first_step, then, within, negated):
            met = (plan.alone if negated else plan.followed)(first_step, then, within)
            return lambda t: ibis.coalesce(met(t), 0) > 0


def _sure(answer: Any) -> Any:
    return ibis.coalesce(answer, ibis.literal(False))


# Comparisons ---------------------------------------------------------------------------------------------------------


def _complement(found: Value, typed: Typed, *, negated: bool) -> Value:
    """`not in`, `not like` and `has_none` are true for a missing value (L2)."""
    return (lambda t: ~found(t) | typed.value(t).isnull()) if negated else found


def _with_literal(left: Typed, op: Operator, right: Literal, zone: str) -> Value:  # noqa: PLR0911 - one per type
    if op == "!=":
        same = _with_literal(left, "=", right, zone)
        return lambda t: ~ibis.coalesce(same(t), ibis.literal(False))  # L2
    match left.type, right:
        case ("nothing", _):
            return _unknown
        case ("flag", bool()):
            return lambda t: left.value(t) == right
        case ("number", Decimal()):
            return lambda t: apply(op, left.value(t), ibis.literal(float(right), "float64"))
        case ("time", str()) if day_or_instant(right):
            return lambda t: compare_time(left.value(t), op, right, zone)
        case ("text", str()) if op == "=":
            return lambda t: comparable(left.value(t), [right], exact=left.exact) == spelt(right, exact=left.exact)
        case ("list", str()) if op == "=":
            return _has(left, (right,), every=False)
    return _never(left)


def _with_operand(left: Typed, op: Operator, right: Typed) -> Value:
    types = (left.type, right.type)
    if "nothing" in types:
        return (lambda _: ibis.literal(True)) if op == "!=" else _unknown
    if types not in _COMPARABLE and left.type != right.type:
        never = _never(left, right)
        return (lambda _: ibis.literal(True)) if op == "!=" else never
    exact = left.exact or right.exact

    def same(t: Any) -> Any:
        kinds: Any = types
        return compare_values("=" if op == "!=" else op, left.value(t), right.value(t), kinds, exact=exact)

    return (lambda t: ~ibis.coalesce(same(t), ibis.literal(False))) if op == "!=" else same


_COMPARABLE = {("text", "list"), ("list", "text")}


def _among(typed: Typed, values: tuple[Literal, ...], zone: str) -> Value:
    texts = [v for v in values if isinstance(v, str)]
    if typed.type == "text" and len(texts) == len(values):
        spellings = sorted({spelt(text, exact=typed.exact) for text in texts})
        return lambda t: comparable(typed.value(t), texts, exact=typed.exact).isin(spellings)
    if typed.type == "number" and not texts:
        numbers = sorted({float(v) for v in values})
        return lambda t: typed.value(t).isin(numbers)
    some = [_with_literal(typed, "=", value, zone) for value in values]
    return lambda t: joined(or_, (answer(t) for answer in some))


def _like(typed: Typed, place: str, text: str) -> Value:
    part = spelt(text, exact=typed.exact)
    match typed.type:
        case "text":
            return lambda t: text_like(comparable(typed.value(t), [text], exact=typed.exact), place, part)
        case "list":
            return lambda t: list_like(comparable(typed.value(t), [text], exact=typed.exact), place, part)
        case "nothing":
            return _unknown
        case _:
            return _never(typed)


def _has(typed: Typed, items: tuple[str, ...], *, every: bool) -> Value:
    if typed.type != "list":
        return _unknown if typed.type == "nothing" else _among(typed, items, "UTC")
    wanted = [spelt(item, exact=typed.exact) for item in items]

    def value(t: Any) -> Any:
        subject = comparable(typed.value(t), items, exact=typed.exact)
        return joined(and_ if every else or_, (list_like(subject, "whole", item) for item in wanted))

    return value


def _unknown(_: Any) -> Any:
    return ibis.null("boolean")


def _never(*sides: Typed) -> Value:
    """Values of different kinds are never equal nor in order (L4); of a missing one nothing is known."""
    return lambda t: joined(or_, (side.value(t).isnull() for side in sides)).ifelse(
        ibis.null("boolean"), ibis.literal(False)
    )
