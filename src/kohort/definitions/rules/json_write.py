"""A rule as JSON: one object per node, its one key says what it is. docs/rules.md lists every form."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import ModuleType
from typing import Any

from kohort.definitions import conditions
from kohort.definitions.conditions import Ref, Value
from kohort.definitions.features import Selection, Step
from kohort.definitions.rules import tree
from kohort.definitions.rules.tree import Operand, Rule
from kohort.definitions.rules.vocabulary import AGGREGATES, MEASURES
from kohort.definitions.rules.write import between_text
from kohort.definitions.sql_write import number_text

Json = dict[str, Any]
_WORD_OF = {kind: word for word, kind in (AGGREGATES | MEASURES).items()}


def to_json(rule: Rule) -> Json:
    """See `kohort.definitions.rules.rule_to_json`."""
    return _node(rule, tree, operand_json)


def value_json(value: Value) -> Any:
    """Text and flags as they are; a number as a number, or as `{"decimal": "…"}` where JSON's would not be exact."""
    if not isinstance(value, Decimal):
        return value
    if value == int(value):
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else {"decimal": number_text(value)}


def _node(node: Any, nodes: ModuleType, operand: Callable[[Any], Json]) -> Json:  # noqa: PLR0911 - one per kind
    """What rules and event filters share; `operand` writes a side of a comparison that is not a plain value."""
    match node:
        case nodes.AllOf(items):
            return {"all": [_node(item, nodes, operand) for item in items]}
        case nodes.AnyOf(items):
            return {"any": [_node(item, nodes, operand) for item in items]}
        case nodes.Not(item):
            return {"not": _node(item, nodes, operand)}
        case nodes.Compare(left, op, right):
            other = value_json(right) if isinstance(right, str | bool | Decimal) else operand(right)
            return {"compare": {"left": operand(left), "op": op, "right": other}}
        case nodes.Among(of, values, negated):
            return {"in": {"of": operand(of), "values": [value_json(v) for v in values]} | _not(negated)}
        case nodes.Missing(of, negated):
            return {"missing": {"of": operand(of)} | _not(negated)}
        case nodes.Like(of, where, text, negated):
            return {"like": {"of": operand(of), "where": where, "text": text} | _not(negated)}
    return _leaf(node)


def _leaf(leaf: Any) -> Json:  # noqa: PLR0911 - one answer per kind
    match leaf:
        case tree.HasItems(of, how, values):
            return {"has": {"of": operand_json(of), "how": how, "values": list(values)}}
        case tree.Did(selection, counted, times):
            return {"did": _selection(selection) | {counted: times}}
        case tree.FirstTime(selection):
            return {"first_time": _selection(selection)}
        case tree.Stopped(step, within, recent):
            return {"stopped": _step(step) | {"within": str(within), "recent": str(recent)}}
        case tree.Restarted(step, within, recent):
            return {"restarted": _step(step) | {"within": str(within), "recent": str(recent)}}
        case tree.InPeriods(step, at_least, of, period):
            return {"in_periods": _step(step) | {"at_least": at_least, "of": of, "period": period}}
        case tree.Follows(first, then, within, negated):
            steps = {"first": _selection(first), "then": _step(then)}
            return {"sequence": steps | {"within": str(within)} | _not(negated)}
        case tree.InSegment(name, key):
            return {"in_segment": {"name": name} | ({"key": key} if key else {})}
    raise TypeError(f"{type(leaf).__name__} is not a rule")


def operand_json(operand: Operand) -> Json:  # noqa: PLR0911 - one answer per kind
    """A value of the customer."""
    match operand:
        case tree.Named(name):
            return {"name": name}
        case tree.Measured(measure):
            of = {"of": measure.column} if measure.column else {}
            return {_WORD_OF[measure.kind]: _selection(measure.selection) | of}
        case tree.DaysUnchanged(trait):
            return {"days_unchanged": trait}
        case tree.RandomBucket(salt):
            return {"random_bucket": salt}
        case tree.Score(name):
            return {"score": name}
        case tree.Distance(latitude, longitude, to_latitude, to_longitude):
            sides = {"latitude": operand_json(latitude), "longitude": operand_json(longitude)}
            return {"distance_km": sides | {"to": [value_json(to_latitude), value_json(to_longitude)]}}
        case tree.DatePart(part, of):
            return {part: operand_json(of)}
        case tree.Now("now"):
            return {"now": {}}
        case tree.Now(direction, length):
            return {direction: str(length)}
        case tree.Exactly(of):
            return {"exactly": operand_json(of)}
        case tree.Item(of, index):
            return {"item": {"of": operand_json(of), "index": index}}
        case tree.ItemCount(of):
            return {"item_count": operand_json(of)}


def _selection(selection: Selection) -> Json:
    window = selection.window
    written = _step(Step(selection.events, selection.where))
    if window.end is not None:
        return written | {"between": between_text(window)}
    return written | ({"within": str(window.start)} if window.start is not None else {})


def _step(step: Step) -> Json:
    events: Json = {"events": list(step.events)} if step.events else {}
    return events | ({"filter": _node(step.where.condition, conditions, _ref)} if step.where else {})


def _ref(ref: Ref) -> Json:
    return {"exactly": {"column": ref.name}} if ref.exact else {"column": ref.name}


def _not(negated: bool) -> Json:
    return {"not": True} if negated else {}
