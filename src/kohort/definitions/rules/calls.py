"""The arguments of one call in a rule: positions, options, and what most calls share (events, filter, window, count)."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from kohort.definitions.conditions import format_condition
from kohort.definitions.conditions_read import ConditionReader
from kohort.definitions.features import Selection, Step, Where
from kohort.definitions.rules.vocabulary import COUNTS
from kohort.definitions.sql_text import MOST_VALUES, unwrapped
from kohort.definitions.windows import EVER, Span, Window, parse_between, parse_within
from kohort.errors import RefusedDefinition

if TYPE_CHECKING:
    from kohort.definitions.rules.tree import Counted
    from kohort.definitions.sql_boolean import BooleanReader

MOST_OFTEN = 1_000_000_000
OPTIONS = {
    "did": (*COUNTS, "within", "between"),
    "never": ("within", "between"),
    "first_time": ("within", "between"),
    "stopped": ("within", "recent"),
    "restarted": ("within", "recent"),
    "in_periods": ("at_least", "of", "period"),
    "sequence": ("within",),
}
_SELECTING = frozenset({"count", "days_since", "days_since_first", "sum", "mean", "min", "max"}) | frozenset(
    {"distinct", "first", "last", "mode"}
)


class Call:
    """One call; what is read is taken out, and `done` refuses what is left.

    Args:
        node: The call in the syntax tree.
        reader: Who reads the rule; counts the conditions of event filters too.
    """

    def __init__(self, node: Any, reader: BooleanReader) -> None:
        self.node, self.reader, self.source = node, reader, reader.source
        self.name = node.name.lower()
        self.source.take(node)
        self.positional: list[Any] = []
        self.options: dict[str, Any] = {}
        known = OPTIONS.get(self.name, ("within", "between") if self.name in _SELECTING else ())
        for argument in node.expressions:
            if isinstance(argument, exp.Kwarg):
                self._option(argument, known)
            elif self.options:
                raise self.source.refused(argument, "Options stand last.", code="bad_arguments")
            else:
                self._refuse_equals(argument, known)
                self.positional.append(argument)

    def _refuse_equals(self, argument: Any, known: tuple[str, ...]) -> None:
        left = argument.this if isinstance(argument, exp.EQ) else None
        if isinstance(left, exp.Column) and left.name in known and not left.this.args.get("quoted"):
            name = left.name
            hint = f"Write: {name} => {self.source.cut(argument.expression)}."
            raise self.source.refused(argument, f"The option {name!r} is written with =>.", hint, "bad_arguments")

    def _option(self, argument: Any, known: tuple[str, ...]) -> None:
        place = self.source.option_name(argument.expression)
        name = str(argument.this.name).lower()
        self.source.taken.add(place[0])
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            listed = f"Options: {', '.join(known)}." if known else f"{self.name} has no options."
            hint = f"Did you mean {near[0]!r}?" if near else listed
            raise self.source.refused(place, f"{self.name} has no option {name!r}.", hint, "unknown_option")
        if name in self.options:
            raise self.source.refused(place, f"{name!r} is written twice.", code="bad_arguments")
        self.options[name] = unwrapped(argument.expression)

    def refused(self, message: str, hint: str = "", code: str = "bad_arguments") -> RefusedDefinition:
        return self.source.refused(self.node, message, hint, code)

    def done(self) -> None:
        """Refuse what was not read."""
        for node in [*self.positional, *self.options.values()]:
            raise self.source.refused(node, f"{self.name} does not take this.", code="bad_arguments")

    # One argument ----------------------------------------------------------------------------------------------------

    def text(self, what: str, hint: str) -> str:
        """The next position, a text in quotes that is not empty."""
        if not self.positional:
            raise self.refused(f"{self.name} needs {what}.", hint)
        return self._text(self.positional.pop(0), what, hint)

    def _text(self, node: Any, what: str, hint: str) -> str:
        inner = unwrapped(node)
        if not isinstance(inner, exp.Literal) or not inner.is_string:
            raise self.source.refused(node, f"{self.name} needs {what} in 'quotes'.", hint, "bad_arguments")
        text = self.source.words(inner)
        if not text.strip():
            raise self.source.refused(node, f"{self.name} needs {what}, not an empty text.", hint, "bad_arguments")
        return text

    def _needed(self, name: str, example: str) -> Any:
        if name not in self.options:
            raise self.refused(f"{self.name} needs {name!r}.", f"Write: {name} => {example}.", "missing_option")
        return self.options.pop(name)

    def count(self, name: str) -> int:
        """A whole number."""
        return self._whole(self._needed(name, "3"), name)

    def _whole(self, node: Any, name: str) -> int:
        if isinstance(node, exp.Literal) and not node.is_string:
            number = self.source.number(node)
            if number == int(number) and number <= MOST_OFTEN:
                return int(number)
        raise self.source.refused(node, f"{name} needs a whole number from 0 to {MOST_OFTEN:,}.", code="bad_count")

    def word(self, name: str, words: tuple[str, ...]) -> Any:
        """One of some words, in quotes."""
        node = self._needed(name, f"'{words[-2]}'")
        word = self._text(node, "a word", f"One of: {', '.join(words)}.").lower()
        if word not in words:
            near = difflib.get_close_matches(word, words, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"One of: {', '.join(words)}."
            raise self.source.refused(node, f"{word!r} is not a {name}.", hint, "bad_value")
        return word

    def span(self, name: str, *, fixed: bool = False) -> Span:
        """A length of time: an option or, without a name, the next position."""
        if name:
            node = self._needed(name, "'30 days'")
        elif self.positional:
            node = self.positional.pop(0)
        else:
            raise self.refused(f"{self.name} needs a length of time.", f"Write: {self.name}('30 days').")
        span = self._window(node, parse_within).start
        assert span is not None
        if fixed and (span.calendar or span.unit in ("month", "year")):
            message = "The steps of a sequence lie a fixed length apart."
            raise self.source.refused(node, message, "Write for example '30 days'.", "bad_window")
        return span

    def _window(self, node: Any, read: Callable[[str], Window]) -> Window:
        text = self._text(node, "a length of time", "Write for example '30 days'.")
        try:
            return read(text)
        except RefusedDefinition as error:
            start, end = self.source.span(unwrapped(node))
            if error.text == text and error.start is not None and error.end is not None and "'" not in text:
                start, end = start + 1 + error.start, start + 1 + error.end
            raise self.source.refused((start, end), error.message, error.hint, error.code) from None

    # What many calls share -------------------------------------------------------------------------------------------

    def selection(self, *, window_needed: bool = False) -> Selection:
        """Events, filter and window."""
        step, window = self.step(), self.window()
        if window_needed and window == EVER:
            raise self.refused(f"{self.name} needs a window.", "Write: within => '30 days'.", "missing_option")
        return Selection(step.events, step.where, window)

    def step(self) -> Step:
        """Events and filter."""
        if not self.positional:
            hint = f"Write {self.name}('order_line'), or {self.name}(*) for any event."
            raise self.refused(f"{self.name} needs an event.", hint)
        events = self._events(self.positional.pop(0))
        return Step(events, self._where(self.positional.pop(0)) if self.positional else None)

    def _events(self, node: Any) -> tuple[str, ...]:
        inner = unwrapped(node)
        if isinstance(inner, exp.Star):
            return ()
        names = inner.expressions if isinstance(inner, exp.Tuple) else [inner]
        if not 0 < len(names) <= MOST_VALUES:
            raise self.source.refused(node, f"Name 1 to {MOST_VALUES:,} events.", code="too_many")
        hint = f"Write {self.name}('order_line'), {self.name}(('page', 'screen')) or {self.name}(*)."
        return tuple(self._text(n, "an event's name", hint) for n in names)

    def _where(self, node: Any) -> Where:
        if isinstance(unwrapped(node), exp.Literal):
            hint = f"Several events stand in parentheses: {self.name}(('page', 'screen'))."
            if not unwrapped(node).is_string:
                hint = f"How often is written with a name: at_least => {self.source.cut(node)}."
            elif str(unwrapped(node).this)[:1].isdigit():
                hint = f"A window is written with its name: within => {self.source.cut(node)}."
            raise self.source.refused(node, "This is not a condition on the event.", hint, "bad_arguments")
        reader = ConditionReader(self.source)
        reader.count = self.reader.count
        condition = reader.read(node)
        self.reader.count = reader.count
        return Where(format_condition(condition), condition)

    def window(self) -> Window:
        """The window; without one, everything."""
        if "within" in self.options and "between" in self.options:
            raise self.refused("A window is written once: within or between.")
        if "within" in self.options:
            return self._window(self.options.pop("within"), parse_within)
        return self._window(self.options.pop("between"), parse_between) if "between" in self.options else EVER

    def counted(self) -> tuple[Counted, int]:
        """How often: `more_than => 2` is at_least 3, `fewer_than => 3` is at_most 2."""
        given = [name for name in COUNTS if name in self.options]
        if len(given) > 1:
            raise self.refused("How often is written once.", f"Keep one of: {', '.join(given)}.")
        if not given:
            return ("exactly", 0) if self.name == "never" else ("at_least", 1)
        times = self._whole(self.options.pop(given[0]), given[0])
        match given[0]:
            case "more_than":
                return "at_least", times + 1
            case "fewer_than":
                return "at_most", times - 1
            case counted:
                return counted, times  # type: ignore[return-value]

    def refuse_counts(self, message: str, hint: str) -> None:
        self._refuse(COUNTS, message, hint)

    def refuse_windows(self, message: str, hint: str) -> None:
        self._refuse(("within", "between"), message, hint)

    def _refuse(self, names: tuple[str, ...], message: str, hint: str) -> None:
        for name in names:
            if name in self.options:
                place = self.source.option_name(self.options[name])
                raise self.source.refused(place, message, hint, "bad_arguments")
