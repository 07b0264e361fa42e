"""From text to the tree of a rule. Names and types are checked by `check`."""

from __future__ import annotations

import difflib
from typing import Any

from sqlglot import exp

from kohort.definitions.features import Aggregate
from kohort.definitions.rules import tree
from kohort.definitions.rules.calls import Call
from kohort.definitions.rules.tree import Operand, Rule
from kohort.definitions.rules.vocabulary import (
    AGGREGATES,
    DATE_PARTS,
    HAS,
    MEASURES,
    OPERAND_FUNCTIONS,
    PERIODS,
    RULE_FUNCTIONS,
)
from kohort.definitions.sql_boolean import BooleanReader
from kohort.definitions.sql_fence import read_sql
from kohort.definitions.sql_text import MOST_VALUES, Noun, Place, Source, unwrapped
from kohort.errors import RefusedDefinition
from kohort.model.event import SCORE_PARTS

LONGEST = 20_000
_INSTEAD = {
    "avg": "mean",
    "average": "mean",
    "count_distinct": "distinct",
    "has_done": "did",
    "performed": "did",
    "did_not": "never",
    "not_did": "never",
    "recency": "days_since",
    "tenure": "days_since_first",
    "length": "item_count",
    "len": "item_count",
    "contains": "has_any",
    "date_sub": "ago",
    "date_add": "ahead",
    "current_date": "now",
    "current_timestamp": "now",
    "segment": "in_segment",
    "member": "in_segment",
    "bucket": "random_bucket",
    "distance": "distance_km",
}
_NEEDLESS = ("lower", "upper", "trim", "casefold")


def parse(text: str) -> Rule:
    """See `kohort.definitions.rules.parse_rule`."""
    if not text.strip():
        hint = "Write what a customer must meet, for example: did('order_line')."
        raise RefusedDefinition("The rule is empty.", text=text, start=0, end=len(text), hint=hint, code="empty")
    source = read_sql(text, Noun("rule", "bad_rule", LONGEST))
    rule: Rule = _Reader(source).read(source.tree)
    source.check_all_taken()
    return rule


