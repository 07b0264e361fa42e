"""Feature definitions: one question about one customer's events, as a frozen value with a text form.

A definition says *what*: which events (name, condition, window) and what to take from them. `kohort.compile` turns
many of them into one relational expression; `kohort.testing.naive` answers them one event at a time. docs/features.md
lists every form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from kohort.definitions.columns import Column, find, vocabulary
from kohort.definitions.conditions import Condition, check_condition, parse_condition
from kohort.definitions.windows import EVER, Span, Window
from kohort.errors import RefusedDefinition
from kohort.model.event import SENTIMENT, ColumnType
from kohort.model.feature import FeatureInfo, FeatureType, Idea, Unit

Kind = Literal[
    "count",
    "count_distinct",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "first",
    "last",
    "mode",
    "entropy",
    "recency",
    "tenure",
]
NUMERIC_KINDS = frozenset({"sum", "mean", "min", "max", "std"})
COLUMN_KINDS = NUMERIC_KINDS | {"count_distinct", "first", "last", "mode", "entropy"}
Statistic = Literal["mean", "min", "max", "std"]
SessionFact = Literal["count", "events", "length", "last_length", "cut"]
PAUSE, LONGEST = Span(30, "minute"), Span(24, "hour")
"""Where a session ends unless its definition says otherwise."""


@dataclass(frozen=True, slots=True)
class Where:
    """A condition and the text it was read from; two are equal where their conditions are."""

    text: str = field(compare=False)
    condition: Condition

    @classmethod
    def parse(cls, text: str) -> Where:
        return cls(text, parse_condition(text))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events count: any of the names (none = all names), where the condition is true, inside the window."""

    events: tuple[str, ...] = ()
    where: Where | None = None
    window: Window = EVER


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One number (or value) over the selected events.

    `column` is empty for count, recency (days since the last event) and tenure (days since the first).
    """

    kind: Kind
    column: str
    selection: Selection


@dataclass(frozen=True, slots=True)
class Gap:
    """A statistic of the days between consecutive days with an event, or between consecutive orders."""

    statistic: Statistic
    between: Literal["days", "orders"]
    selection: Selection


@dataclass(frozen=True, slots=True)
class Share:
    """Which share of the selected events meets a further condition."""

    of: Where
    selection: Selection


@dataclass(frozen=True, slots=True)
class Sessions:
    """One number about the sessions of the selected events: parted where nothing happens for longer than `pause`.

    A session that goes on is cut each time `longest` has passed since it began, and each time `most` of its events have
    gone by; events of one instant stay together. None = any number of events.

    `fact`: how many sessions; events per session; mean length in minutes; length of the last one; how many cuts.
    """

    fact: SessionFact
    selection: Selection
    pause: Span = PAUSE
    longest: Span = LONGEST
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One side of a sequence: event names and a condition."""

    events: tuple[str, ...] = ()
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """How many events of the first kind were followed by one of the second, strictly later and at most `within` later.

    Both lie inside the window of the feature.
    """

    first: Step
    then: Step
    within: Span
    window: Window = EVER


@dataclass(frozen=True, slots=True)
class Ratio:
    """One measure divided by another; missing where the second is missing or zero.

    `names` are those of the features it was written with, empty for measures written in place.
    """

    numerator: Measure
    denominator: Measure
    names: tuple[str, str] = ("", "")


Measure = Aggregate | Gap | Share | Sessions | Sequence | Ratio


