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
from typing import Literal
from zoneinfo import ZoneInfo

from kohort.definitions.conditions import Value, day_or_instant
from kohort.definitions.features import Aggregate, FeatureDefinition, Measure, Ratio
from kohort.definitions.rules.tree import (
    Among,
    Compare,
    DatePart,
    DaysUnchanged,
    HasItems,
    Leaf,
    Like,
    Measured,
    Missing,
    Named,
    Now,
    Operand,
)
from kohort.definitions.windows import Span, TimeUnit
from kohort.model.clock import DAY_US, micros
from kohort.segments.crossings import crossings, hours, midnights, period_start, wall_time
from kohort.segments.passages import VALUES, Move, Passages, move

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
        return {t for t in self._passed(leaf) if self.after < t <= self.until} | self.common(leaf)

    def drifts(self, leaf: Leaf) -> bool:
        """Whether the answer may change between two instants, too."""
        match leaf:
            case Compare(left, _, right):
                shapes = {self.shape(left), "still" if isinstance(right, VALUES) else self.shape(right)}
                return "drifting" in shapes or (
                    "linear" in shapes and "still" in shapes and not isinstance(right, VALUES)
                )
            case Among(of):
                return self.shape(of) == "drifting"
            case _:
                return False

    def shape(self, operand: Operand) -> Shape:
        """How the value of an operand moves between two instants."""
        match operand:
            case Named(name) if name in self.features:
                return self._measure_shape(self.features[name].measure)
            case Measured(measure):  # in a rule, a time that it takes from events stays a moment
                return "still" if measure.kind in ("first", "last", "mode") else self._measure_shape(measure)
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

    # What each customer's events pass ---------------------------------------------------------------------------------

    def _passed(self, leaf: Leaf) -> Iterator[int]:
        for passage in Passages(self.features, self.trace.times, self.zone, self.features_zone).of(leaf):
            values: Iterable[int] = self.trace.of(passage.events)
            if passage.column != "ts":
                values = self.trace.times.get(passage.column, ())
            yield from self._passing(passage.move, values, strict=passage.strict)

    def _passing(self, edge: Move, values: Iterable[int], *, strict: bool = False) -> Iterator[int]:
        """When an edge passes values, and with `strict` the microsecond after."""
        for value in values:
            for t in self._crossed(edge, value):
                yield t
                if strict:
                    yield t + 1

    def _crossed(self, edge: Move, value: int) -> Iterable[int]:
        if isinstance(edge, int):
            return (value + edge,)
        assert edge.span is not None, "now is a length of 0"
        usual = int(edge.span.nominal_minutes * _MINUTE_US) * (-1 if edge.direction == "ahead" else 1)
        if edge.direction == "period":
            whole = _usual_us(edge.span.unit)
            if value + usual + whole < self.after - _SLACK_US - whole:
                return ()
            day = wall_time(value, edge.zone).date()
            return midnights(period_start(day, edge.span.amount + 1, edge.span.unit), edge.zone)
        if not self.after - _SLACK_US < value + usual < self.until + _SLACK_US:
            return ()
        return crossings(edge.span, value, edge.zone, ahead=edge.direction == "ahead")

    # What is the same for everybody -----------------------------------------------------------------------------------

    def common(self, leaf: Leaf) -> set[int]:
        """Instants in the range at which the answer may change for everybody: written dates, and parts of dates."""
        return {t for t in self._common(leaf) if self.after < t <= self.until}

    def has_common(self, leaf: Leaf) -> bool:
        """Whether there are such instants at all, in this range or another."""
        sides = _sides(leaf)
        if any(isinstance(side, DatePart) and isinstance(side.of, Now) for side in sides):
            return True
        return any(isinstance(side, Now) for side in sides) and any(isinstance(side, str) for side in sides)

    def _common(self, leaf: Leaf) -> Iterator[int]:
        sides = _sides(leaf)
        nows = [side for side in sides if isinstance(side, Now)]
        for side in sides:
            match side:
                case str():
                    for now in nows:
                        yield from self._reaching(now, self._written(side))
                case DatePart(part, Now() as now):
                    yield from self._parts(part, now)

    def _reaching(self, now: Now, values: Iterable[int]) -> Iterator[int]:
        """When `now()`, `ago(…)` or `ahead(…)` reaches instants, and the microsecond after."""
        yield from self._passing(self._moved(now), values, strict=True)

    def _moved(self, now: Now) -> Move:
        return 0 if now.length is None else move(now.length, self.zone, ahead=now.direction == "ahead")

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

    def _parts(self, part: str, now: Now) -> Iterator[int]:
        """Where a part of the date or time of `now()`, `ago(…)` or `ahead(…)` may change: hours, else local days."""
        usual = 0 if now.length is None else int(now.length.nominal_minutes * _MINUTE_US)
        usual *= -1 if now.direction == "ago" else 1
        slack = 0 if now.length is None else _SLACK_US
        first, last = self.after + usual - slack, self.until + usual + slack
        borders = hours(self.zone, first, last) if part == "hour" else self._days(part, first, last)
        yield from self._passing(self._moved(now), borders)

    def _days(self, part: str, first: int, last: int) -> Iterator[int]:
        day, end = wall_time(first, self.zone).date(), wall_time(last, self.zone).date() + timedelta(days=1)
        while day <= end:
            if part in ("day", "weekday") or (day.day == 1 and (part == "month" or day.month == 1)):
                yield from midnights(day, self.zone)
            day += timedelta(days=1)


def _sides(leaf: Leaf) -> tuple[Operand | Value, ...]:
    """What a condition compares."""
    match leaf:
        case Compare(left, _, right):
            return (left, right)
        case Among(of, values):
            return (of, *values)
        case Missing(of) | Like(of) | HasItems(of):
            return (of,)
    return ()


def _usual_us(period: TimeUnit) -> int:
    return int(Span(1, period).nominal_minutes * _MINUTE_US)
