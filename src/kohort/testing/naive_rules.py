"""The naive judge of rules: one customer's events, one rule, plain loops.

It follows docs/semantics.md to the letter and shares nothing with the compiler but the definitions. Measures and event
filters are those of `kohort.testing.naive`. Values of operands are float (numbers), str, bool, `Instant` and tuples of
text (lists); None is missing. Where a rule says nothing of a missing value, its answer is None: unknown.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from kohort.definitions.conditions import Value as Literal
from kohort.definitions.conditions import day_or_instant
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection, Where
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
    Like,
    Measured,
    Missing,
    Named,
    Not,
    Now,
    Operand,
    RandomBucket,
    Restarted,
    Rule,
    Score,
    Stopped,
)
from kohort.definitions.scores import of_score
from kohort.definitions.windows import EVER, Span, Window
from kohort.model.event import ColumnType, Event, Scalar, list_items
from kohort.model.random_bucket import random_bucket
from kohort.testing.naive import DAY, EPOCH, Customer, alike, holds

EARTH_KM = 6371.0088
"""Mean radius of the earth."""


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment as the value of an operand, microseconds UTC."""

    us: int


Answer = float | str | bool | Instant | tuple[str, ...] | None
Segments = Callable[[str, str], bool]
"""Whether this customer is in a part of a segment at the same moment; an empty part means any."""


def judge(
    rule: Rule,
    events: Iterable[Event],
    *,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    columns: Mapping[str, ColumnType] | None = None,
    features: Iterable[FeatureDefinition] = (),
    segments: Segments = lambda name, key: False,
    key: bytes = b"",
    features_zone: str = "",
) -> bool | None:
    """Whether a rule is true for the one customer whose events are given, in any order; None = unknown.

    Args:
        zone: Of the rule's own calendar windows and dates.
        features_zone: Of the features it names: the workspace's; empty = `zone`.
        key: The workspace's key of random buckets.

    Example:
        >>> from kohort.definitions.features import Selection
        >>> judge(Did(Selection(("page",))), [Event("a", 1, "page", 5)], as_of=8)
        True
    """
    return Judge(
        events,
        as_of=as_of,
        zone=zone,
        currency=currency,
        columns=columns,
        features=features,
        segments=segments,
        key=key,
        features_zone=features_zone,
    ).rule(rule)