def _reads(measure: Measure, column: str) -> bool:
    if isinstance(measure, Ratio):
        return _reads(measure.numerator, column) or _reads(measure.denominator, column)
    return column in describe(measure)


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature: what to compute and how to speak about it.

    Attributes:
        name: A valid identifier; the column's name.
        measure: What is computed.
        label: Plain words; made from the name where not given.
        unit: Unit of the value; None = what the measure implies.
        idea: What it is about.
        missing: What a missing value means, in plain words; made from the measure where not given.
    """

    name: str
    measure: Measure
    label: str = ""
    unit: Unit | None = None
    idea: Idea = "other"
    missing: str = ""

    @property
    def text(self) -> str:
        """The definition in one line of plain words and names."""
        return describe(self.measure)

    @property
    def about_mood(self) -> bool:
        """Whether it is made from how friendly texts sound: right for many together, and too often wrong to show of one."""
        return _reads(self.measure, SENTIMENT)

    def info(self, columns: Mapping[str, ColumnType]) -> FeatureInfo:
        """What the column means to its readers, given the declared columns of the log."""
        known = vocabulary(columns)
        return FeatureInfo(
            name=self.name,
            label=self.label or self.name.replace("_", " ").capitalize(),
            type=result_type(self.measure, known),
            unit=self.unit or unit_of(self.measure, known),
            idea=self.idea,
            definition=self.text,
            missing=self.missing or missing_words(self.measure),
        )


def aggregate(
    kind: Kind, column: str = "", *, event: str | tuple[str, ...] = (), where: str = "", window: Window = EVER
) -> Aggregate:
    """A measure from plain words, for definitions made in Python.

    Example:
        >>> describe(aggregate("sum", "amount", event="order_line", where="line_kind = 'goods'"))
        "sum of amount on order_line where line_kind = 'goods'"
    """
    events = (event,) if isinstance(event, str) else event
    return Aggregate(kind, column, Selection(events, Where.parse(where) if where else None, window))


def check(definition: FeatureDefinition, columns: Mapping[str, ColumnType]) -> None:
    """Check every column, type and condition of a definition against the columns the log has.

    Raises:
        RefusedDefinition: The first thing that does not fit, with its place in its text.
    """
    check_measure(definition.measure, vocabulary(columns))


def check_measure(measure: Measure, known: Mapping[str, Column]) -> None:
    """As `check`, for one measure and a ready vocabulary."""
    for where in conditions_of(measure):
        check_condition(where.condition, known, where.text)
    match measure:
        case Aggregate(kind, name) if kind in COLUMN_KINDS:
            column = find(name, known, text=name)
            if kind in NUMERIC_KINDS and column.type != "number":
                message = f"{name!r} is not a number, so it has no {kind}."
                raise RefusedDefinition(message, text=name, start=0, end=len(name), code="wrong_type")
            if column.type == "list":
                message, hint = f"{name!r} is a list, so it has no {kind}.", "Ask for its items in a condition."
                raise RefusedDefinition(message, text=name, start=0, end=len(name), hint=hint, code="wrong_type")
        case Ratio(numerator, denominator):
            for side in (numerator, denominator):
                check_measure(side, known)
                if result_type(side, known) != "number":
                    text = describe(side)
                    raise RefusedDefinition(
                        "A ratio needs two numbers.", text=text, start=0, end=len(text), code="wrong_type"
                    )


def conditions_of(measure: Measure) -> Iterator[Where]:
    """Every condition inside a measure, the sides of a ratio excepted."""
    match measure:
        case Sequence(first, then):
            yield from (s.where for s in (first, then) if s.where)
        case Ratio():
            return
        case _:
            if measure.selection.where:
                yield measure.selection.where
            if isinstance(measure, Share):
                yield measure.of


def result_type(measure: Measure, known: Mapping[str, Column]) -> FeatureType:
    """Type of the values: the column's for first, last and mode, where a time becomes days before the moment asked."""
    if isinstance(measure, Aggregate) and measure.kind in ("first", "last", "mode"):
        kind = find(measure.column, known).type
        return "number" if kind == "time" else "text" if kind == "list" else kind
    return "number"


