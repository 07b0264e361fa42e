"""What there is to say, in no language: every form of a rule, taken apart into slots and put together again.

A form names the template that each language gives (`languages`), the syntax of each slot, and two functions that are
inverses: a node into the values of its slots, and back. Of forms that begin alike the longer one stands first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

from kohort.definitions import conditions
from kohort.definitions.conditions import Ref, format_condition
from kohort.definitions.features import Aggregate, Selection, Step, Where
from kohort.definitions.rules import tree
from kohort.definitions.rules.vocabulary import AGGREGATES, DATE_PARTS
from kohort.definitions.windows import EVER, Window

Parts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to say one kind of value.

    Attributes:
        category: What it is a form of: rule, operand, window …
        template: Its key in the table of a language.
        slots: Slot of the template → the category that fills it.
        apart: A value → what its slots hold; None for a value of another form.
        build: The inverse of `apart`; a slot that was left out is None.
    """

    category: str
    template: str
    slots: Mapping[str, str]
    apart: Callable[[Any], Parts | None]
    build: Callable[..., Any]


def _node(category: str, template: str, kind: type, slots: Mapping[str, str], /, **fixed: Any) -> Form:
    """A form whose slots are fields of a node; `fixed` fields have one value."""

    def apart(value: Any) -> Parts | None:
        if type(value) is not kind or any(getattr(value, k) != v for k, v in fixed.items()):
            return None
        return {slot: getattr(value, slot) for slot in slots}

    return Form(category, template, slots, apart, lambda **parts: kind(**parts, **fixed))


def _word(category: str, template: str, value: Any) -> Form:
    """A form without slots: one value. Types count, as True equals 1."""
    return Form(category, template, {}, lambda v: {} if type(v) is type(value) and v == value else None, lambda: value)


# Groups, comparisons: the same in rules and in event filters ---------------------------------------------------------

_ORDERS = {
    "<": ("less", "earlier"),
    "<=": ("at_most", "not_later"),
    ">": ("more", "later"),
    ">=": ("at_least", "not_earlier"),
}
_NEGATED = {True: "not_", False: ""}


def _limits(nodes: ModuleType, value: Any) -> Parts | None:
    """The parts of `left between low and high`, which is read as two comparisons."""
    match value:
        case nodes.AllOf((nodes.Compare(left, ">=", low), nodes.Compare(again, "<=", high))):
            plain = isinstance(low, str | Decimal | bool) and isinstance(high, str | Decimal | bool)
            return {"left": left, "low": low, "high": high} if plain and left == again else None
    return None


def _groups(category: str, nodes: ModuleType, left: str) -> Iterator[Form]:
    """`category` is a whole rule or condition, `…_member` what stands in a group."""
    member = f"{category}_member"
    # `between` has words of its own, so that its two comparisons are not a group.
    together = _node(category, "all", nodes.AllOf, {"items": f"{member}_and"})
    yield _when(lambda v: _limits(nodes, v) is None, together)
    yield _node(category, "any", nodes.AnyOf, {"items": f"{member}_or"})
    yield Form(category, "one", {"item": member}, lambda v: {"item": v}, lambda item: item)

    yield Form(
        member,
        "limits",
        {"left": left, "low": "value", "high": "value"},
        lambda v: _limits(nodes, v),
        lambda left, low, high: nodes.AllOf((nodes.Compare(left, ">=", low), nodes.Compare(left, "<=", high))),
    )

    def group(value: Any) -> Parts | None:
        return {"group": value} if isinstance(value, nodes.AllOf | nodes.AnyOf) else None

    yield Form(member, "group", {"group": category}, group, lambda group: group)
    yield _node(member, "not", nodes.Not, {"item": category})