class _Reader(BooleanReader):
    def __init__(self, source: Source) -> None:
        super().__init__(source, tree)

    def build(self, kind: Any, place: Place, *parts: Any) -> Any:
        return kind(*parts, place=place)

    def around(self, node: Any, items: tuple[Any, ...]) -> Place:
        return self.source.balanced((items[0].place[0], items[-1].place[1]))

    def is_operand(self, node: Any) -> bool:
        return isinstance(node, exp.Column | exp.Dot | exp.Anonymous | exp.Bracket)

    def needs_operand(self) -> tuple[str, str]:
        return "A comparison needs something of the customer.", "Text stands in single quotes, names stand without."

    # What is true or false by itself ---------------------------------------------------------------------------------

    def call(self, node: Any) -> Rule | None:
        if not isinstance(node, exp.Anonymous) or node.name.lower() not in RULE_FUNCTIONS:
            return None
        call = Call(node, self)
        place = self.place(node)
        if call.name in HAS:
            return self._has(call, place)
        read = {
            "did": self._did,
            "never": self._did,
            "first_time": self._first_time,
            "stopped": self._stopped,
            "restarted": self._stopped,
            "in_periods": self._in_periods,
            "sequence": self._sequence,
            "in_segment": self._in_segment,
        }[call.name]
        rule: Rule = read(call, place)
        return rule

    def _did(self, call: Call, place: Place) -> Rule:
        selection, (counted, times) = call.selection(), call.counted()
        call.done()
        return tree.Did(selection, counted, times, place=place)

    def _first_time(self, call: Call, place: Place) -> Rule:
        selection = call.selection(window_needed=True)
        call.done()
        return tree.FirstTime(selection, place=place)

    def _stopped(self, call: Call, place: Place) -> Rule:
        step, within, recent = call.step(), call.span("within"), call.span("recent")
        call.done()
        kind = tree.Stopped if call.name == "stopped" else tree.Restarted
        return kind(step, within, recent, place=place)

    def _in_periods(self, call: Call, place: Place) -> Rule:
        step, at_least, of = call.step(), call.count("at_least"), call.count("of")
        period = call.word("period", PERIODS)
        call.done()
        return tree.InPeriods(step, at_least, of, period, place=place)

    def _sequence(self, call: Call, place: Place) -> Rule:
        example = "Write: sequence(did('cart'), did('order_line'), within => '1 day')."
        steps = [unwrapped(node) for node in call.positional]
        names = [n.name.lower() if isinstance(n, exp.Anonymous) else "" for n in steps]
        if len(steps) != 2 or names[0] != "did" or names[1] not in ("did", "never"):
            raise call.refused("A sequence has two steps: did(…), then did(…) or never(…).", example)
        first, then = Call(steps[0], self), Call(steps[1], self)
        for step in (first, then):
            step.refuse_counts("A step of a sequence has no count.", "Count with did(…) beside the sequence.")
        then.refuse_windows("The window of a sequence stands in its first step.", "Move it there.")
        selection, last = first.selection(), then.step()
        first.done()
        then.done()
        call.positional.clear()
        within = call.span("within", fixed=True)
        call.done()
        return tree.Follows(selection, last, within, names[1] == "never", place=place)

    def _in_segment(self, call: Call, place: Place) -> Rule:
        name = call.text("a segment's name", "Write: in_segment('vip').")
        key = call.text("a part's name", "Write: in_segment('value', 'gold').") if call.positional else ""
        call.done()
        return tree.InSegment(name, key, place=place)

    def _has(self, call: Call, place: Place) -> Rule:
        if len(call.positional) < 2 or len(call.positional) > MOST_VALUES + 1:
            raise call.refused(f"{call.name} needs a list and 1 to {MOST_VALUES:,} texts.", self._has_hint(call.name))
        of = self._inner(call.positional.pop(0), (tree.Named, tree.Measured, tree.Exactly))
        values = tuple(call.text("a text", self._has_hint(call.name)) for _ in tuple(call.positional))
        call.done()
        return tree.HasItems(of, HAS[call.name], values, place=place)  # type: ignore[arg-type]

    def _has_hint(self, name: str) -> str:
        return f"Write: {name}(t_tags, 'a', 'b')."

    # Values of a customer --------------------------------------------------------------------------------------------

    def operand(self, node: Any) -> Operand:
        inner = unwrapped(node)
        match inner:
            case exp.Anonymous():
                return self._function(inner)
            case exp.Bracket():
                return self._item(inner)
            case exp.Dot():
                base: Any = inner
                parts: list[Any] = []
                while isinstance(base, exp.Dot):
                    parts.insert(0, base.expression)
                    base = base.this
                if isinstance(base, exp.Anonymous):
                    return self._property(base, parts, self.place(inner))
                return tree.Named(self.column(inner), place=self.place(inner))
            case exp.Column() if (score := self._score(inner)) is not None:
                return score
            case exp.Column():
                return tree.Named(self.column(inner), place=self.place(inner))
        raise self.not_allowed(inner)

    def _score(self, node: exp.Column) -> tree.Score | None:
        """`churn_90d.probability`, which is no part of a trait."""
        of, part = node.args.get("table"), node.args.get("this")
        if not isinstance(of, exp.Identifier) or not isinstance(part, exp.Identifier) or node.args.get("db"):
            return None
        if part.name not in SCORE_PARTS or of.name.startswith(("p_", "t_")):
            return None
        for name in (of, part):
            self.source.take(name)
        return tree.Score(f"{of.name}.{part.name}", place=self.place(node))

    def _inner(self, node: Any, kinds: tuple[type, ...]) -> Any:
        """An operand inside a function, of one of the kinds that have a meaning there."""
        inner = unwrapped(node)
        if self.is_operand(inner):
            operand = self.operand(inner)
            if isinstance(operand, kinds):
                return operand
        message = f"{self.source.cut(inner)!r} cannot stand here."
        raise self.source.refused(inner, message, "Write the name of a trait, for example t_country.", "bad_arguments")

    def _property(self, node: Any, parts: list[Any], place: Place) -> Operand:
        call = Call(node, self)
        if call.name not in (*RULE_FUNCTIONS, *OPERAND_FUNCTIONS):
            raise self._unknown(node)
        if call.name not in AGGREGATES:
            hint = "Only " + ", ".join(AGGREGATES) + " have a property."
            raise call.refused(f"{call.name} has no property.", hint)
        if not all(isinstance(part, exp.Identifier) for part in parts):
            raise self.not_allowed(node)
        selection, column = call.selection(), self.joined(parts)
        call.done()
        return tree.Measured(Aggregate(AGGREGATES[call.name], column, selection), place=place)  # type: ignore[arg-type]

    def _item(self, node: Any) -> Operand:
        of = self._inner(node.this, (tree.Named, tree.Measured))
        index = unwrapped(node.expressions[0]) if len(node.expressions) == 1 else None
        if not isinstance(index, exp.Literal) or index.is_string:
            raise self.source.refused(node, "An item of a list is named by its number.", "Write: t_tags[1].")
        number = self.source.number(index)
        if number != int(number) or not 1 <= number <= 10_000:
            raise self.source.refused(index, "Items are counted from 1 to 10,000.", code="bad_value")
        return tree.Item(of, int(number), place=self.place(node))

    def _function(self, node: Any) -> Operand:
        name, place = node.name.lower(), self.place(node)
        if name in RULE_FUNCTIONS:
            hint = "Write count(…) to compare how often." if name in ("did", "never") else "Write it alone."
            raise self.source.refused(node, f"{name} is true or false; it has no value to compare.", hint, "wrong_type")
        if name not in OPERAND_FUNCTIONS:
            raise self._unknown(node)
        if name in AGGREGATES:
            hint = f"Write: {name}('order_line').amount."
            raise self.source.refused(node, f"{name} needs a property of the event.", hint, "bad_arguments")
        call = Call(node, self)
        operand = self._of_call(call, place)
        call.done()
        return operand

    def _of_call(self, call: Call, place: Place) -> Operand:  # noqa: PLR0911 - one answer per function
        match call.name:
            case "count" | "days_since" | "days_since_first":
                return tree.Measured(Aggregate(MEASURES[call.name], "", call.selection()), place=place)  # type: ignore[arg-type]
            case "days_unchanged":
                return tree.DaysUnchanged(self._trait(call), place=place)
            case "random_bucket":
                return tree.RandomBucket(call.text("a word", "Write: random_bucket('spring') < 10."), place=place)
            case "score":
                return tree.Score(call.text("a score's name", "Write: score('churn') > 0.5."), place=place)
            case "distance_km":
                return self._distance(call, place)
            case "now":
                return tree.Now(place=place)
            case "ago" | "ahead":
                return tree.Now(call.name, call.span(""), place=place)
            case "exactly":
                return tree.Exactly(self._only(call, (tree.Named, tree.Measured, tree.Item)), place=place)
            case "item_count":
                return tree.ItemCount(self._only(call, (tree.Named, tree.Measured)), place=place)
            case _:
                assert call.name in DATE_PARTS
                return tree.DatePart(call.name, self._only(call, (tree.Named, tree.Measured, tree.Now)), place=place)

    def _only(self, call: Call, kinds: tuple[type, ...]) -> Any:
        if len(call.positional) != 1:
            raise call.refused(f"{call.name} takes one thing.", f"Write: {call.name}(t_…).")
        return self._inner(call.positional.pop(), kinds)

    def _trait(self, call: Call) -> str:
        named = self._only(call, (tree.Named,))
        if not named.name.startswith("t_"):
            raise self.source.refused(
                named.place, f"{named.name!r} is not a trait.", "Traits begin with t_.", "wrong_type"
            )
        return str(named.name)

    def _distance(self, call: Call, place: Place) -> Operand:
        if len(call.positional) != 4:
            raise call.refused("distance_km takes four things.", "Write: distance_km(t_lat, t_lon, 55.67, 12.57).")
        sides = [self._inner(node, (tree.Named, tree.Measured)) for node in call.positional[:2]]
        point = [self.source.value(node) for node in call.positional[2:]]
        for node, value, limit in zip(call.positional[2:], point, (90, 180), strict=True):
            if isinstance(value, str | bool) or abs(value) > limit:
                message = f"A place lies between −{limit} and {limit} degrees."
                raise self.source.refused(node, message, code="bad_value")
        call.positional.clear()
        return tree.Distance(*sides, *point, place=place)

    def _unknown(self, node: Any) -> Exception:
        name = node.name.lower()
        near = [_INSTEAD[name]] if name in _INSTEAD else []
        near = near or difflib.get_close_matches(name, [*RULE_FUNCTIONS, *OPERAND_FUNCTIONS], n=1)
        hint = f"Did you mean {near[0]}(…)?" if near else "docs/rules.md lists every function."
        if name in _NEEDLESS:
            hint = "Comparing text ignores large and small letters already."
        return self.source.refused(node, f"No function is called {node.name!r}.", hint, "unknown_function")
