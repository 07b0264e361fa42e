"""Every rule that the language can write is said in four languages and read back as the same rule, letter by letter.

The rules are hostile: texts and names hold quotes of all languages, words of all grammars, line breaks of grammar and
numbers; labels are put together from words of the grammar itself. The judge is equality of trees.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.definitions import conditions
from kohort.definitions.conditions import Ref
from kohort.definitions.features import Aggregate, Selection, Step, Where
from kohort.definitions.rules import tree
from kohort.definitions.rules.sentences import LANGUAGES, read_sentence, say_rule
from kohort.definitions.rules.sentences.languages import language
from kohort.definitions.rules.vocabulary import AGGREGATES, DATE_PARTS, MEASURES, PERIODS
from kohort.definitions.windows import EVER, Span, Window
from kohort.errors import RefusedDefinition
from kohort.testing.random_rules import random_rule

TEXTS = (
    *("'", '"', "“", "”", "„", "‘’", "””", "“a”, “b”", "' or '", '""', "a, b; c", "(", "), and (", "ja", "yes", "now"),
    *("5", "1,5", "−1", "2024-02-29", "2024-02-30", "0999-01-01", "29 Feb 2024", "29.02.2024", "30 days ago", "DE"),
    *("Straße", "İzmir", "日本", "a  b", " a", "{name}", "[", "true", ". .", "has not", ", and 'x' is 5", "is one of"),
)
COLUMNS = ("amount", "category", "line_kind", "p_path", "t_plan", "is", "and", "now", "x1")
NUMBERS = ("0", "5", "-1", "12.50", "-0.000001", "999999999999", "1000", "2.0", "1E+3")
UNITS = ("minute", "hour", "day", "week", "month", "year")


class Rules:
    """Rules of every kind the language can write."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def one(self, *options: Callable[[], Any]) -> Any:
        return self.rng.choice(options)()

    def flip(self) -> bool:
        return self.rng.random() < 0.5

    def some(self, make: Callable[[], Any]) -> tuple[Any, ...]:
        return tuple(make() for _ in range(self.rng.randint(1, 3)))

    # Values and windows ----------------------------------------------------------------------------------------------

    def text(self) -> str:
        if self.rng.random() < 0.7:
            return self.rng.choice(TEXTS)
        return "".join(self.rng.choices("ab '\"“”„,;()%_.-0", k=self.rng.randint(1, 9))).replace("%", "x") + "z"

    def value(self) -> str | Decimal | bool:
        return self.one(self.text, lambda: Decimal(self.rng.choice(NUMBERS)), self.flip)  # type: ignore[no-any-return]

    def span(self) -> Span:
        if self.rng.random() < 0.2:
            return Span(self.rng.choice((1, 7)), "day", True)
        return Span(self.rng.choice((1, 2, 30, 99)), self.rng.choice(UNITS))  # type: ignore[arg-type]

    def window(self) -> Window:
        old, new = self.span(), self.span()
        if self.flip() or old.nominal_minutes <= new.nominal_minutes:
            return Window(old)
        return Window(old, new if self.flip() else Span(0, old.unit, old.calendar))

    # Groups, comparisons ---------------------------------------------------------------------------------------------

    def group(self, nodes: Any, leaf: Callable[[], Any], depth: int, outer: Any = None) -> Any:
        """`a and (b and c)` is read as `a and b and c`, so the language cannot write it."""
        chance = self.rng.random()
        if not depth or chance < 0.4:
            return leaf()
        if chance < 0.6:
            return nodes.Not(self.group(nodes, leaf, depth - 1))
        kind = nodes.AnyOf if outer is nodes.AllOf or (outer is None and self.flip()) else nodes.AllOf
        return kind(tuple(self.group(nodes, leaf, depth - 1, kind) for _ in range(self.rng.randint(2, 3))))

    def comparison(self, nodes: Any, left: Callable[[], Any]) -> Any:
        op = self.rng.choice(("=", "!=", "<", "<=", ">", ">="))
        place = self.rng.choice(("start", "end", "anywhere"))
        of = left()
        return self.one(
            lambda: nodes.Compare(of, op, self.value()),
            lambda: nodes.Compare(of, op, left()),
            lambda: nodes.Among(of, self.some(self.value), self.flip()),
            lambda: nodes.Missing(of, self.flip()),
            lambda: nodes.Like(of, place, re.sub(r"[%_\\]", "", self.text()), self.flip()),
        )

    def limits(self) -> Any:
        of = self.operand()
        return tree.AllOf((tree.Compare(of, ">=", self.value()), tree.Compare(of, "<=", self.value())))

    # Events ----------------------------------------------------------------------------------------------------------

    def step(self) -> Step:
        events = self.one(
            tuple, lambda: self.some(lambda: self.rng.choice(("order_line", "page", self.text().strip())))
        )
        ref = lambda: Ref(self.rng.choice(COLUMNS), exact=self.rng.random() < 0.2)  # noqa: E731
        if self.flip():
            return Step(events)
        return Step(events, Where("", self.group(conditions, lambda: self.comparison(conditions, ref), 2)))

    def selection(self, *, windowed: bool = False) -> Selection:
        step = self.step()
        return Selection(step.events, step.where, self.window() if windowed or self.flip() else EVER)

    # Operands and leaves ---------------------------------------------------------------------------------------------

    def simple(self) -> Any:
        plain = lambda: Aggregate(self.rng.choice(tuple(MEASURES.values())), "", self.selection())  # type: ignore[arg-type]  # noqa: E731
        kinds = tuple(AGGREGATES.values())
        of = lambda: Aggregate(self.rng.choice(kinds), self.rng.choice(COLUMNS), self.selection())  # type: ignore[arg-type]  # noqa: E731
        return self.one(self.named, self.named, lambda: tree.Measured(plain()), lambda: tree.Measured(of()))

    def named(self) -> tree.Named:
        return tree.Named(self.rng.choice(COLUMNS))

    def now(self) -> tree.Now:
        return self.one(tree.Now, lambda: tree.Now(self.rng.choice(("ago", "ahead")), self.span()))  # type: ignore[no-any-return]

    def item(self) -> tree.Item:
        return tree.Item(self.simple(), self.rng.choice((1, 2, 10_000)))

    def operand(self) -> Any:
        simple, name = self.simple, lambda: self.text().strip()
        return self.one(
            *(simple, simple, simple, self.now, self.item),
            lambda: tree.DaysUnchanged("t_plan"),
            lambda: tree.RandomBucket(name()),
            lambda: tree.Score(name()),
            lambda: tree.Distance(simple(), simple(), Decimal("-55.67"), Decimal("12.5")),
            lambda: tree.DatePart(self.rng.choice(DATE_PARTS), self.one(simple, self.now)),  # type: ignore[arg-type]
            lambda: tree.Exactly(self.one(simple, self.item)),
            lambda: tree.ItemCount(simple()),
        )

    def leaf(self) -> Any:
        counted = self.rng.choice(("at_least", "at_most", "exactly"))
        times = self.rng.choice((0, 1, 2, 100, 1_000_000_000))
        how = self.rng.choice(("any", "all", "none"))
        compare = lambda: self.comparison(tree, self.operand)  # noqa: E731
        fixed = Span(self.rng.choice((1, 48)), self.rng.choice(UNITS[:4]))  # type: ignore[arg-type]
        return self.one(
            *(compare, compare, compare, self.limits),
            lambda: tree.HasItems(self.simple(), how, self.some(self.text)),  # type: ignore[arg-type]
            lambda: tree.Did(self.selection(), counted, times),  # type: ignore[arg-type]
            lambda: tree.Did(self.selection()),
            lambda: tree.FirstTime(self.selection(windowed=True)),
            lambda: tree.Stopped(self.step(), self.span(), self.span()),
            lambda: tree.Restarted(self.step(), self.span(), self.span()),
            lambda: tree.InPeriods(self.step(), times, self.rng.randint(1, 9), self.rng.choice(PERIODS)),  # type: ignore[arg-type]
            lambda: tree.Follows(self.selection(), self.step(), fixed, self.flip()),
            lambda: tree.InSegment(self.text().strip(), self.one(str, lambda: self.text().strip())),
        )

    def rule(self) -> tree.Rule:
        return self.group(tree, self.leaf, self.rng.randint(0, 3))  # type: ignore[no-any-return]


