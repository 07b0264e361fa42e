"""What is to be predicted, as a frozen value with a text form under `predictions:` of `kohort.yaml`.

Three kinds: `churn` (no such event for as long as the horizon, among customers who were active), `event` (such an event
happens within the horizon), and `trait` (a label of the business's own: who is like the customers that carry it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kohort.definitions.conditions import check_condition
from kohort.definitions.destinations_text import Values
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection, Where
from kohort.definitions.windows import Span, Window
from kohort.definitions.yaml_text import Document, Path
from kohort.model.event import IDENTIFY, ColumnType, trait_column

TargetKind = Literal["churn", "event", "trait"]
MOST_PREDICTIONS = 100
HORIZON = Span(90, "day")
ACTIVE = Span(365, "day")
USUAL = "churn_90d"
"""What is predicted where nothing is defined."""

FRESH = Span(30, "day")
"""How long a stored score counts, where nothing else is said."""
_KEYS: dict[str, tuple[str, ...]] = {
    "churn": ("where", "horizon", "active", "fresh", "label"),
    "event": ("where", "horizon", "active", "once", "fresh", "label"),
    "trait": ("is", "fresh", "label"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to predict.

    Attributes:
        name: What it is called.
        kind: churn, event or trait.
        events: Names of the events that count; of a trait its column.
        where: A condition on them.
        horizon: How far it is looked ahead; a fixed length. Of a trait nothing: it is known now.
        active: Only customers with such an event in this time before the moment; None = everybody with any event.
        once: Of an event: customers who had it before are not asked about.
        value: Of a trait: the value that is predicted.
        fresh: How long a stored score counts in rules; an older one is missing there.
        label: Plain words.
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
    fresh: Span = FRESH

    def happened(self) -> FeatureDefinition:
        """What is asked at the end of the horizon: how many such events lie in it, or the value of the trait."""
        if self.kind == "trait":
            return FeatureDefinition("happened", Aggregate("last", self.events[0], Selection((IDENTIFY,))))
        return FeatureDefinition(
            "happened", Aggregate("count", "", Selection(self.events, self.where, Window(self.horizon)))
        )

    def gate(self) -> FeatureDefinition | None:
        """What is asked at the moment itself, to know whom the question is about."""
        if self.once:
            return FeatureDefinition("_gate", Aggregate("count", "", Selection(self.events, self.where)))
        if self.active is not None:
            window = Window(self.active)
            return FeatureDefinition("_gate", Aggregate("count", "", Selection(self.events, self.where, window)))
        return None

    @property
    def text(self) -> str:
        """One line of plain words: what a probability is the probability of."""
        if self.label:
            return self.label
        what = " or ".join(self.events) + (f" where {self.where.text}" if self.where else "")
        if self.kind == "trait":
            return f"{what} is {self.value}"
        return f"{'no ' if self.kind == 'churn' else ''}{what} within {self.horizon}"


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
    if t.kind == "trait":
        body: dict[str, Any] = {"trait": t.events[0], "is": t.value}
    else:
        body = {t.kind: t.events[0] if len(t.events) == 1 else list(t.events), "horizon": str(t.horizon)}
        if t.where:
            body["where"] = t.where.text
        if t.active is not None:
            body["active"] = str(t.active)
        if t.once:
            body["once"] = True
    if t.fresh != FRESH:
        body["fresh"] = str(t.fresh)
    return body | ({"label": t.label} if t.label else {})


class _Predictions(Values):
    """Reads `predictions:`."""

    columns: Mapping[str, ColumnType] | None = None

    def target(self, name: str, data: dict[str, Any], path: Path) -> Target:
        kinds = [k for k in _KEYS if k in data]
        if len(kinds) != 1:
            self.mistake(
                path, "A prediction is about exactly one of: churn, event, trait.", "For example churn: order_line."
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
        events = self.texts(data, kind, path)
        if not events:
            self.mistake((*path, kind), f"{kind} names an event, or a list of them.", "For example order_line.")
        active = self.span(data, "active", path, ACTIVE) if "active" in data or kind == "churn" else None
        horizon = self.span(data, "horizon", path, HORIZON)
        once = self.flag(data, "once", path)
        if once and active is not None:
            self.mistake(
                (*path, "once"), "Who had it before is not asked about, so nobody was active.", "Take active out."
            )
        return Target(name, kind, events, self.condition(data, path), horizon, active, once, "", label, fresh)

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


def span_us(span: Span) -> int:
    """Microseconds of a fixed length.

    Example:
        >>> span_us(Span(2, "day"))
        172800000000
    """
    minutes = {"minute": 1, "hour": 60, "day": 1_440, "week": 10_080}
    return span.amount * minutes[span.unit] * 60_000_000