class Judge:
    """One customer at one moment: the truth of any rule and the value of any operand. Arguments as `judge`."""

    def __init__(
        self,
        events: Iterable[Event],
        *,
        as_of: int,
        zone: str = "UTC",
        currency: str = "EUR",
        columns: Mapping[str, ColumnType] | None = None,
        features: Iterable[FeatureDefinition] = (),
        segments: Segments = lambda name, key: False,
        key: bytes = b"",
        features_zone: str = "",
    ) -> None:
        given, declared = list(events), columns or {}
        self.own = Customer(given, as_of, zone, currency, declared)
        self.workspace = Customer(given, as_of, features_zone or zone, currency, declared)
        self.customer = given[0].customer if given else None
        self.as_of, self.zone = as_of, ZoneInfo(zone)
        self.features = {f.name: f for f in features}
        self.segments, self.key = segments, key

    # Rules -----------------------------------------------------------------------------------------------------------

    def rule(self, rule: Rule) -> bool | None:  # noqa: PLR0911 - one answer per kind
        """True, False or None for unknown (L1)."""
        match rule:
            case Not(item):
                answer = self.rule(item)
                return None if answer is None else not answer
            case AllOf(items):
                answers = [self.rule(item) for item in items]
                return False if False in answers else None if None in answers else True
            case AnyOf(items):
                answers = [self.rule(item) for item in items]
                return True if True in answers else None if None in answers else False
            case InSegment(name, part):
                return self.segments(name, part)
            case Did() | FirstTime() | Stopped() | Restarted() | InPeriods() | Follows():
                return self.happened(rule)
            case Missing(of, negated):
                return (self.value(of) is None) != negated
            case Compare():
                return self.compare(rule)
            case Among(of, values, negated):
                if self.value(of) is None:
                    return True if negated else None  # L2
                return any(self.equal(of, v) for v in values) != negated
            case Like(of, place, text, negated):
                found = self.value(of)
                if found is None:
                    return True if negated else None  # L2
                part = self.letters(text, of)
                return any(holds(self.letters(t, of), place, part) for t in texts(found)) != negated
            case HasItems(of, how, values):
                return self.has_items(of, how, values)

    def compare(self, rule: Compare) -> bool | None:
        left, op, right = rule.left, rule.op, rule.right
        if op in ("=", "!="):
            same = self.equal(left, right)
            return same if op == "=" else same is not True  # L2
        a, b = self.value(left), self.side(right)
        if a is None or b is None:
            return None
        order = self.order(a, b)
        if order is None:
            return False  # L4
        return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[op]

    def side(self, right: Operand | Literal) -> Answer | Decimal:
        return right if isinstance(right, str | Decimal | bool) else self.value(right)

    def equal(self, left: Operand, right: Operand | Literal) -> bool | None:
        """Of lists, one item is enough. Text is compared without large and small letters unless `exactly` says so."""
        a, b = self.value(left), self.side(right)
        if a is None or b is None:
            return None
        if isinstance(a, bool) or isinstance(b, bool):
            return a is b
        order = self.order(a, b)
        if order is not None:
            return order == 0
        ours = [self.letters(t, left, right) for t in texts(a)]
        theirs = [self.letters(t, left, right) for t in texts(b)]
        return any(t in theirs for t in ours)

    def order(self, a: Answer | Decimal, b: Answer | Decimal) -> int | None:
        """−1, 0 or 1 of two numbers or two moments; None for what has no order (L4)."""
        match a, b:
            case Instant(us), str(text):
                return self.own.order_in_time(us, text) if day_or_instant(text) else None
            case (Instant(x), Instant(y)):
                return (x > y) - (x < y)
            case (float(), float() | Decimal()):
                return (a > float(b)) - (a < float(b))
        return None

    def letters(self, text: str, *sides: Operand | Literal) -> str:
        return text if any(isinstance(s, Exactly) for s in sides) else alike(text)

    def has_items(self, of: Operand, how: str, values: Iterable[str]) -> bool | None:
        found = self.value(of)
        if found is None:
            return True if how == "none" else None  # L2: none is the complement of any
        items = [self.letters(t, of) for t in texts(found)]
        there = [self.letters(v, of) in items for v in values]
        return all(there) if how == "all" else any(there) == (how == "any")

    # What happened ---------------------------------------------------------------------------------------------------

    def happened(self, rule: Did | FirstTime | Stopped | Restarted | InPeriods | Follows) -> bool:
        match rule:
            case Did(selection, counted, times):
                count = len(self.own.chosen(selection))
                return {"at_least": count >= times, "at_most": count <= times, "exactly": count == times}[counted]  # N2
            case FirstTime(selection):
                found = self.ever(selection.events, selection.where)
                return bool(found) and self.own.inside(found[0].ts, selection.window)
            case Stopped(step, within, recent):
                moments = [e.ts for e in self.ever(step.events, step.where)]
                outer, inner = self.own.ago(within), self.own.ago(recent)
                return any(outer < ts <= inner for ts in moments) and not any(ts > inner for ts in moments)
            case Restarted(step, within, recent):
                moments = [e.ts for e in self.ever(step.events, step.where)]
                outer, inner = self.own.ago(within), self.own.ago(recent)
                silent = not any(outer < ts <= inner for ts in moments)
                return any(ts > inner for ts in moments) and silent and any(ts <= outer for ts in moments)
            case InPeriods():
                return self.in_periods(rule)
            case Follows():
                return self.follows(rule)

    def ever(self, events: tuple[str, ...], where: Where | None) -> list[Event]:
        """Such events ever, in order of time."""
        return self.own.chosen(Selection(events, where, EVER))

    def in_periods(self, rule: InPeriods) -> bool:
        """S3: at least k of the last n complete local days, ISO weeks, months or years."""
        current = self.period(self.as_of, rule.period)
        wanted = range(current - rule.of, current)
        active = {self.period(e.ts, rule.period) for e in self.ever(rule.step.events, rule.step.where)}
        return sum(p in active for p in wanted) >= rule.at_least

    def period(self, instant: int, unit: str) -> int:
        """The number of the local day, ISO week, month or year that contains an instant."""
        day = self.local(instant).date()
        if unit == "day":
            return day.toordinal()
        if unit == "week":
            return (day.toordinal() - day.isoweekday()) // 7
        return day.year * 12 + day.month if unit == "month" else day.year

    def follows(self, rule: Follows) -> bool:
        """S1 and S2."""
        length = self.as_of - self.own.ago(rule.within)
        window: Window = EVER if rule.negated else rule.first.window
        thens = self.own.chosen(Selection(rule.then.events, rule.then.where, window))
        for a in self.own.chosen(rule.first):
            followed = any(a.ts < b.ts <= a.ts + length for b in thens)
            if rule.negated and not followed and a.ts + length <= self.as_of:
                return True
            if not rule.negated and followed:
                return True
        return False

    # Values ----------------------------------------------------------------------------------------------------------

    def value(self, operand: Operand) -> Answer:  # noqa: PLR0911 - one answer per kind
        """The value of an operand; None = missing."""
        match operand:
            case Named(name):
                known = self.features.get(name)
                return self.trait(name) if known is None else self.workspace.answer(known.measure)
            case Measured(measure):
                return self.measured(measure)
            case DaysUnchanged(trait):
                return self.days_unchanged(trait)
            case RandomBucket(salt):
                return self.random(salt)
            case Score(name):
                score = of_score(name, self.features)
                return (
                    None if score is None else self.workspace.answer(score.measure)
                )  # P2: the window is the freshness
            case Distance():
                return self.distance(operand)
            case DatePart(part, of):
                moment = self.value(of)
                return self.part(part, self.local(moment.us)) if isinstance(moment, Instant) else None
            case Now(direction, length):
                return Instant(self.moment(direction, length))
            case Exactly(of):
                return self.value(of)
            case Item(of, index):
                items = texts(self.value(of))
                return items[index - 1] if 1 <= index <= len(items) else None
            case ItemCount(of):
                return float(len(texts(self.value(of))))

    def random(self, salt: str) -> float:
        """M7: a keyed number from 0 to 100, the same for ever."""
        assert self.customer is not None, "events without a customer have no random number"
        return float(random_bucket(self.customer, salt, self.key))

    def trait(self, name: str) -> Answer:
        """The latest value that is not missing (T1, N6)."""
        return self.measured(Aggregate("last", name, Selection()))

    def measured(self, measure: Aggregate) -> Answer:
        """As the feature of the same words, but a time stays a moment and a list a list."""
        column = self.own.known.get(measure.column)
        if column is None or column.type not in ("time", "list") or measure.kind not in ("first", "last", "mode"):
            return self.own.answer(measure)
        stored = self.own.picked(measure, self.own.chosen(measure.selection))
        if column.type == "time":
            return Instant(stored) if isinstance(stored, int) else None
        return tuple(list_items(stored)) or None if isinstance(stored, str) else None

    def days_unchanged(self, trait: str) -> float | None:
        """Days since the first of the latest run of equal values; what is missing changes nothing."""
        since, current = None, None
        for event in self.own.events:
            found = self.own.value(event, trait)
            told: Scalar = alike(found) if isinstance(found, str) else found
            if told is not None and told != current:
                since, current = event.ts, told
        return None if since is None else (self.as_of - since) / DAY

    def distance(self, operand: Distance) -> float | None:
        """Great circle by the haversine formula, rounded half up to metres; off the globe is missing."""
        latitude, longitude = self.value(operand.latitude), self.value(operand.longitude)
        if not isinstance(latitude, float) or not isinstance(longitude, float):
            return None
        if abs(latitude) > 90 or abs(longitude) > 180:
            return None
        a, b = math.radians(latitude), math.radians(float(operand.to_latitude))
        half = math.radians(float(operand.to_longitude) - longitude) / 2
        h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(half) ** 2
        return math.floor(2 * EARTH_KM * math.asin(min(1.0, math.sqrt(h))) * 1000 + 0.5) / 1000

    def part(self, part: str, local: datetime) -> float:
        return float(local.isoweekday() if part == "weekday" else getattr(local, part))

    def local(self, instant: int) -> datetime:
        return (EPOCH + timedelta(microseconds=instant)).astimezone(self.zone)

    def moment(self, direction: str, length: Span | None) -> int:
        if length is None:
            return self.as_of
        return self.own.ago(length) if direction == "ago" else self.ahead(length)

    def ahead(self, span: Span) -> int:
        """T3 forwards; n calendar days ahead is the last instant of the n-th local day, today being the first."""
        if span.calendar:
            day = self.local(self.as_of).date() + timedelta(days=span.amount)
            return self.midnight(day) - 1
        if span.unit not in ("month", "year"):
            return self.as_of + (self.as_of - self.own.ago(span))
        local = self.local(self.as_of)
        year, month = local.year, local.month
        for _ in range(span.amount * (12 if span.unit == "year" else 1)):
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        stepped = local.replace(year=year, month=month, day=min(local.day, monthrange(year, month)[1]))
        return (stepped.astimezone(EPOCH.tzinfo) - EPOCH) // timedelta(microseconds=1)

    def midnight(self, day: date) -> int:
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return (start.astimezone(EPOCH.tzinfo) - EPOCH) // timedelta(microseconds=1)


def texts(value: Answer | Decimal) -> list[str]:
    """The texts in a value: one of a text, all items of a list, none of anything else."""
    return list(value) if isinstance(value, tuple) else [value] if isinstance(value, str) else []
