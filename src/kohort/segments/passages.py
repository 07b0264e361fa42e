"""What time passes: stored instants that an edge which moves with the moment reaches, so that an answer may change.

Derived from a condition once, for everybody. One customer's exact instants (`kohort.segments.instants`, the "why" page)
and everybody's (`kohort.live.moments`) follow from the same passages.

An event dated later than the moment asked about takes effect at its own time, whatever is asked: that is `ITSELF`, and
stands in no condition's list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from kohort.compile.clock import Edge
from kohort.compile.windows import fixed_length
from kohort.definitions.conditions import Value
from kohort.definitions.features import (
    Aggregate,
    FeatureDefinition,
    Gap,
    Measure,
    Ratio,
    Selection,
    Sequence,
    Sessions,
    Share,
)
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
from kohort.definitions.scores import of_score
from kohort.definitions.windows import Span, Window
from kohort.model.clock import DAY_US

Move = int | Edge
"""An edge that moves with the moment asked about: so many microseconds before it (below 0: after it), or by a calendar."""

VALUES = (str, Decimal, bool)
"""Types of what is written in a rule, as against operands."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Stored instants that an edge passes.

    Attributes:
        column: `ts`, or a time column (`p_…`, `t_…`).
        events: Names of the events whose rows hold them; empty = all.
        move: The edge. What counts is whether a stored instant is later than it.
        strict: Also whether it is just as late, so that an answer may change in the microsecond after, too.
        enough: Where so many events of these names are later than the edge, one that it passes changes nothing: three
            purchases of the last week are as good as four where one was asked for. 0 = it may change something always.
    """

    column: str
    events: tuple[str, ...]
    move: Move
    strict: bool = False
    enough: int = 0


ITSELF = Passage("ts", (), 0)
"""An event of any name begins to be visible."""


def move(span: Span, zone: str, *, ahead: bool = False) -> Move:
    """The edge a length before the moment, or after it; equal for equal lengths where no calendar is asked.

    Example:
        >>> move(Span(1, "week"), "Europe/Paris") == move(Span(7, "day"), "UTC")
        True
    """
    if span.calendar or span.unit in ("month", "year"):
        return Edge("ahead" if ahead else "ago", span, zone)
    return fixed_length(span) * (-1 if ahead else 1)


@dataclass(frozen=True, slots=True)
class Passages:
    """Reads conditions.

    Attributes:
        features: What rules may name.
        times: Time columns of the log.
        zone: Of the rule's own calendar windows.
        features_zone: Of the features it names.
    """

    features: Mapping[str, FeatureDefinition]
    times: Collection[str]
    zone: str
    features_zone: str

    def of(self, leaf: Leaf) -> frozenset[Passage]:
        """What can change the answer of a condition by time alone, but for what is the same for everybody."""
        return frozenset(self._leaf(leaf))

    def _leaf(self, leaf: Leaf) -> Iterator[Passage]:
        match leaf:
            case Did(selection) | FirstTime(selection):
                yield from (replace(p, enough=_enough(leaf)) for p in self._selected(selection, self.zone))
            case Stopped(step, within, recent) | Restarted(step, within, recent):
                for span in (within, recent):
                    yield Passage("ts", step.events, move(span, self.zone))
            case InPeriods(step, _, of, period):
                for back in (0, of):
                    yield Passage("ts", step.events, Edge("period", Span(back, period), self.zone))
            case Follows(first, _, within, negated=True):
                yield from self._selected(first, self.zone)
                yield Passage("ts", first.events, move(within, self.zone))
            case Follows(first, then):
                for events in (first.events, then.events):
                    yield from self._selected(Selection(events, None, first.window), self.zone)
            case Compare(left, _, right):
                yield from self._compared((left, right))
            case Among(of, values):
                yield from self._compared((of, *values))
            case Missing(of) | Like(of) | HasItems(of):
                yield from self._compared((of,))
            case InSegment():
                return  # what it refers to has conditions of its own

    def _compared(self, sides: Iterable[Operand | Value]) -> Iterator[Passage]:
        """What everything on the sides of a comparison passes, given what each is compared with."""
        sides = list(sides)
        limits = [_days_us(v) for v in sides if isinstance(v, Decimal)]
        nows = [self._moved(side) for side in sides if isinstance(side, Now)]
        for side in sides:
            if not isinstance(side, VALUES):
                yield from self._operand(side, limits, nows)

    def _operand(self, operand: Operand, limits: list[int], nows: list[Move]) -> Iterator[Passage]:
        match operand:
            case Named(name) if name in self.features:
                yield from self._measure(self.features[name].measure, limits, nows, self.features_zone)
            case Named(name):
                if name in self.times:
                    yield from (Passage(name, (), now, strict=True) for now in nows)
            case Measured(measure):
                yield from self._measure(measure, limits, nows, self.zone)
            case DaysUnchanged():
                yield from (Passage("ts", (), limit, strict=True) for limit in limits)
            case DatePart(_, of):
                yield from self._operand(of, [], [])
            case Exactly(of) | Item(of) | ItemCount(of):
                yield from self._operand(of, limits, nows)
            case Distance(latitude, longitude):
                yield from self._operand(latitude, [], [])
                yield from self._operand(longitude, [], [])
            case Score(name):
                if (found := of_score(name, self.features)) is not None:
                    yield from self._measure(found.measure, limits, nows, self.features_zone)
            case Now() | RandomBucket():
                return

    def _measure(self, measure: Measure, limits: list[int], nows: list[Move], zone: str) -> Iterator[Passage]:
        match measure:
            case Ratio(numerator, denominator):
                yield from self._measure(numerator, [], [], zone)
                yield from self._measure(denominator, [], [], zone)
            case Sequence(first, then, _, window):
                for step in (first, then):
                    yield from self._selected(Selection(step.events, None, window), zone)
            case Gap(selection=selection) | Share(selection=selection) | Sessions(selection=selection):
                yield from self._selected(selection, zone)
            case Aggregate(kind, column, selection):
                yield from self._selected(selection, zone)
                if kind in ("recency", "tenure"):
                    yield from (Passage("ts", selection.events, limit, strict=True) for limit in limits)
                elif kind in ("first", "last", "mode") and (column == "ts" or column in self.times):
                    yield from (Passage(column, selection.events, m, strict=True) for m in (*limits, *nows))

    def _selected(self, selection: Selection, zone: str) -> Iterator[Passage]:
        """When an event enters the window or leaves it."""
        for span in (selection.window.start, selection.window.end):
            if span is not None:
                yield Passage("ts", selection.events, move(span, zone))

    def _moved(self, now: Now) -> Move:
        return 0 if now.length is None else move(now.length, self.zone, ahead=now.direction == "ahead")


def _enough(leaf: Leaf) -> int:
    """`Passage.enough` of a condition about how often something happened in a window that ends now."""
    match leaf:
        case Did(Selection(events, None, Window(_, None)), counted, times) if events:
            return times if counted == "at_least" else times + 1
    return 0


def _days_us(days: Decimal) -> int:
    """Days as whole microseconds, rounded down."""
    return int(Fraction(days) * DAY_US // 1)