def _comparisons(category: str, nodes: ModuleType, left: str, right: str) -> Iterator[Form]:
    """Every comparison of an operand (or column) with something."""
    of, place = ("of", "where") if nodes is tree else ("column", "place")

    def renamed(template: str, kind: type, slots: dict[str, str], **fixed: Any) -> Form:
        """Templates call what is compared `left`, whatever the node calls it."""
        form = _node(category, template, kind, {of: left, **slots}, **fixed)

        def apart(value: Any) -> Parts | None:
            parts = form.apart(value)
            return parts and {"left": parts[of], **{k: parts[k] for k in slots}}

        return Form(
            category, template, {"left": left, **slots}, apart, lambda left, **parts: form.build(**{of: left}, **parts)
        )

    yield renamed("not_known", nodes.Missing, {}, negated=False)
    yield renamed("known", nodes.Missing, {}, negated=True)
    for negated, word in _NEGATED.items():
        yield renamed(f"{word}among", nodes.Among, {"values": "values"}, negated=negated)
        for where in ("start", "end", "anywhere"):
            yield renamed(f"{word}like_{where}", nodes.Like, {"text": "text"}, **{place: where, "negated": negated})
    for op, (number, time) in _ORDERS.items():
        yield _when(_is_about_time, _node(category, time, nodes.Compare, {"left": left, "right": right}, op=op))
        yield _node(category, number, nodes.Compare, {"left": left, "right": right}, op=op)
    for op, word in (("!=", "not_equal"), ("=", "equal")):
        yield _node(category, word, nodes.Compare, {"left": left, "right": right}, op=op)


def _when(holds: Callable[[Any], bool], form: Form) -> Form:
    """The form, said only where something holds; read in any case."""

    def apart(value: Any) -> Parts | None:
        parts = form.apart(value)
        return parts if parts is not None and holds(value) else None

    return Form(form.category, form.template, form.slots, apart, form.build)


def _is_about_time(compare: Any) -> bool:
    """Numbers are less or more, instants earlier or later. Text has no order, so a text compared so is a date."""
    return isinstance(compare.right, str | tree.Now) or isinstance(compare.left, tree.Now)


# Events --------------------------------------------------------------------------------------------------------------

_EVENTS = {"events": "events", "filter": "filter"}
_SELECTION = {**_EVENTS, "window": "window"}


def _selected(selection: Selection) -> dict[str, Any]:
    window = None if selection.window == EVER else selection.window
    return {"events": selection.events, "filter": selection.where, "window": window}


def _selection(events: tuple[str, ...], filter: Where | None = None, window: Window | None = None) -> Selection:  # noqa: A002
    return Selection(events, filter, window or EVER)


def _stepped(step: Step) -> dict[str, Any]:
    return {"events": step.events, "filter": step.where}


def _step(events: tuple[str, ...], filter: Where | None = None) -> Step:  # noqa: A002
    return Step(events, filter)


def _did(value: Any) -> Parts | None:
    if not isinstance(value, tree.Did):
        return None
    times = None if (value.counted, value.times) == ("at_least", 1) else (value.counted, value.times)
    return {**_selected(value.selection), "times": times}


def _never(value: Any) -> Parts | None:
    is_never = isinstance(value, tree.Did) and (value.counted, value.times) == ("exactly", 0)
    return _selected(value.selection) if is_never else None


def _first_time(value: Any) -> Parts | None:
    return _selected(value.selection) if isinstance(value, tree.FirstTime) else None


def _two_windows(template: str, kind: type, within_as: str) -> Form:
    """stopped and restarted: one step, an outer and a recent window that end now."""

    def apart(value: Any) -> Parts | None:
        if not isinstance(value, kind):
            return None
        return {**_stepped(value.step), "within": value.within, "recent": value.recent}  # type: ignore[attr-defined]

    def build(within: Any, recent: Any, **step: Any) -> Any:
        return kind(_step(**step), within, recent)

    return Form("leaf", template, {**_EVENTS, "within": within_as, "recent": "last"}, apart, build)


def _in_periods(value: Any) -> Parts | None:
    if not isinstance(value, tree.InPeriods):
        return None
    return {**_stepped(value.step), "at_least": value.at_least, "of": (value.of, value.period)}


