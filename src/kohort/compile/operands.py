"""Operands of rules as portable expressions over the joined stages of a plan, each with its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import radians
from typing import Any, Literal

import ibis

from kohort.compile.calendar import date_part, local_time, with_dates
from kohort.compile.clock import Edge, on
from kohort.compile.plan import Plan
from kohort.compile.values import Value, constant, scaled
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection, result_type
from kohort.definitions.rules.tree import (
    DatePart,
    DaysUnchanged,
    Distance,
    Exactly,
    Item,
    ItemCount,
    Measured,
    Named,
    Now,
    Operand,
    RandomBucket,
    Score,
)
from kohort.definitions.scores import of_score
from kohort.definitions.windows import Span
from kohort.model.event import LIST_MARK
from kohort.model.random_bucket import coefficients, share

EARTH_KM = 6371.0088
"""Mean radius of the earth."""

PERSON = "_person"
"""The column of a joined table that says who it is about (`_customer` may be the number of a moment)."""

OperandType = Literal["number", "text", "flag", "time", "list", "nothing"]


@dataclass(frozen=True, slots=True)
class Typed:
    """An operand: numbers are float64 in the units people read, times are instants, lists are as stored.

    "nothing": a column that the log never declared; always missing. `exact`: large and small letters differ.
    """

    type: OperandType
    value: Value
    exact: bool = False


_NOTHING = Typed("nothing", constant(None))


class Operands:
    """Reads operands for one plan. What must be computed after the join (local dates) is added by `stage`."""

    def __init__(self, plan: Plan, features: Mapping[str, FeatureDefinition], key: bytes) -> None:
        self.plan, self.features, self.key = plan, features, key
        self.zone = plan.scope.zone
        self.dates: dict[tuple[Operand, str], tuple[str, Value]] = {}  # (operand, zone) → name, instant

    def stage(self, joined: Any) -> Any:
        """The joined stages with the local dates that operands need."""
        if not self.dates:
            return joined
        locals_ = {name: local_time(instant(joined), zone) for (_, zone), (name, instant) in self.dates.items()}
        return with_dates(joined, locals_)

    def read(self, operand: Operand, plan: Plan) -> Typed:  # noqa: PLR0911, PLR0912 - one per kind
        """Register what an operand needs. `plan` is that of the rule's zone."""
        match operand:
            case Named(name) if name in self.features:
                measure = self.features[name].measure
                return Typed(result_type(measure, self.plan.scope.known), self.plan.measure(measure))
            case Named(name):
                return self._picked(Aggregate("last", name, Selection()), plan)
            case Measured(measure) if measure.kind in ("first", "last", "mode"):
                return self._picked(measure, plan)
            case Measured(measure):
                return Typed("number", plan.measure(measure))
            case DaysUnchanged(trait):
                if plan.scope.never_declared(trait):
                    return replace(_NOTHING, type="number")
                return Typed("number", plan.days_ago(plan.changed(trait)))
            case RandomBucket(salt):
                return Typed("number", random_number(salt, self.key))
            case Score(name):
                found = of_score(name, self.features)  # the workspace's plan: freshness is no matter of the rule's zone
                return Typed("number", constant(None) if found is None else self.plan.measure(found.measure))
            case Distance():
                return self._distance(operand, plan)
            case DatePart():
                return self._date_part(operand, plan)
            case Now(direction, length):
                return Typed("time", _instant(plan, direction, length))
            case Exactly(of):
                return replace(self.read(of, plan), exact=True)
            case Item(of, index):
                return _item(self.read(of, plan), index)
            case ItemCount(of):
                return _item_count(self.read(of, plan))

    def _picked(self, measure: Aggregate, plan: Plan) -> Typed:
        name, scope = measure.column, plan.scope
        if scope.never_declared(name):
            return _NOTHING
        found, kind = plan.picked(measure.kind, name, measure.selection), scope.column(name).type
        if kind == "number":
            scale = scope.scale(name)
            return Typed("number", lambda t: scaled(found(t), scale))
        return Typed(kind, found)

    def _distance(self, operand: Distance, plan: Plan) -> Typed:
        latitude, longitude = (self.read(o, plan).value for o in (operand.latitude, operand.longitude))
        to = (float(operand.to_latitude), float(operand.to_longitude))
        return Typed("number", lambda t: _kilometres(latitude(t), longitude(t), *to))

    def _date_part(self, operand: DatePart, plan: Plan) -> Typed:
        of, zone = self.read(operand.of, plan), plan.scope.zone
        if of.type != "time":
            return replace(_NOTHING, type="number")
        name, _ = self.dates.setdefault((operand.of, zone), (f"d{len(self.dates)}_", of.value))
        return Typed("number", lambda t: date_part(t, name, operand.part).cast("float64"))


def random_number(salt: str, key: bytes) -> Value:
    """The random number of a salt, from 0 to 100."""
    drawn = coefficients(salt, key)
    return lambda t: share(drawn.hashed(t[PERSON]).cast("float64"))


def _instant(plan: Plan, direction: Literal["now", "ago", "ahead"], length: Span | None) -> Value:
    edge = Edge() if length is None else Edge("ahead" if direction == "ahead" else "ago", length, plan.scope.zone)
    instant = plan.clock.at(edge)
    return lambda t: on(t, instant)


def _kilometres(latitude: Any, longitude: Any, to_latitude: float, to_longitude: float) -> Any:
    """Great circle by the haversine formula, rounded half up to metres; off the globe is missing.

    The last bits of sines differ between engines; metres do not.
    """
    there = (latitude.abs() <= 90.0) & (longitude.abs() <= 180.0)
    degree = radians(1.0)
    a, b = latitude * degree, radians(to_latitude)
    across, along = ((b - a) / 2.0).sin(), ((radians(to_longitude) - longitude * degree) / 2.0).sin()
    h = across * across + a.cos() * ibis.literal(b, "float64").cos() * along * along
    arc = ibis.least(h.sqrt(), 1.0).asin() * (2.0 * EARTH_KM * 1000.0)
    return there.ifelse((arc + 0.5).floor().cast("float64") / 1000.0, ibis.null("float64"))


def _item(of: Typed, index: int) -> Typed:
    """One item of a list, counted from 1; a missing position is asked for nowhere, since Spark would stop there."""
    if of.type != "list":
        return _NOTHING
    count = _item_count(of).value

    def value(t: Any) -> Any:
        return (count(t) >= float(index)).ifelse(of.value(t).split(LIST_MARK)[index], ibis.null("string"))

    return Typed("text", value, of.exact)


def _item_count(of: Typed) -> Typed:
    if of.type != "list":
        return Typed("number", constant(0.0))

    def value(t: Any) -> Any:
        stored = of.value(t)
        marks = stored.length() - stored.replace(LIST_MARK, "").length()
        return ibis.coalesce(marks - 1, 0).cast("float64")

    return Typed("number", value)