def check(rule: tree.Rule, code: str) -> None:
    sentence = say_rule(rule, code)
    assert read_sentence(sentence, code) == rule, sentence
    assert read_sentence(f"  {sentence}.\n", code) == rule, sentence


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**64), st.sampled_from(LANGUAGES))
def test_every_rule_is_read_back_as_it_was(seed: int, code: str) -> None:
    check(Rules(Random(seed)).rule(), code)


@pytest.mark.slow
@pytest.mark.parametrize("code", LANGUAGES)
def test_thousands_of_rules_are_read_back(code: str) -> None:
    rules, rng = Rules(Random(f"hostile {code}")), Random(f"plain {code}")
    for _ in range(350):
        check(rules.rule(), code)
        check(random_rule(rng, 3, segments={"vip": (), "value": ("gold", "silver")}), code)


def damaged(rng: Random, sentence: str, other: str) -> str:
    """The sentence with words or letters taken out, doubled, exchanged or put in from another one."""
    parts = re.split(r"( )", sentence) if rng.random() < 0.7 else list(sentence)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(parts))
        change = rng.choice(("out", "double", "exchange", "other"))
        if change == "out" and len(parts) > 1:
            del parts[at]
        elif change == "double":
            parts.insert(at, parts[at])
        elif change == "exchange":
            parts[at], parts[at - 1] = parts[at - 1], parts[at]
        else:
            parts[at] = rng.choice(other.split(" "))
    return "".join(parts)