def _follows(template: str, negated: bool) -> Form:
    slots = {**_SELECTION, "within": "span", "then": "events", "then_filter": "filter"}

    def apart(value: Any) -> Parts | None:
        if not isinstance(value, tree.Follows) or value.negated != negated:
            return None
        then = {"then": value.then.events, "then_filter": value.then.where}
        return {**_selected(value.first), **then, "within": value.within}

    def build(then: Any, within: Any, then_filter: Any = None, **first: Any) -> Any:
        return tree.Follows(_selection(**first), Step(then, then_filter), within, negated)

    return Form("leaf", template, slots, apart, build)


def _segments() -> Iterator[Form]:
    """In a segment or not: `not in_segment(…)` has words of its own."""
    for negated, word in ((True, "not_"), (False, "")):
        for template, slots in (("in_part", {"name": "name", "key": "name"}), ("in_segment", {"name": "name"})):

            def apart(value: Any, *, negated: bool = negated, keyed: bool = "key" in slots) -> Parts | None:
                inner = value.item if negated and isinstance(value, tree.Not) else None if negated else value
                if not isinstance(inner, tree.InSegment) or bool(inner.key) != keyed:
                    return None
                return {"name": inner.name, "key": inner.key} if keyed else {"name": inner.name}

            def build(*, negated: bool = negated, **parts: Any) -> Any:
                return tree.Not(tree.InSegment(**parts)) if negated else tree.InSegment(**parts)

            yield Form("rule_member", word + template, slots, apart, build)


def _leaves() -> Iterator[Form]:
    yield from _segments()
    yield from _groups("rule", tree, "operand")
    yield Form("rule_member", "one", {"item": "leaf"}, lambda v: {"item": v}, lambda item: item)
    yield _follows("not_follows", True)
    yield _follows("follows", False)
    yield _two_windows("restarted", tree.Restarted, "span")
    yield _two_windows("stopped", tree.Stopped, "last")
    yield Form(
        "leaf",
        "in_periods",
        {**_EVENTS, "at_least": "integer", "of": "periods"},
        _in_periods,
        lambda at_least, of, **step: tree.InPeriods(_step(**step), at_least, *of),
    )
    yield Form("leaf", "first_time", _SELECTION, _first_time, lambda **parts: tree.FirstTime(_selection(**parts)))
    yield Form("leaf", "never", _SELECTION, _never, lambda **parts: tree.Did(_selection(**parts), "exactly", 0))
    yield Form(
        "leaf",
        "did",
        {**_SELECTION, "times": "times"},
        _did,
        lambda times=None, **parts: tree.Did(_selection(**parts), *(times or ("at_least", 1))),
    )
    for how in ("any", "all", "none"):
        yield _node("leaf", f"has_{how}", tree.HasItems, {"of": "operand", "values": "texts"}, how=how)
    yield from _comparisons("leaf", tree, "operand", "right")


# Operands ------------------------------------------------------------------------------------------------------------


def _measured(kind: Any, *, column: bool) -> Form:
    slots = {"history": "history", **({"column": "name"} if column else {})}

    def apart(value: Any) -> Parts | None:
        if not isinstance(value, tree.Measured) or value.measure.kind != kind:
            return None
        parts = {"history": value.measure.selection}
        return {**parts, "column": value.measure.column} if column else parts

    return Form(
        "operand",
        f"event_{kind}",
        slots,
        apart,
        lambda history, column="": tree.Measured(Aggregate(kind, column, history)),
    )


def _days_since(kind: Any) -> Form:
    """Days since the last or the first event: "last" and "first" stand among the words of the selection."""

    def apart(value: Any) -> Parts | None:
        fits = isinstance(value, tree.Measured) and value.measure.kind == kind
        return _selected(value.measure.selection) if fits else None

    def build(**parts: Any) -> Any:
        return tree.Measured(Aggregate(kind, "", _selection(**parts)))

    return Form("operand", f"event_{kind}", {**_SELECTION, "events": "events_past"}, apart, build)


