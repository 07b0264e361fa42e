"""From JSON that nobody has checked to the tree of a rule."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, get_args

from kohort.definitions import conditions
from kohort.definitions.conditions import Operator, Ref, format_condition
from kohort.definitions.features import Aggregate, Selection, Step, Where
from kohort.definitions.rules import tree
from kohort.definitions.rules.json_fields import (
    Path,
    a_flag,
    a_list,
    a_name,
    a_number,
    a_text,
    a_value,
    a_whole_number,
    fields,
    one_key,
    one_of,
    parsed,
    refused,
)
from kohort.definitions.rules.tree import Operand, Rule
from kohort.definitions.rules.vocabulary import AGGREGATES, DATE_PARTS, HAS, MEASURES, PERIODS
from kohort.definitions.windows import EVER, Span, Window, parse_between, parse_within
from kohort.errors import RefusedDefinition

_SHARED = ("all", "any", "not", "compare", "in", "missing", "like")
_STEP = ("events", "filter")
_SELECTION = (*_STEP, "within", "between")
_COUNTED = ("at_least", "at_most", "exactly")
_MOST_OFTEN = 1_000_000_000


def from_json(data: object) -> Rule:
    """See `kohort.definitions.rules.rule_from_json`."""
    from kohort.definitions.rules.parse import parse
    from kohort.definitions.rules.write import write

    rule: Rule = _Shared(tree, operand, _leaves()).node(data, ())
    text = write(rule)
    try:
        same = parse(text) == rule
    except RefusedDefinition as error:
        raise RefusedDefinition(
            f"/: {error.message}", text=text, start=error.start, end=error.end, hint=error.hint, code=error.code
        ) from None
    if not same:
        raise refused((), "This rule has no text.", "docs/rules.md lists every form.")
    return rule


class _Shared:
    """Reads what rules and event filters share; `operand` reads a side of a comparison that is not a plain value."""

    def __init__(
        self,
        nodes: ModuleType,
        operand: Callable[[Any, Path], Any],
        leaves: dict[str, Callable[[Any, Path], Any]],
    ) -> None:
        self.nodes, self.operand, self.leaves = nodes, operand, leaves

    def node(self, data: Any, path: Path) -> Any:
        key, value = one_key(data, path, "A condition", (*_SHARED, *self.leaves))
        at = (*path, key)
        match key:
            case "all" | "any":
                listed = value if isinstance(value, list) else a_list(value, at)
                if not listed:
                    raise refused(at, "There is no condition in it.", "Take it away, or fill it.", "empty")
                items = tuple(self.node(item, (*at, i)) for i, item in enumerate(a_list(listed, at)))
                kind = self.nodes.AllOf if key == "all" else self.nodes.AnyOf
                return items[0] if len(items) == 1 else kind(items)
            case "not":
                return self.nodes.Not(self.node(value, at))
            case "compare" | "in" | "missing" | "like":
                return self.test(key, value, at)
        return self.leaves[key](value, at)

    def test(self, key: str, value: Any, at: Path) -> Any:
        nodes = self.nodes
        match key:
            case "compare":
                found = fields(value, at, ("left", "op", "right"))
                op = one_of(found["op"], (*at, "op"), get_args(Operator))
                left = self.operand(found["left"], (*at, "left"))
                return nodes.Compare(left, op, self.side(found["right"], (*at, "right")))
            case "in":
                found = fields(value, at, ("of", "values"), ("not",))
                values = a_list(found["values"], (*at, "values"))
                read = tuple(a_value(v, (*at, "values", i)) for i, v in enumerate(values))
                return nodes.Among(self.operand(found["of"], (*at, "of")), read, _negated(found, at))
            case "missing":
                found = fields(value, at, ("of",), ("not",))
                return nodes.Missing(self.operand(found["of"], (*at, "of")), _negated(found, at))
        found = fields(value, at, ("of", "where", "text"), ("not",))
        where = one_of(found["where"], (*at, "where"), ("start", "end", "anywhere"))
        text = a_text(found["text"], (*at, "text"))
        if any(letter in text for letter in "%_\\"):
            raise refused((*at, "text"), "The text of `like` cannot hold %, _ or \\.", code="bad_value")
        return nodes.Like(self.operand(found["of"], (*at, "of")), where, text, _negated(found, at))

    def side(self, data: Any, path: Path) -> Any:
        if isinstance(data, dict) and "decimal" not in data:
            return self.operand(data, path)
        return a_value(data, path)


def _negated(found: dict[str, Any], at: Path) -> bool:
    return a_flag(found.get("not", False), (*at, "not"))


# Leaves --------------------------------------------------------------------------------------------------------------


def _leaves() -> dict[str, Callable[[Any, Path], Any]]:
    return {
        "has": _has,
        "did": _did,
        "first_time": _first_time,
        "stopped": lambda data, at: tree.Stopped(*_outer_and_recent(data, at)),
        "restarted": lambda data, at: tree.Restarted(*_outer_and_recent(data, at)),
        "in_periods": _in_periods,
        "sequence": _sequence,
        "in_segment": _in_segment,
    }


def _has(data: Any, at: Path) -> Rule:
    found = fields(data, at, ("of", "how", "values"))
    values = a_list(found["values"], (*at, "values"))
    texts = tuple(a_text(v, (*at, "values", i)) for i, v in enumerate(values))
    how = one_of(found["how"], (*at, "how"), tuple(HAS.values()))
    return tree.HasItems(operand(found["of"], (*at, "of")), how, texts)


def _did(data: Any, at: Path) -> Rule:
    found = fields(data, at, (), (*_SELECTION, *_COUNTED))
    given = [key for key in _COUNTED if key in found]
    if len(given) > 1:
        raise refused(at, "How often is written once.", f"Keep one of: {', '.join(given)}.")
    if not given:
        return tree.Did(_selection(found, at))
    least = -1 if given[0] == "at_most" else 0
    times = a_whole_number(found[given[0]], (*at, given[0]), least, _MOST_OFTEN)
    return tree.Did(_selection(found, at), given[0], times)  # type: ignore[arg-type]


def _first_time(data: Any, at: Path) -> Rule:
    selection = _selection(fields(data, at, (), _SELECTION), at)
    if selection.window == EVER:
        raise refused(at, "first_time needs a window.", "Write within or between.", "missing_option")
    return tree.FirstTime(selection)


def _outer_and_recent(data: Any, at: Path) -> tuple[Step, Span, Span]:
    found = fields(data, at, ("within", "recent"), _STEP)
    return _step(found, at), _span(found["within"], (*at, "within")), _span(found["recent"], (*at, "recent"))


def _in_periods(data: Any, at: Path) -> Rule:
    found = fields(data, at, ("at_least", "of", "period"), _STEP)
    at_least, of = (a_whole_number(found[key], (*at, key), 0, _MOST_OFTEN) for key in ("at_least", "of"))
    return tree.InPeriods(_step(found, at), at_least, of, one_of(found["period"], (*at, "period"), PERIODS))


def _sequence(data: Any, at: Path) -> Rule:
    found = fields(data, at, ("first", "then", "within"), ("not",))
    first, then = (*at, "first"), (*at, "then")
    return tree.Follows(
        _selection(fields(found["first"], first, (), _SELECTION), first),
        _step(fields(found["then"], then, (), _STEP), then),
        _span(found["within"], (*at, "within")),
        _negated(found, at),
    )


def _in_segment(data: Any, at: Path) -> Rule:
    found = fields(data, at, ("name",), ("key",))
    key = a_text(found["key"], (*at, "key")) if "key" in found else ""
    return tree.InSegment(a_text(found["name"], (*at, "name")), key)


# Events --------------------------------------------------------------------------------------------------------------


def _selection(found: dict[str, Any], at: Path) -> Selection:
    step = _step(found, at)
    if "within" in found and "between" in found:
        raise refused(at, "A window is written once: within or between.")
    window: Window = EVER
    for key, read in (("within", parse_within), ("between", parse_between)):
        if key in found:
            window = parsed(found[key], (*at, key), read)
    return Selection(step.events, step.where, window)


def _step(found: dict[str, Any], at: Path) -> Step:
    names = a_list(found["events"], (*at, "events")) if "events" in found else []
    events = tuple(a_text(name, (*at, "events", i)) for i, name in enumerate(names))
    if "filter" not in found:
        return Step(events)
    condition = _Shared(conditions, _ref, {}).node(found["filter"], (*at, "filter"))
    return Step(events, Where(format_condition(condition), condition))


def _ref(data: Any, path: Path) -> Ref:
    key, value = one_key(data, path, "A column", ("column", "exactly"))
    if key == "exactly":
        inner = fields(value, (*path, key), ("column",))
        return Ref(a_name(inner["column"], (*path, key, "column")), exact=True)
    return Ref(a_name(value, (*path, key)))


def _span(data: Any, path: Path) -> Span:
    span = parsed(data, path, parse_within).start
    assert span is not None
    return span


# Operands ------------------------------------------------------------------------------------------------------------


def operand(data: Any, path: Path) -> Operand:
    """A value of the customer."""
    key, value = one_key(data, path, "A value of the customer", (*_OPERANDS, *AGGREGATES, *MEASURES, *DATE_PARTS))
    at = (*path, key)
    if key in DATE_PARTS:
        return tree.DatePart(key, operand(value, at))  # type: ignore[arg-type]
    if key in AGGREGATES:
        found = fields(value, at, ("of",), _SELECTION)
        return tree.Measured(Aggregate(AGGREGATES[key], a_name(found["of"], (*at, "of")), _selection(found, at)))  # type: ignore[arg-type]
    if key in MEASURES:
        return tree.Measured(Aggregate(MEASURES[key], "", _selection(fields(value, at, (), _SELECTION), at)))  # type: ignore[arg-type]
    return _OPERANDS[key](value, at)


def _distance(data: Any, at: Path) -> Operand:
    found = fields(data, at, ("latitude", "longitude", "to"))
    point = a_list(found["to"], (*at, "to"), 2)
    if len(point) != 2:
        raise refused((*at, "to"), "A place is a list of latitude and longitude.")
    to = [a_number(side, (*at, "to", i)) for i, side in enumerate(point)]
    return tree.Distance(
        operand(found["latitude"], (*at, "latitude")), operand(found["longitude"], (*at, "longitude")), *to
    )


def _item(data: Any, at: Path) -> Operand:
    found = fields(data, at, ("of", "index"))
    index = a_whole_number(found["index"], (*at, "index"), 1, 10_000)
    return tree.Item(operand(found["of"], (*at, "of")), index)


def _now(data: Any, at: Path) -> Operand:
    fields(data, at, ())
    return tree.Now()


_OPERANDS: dict[str, Callable[[Any, Path], Operand]] = {
    "name": lambda data, at: tree.Named(a_name(data, at)),
    "days_unchanged": lambda data, at: tree.DaysUnchanged(a_name(data, at)),
    "random_bucket": lambda data, at: tree.RandomBucket(a_text(data, at)),
    "score": lambda data, at: tree.Score(a_text(data, at)),
    "distance_km": _distance,
    "now": _now,
    "ago": lambda data, at: tree.Now("ago", _span(data, at)),
    "ahead": lambda data, at: tree.Now("ahead", _span(data, at)),
    "exactly": lambda data, at: tree.Exactly(operand(data, at)),
    "item": _item,
    "item_count": lambda data, at: tree.ItemCount(operand(data, at)),
}
