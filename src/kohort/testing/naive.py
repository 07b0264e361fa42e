"""The naive evaluator: one customer's events, one definition, plain loops; the judge of the compiler.

It follows docs/semantics.md to the letter and shares nothing with the compiler but the definitions themselves. It is
slow on purpose: every rule stands where a reader can check it against the text.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from kohort.definitions.columns import MONEY, Column, vocabulary
from kohort.definitions.conditions import AllOf, Among, AnyOf, Compare, Condition, Like, Missing, Not, Ref, Value
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
from kohort.definitions.windows import Span, Window
from kohort.model.event import SCORE_OF, ColumnType, Event, Scalar, list_items
from kohort.model.money import minor_digits

Answer = float | str | bool | None
DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def evaluate(
    definition: FeatureDefinition,
    events: Iterable[Event],
    *,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    columns: Mapping[str, ColumnType] | None = None,
) -> Answer:
    """The value of one feature for the one customer whose events are given, in any order; None = missing.

    Example:
        >>> from kohort.definitions.features import parse_features
        >>> [n] = parse_features("n: {count: events, within: 1 day}")
        >>> evaluate(n, [Event("a", 1, "page", 5), Event("b", 1, "page", 9)], as_of=8)
        1.0
    """
    return Customer(events, as_of, zone, currency, columns or {}).answer(definition.measure)


class Customer:
    """One customer's visible events, each once and in order, and every question about them that a definition can ask."""

    def __init__(
        self, events: Iterable[Event], as_of: int, zone: str, currency: str, columns: Mapping[str, ColumnType]
    ) -> None:
        once: dict[str, Event] = {}
        for event in events:
            once.setdefault(event.event_id, event)  # N1: an event counts once, for ever
        visible = [e for e in once.values() if e.ts <= as_of]  # T1
        self.events = sorted(visible, key=lambda e: (e.ts, e.event_id))  # N6
        self.as_of, self.zone, self.known = as_of, ZoneInfo(zone), vocabulary(columns)
        self.money = 10 ** minor_digits(currency)

    # Values of one event ---------------------------------------------------------------------------------------------

    def value(self, event: Event, name: str) -> Scalar:
        """A column of an event as stored; empty text is missing (L3), and so is what the log never declared (N4)."""
        if name not in self.known:
            return None
        if name == "day":
            return event.get("local_day")
        if name == "hour":
            return event.get("local_hour")
        if name == "weekday":
            day = event.get("local_day")
            assert isinstance(day, int)
            return (date(1970, 1, 1) + timedelta(days=day)).isoweekday()
        if name == "refund":
            amount = event.get("amount")
            return -amount if isinstance(amount, int) and amount < 0 else None
        found = event.get(name)
        return None if found == "" else found

    def scale(self, column: Column) -> int:
        return self.money if column.scale == MONEY else column.scale

    # Conditions: True, False or None for unknown ---------------------------------------------------------------------

    def test(self, event: Event, condition: Condition) -> bool | None:  # noqa: PLR0911 - one per kind
        match condition:
            case AllOf(items):
                answers = [self.test(event, item) for item in items]
                return False if False in answers else None if None in answers else True
            case AnyOf(items):
                answers = [self.test(event, item) for item in items]
                return True if True in answers else None if None in answers else False
            case Not(item):
                answer = self.test(event, item)
                return None if answer is None else not answer
            case Missing(ref, negated):
                return (self.value(event, ref.name) is None) != negated
            case Among(ref, values, negated):
                if self.value(event, ref.name) is None:
                    return True if negated else None  # L2
                return any(self.equal(event, ref, v) for v in values) != negated
            case Like(ref, place, text, negated):
                value = self.value(event, ref.name)
                if value is None:
                    return True if negated else None  # L2
                spelt = letters(ref)
                texts = [spelt(t) for t in self.texts(ref.name, str(value))]
                return any(holds(t, place, spelt(text)) for t in texts) != negated
            case Compare(left, "=", right):
                return self.equal(event, left, right)
            case Compare(left, "!=", right):
                return self.equal(event, left, right) is not True  # L2
            case Compare(left, op, right):
                order = self.order(event, left, right)
                if order is None:
                    return None
                return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[op]

    def equal(self, event: Event, left: Ref, right: Ref | Value) -> bool | None:
        a = self.value(event, left.name)
        b = self.value(event, right.name) if isinstance(right, Ref) else right
        if a is None or b is None:
            return None
        if self.known[left.name].type in ("text", "list"):
            spelt = letters(left, right)
            others = self.texts(right.name, str(b)) if isinstance(right, Ref) else [str(b)]
            return any(spelt(t) == spelt(o) for t in self.texts(left.name, str(a)) for o in others)
        if isinstance(a, bool):
            return a == b
        order = self.order(event, left, right)
        return None if order is None else order == 0

    def texts(self, name: str, stored: str) -> list[str]:
        """What a condition on text looks at: the value, or every item of a list, where one is enough."""
        return list_items(stored) if self.known[name].type == "list" else [stored]

    def order(self, event: Event, left: Ref, right: Ref | Value) -> int | None:
        """−1, 0 or 1 as the left side is smaller, equal or larger."""
        a = self.value(event, left.name)
        if a is None:
            return None
        column = self.known[left.name]
        assert isinstance(a, int)
        if isinstance(right, Ref):
            b = self.value(event, right.name)
            if b is None:
                return None
            assert isinstance(b, int)
            return (a > b) - (a < b)
        if isinstance(right, Decimal):
            exact = Fraction(a, self.scale(column))
            return (exact > Fraction(right)) - (exact < Fraction(right))
        assert isinstance(right, str)
        return self.order_in_time(a, right)

    def order_in_time(self, instant: int, text: str) -> int:
        """An instant against a moment, or its local date against a date (T5)."""
        moment = EPOCH + timedelta(microseconds=instant)
        when = datetime.fromisoformat(text.strip())
        if len(text.strip()) == 10:
            day = moment.astimezone(self.zone).date()
            return (day > when.date()) - (day < when.date())
        when = when if when.tzinfo else when.replace(tzinfo=self.zone)
        return (moment > when.astimezone(UTC)) - (moment < when.astimezone(UTC))

    # Windows ---------------------------------------------------------------------------------------------------------

    def inside(self, ts: int, window: Window) -> bool:
        """T2: later than the start, not later than the end."""
        if window.start is not None and ts <= self.ago(window.start):
            return False
        return not (window.end is not None and ts > self.ago(window.end))

    def ago(self, span: Span) -> int:
        if span.calendar:
            if span.amount == 0:
                return self.as_of
            today = (EPOCH + timedelta(microseconds=self.as_of)).astimezone(self.zone).date()
            first = today - timedelta(days=span.amount - 1)
            midnight = datetime(first.year, first.month, first.day, tzinfo=self.zone)
            return (midnight.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) - 1
        if span.unit in ("month", "year"):
            local = (EPOCH + timedelta(microseconds=self.as_of)).astimezone(self.zone)
            year, month = local.year, local.month
            for _ in range(span.amount * (12 if span.unit == "year" else 1)):
                year, month = (year - 1, 12) if month == 1 else (year, month - 1)
            day = min(local.day, monthrange(year, month)[1])
            stepped = local.replace(year=year, month=month, day=day)
            return (stepped.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
        minutes = {"minute": 1, "hour": 60, "day": 1440, "week": 10_080}[span.unit]
        return self.as_of - span.amount * minutes * 60_000_000

    def chosen(self, selection: Selection) -> list[Event]:
        """The events that count, in order of time. Scores are events only to who asks for them by name."""
        where = selection.where.condition if selection.where else None
        return [
            e
            for e in self.events
            if (e.event in selection.events if selection.events else not e.get(SCORE_OF))
            and self.inside(e.ts, selection.window)
            and (where is None or self.test(e, where) is True)
        ]

    # Measures --------------------------------------------------------------------------------------------------------

    def answer(self, measure: Measure) -> Answer:  # noqa: PLR0911 - one per kind
        match measure:
            case Aggregate():
                return self.aggregate(measure, self.chosen(measure.selection))
            case Gap():
                return self.gap(measure, self.chosen(measure.selection))
            case Share(of, selection):
                events = self.chosen(selection)
                return sum(self.test(e, of.condition) is True for e in events) / len(events) if events else None
            case Sessions():
                return self.sessions(measure, self.chosen(measure.selection))
            case Sequence():
                return self.sequence(measure)
            case Ratio(numerator, denominator):
                above, below = self.answer(numerator), self.answer(denominator)
                if above is None or below is None or below == 0:
                    return None
                assert isinstance(above, float)
                assert isinstance(below, float)
                return above / below

    def aggregate(self, measure: Aggregate, events: list[Event]) -> Answer:  # noqa: PLR0911 - one per kind
        if measure.kind == "count":
            return float(len(events))
        if measure.kind in ("recency", "tenure"):
            return self.days_since(events[-1 if measure.kind == "recency" else 0].ts) if events else None
        column = self.known.get(measure.column)
        if column is None:  # N4: never observed
            return 0.0 if measure.kind in ("sum", "count_distinct") else None
        values: list[Scalar] = [v for e in events if (v := self.value(e, measure.column)) is not None]
        match measure.kind:
            case "count_distinct":
                return float(len(set(values)))
            case "entropy":
                return entropy(values)
            case "first" | "last" | "mode":
                stored = self.picked(measure, events)
                return None if stored is None else self.shown(stored, column)
        return numeric(measure.kind, [v for v in values if isinstance(v, int)], self.scale(column))

    def picked(self, measure: Aggregate, events: list[Event]) -> Scalar:
        """The one stored value that first, last or mode takes; None where every value is missing."""
        found: list[tuple[Event, Scalar]] = [(e, v) for e in events if (v := self.value(e, measure.column)) is not None]
        if not found:
            return None
        return mode(found) if measure.kind == "mode" else found[0 if measure.kind == "first" else -1][1]

    def shown(self, value: Scalar, column: Column) -> Answer:
        """A single stored value as people read it."""
        if column.type == "number":
            assert isinstance(value, int)
            return value / self.scale(column)
        if column.type == "time":
            assert isinstance(value, int)
            return self.days_since(value)
        return value

    def days_since(self, instant: int) -> float:
        return (self.as_of - instant) / DAY

    def gap(self, measure: Gap, events: list[Event]) -> float | None:
        """Distances between consecutive days with an event, or between the first events of consecutive orders."""
        if measure.between == "days":
            unit, moments = 1, sorted({d for e in events if isinstance(d := self.value(e, "day"), int)})
        else:
            firsts: dict[str, int] = {}
            for e in events:
                order = self.value(e, "order_id")
                if isinstance(order, str):
                    firsts.setdefault(order, e.ts)
            unit, moments = DAY, sorted(firsts.values())
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        if measure.statistic == "std" and unit == DAY:
            gaps, unit = [g // 1_000_000 for g in gaps], 86_400  # the spread counts whole seconds
        return numeric(measure.statistic, gaps, unit)

    def sessions(self, measure: Sessions, events: list[Event]) -> float | None:
        """S4: runs of events with no pause between them, each cut into the pieces that its limits make."""
        pause, longest = (self.as_of - self.ago(span) for span in (measure.pause, measure.longest))
        runs: list[list[Event]] = []
        for e in events:
            if runs and e.ts - runs[-1][-1].ts <= pause:
                runs[-1].append(e)
            else:
                runs.append([e])
        found: list[list[int]] = []
        for run in runs:
            pieces: dict[tuple[int, int], list[int]] = {}
            for e in run:
                gone = sum(other.ts < e.ts for other in run)
                piece = ((e.ts - run[0].ts) // longest, gone // measure.most if measure.most else 0)
                pieces.setdefault(piece, []).append(e.ts)
            found += pieces.values()
        minutes = [(ts[-1] - ts[0]) / 60_000_000 for ts in found[-1:]]
        match measure.fact:
            case "count":
                return float(len(found))
            case "cut":
                return float(len(found) - len(runs))
            case "last_length":
                return minutes[0] if minutes else None
            case "events":
                return len(events) / len(found) if found else None
            case "length":
                return sum(ts[-1] - ts[0] for ts in found) / (len(found) * 60_000_000) if found else None

    def sequence(self, measure: Sequence) -> float:
        """S1: how many first events have a second one strictly later and in time."""
        firsts, thens = (
            self.chosen(Selection(s.events, s.where, measure.window)) for s in (measure.first, measure.then)
        )
        limit = self.as_of - self.ago(measure.within)
        return float(sum(any(a.ts < b.ts <= a.ts + limit for b in thens) for a in firsts))


def alike(text: str) -> str:
    """Text in which large and small letters are the same (L3)."""
    return text.replace("İ", "i").lower().replace("ς", "σ")


def letters(*sides: Ref | Value) -> Callable[[str], str]:
    """How text is looked at: large and small letters are the same unless a side says `exactly`."""
    return str if any(isinstance(s, Ref) and s.exact for s in sides) else alike


def holds(subject: str, place: str, part: str) -> bool:
    """Whether `part` stands at the start, the end or anywhere in `subject`."""
    return {"start": subject.startswith(part), "end": subject.endswith(part), "anywhere": part in subject}[place]


def numeric(kind: str, values: list[int], scale: int) -> float | None:
    """N5, with one division in float64 at the end; whole numbers are exact."""
    if kind == "sum":
        return sum(values) / scale
    if not values:
        return None
    by_kind: dict[str, Callable[[], float | None]] = {
        "mean": lambda: sum(values) / (len(values) * scale),
        "min": lambda: min(values) / scale,
        "max": lambda: max(values) / scale,
        "std": lambda: spread(values, scale),
    }
    return by_kind[kind]()


def spread(values: list[int], scale: int) -> float | None:
    """Sample standard deviation: squares are added as whole numbers in three parts, the rest is float64."""
    n = float(len(values))
    if n < 2:
        return None
    if min(values) == max(values):
        return 0.0
    parts = [divmod(abs(v), 2**20) for v in values]
    squares = float(sum(a * a for a, _ in parts)) * 2.0**40 + (
        float(sum(a * b for a, b in parts)) * 2.0**21 + float(sum(b * b for _, b in parts))
    )
    total = float(sum(values))
    return math.sqrt(max((squares - total * total / n) / (n - 1.0), 0.0)) / scale


def entropy(values: list[Scalar]) -> float | None:
    """Shannon entropy in bits, rounded half up to nine decimals."""
    if not values:
        return None
    shares = [values.count(v) / len(values) for v in dict.fromkeys(values)]
    return math.floor(-sum(p * math.log2(p) for p in shares) * 1e9 + 0.5) / 1e9


def mode(found: list[tuple[Event, Scalar]]) -> Scalar:
    """N6: highest count, then most recent, then first in order of value."""
    values = [v for _, v in found]
    best = max((values.count(v), max(e.ts for e, w in found if w == v)) for v in values)
    return min(
        (v for v in values if (values.count(v), max(e.ts for e, w in found if w == v)) == best),
        key=lambda v: (isinstance(v, str), v),
    )