def _operands() -> Iterator[Form]:
    yield Form("history", "history", {**_SELECTION, "events": "events_past"}, _selected, _selection)
    yield _days_since("recency")
    yield _days_since("tenure")
    yield _measured("count", column=False)
    for kind in AGGREGATES.values():
        yield _measured(kind, column=True)
    yield _node("operand", "days_unchanged", tree.DaysUnchanged, {"trait": "name"})
    yield _node("operand", "random_bucket", tree.RandomBucket, {"salt": "name"})
    yield _node("operand", "score", tree.Score, {"name": "name"})
    point = {"latitude": "operand", "longitude": "operand", "to_latitude": "number", "to_longitude": "number"}
    yield _node("operand", "distance", tree.Distance, point)
    for part in DATE_PARTS:
        yield _node("operand", f"{part}_of", tree.DatePart, {"of": "operand"}, part=part)
    yield _node("operand", "exactly", tree.Exactly, {"of": "operand"})
    yield _node("operand", "item", tree.Item, {"of": "operand", "index": "integer"})
    yield _node("operand", "item_count", tree.ItemCount, {"of": "operand"})
    yield Form("operand", "one", {"item": "now"}, lambda v: {"item": v}, lambda item: item)
    yield _node("operand", "named", tree.Named, {"name": "name"})
    yield _word("now", "now", tree.Now())
    for direction in ("ago", "ahead"):
        yield _node("now", direction, tree.Now, {"length": "span"}, direction=direction)


# Event filters, windows, values --------------------------------------------------------------------------------------


def _filters() -> Iterator[Form]:
    yield Form(
        "filter",
        "filter",
        {"condition": "condition"},
        lambda v: {"condition": v.condition},
        lambda condition: Where(format_condition(condition), condition),
    )
    yield from _groups("condition", conditions, "column")
    yield Form("condition_member", "one", {"item": "check"}, lambda v: {"item": v}, lambda item: item)
    yield from _comparisons("check", conditions, "column", "column_right")
    for template, slot, exact in (("exactly", "of", True), ("named", "name", False)):

        def apart(value: Any, slot: str = slot, exact: bool = exact) -> Parts | None:
            return {slot: value.name} if isinstance(value, Ref) and value.exact == exact else None

        def build(*, exact: bool = exact, **parts: str) -> Ref:
            (name,) = parts.values()
            return Ref(name, exact)

        yield Form("column", template, {slot: "name"}, apart, build)


def _windows() -> Iterator[Form]:
    def alike(value: Window) -> Parts | None:
        old, new = value.start, value.end
        if old is None or new is None or (old.unit, old.calendar) != (new.unit, new.calendar) or new.amount == 1:
            return None
        return {"start": old.amount, "end": new}

    def from_alike(start: int, end: Any) -> Window:
        return Window(type(end)(start, end.unit, end.calendar), end)

    def last(value: Window) -> Parts | None:
        return {"last": value.start} if value.start is not None and value.end is None else None

    def between(value: Window) -> Parts | None:
        return {"start": value.start, "end": value.end} if value.start and value.end else None

    yield Form("window", "within", {"last": "last"}, last, lambda last: Window(last))  # noqa: PLW0108 - by name
    yield Form("window", "between_alike", {"start": "integer", "end": "span"}, alike, from_alike)
    yield Form("window", "between", {"start": "span", "end": "span"}, between, Window)
    yield Form("last", "last", {"span": "span"}, lambda v: {"span": v}, lambda span: span)


def _times() -> Iterator[Form]:
    for counted in ("at_least", "at_most", "exactly"):
        for template, only in ((f"{counted}_once", 1), (f"{counted}_times", None)):

            def apart(value: Any, counted: str = counted, only: int | None = only) -> Parts | None:
                fits = value[0] == counted and only in (None, value[1])
                return None if not fits else {} if only else {"n": value[1]}

            def build(n: int = 1, *, counted: str = counted) -> Any:
                return counted, n

            yield Form("times", template, {} if only else {"n": "integer"}, apart, build)


def _values() -> Iterator[Form]:
    yield _word("flag", "yes", True)
    yield _word("flag", "no", False)


FORMS: tuple[Form, ...] = (*_leaves(), *_operands(), *_filters(), *_windows(), *_times(), *_values())
"""In the order in which they are tried."""
