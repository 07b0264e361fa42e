"""What is wrong with a rule that was read: every unknown name, every type that does not fit, every impossible count."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from kohort.definitions.columns import find, vocabulary
from kohort.definitions.conditions import condition_mistakes, like_problem, order_problem, value_problem
from kohort.definitions.features import NUMERIC_KINDS, Aggregate, Selection, Step
from kohort.definitions.rules import tree
from kohort.definitions.rules.tree import Leaf, Node, Operand, Place, Rule
from kohort.definitions.rules.types import suggestion, type_of
from kohort.definitions.rules.vocabulary import Vocabulary
from kohort.definitions.rules.walk import leaves
from kohort.errors import RefusedDefinition
from kohort.model.event import SCORE_PARTS

if TYPE_CHECKING:
    from kohort.definitions.conditions import Operator, Value
    from kohort.model.event import ColumnType

MOST_PERIODS = 1_000


def mistakes(rule: Rule, known: Vocabulary, text: str) -> list[RefusedDefinition]:
    """See `kohort.definitions.rules.check_rule`."""
    if not text:
        from kohort.definitions.rules.parse import parse
        from kohort.definitions.rules.write import write

        text = write(rule)
        rule = parse(text)
    checker = _Checker(known, text)
    for leaf in leaves(rule):
        checker.leaf(leaf)
    return sorted(checker.found.values(), key=lambda e: (e.start or 0, e.end or 0))


class _Checker:
    def __init__(self, known: Vocabulary, text: str) -> None:
        self.known, self.text = known, text
        self.columns = vocabulary(known.columns)
        self.found: dict[tuple[str, int, int], RefusedDefinition] = {}

    def note(self, place: Place, message: str, hint: str = "", code: str = "wrong_type") -> None:
        error = RefusedDefinition(message, text=self.text, start=place[0], end=place[1], hint=hint, code=code)
        self.found.setdefault((message, *place), error)

    def passed_on(self, error: RefusedDefinition, place: Place) -> None:
        self.note(place, error.message, error.hint, error.code)

    def words(self, node: Node) -> str:
        start, end = node.place
        words = self.text[start:end]
        return words if len(words) <= 60 else words[:59] + "…"

    # Rules -----------------------------------------------------------------------------------------------------------

    def leaf(self, leaf: Leaf) -> None:
        match leaf:
            case tree.Compare():
                self.compare(leaf)
            case tree.Among(of, values):
                kind = self.operand(of)
                for value in values:
                    self.value(leaf, of, kind, value)
            case tree.Missing(of):
                self.operand(of)
            case tree.Like(of):
                self.problem(leaf, like_problem(self.words(of), self.operand(of) or "text"))
            case tree.HasItems(of):
                self.needs(of, ("list",), "is not a list.", "Use in ('a', 'b') for a single text.")
            case tree.InSegment():
                self.segment(leaf)
            case _:
                self.happening(leaf)

    def happening(self, leaf: Leaf) -> None:
        """Leaves that look at events."""
        match leaf:
            case tree.Did(selection, counted, times):
                self.filter(selection)
                if counted == "at_least" and times < 1:
                    message = "At least 0 times is always true."
                    self.note(leaf.place, message, "Write at_least => 1, or never(…).", "bad_count")
                if times < 0:
                    self.note(leaf.place, "Fewer than 0 times is never true.", "Write never(…).", "bad_count")
            case tree.FirstTime(selection):
                self.filter(selection)
            case tree.Stopped(step, within, recent) | tree.Restarted(step, within, recent):
                self.filter(step)
                if recent.nominal_minutes >= within.nominal_minutes:
                    hint = "Write for example: within => '1 year', recent => '90 days'."
                    self.note(leaf.place, "`recent` must be shorter than `within`.", hint, "bad_window")
            case tree.InPeriods(step):
                self.filter(step)
                self.periods(leaf)
            case tree.Follows(first, then):
                self.filter(first)
                self.filter(then)

    def periods(self, leaf: tree.InPeriods) -> None:
        if leaf.at_least < 1:
            message = "In at least 0 periods is always true."
            self.note(leaf.place, message, "Write at_least => 1 or more.", "bad_count")
        if leaf.at_least > leaf.of:
            message = f"{leaf.at_least} of the last {leaf.of} periods is never true."
            self.note(leaf.place, message, "at_least can be as large as `of`.", "bad_count")
        if leaf.of > MOST_PERIODS:
            self.note(leaf.place, f"`of` can be {MOST_PERIODS:,} periods at most.", "", "bad_count")

    def segment(self, leaf: tree.InSegment) -> None:
        there_are = self.known.segments
        if leaf.name not in there_are:
            hint = suggestion(leaf.name, there_are)
            self.note(leaf.place, f"No segment is called {leaf.name!r}.", hint, "unknown_segment")
        elif leaf.key and leaf.key not in there_are[leaf.name]:
            hint = suggestion(leaf.key, there_are[leaf.name])
            self.note(leaf.place, f"{leaf.name!r} has no part called {leaf.key!r}.", hint, "unknown_segment")

    def compare(self, leaf: tree.Compare) -> None:
        kind, right = self.operand(leaf.left), leaf.right
        if isinstance(right, str | bool | Decimal):
            if right is True and leaf.place == leaf.left.place and kind not in ("flag", None):
                hint = (
                    f"Compare it, for example: {self.words(leaf.left)} {'> 0' if kind == 'number' else 'is not null'}."
                )
                self.note(leaf.place, f"{self.words(leaf.left)!r} is neither true nor false.", hint)
                return
            self.value(leaf, leaf.left, kind, right, leaf.op)
            return
        other = self.named(right, text=True) if isinstance(right, tree.Named) else self.operand(right)
        if kind is None or other is None:
            return
        if kind != other or kind == "list":
            message = (
                f"{self.words(leaf.left)!r} and {self.words(right)!r} hold different things and cannot be compared."
            )
            hint = "A list is compared with a text in quotes." if "list" in (kind, other) else ""
            self.note(leaf.place, message, hint)
        self.problem(leaf, order_problem(self.words(leaf.left), kind, leaf.op))

    def value(self, leaf: Node, of: Operand, kind: ColumnType | None, value: Value, op: Operator = "=") -> None:
        words = self.words(of)
        # What was never declared is of any type.
        problem = value_problem(words, kind or "text", value, op) if kind or value == "" else None
        if problem and kind == "time" and value:
            problem = problem[0], "Write '2011-12-09', or ago('30 days')."
        self.problem(leaf, problem or (order_problem(words, kind, op) if kind else None))

    def problem(self, leaf: Node, problem: tuple[str, str] | None) -> None:
        if problem is not None:
            self.note(leaf.place, *problem)

    # Values ----------------------------------------------------------------------------------------------------------

    def operand(self, operand: Operand) -> ColumnType | None:
        """Note what is wrong with a value; its type, None where it has none or anything fits."""
        match operand:
            case tree.Named():
                return self.named(operand)
            case tree.Measured(measure):
                self.measure(operand, measure)
            case tree.Score(name):
                self.score(operand, name)
            case tree.Distance(latitude, longitude):
                for side in (latitude, longitude):
                    self.needs(side, ("number",), "is not a number of degrees.")
            case tree.DatePart(_, of):
                self.needs(of, ("time",), "is not a date or time.")
            case tree.Exactly(of):
                kind = self.needs(of, ("text", "list"), "is not text.", "Only text has large and small letters.")
                return kind if kind in ("text", "list") else None
            case tree.Item(of) | tree.ItemCount(of):
                self.needs(of, ("list",), "is not a list.")
        return type_of(operand, self.known)

    def score(self, operand: tree.Score, name: str) -> None:
        of, _, part = name.rpartition(".")
        asked = of if part in SCORE_PARTS else name
        if asked not in self.known.scores:
            hint = suggestion(asked, self.known.scores)
            self.note(operand.place, f"No score is called {asked!r}.", hint, "unknown_score")

    def named(self, operand: tree.Named, *, text: bool = False) -> ColumnType | None:
        """As `operand`; `text` says that text could stand here as well, so that quotes may be what is missing."""
        try:
            return type_of(operand, self.known)
        except RefusedDefinition as error:
            if self.words(operand).startswith('"') or (text and "Did you mean" not in error.hint):
                error.hint = f"Text stands in single quotes: '{operand.name}'."
            self.passed_on(error, operand.place)
            return None

    def needs(self, operand: Operand, kinds: tuple[ColumnType, ...], message: str, hint: str = "") -> ColumnType | None:
        """Note a value that is of none of some types; its type."""
        kind = self.operand(operand)
        if kind is not None and kind not in kinds:
            self.note(operand.place, f"{self.words(operand)!r} {message}", hint)
        return kind

    def measure(self, operand: tree.Measured, measure: Aggregate) -> None:
        self.filter(measure.selection)
        name = measure.column
        if not name or (name not in self.columns and name.startswith(("p_", "t_"))):
            return
        try:
            column = find(name, self.columns)
        except RefusedDefinition as error:
            self.passed_on(error, operand.place)
            return
        if measure.kind in NUMERIC_KINDS and column.type != "number":
            message = f"{name!r} is not a number, so it has no {measure.kind}."
            self.note(operand.place, message, "Use first, last, mode or distinct.")

    def filter(self, selected: Selection | Step) -> None:
        if selected.where is not None:
            for error in condition_mistakes(selected.where.condition, self.columns, self.text, undeclared=True):
                self.passed_on(error, (error.start or 0, error.end or 0))
