"""What is to be predicted, as a frozen value with a text form under `predictions:` of `kohort.yaml`.

Eight kinds: `churn` (no such event for as long as the horizon, among customers who were active), `event` (such an event
happens within the horizon), `next` (the same among active customers, and when), `change` (there is so much less, or more, of it
than in as long a time before), `response` (such an event follows what was sent to a customer), `cross_sell` (for each value of a
column: the first such event with it), `migration` (in which part of a segment a member will be), and `trait` (a label of the
business's own: who is like the customers that carry it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from kohort.definitions.conditions import AllOf, Compare, Ref, check_condition, format_condition
from kohort.definitions.destinations_text import Values
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection, Where, check
from kohort.definitions.triggers import FIXED_UNITS
from kohort.definitions.windows import Span, Window, parse_span
from kohort.definitions.yaml_text import Document, Path
from kohort.errors import RefusedDefinition
from kohort.model.event import IDENTIFY, ORDER_LINE, ColumnType, trait_column

TargetKind = Literal["churn", "event", "next", "change", "response", "cross_sell", "migration", "trait"]
MOST_PREDICTIONS = 100
MOST_VALUES = 50
MOST_AT_LEAST = 10_000
BEFORE = "before"
"""The feature that says how much there was in as long a time before, where a change is predicted."""

HORIZON = Span(90, "day")
ACTIVE = Span(365, "day")
USUAL = "churn_90d"
"""What is predicted where nothing is defined."""

AT_LEAST = 3
"""Events before that a change is asked about from: who had one or two has none or one by chance alone."""

SENDING = Span(1, "day")
"""Of a response: what is sent within so long after a moment is looked at as of that moment."""

FRESH = Span(30, "day")
"""How long a stored score counts, where nothing else is said."""
_KEYS: dict[str, tuple[str, ...]] = {
    "churn": ("where", "horizon", "active", "sequence", "fresh", "label"),
    "event": ("where", "horizon", "active", "once", "sequence", "fresh", "label"),
    "next": ("where", "horizon", "active", "sequence", "fresh", "label"),
    "change": ("of", "by", "at_least", "where", "horizon", "fresh", "label"),
    "response": ("after", "where", "horizon", "active", "fresh", "label"),
    "cross_sell": ("on", "values", "where", "horizon", "active", "sequence", "label"),
    "migration": ("horizon", "sequence", "label"),
    "trait": ("is", "fresh", "label"),
}
_PERCENT = re.compile(r"\s*([+-]?)\s*(\d{1,5}(?:\.\d{1,3})?)\s*%\s*")
_COUNTED = ("order_id", "day")
"""Columns of which a change counts the different values; numbers are added up."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Whom a question is about: those of whom, at the moment itself, there is more than `above` of something, or is not."""

    measured: FeatureDefinition
    above: float = 0.0
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to predict.

    Attributes:
        name: What it is called; of one part of a target with several, `name/part`.
        kind: See `TargetKind`.
        events: Names of the events that count; of a trait its column; of a migration the segment.
        where: A condition on them.
        horizon: How far it is looked ahead; a fixed length. Of a trait nothing: it is known now.
        active: Only customers with such an event in this time before the moment; None = everybody with any event.
        once: Of an event: customers who had it before are not asked about.
        value: Of a trait: the value that is predicted. Of a cross-sell or a migration: the part that is asked about; empty =
            all of them.
        fresh: How long a stored score counts in rules; an older one is missing there.
        label: Plain words.
        column: Of a cross-sell: whose values are sold.
        values: Of a cross-sell: those values; empty = the ones that most customers have.
        sequence: Also try a recurrent network on the weeks before; it is taken only where it is better.
        of: Of a change: the column that is added up (`order_id`, `day`: whose values are counted); empty = how many events.
        by: Of a change: per cent; below 0 = falls by that much or more, above = rises.
        at_least: Of a change: customers with fewer such events in as long a time before are not asked about.
        sent, sent_where: Of a response: the events that say that something was sent, and a condition on them.
    """

    name: str
    kind: TargetKind
    events: tuple[str, ...]
    where: Where | None = None
    horizon: Span = HORIZON
    active: Span | None = None
    once: bool = False
    value: str = ""
    label: str = ""
    column: str = ""
    values: tuple[str, ...] = ()
    fresh: Span = FRESH
    sequence: bool = False
    of: str = ""
    by: float = 0.0
    at_least: int = AT_LEAST
    sent: tuple[str, ...] = ()
    sent_where: Where | None = None

    @property
    def several(self) -> bool:
        """Whether it has parts that are asked about one by one."""
        return self.kind in ("cross_sell", "migration") and not self.value

    def part(self, value: str) -> Target:
        """One part of a target that has several."""
        return replace(self, name=f"{self.name}/{value}", value=value)

    @property
    def whole(self) -> Target:
        """The target that this is a part of; itself where it has no parts."""
        if self.kind not in ("cross_sell", "migration") or not self.value:
            return self
        return replace(self, name=self.name.removesuffix(f"/{self.value}"), value="")

    def happened(self) -> FeatureDefinition:
        """What is asked at the end of the horizon: how many such events lie in it, or the value of the trait."""
        if self.kind == "trait":
            return FeatureDefinition("happened", Aggregate("last", self.events[0], Selection((IDENTIFY,))))
        if self.kind == "change":
            return FeatureDefinition("happened", self._amount(Window(self.horizon)))
        return FeatureDefinition("happened", Aggregate("count", "", self._selection(Window(self.horizon))))

    @property
    def ahead_us(self) -> int:
        """How long after a moment its outcomes are known, in microseconds; 0 where nothing lies ahead."""
        if self.kind == "trait":
            return 0
        return span_us(self.horizon) + (span_us(SENDING) if self.kind == "response" else 0)

    def compared(self) -> tuple[FeatureDefinition, ...]:
        """Of a change, asked at the end of the horizon: how much there was in as long a time before."""
        if self.kind != "change":
            return ()
        far = replace(self.horizon, amount=2 * self.horizon.amount)
        return (FeatureDefinition("compared", self._amount(Window(far, self.horizon))),)

    def known_before(self) -> tuple[FeatureDefinition, ...]:
        """What a model of it always knows of a customer, beside the features: of a change how much there was so far."""
        if self.kind != "change":
            return ()
        label = f"{self._amount_words().capitalize()} in the {self.horizon} before"
        return (FeatureDefinition(BEFORE, self._amount(Window(self.horizon)), label),)

    def timed(self) -> tuple[FeatureDefinition, ...]:
        """Of `next`, asked at the end of the horizon: how many days before it the first such event was."""
        if self.kind != "next":
            return ()
        return (FeatureDefinition("timed", Aggregate("tenure", "", self._selection(Window(self.horizon)))),)

    def gates(self) -> tuple[Gate, ...]:
        """What is asked at the moment itself, to know whom the question is about."""
        found = []
        if self.kind == "change":
            window = Window(self.horizon)
            enough = FeatureDefinition("_enough", Aggregate("count", "", self._selection(window)))
            found = [
                Gate(enough, self.at_least - 1),
                Gate(FeatureDefinition("_some", self._amount(window))),  # of nothing there is no share
            ]
        if self.active is not None:
            window = Window(self.active)
            active = FeatureDefinition("_active", Aggregate("count", "", Selection(self.events, self.where, window)))
            found.append(Gate(active))
        if self.once or self.kind == "cross_sell":
            before = FeatureDefinition("_before", Aggregate("count", "", self._selection(Window())))
            found.append(Gate(before, wanted=False))
        return tuple(found)

    @property
    def text(self) -> str:  # noqa: PLR0911 - one per kind
        """One line of plain words: what a probability is the probability of."""
        if self.label:
            return (
                f"{self.label}: {self.value}" if self.kind in ("cross_sell", "migration") and self.value else self.label
            )
        what = " or ".join(self.events) + (f" where {self.where.text}" if self.where else "")
        match self.kind:
            case "trait":
                return f"{what} is {self.value}"
            case "migration":
                return f"in {self.value or 'which part'} of {what} {self.horizon} later"
            case "cross_sell":
                return f"first {what} with {self.column} {self.value or 'of each kind'} within {self.horizon}"
            case "change":
                way = "falls" if self.by < 0 else "rises"
                return f"{self._amount_words()} {way} by {abs(self.by):g}% or more in the next {self.horizon}"
            case "response":
                sent = " or ".join(self.sent) + (f" where {self.sent_where.text}" if self.sent_where else "")
                return f"{what} within {self.horizon} after {sent}"
            case "churn":
                return f"no {what} within {self.horizon}"
            case "next":
                return f"next {what} within {self.horizon}"
        return f"{what} within {self.horizon}"

    def _amount(self, window: Window) -> Aggregate:
        """How much of it there is in a window."""
        kind: Any = "count_distinct" if self.of in _COUNTED else "sum" if self.of else "count"
        return Aggregate(kind, self.of, self._selection(window))

    def _amount_words(self) -> str:
        what = " or ".join(self.events) + (f" where {self.where.text}" if self.where else "")
        return f"{f'different {self.of}' if self.of in _COUNTED else self.of or 'number'} of {what}"

    def _selection(self, window: Window) -> Selection:
        if self.kind != "cross_sell":
            return Selection(self.events, self.where, window)
        this = Compare(Ref(self.column), "=", self.value)
        condition = this if self.where is None else AllOf((self.where.condition, this))
        return Selection(self.events, Where(format_condition(condition), condition), window)


def parse_target(name: str, body: Mapping[str, Any], columns: Mapping[str, ColumnType] | None = None) -> Target:
    """A target from what YAML reads as.

    Raises:
        RefusedDefinition: With every mistake and its key.

    Example:
        >>> parse_target("churn_90d", {"churn": "order_line", "horizon": "90 days"}).text
        'no order_line within 90 days'
    """
    document = Document("", "the prediction", {"predictions": {name: dict(body)}})
    found = read_predictions(document, document.data["predictions"], columns)
    document.finish()
    return found[0]


def read_predictions(document: Document, data: Any, columns: Mapping[str, ColumnType] | None) -> tuple[Target, ...]:
    """Targets from `predictions:`; mistakes go to the document."""
    reader = _Predictions(document)
    reader.columns = columns
    return reader.named(data, "predictions", MOST_PREDICTIONS, reader.target)


def write_predictions(targets: Iterable[Target]) -> dict[str, Any]:
    """The inverse of `read_predictions`."""
    return {t.name: write_target(t) for t in targets}


def write_target(t: Target) -> dict[str, Any]:
    """One target as YAML writes it, only what is not implied."""
    events: Any = t.events[0] if len(t.events) == 1 else list(t.events)
    if t.kind == "trait":
        body: dict[str, Any] = {"trait": t.events[0], "is": t.value}
    elif t.kind == "cross_sell":
        body = {"cross_sell": t.column, "on": events, "horizon": str(t.horizon)}
        body |= {"values": list(t.values)} if t.values else {}
    elif t.kind == "change":
        body = {"change": events, **({"of": t.of} if t.of else {}), "by": f"{t.by:+g}%", "horizon": str(t.horizon)}
        body |= {"at_least": t.at_least} if t.at_least != AT_LEAST else {}
    elif t.kind == "response":
        sent: Any = t.sent[0] if len(t.sent) == 1 else list(t.sent)
        after = {"event": sent, "where": t.sent_where.text} if t.sent_where else sent
        body = {"response": events, "after": after, "horizon": str(t.horizon)}
    else:
        body = {t.kind: events, "horizon": str(t.horizon)}
    if t.where:
        body["where"] = t.where.text
    if t.active is not None:
        body["active"] = str(t.active)
    if t.once:
        body["once"] = True
    if t.sequence:
        body["sequence"] = True
    if t.fresh != FRESH:
        body["fresh"] = str(t.fresh)
    return body | ({"label": t.label} if t.label else {})


class _Predictions(Values):
    """Reads `predictions:`."""

    columns: Mapping[str, ColumnType] | None = None

    def target(self, name: str, data: dict[str, Any], path: Path) -> Target:  # noqa: PLR0911 - one per kind
        kinds = [k for k in _KEYS if k in data]
        if len(kinds) != 1:
            self.mistake(
                path, f"A prediction is about exactly one of: {', '.join(_KEYS)}.", "For example churn: order_line."
            )
            return Target(name, "churn", ())
        kind: Any = kinds[0]
        self.known_keys(data, path, (kind, *_KEYS[kind]))
        label = data.get("label", "")
        if not isinstance(label, str):
            self.mistake((*path, "label"), "label is a text.")
            label = ""
        fresh = self.span(data, "fresh", path, FRESH)
        if kind == "trait":
            return Target(name, kind, self.trait(data, path), value=self.value(data, path), label=label, fresh=fresh)
        horizon = self.span(data, "horizon", path, HORIZON)
        sequence = self.flag(data, "sequence", path)
        if kind == "migration":
            return Target(name, kind, self.segment(data, path), horizon=horizon, label=label, sequence=sequence)
        asked = kind in ("churn", "next", "cross_sell")
        active = self.span(data, "active", path, ACTIVE) if "active" in data or asked else None
        if kind == "cross_sell":
            return self.cross_sell(
                Target(name, kind, (), None, horizon, active, label=label, sequence=sequence), data, path
            )
        events = self.events(data, kind, path)
        if kind == "change":
            return self.change(Target(name, kind, events, None, horizon, label=label, fresh=fresh), data, path)
        if kind == "response":
            return self.response(
                Target(name, kind, events, None, horizon, active, label=label, fresh=fresh), data, path
            )
        once = kind == "event" and self.flag(data, "once", path)
        if once and active is not None:
            self.mistake(
                (*path, "once"), "Who had it before is not asked about, so nobody was active.", "Take active out."
            )
        where = self.condition(data, path)
        return Target(name, kind, events, where, horizon, active, once, "", label, fresh=fresh, sequence=sequence)

    def events(self, data: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
        events = self.texts(data, key, path)
        if not events:
            self.mistake((*path, key), f"{key} names an event, or a list of them.", "For example order_line.")
        return events

    def segment(self, data: dict[str, Any], path: Path) -> tuple[str, ...]:
        name = data["migration"]
        if not isinstance(name, str) or not name:
            self.mistake((*path, "migration"), "migration is the name of a segment with parts.", "For example value.")
            return ("",)
        return (name,)

    def cross_sell(self, target: Target, data: dict[str, Any], path: Path) -> Target:
        events = self.events(data, "on", path) if "on" in data else (ORDER_LINE,)
        column, values = data["cross_sell"], self.texts(data, "values", path)
        if not isinstance(column, str) or not column:
            self.mistake(
                (*path, "cross_sell"), "cross_sell is the column whose values are sold.", "For example category."
            )
            column = "category"
        if len(values) > MOST_VALUES or len(set(values)) < len(values) or not all(values):
            self.mistake((*path, "values"), f"values are up to {MOST_VALUES} different texts.")
        found = replace(target, events=events, where=self.condition(data, path), column=column, values=values)
        self.attempt((*path, "cross_sell"), lambda: _check_text(column, self.columns))
        return found

    def change(self, target: Target, data: dict[str, Any], path: Path) -> Target:
        of, by, least = data.get("of", "count"), data.get("by"), data.get("at_least", AT_LEAST)
        if not isinstance(of, str) or not of:
            self.mistake((*path, "of"), "of is a column, or count.", "For example amount.")
            of = "count"
        told = _PERCENT.fullmatch(by) if isinstance(by, str) else None
        share = float(f"{told[1]}{told[2]}") if told else 0.0
        if not share or share < -100:
            at = (*path, "by") if "by" in data else path
            self.mistake(at, "by is by how many per cent it falls or rises.", "For example -50%, or +100%.")
        if not isinstance(least, int) or isinstance(least, bool) or not 1 <= least <= MOST_AT_LEAST:
            self.mistake((*path, "at_least"), f"at_least is a whole number from 1 to {MOST_AT_LEAST:,}.")
            least = AT_LEAST
        where = self.condition(data, path)
        found = replace(target, where=where, of="" if of == "count" else of, by=share, at_least=least)
        self.attempt((*path, "of"), lambda: _check_amount(found, self.columns))
        return found

    def response(self, target: Target, data: dict[str, Any], path: Path) -> Target:
        sent, at = data.get("after"), (*path, "after")
        if isinstance(sent, dict):
            self.known_keys(sent, at, ("event", "where"))
        told: dict[str, Any] = sent if isinstance(sent, dict) else {} if sent is None else {"event": sent}
        events = self.texts(told, "event", at)
        if not events:
            self.mistake(at if "after" in data else path, "after names what was sent.", "For example email_sent.")
        if set(events) & set(target.events):
            self.mistake(at, "What is sent is no answer to itself.", "Name another event, or tell them apart.")
        return replace(target, where=self.condition(data, path), sent=events, sent_where=self.condition(told, at))

    def trait(self, data: dict[str, Any], path: Path) -> tuple[str, ...]:
        value = data["trait"]
        if not isinstance(value, str) or not value:
            self.mistake((*path, "trait"), "trait is the name of a trait.", "For example t_plan.")
            return ("t_",)
        column = value if value.startswith("t_") else trait_column(value)
        if self.columns is not None and column not in self.columns:
            self.mistake((*path, "trait"), f"No trait is called {value!r}.")
        return (column,)

    def value(self, data: dict[str, Any], path: Path) -> str:
        value = data.get("is")
        if isinstance(value, bool):
            return "yes" if value else "no"
        if not isinstance(value, str | int | float):
            self.mistake(
                (*path, "is") if "is" in data else path, "`is` has the value to predict.", "For example is: gold."
            )
            return ""
        return str(value)

    def condition(self, data: dict[str, Any], path: Path) -> Where | None:
        text = data.get("where")
        if text is None:
            return None
        if not isinstance(text, str):
            self.mistake((*path, "where"), "where is a condition.", "For example amount > 0.")
            return None
        return self.attempt((*path, "where"), lambda: _where(text, self.columns))


def _where(text: str, columns: Mapping[str, ColumnType] | None) -> Where:
    from kohort.definitions.columns import vocabulary

    where = Where.parse(text)
    if columns is not None:
        check_condition(where.condition, vocabulary(columns), text)
    return where


def _check_text(column: str, columns: Mapping[str, ColumnType] | None) -> None:
    from kohort.definitions.columns import vocabulary

    if columns is not None:
        check_condition(Compare(Ref(column), "=", "a text"), vocabulary(columns), column)


def _check_amount(target: Target, columns: Mapping[str, ColumnType] | None) -> None:
    if columns is not None:
        for definition in target.known_before():
            check(definition, columns)


def parse_horizon(text: str) -> Span:
    """How far ahead, from what a person types.

    Raises:
        RefusedDefinition: No length, or one that is not always the same.

    Example:
        >>> str(parse_horizon("90 d"))
        '90 days'
    """
    span = parse_span(text)
    if span.unit not in FIXED_UNITS or span.calendar or not span.amount:
        raise RefusedDefinition(
            f"{span} is not always the same length.",
            text=text,
            start=0,
            end=len(text),
            hint="Use minutes, hours, days or weeks.",
            code="bad_window",
        )
    return span


def span_us(span: Span) -> int:
    """Microseconds of a fixed length.

    Example:
        >>> span_us(Span(2, "day"))
        172800000000
    """
    minutes = {"minute": 1, "hour": 60, "day": 1_440, "week": 10_080}
    return span.amount * minutes[span.unit] * 60_000_000
