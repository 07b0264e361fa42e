"""The canonical text of a rule."""

from __future__ import annotations

from typing import Any

from kohort.definitions.conditions import format_condition
from kohort.definitions.features import Selection, Step
from kohort.definitions.rules import tree
from kohort.definitions.rules.tree import Operand, Rule
from kohort.definitions.rules.vocabulary import AGGREGATES, HAS, MEASURES
from kohort.definitions.sql_write import BooleanWriter, name_text, number_text, text_literal
from kohort.definitions.windows import EVER, Span, Window
from kohort.model.event import SCORE_PARTS

_WORD_OF = {kind: word for word, kind in (AGGREGATES | MEASURES).items()}
_HAS_OF = {how: word for word, how in HAS.items()}


def write(rule: Rule) -> str:
    """See `kohort.definitions.rules.format_rule`."""
    return BooleanWriter(tree, operand_text, _leaf).text(rule)


def between_text(window: Window) -> str:
    """`90 and 30 days ago`: what `between` takes."""
    start, end = window.start, window.end
    assert start is not None
    assert end is not None
    alike = (start.unit, start.calendar) == (end.unit, end.calendar)
    return f"{start.amount if alike else start} and {end} ago"


def operand_text(operand: Operand) -> str:  # noqa: PLR0911 - one answer per kind
    """The text of a value of the customer.

    Example:
        >>> operand_text(tree.DatePart("month", tree.Named("t_birthday")))
        'month(t_birthday)'
    """
    match operand:
        case tree.Named(name):
            return name_text(name)
        case tree.Measured(measure):
            call = f"{_WORD_OF[measure.kind]}({_selection(measure.selection)})"
            return f"{call}.{name_text(measure.column)}" if measure.column else call
        case tree.DaysUnchanged(trait):
            return f"days_unchanged({name_text(trait)})"
        case tree.RandomBucket(salt):
            return f"random_bucket({text_literal(salt)})"
        case tree.Score(name):
            return _score(name)
        case tree.Distance(latitude, longitude, to_latitude, to_longitude):
            sides = [operand_text(latitude), operand_text(longitude)]
            return f"distance_km({', '.join([*sides, number_text(to_latitude), number_text(to_longitude)])})"
        case tree.DatePart(part, of):
            return f"{part}({operand_text(of)})"
        case tree.Now("now"):
            return "now()"
        case tree.Now(direction, length):
            return f"{direction}({text_literal(str(length))})"
        case tree.Exactly(of):
            return f"exactly({operand_text(of)})"
        case tree.Item(of, index):
            return f"{operand_text(of)}[{index}]"
        case tree.ItemCount(of):
            return f"item_count({operand_text(of)})"


def _score(name: str) -> str:
    of, _, part = name.rpartition(".")
    plain = part in SCORE_PARTS and name_text(of) == of and not of.startswith(("p_", "t_"))
    return name if plain else f"score({text_literal(name)})"


def _leaf(leaf: Any) -> str:  # noqa: PLR0911 - one answer per kind
    match leaf:
        case tree.HasItems(of, how, values):
            return f"{_HAS_OF[how]}({', '.join([operand_text(of), *(text_literal(v) for v in values)])})"
        case tree.Did(selection, "exactly", 0):
            return f"never({_selection(selection)})"
        case tree.Did(selection, counted, times):
            return f"did({_selection(selection, _counted(counted, times))})"
        case tree.FirstTime(selection):
            return f"first_time({_selection(selection)})"
        case tree.Stopped(step, within, recent):
            return f"stopped({_step(step)}, {_option('within', within)}, {_option('recent', recent)})"
        case tree.Restarted(step, within, recent):
            return f"restarted({_step(step)}, {_option('within', within)}, {_option('recent', recent)})"
        case tree.InPeriods(step, at_least, of, period):
            return f"in_periods({_step(step)}, at_least => {at_least}, of => {of}, period => '{period}')"
        case tree.Follows(first, then, within, negated):
            last = f"{'never' if negated else 'did'}({_step(then)})"
            return f"sequence(did({_selection(first)}), {last}, {_option('within', within)})"
        case tree.InSegment(name, key):
            return f"in_segment({', '.join(text_literal(t) for t in (name, key) if t)})"
    raise TypeError(f"{type(leaf).__name__} is not a rule")


def _counted(counted: str, times: int) -> str:
    if (counted, times) == ("at_least", 1):
        return ""
    # `fewer_than => 0` is the one way to write a count below zero; `check_rule` refuses it.
    return f"{counted} => {times}" if times >= 0 else f"fewer_than => {times + 1}"


def _selection(selection: Selection, counted: str = "") -> str:
    window = selection.window
    parts = [_step(Step(selection.events, selection.where)), counted]
    if window != EVER:
        parts.append(_option("between", between_text(window)) if window.end else _option("within", window.start))
    return ", ".join(part for part in parts if part)


def _step(step: Step) -> str:
    names = [text_literal(name) for name in step.events]
    events = "*" if not names else names[0] if len(names) == 1 else f"({', '.join(names)})"
    return f"{events}, {format_condition(step.where.condition)}" if step.where else events


def _option(name: str, value: Span | str | None) -> str:
    return f"{name} => {text_literal(str(value))}"