def unit_of(measure: Measure, known: Mapping[str, Column]) -> Unit:  # noqa: PLR0911 - one answer per measure
    """The unit that a measure implies."""
    match measure:
        case Aggregate("count"):
            return "events"
        case Aggregate("count_distinct", column):
            return {"order_id": "orders", "day": "days"}.get(column, "count")  # type: ignore[return-value]
        case Aggregate("entropy"):
            return "bits"
        case Aggregate("recency" | "tenure") | Gap():
            return "days"
        case Aggregate(_, column):
            return find(column, known).unit
        case Share():
            return "share"
        case Sessions("events"):
            return "events"
        case Sessions("length" | "last_length"):
            return "minutes"
        case Sequence() | Sessions():
            return "count"
        case Ratio(numerator, denominator):
            above, below = unit_of(numerator, known), unit_of(denominator, known)
            return "share" if above == below else above if above in ("money", "items") else "number"


def missing_words(measure: Measure) -> str:  # noqa: PLR0911 - one answer per measure
    """What a missing value means, in plain words; empty where a value is never missing."""
    match measure:
        case Aggregate("count" | "count_distinct" | "sum") | Sequence() | Sessions("count" | "cut"):
            return ""
        case Aggregate("std"):
            return "fewer than two values"
        case Gap("std"):
            return "fewer than two gaps"
        case Gap(_, "orders"):
            return "no second order yet"
        case Gap():
            return "no second day yet"
        case Aggregate(_, column) if column:
            return "not known"
        case Ratio():
            return "nothing to divide by"
        case _:
            return "no such event"


def describe(measure: Measure) -> str:
    """One line that says what is computed."""
    match measure:
        case Aggregate(kind, column, selection):
            what = kind if not column else f"{kind} of {column}"
            return f"{what}{_described(selection.events, selection.where, selection.window)}"
        case Gap(statistic, between, selection):
            return (
                f"{statistic} days between {between}{_described(selection.events, selection.where, selection.window)}"
            )
        case Share(of, selection):
            return f"share with {of.text}{_described(selection.events, selection.where, selection.window)}"
        case Sessions(fact, selection):
            what = f"{_SESSION_WORDS[fact]}{_described(selection.events, selection.where, selection.window)}"
            return f"{what}, {_parted(measure)}"
        case Sequence(first, then, within, window):
            steps = [_described(s.events, s.where, EVER).removeprefix(" on ") or "any event" for s in (first, then)]
            return f"{steps[0]} then {steps[1]} within {within}{'' if window == EVER else f', {window}'}"
        case Ratio(numerator, denominator, names):
            sides = (names[0] or f"({describe(numerator)})", names[1] or f"({describe(denominator)})")
            return f"{sides[0]} / {sides[1]}"


_SESSION_WORDS: dict[SessionFact, str] = {
    "count": "sessions",
    "events": "events per session",
    "length": "mean minutes of a session",
    "last_length": "minutes of the last session",
    "cut": "cuts of long sessions",
}


def _parted(sessions: Sessions) -> str:
    """Where sessions end, in words."""
    most = f" or {sessions.most} events" if sessions.most else ""
    return f"apart after {sessions.pause}, cut after {sessions.longest}{most}"


def _described(events: tuple[str, ...], where: Where | None, window: Window) -> str:
    named = f" on {', '.join(events)}" if events else ""
    filtered = f" where {where.text}" if where else ""
    return f"{named}{filtered}" + ("" if window == EVER else f" {window}")


def parse_features(
    source: str | Mapping[str, object], columns: Mapping[str, ColumnType] | None = None
) -> tuple[FeatureDefinition, ...]:
    """Feature definitions from YAML text or from what such a text reads as: name → mapping.

    Args:
        source: For example `orders: {count_distinct: order_id, event: order_line, within: 365 days}`.
        columns: The declared columns of the log (`p_…`, `t_…`); None = do not check names and types yet.

    Raises:
        RefusedDefinition: With every mistake, its line and key.

    Example:
        >>> parse_features("days_away: {recency: days, event: order_line}")[0].text
        'recency on order_line'
    """
    from kohort.definitions.features_text import read_features
    from kohort.definitions.yaml_text import Document, read_yaml

    document = (
        read_yaml(source, "the definition") if isinstance(source, str) else Document("", "the definition", source)
    )
    found = read_features(document, document.data, (), columns)
    document.finish()
    return found