def told(text: str, code: str) -> Any:
    try:
        return read_sentence(text, code)
    except RefusedDefinition as refusal:
        return refusal


@pytest.mark.parametrize("code", LANGUAGES)
def test_damaged_sentences_are_refused_or_mean_what_they_say(code: str) -> None:
    rules, rng, refused = Rules(Random(f"damage {code}")), Random(code), 0
    for _ in range(150):
        sentence, other = say_rule(rules.rule(), code), say_rule(rules.rule(), code)
        text = damaged(rng, sentence, other)
        said = told(text, code)
        if isinstance(said, RefusedDefinition):
            refused += 1
            assert said.text == text
            assert 0 <= said.start <= said.end <= len(text)
        else:
            assert read_sentence(say_rule(said, code), code) == said
    assert 50 < refused < 150


def words_of(code: str) -> list[str]:
    """Words that the grammar of a language uses, and some that it does not."""
    found = re.findall(r"[^\W\d_]+", " ".join(re.sub(r"\{\w+\}", " ", w) for w in language(code).templates.values()))
    return sorted({*found, "orders", "Plan", *language(code).events["page"].split()})


@pytest.mark.parametrize("code", LANGUAGES)
def test_labels_made_of_the_grammar_are_never_taken_for_something_else(code: str) -> None:
    rng, words = Random(code), words_of(code)
    names = ("order_line", "page", "identify", "t_plan", "t_country", "spent", "product", "p_page", "vip", "pages")
    labelled = 0
    for _ in range(70):
        labels = {n: " ".join(rng.choices(words, k=rng.randint(1, 3))) for n in rng.sample(names, rng.randint(1, 6))}
        rule = random_rule(rng, 2, segments={"vip": ()})
        sentence = say_rule(rule, code, labels=labels)
        assert read_sentence(sentence, code, labels=labels) == rule, (labels, sentence)
        labelled += any(label in sentence for label in labels.values())
    assert labelled > 10
