"""The instants at which time alone can change an answer about one customer, exact to the microsecond.

Between two neighbouring instants of a condition no event enters or leaves a window, no limit of days is passed and no
calendar period ends, so the condition keeps its answer; a few instants too many do no harm, one too few would. What
the clock changes without such a border (a recency compared with another feature) is called drifting, and searched for
by `kohort.segments.next_change`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

from kohort.definitions.conditions import Value, day_or_instant
from kohort.definitions.features import Aggregate, FeatureDefinition, Gap, Measure, Ratio, Selection, Sequence, Share
from kohort.definitions.rules.tree import (
    Among,
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
    Now,
    Operand,
    RandomBucket,
    Restarted,
    Score,
    Stopped,
)
from kohort.definitions.windows import Span, TimeUnit
from kohort.model.clock import DAY_US, micros
from kohort.segments.crossings import crossings, hours, midnights, period_start, wall_time

Shape = Literal["still", "linear", "drifting"]
"""How a value moves between two instants: not at all, one day a day, or in another way."""

_MINUTE_US = 60_000_000
_SLACK_US = 40 * DAY_US  # more than calendar steps and changes of the clock can be away from a span's usual length


@dataclass(frozen=True, slots=True)
class Trace:
    """What the clock acts on: when a customer's events happened, those to come included.

    Attributes:
        events: Name → instants, microseconds UTC, ascending.
        times: Time column (`p_…`, `t_…`) → the instants it holds on any event.
    """

    events: Mapping[str, tuple[int, ...]]
    times: Mapping[str, tuple[int, ...]]

    def of(self, names: tuple[str, ...]) -> Iterator[int]:
        """When events of these names happened; no name = all."""
        for name in names or self.events:
            yield from self.events.get(name, ())


@dataclass(frozen=True, slots=True)
class Clock:
    """Which instants are asked for: later than `after`, not later than `until`, in two zones.

    Attributes:
        zone: Of the rule's own calendar windows and dates.
        features_zone: Of the features it names.
    """

    trace: Trace
    features: Mapping[str, FeatureDefinition]
    zone: str
    features_zone: str
    after: int
    until: int

    def instants(self, leaf: Leaf) -> set[int]:
        """Instants in the range at which the leaf's answer may change."""
        return {t for t in self._leaf(leaf) if self.after < t <= self.until}

    def drifts(self, leaf: Leaf) -> bool:
        """Whether the answer may change between two instants, too."""
        match leaf:
            case Compare(left, _, right):
                shapes = {self.shape(left), "still" if isinstance(right, _VALUES) else self.shape(right)}
                return "drifting" in shapes or ("linear" in shapes and "still" in shapes and _two_operands(leaf))
            case Among(of):
                return self.shape(of) == "drifting"
            case _:
                return False

    def shape(self, operand: Operand) -> Shape:
        """How the value of an operand moves between two instants."""
        match operand:
            case Named(name) if name in self.features:
                return self._measure_shape(self.features[name].measure)
            case Measured(measure):
                return self._measure_shape(measure)
            case DaysUnchanged():
                return "linear"
            case _:
                return "still"

    def _measure_shape(self, measure: Measure) -> Shape:
        match measure:
            case Aggregate("recency" | "tenure"):
                return "linear"
            case Aggregate("first" | "last" | "mode", column) if self._is_time(column):
                return "linear"
            case Ratio(numerator, denominator):
                sides = {self._measure_shape(numerator), self._measure_shape(denominator)}
                return "still" if sides == {"still"} else "drifting"
            case _:
                return "still"

    def _is_time(self, column: str) -> bool:
        return column == "ts" or column in self.trace.times

    # Leaves ----------------------------------------------------------------------------------------------------------

    def _leaf(self, leaf: Leaf) -> Iterator[int]:
        match leaf:
            case Did(selection) | FirstTime(selection):
                yield from self._selected(selection, self.zone)
            case Stopped(step, within, recent) | Restarted(step, within, recent):
                for span in (within, recent):
                    yield from self._passing(span, self.trace.of(step.events), self.zone)
            case InPeriods(step, _, of, period):
                for ts in self.trace.of(step.events):
                    yield from self._periods(ts, of, period)
            case Follows(first, then, within):
                yield from self._selected(first, self.zone)
                yield from self._selected(Selection(then.events, None, first.window), self.zone)
                yield from self._passing(within, self.trace.of(first.events), self.zone)
            case Compare(left, _, right):
                sides: tuple[Operand | Value, ...] = (left, right)
                yield from self._compared(sides)
            case Among(of, values):
                yield from self._compared((of, *values))
            case Missing(of) | Like(of) | HasItems(of):
                yield from self._compared((of,))
            case InSegment():
                return  # what it refers to has instants of its own

    def _compared(self, sides: Iterable[Operand | Value]) -> Iterator[int]:
        """Instants of everything on the sides of a comparison, given what each is compared with."""
        sides = list(sides)
        days = [_days_us(v) for v in sides if isinstance(v, Decimal)]
        nows = [side for side in sides if isinstance(side, Now)]
        for side in sides:
            if isinstance(side, str):
                for now in nows:
                    yield from self._reaching(now, self._written(side))
            elif not isinstance(side, _VALUES):
                yield from self._operand(side, days, nows)

    def _operand(self, operand: Operand, days: list[int], nows: list[Now]) -> Iterator[int]:
        match operand:
            case Named(name) if name in self.features:
                yield from self._measure(self.features[name].measure, days, nows, self.features_zone)
            case Named(name):
                for now in nows:
                    yield from self._reaching(now, self.trace.times.get(name, ()))
            case Measured(measure):
                yield from self._measure(measure, days, nows, self.zone)
            case DaysUnchanged():
                yield from _later(self.trace.of(()), days)
            case DatePart(part, Now() as now):
                yield from self._parts(part, now)
            case DatePart(_, of):
                yield from self._operand(of, [], [])
            case Exactly(of) | Item(of) | ItemCount(of):
                yield from self._operand(of, days, nows)
            case Distance(latitude, longitude):
                yield from self._operand(latitude, [], [])
                yield from self._operand(longitude, [], [])
            case Now() | RandomBucket() | Score():
                return

    def _measure(self, measure: Measure, days: list[int], nows: list[Now], zone: str) -> Iterator[int]:
        match measure:
            case Ratio(numerator, denominator):
                yield from self._measure(numerator, [], [], zone)
                yield from self._measure(denominator, [], [], zone)
            case Sequence(first, then, _, window):
                for step in (first, then):
                    yield from self._selected(Selection(step.events, None, window), zone)
            case Gap(selection=selection) | Share(selection=selection):
                yield from self._selected(selection, zone)
            case Aggregate(kind, column, selection):
                yield from self._selected(selection, zone)
                values: Iterable[int] = ()
                if kind in ("recency", "tenure") or column == "ts":
                    values = self.trace.of(selection.events)
                elif kind in ("first", "last", "mode"):
                    values = self.trace.times.get(column, ())
                values = list(values)
                yield from _later(values, days)
                for now in nows:
                    yield from self._reaching(now, values)

    # Borders ---------------------------------------------------------------------------------------------------------

    def _selected(self, selection: Selection, zone: str) -> Iterator[int]:
        """When an event becomes visible, enters the window or leaves it."""
        moments = list(self.trace.of(selection.events))
        yield from moments
        for span in (selection.window.start, selection.window.end):
            if span is not None:
                yield from self._passing(span, moments, zone)

    def _passing(self, span: Span, values: Iterable[int], zone: str, *, ahead: bool = False) -> Iterator[int]:
        usual = int(span.nominal_minutes * _MINUTE_US) * (-1 if ahead else 1)
        for value in values:
            if self.after - _SLACK_US < value + usual < self.until + _SLACK_US:
                yield from crossings(span, value, zone, ahead=ahead)

    def _reaching(self, now: Now, values: Iterable[int]) -> Iterator[int]:
        """When `now()`, `ago(…)` or `ahead(…)` reaches instants, and the microsecond after."""
        found: Iterable[int] = values
        if now.length is not None:
            found = self._passing(now.length, values, self.zone, ahead=now.direction == "ahead")
        for t in found:
            yield t
            yield t + 1

    def _written(self, text: str) -> Iterator[int]:
        """The instants that a date or moment in a rule stands for: of a date, where its day begins and ends."""
        read = day_or_instant(text)
        if read is None:
            return
        when, is_day = read
        if is_day:
            yield from midnights(when.date(), self.zone)
            yield from midnights(when.date() + timedelta(days=1), self.zone)
        else:
            yield micros(when if when.tzinfo else when.replace(tzinfo=ZoneInfo(self.zone)))

    def _periods(self, ts: int, of: int, period: TimeUnit) -> Iterator[int]:
        """When the period of an event is complete, and when it is no longer among the last `of`."""
        if ts + _usual_us(period) * (of + 1) < self.after - _SLACK_US - _usual_us(period):
            return
        day = wall_time(ts, self.zone).date()
        for n in (1, of + 1):
            yield from midnights(period_start(day, n, period), self.zone)

    def _parts(self, part: str, now: Now) -> Iterator[int]:
        """Where a part of the date or time of `now()`, `ago(…)` or `ahead(…)` may change: hours, else local days."""
        usual = 0 if now.length is None else int(now.length.nominal_minutes * _MINUTE_US)
        usual *= -1 if now.direction == "ago" else 1
        first, last = self.after + usual - _SLACK_US, self.until + usual + _SLACK_US
        borders = hours(self.zone, first, last) if part == "hour" else self._days(part, first, last)
        if now.length is None:
            yield from borders
        else:
            yield from self._passing(now.length, borders, self.zone, ahead=now.direction == "ahead")

    def _days(self, part: str, first: int, last: int) -> Iterator[int]:
        day, end = wall_time(first, self.zone).date(), wall_time(last, self.zone).date()
        while day <= end:
            if part in ("day", "weekday") or (day.day == 1 and (part == "month" or day.month == 1)):
                yield from midnights(day, self.zone)
            day += timedelta(days=1)


_VALUES = (str, Decimal, bool)


def _two_operands(leaf: Compare) -> bool:
    return not isinstance(leaf.right, _VALUES)


def _days_us(days: Decimal) -> int:
    """Days as whole microseconds, rounded down."""
    return int(Fraction(days) * DAY_US // 1)


def _later(values: Iterable[int], lengths: list[int]) -> Iterator[int]:
    for value in values:
        for length in lengths:
            yield value + length
            yield value + length + 1


def _usual_us(period: TimeUnit) -> int:
    return int(Span(1, period).nominal_minutes * _MINUTE_US)
