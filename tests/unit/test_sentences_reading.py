"""Sentences as people type them: what is forgiven, what is refused and where, and which labels can stand for a name."""

import re
from decimal import Decimal
from typing import get_args

import pytest

from kohort.definitions.features import Selection
from kohort.definitions.rules import Vocabulary, check_rule, parse_rule, tree
from kohort.definitions.rules.sentences import LANGUAGES, read_sentence, say_rule
from kohort.definitions.rules.sentences.grammar import SAME_EVERYWHERE, grammar
from kohort.definitions.rules.sentences.languages import language
from kohort.definitions.rules.vocabulary import PERIODS
from kohort.definitions.windows import Span, TimeUnit, Window
from kohort.errors import RefusedDefinition, WrongUsage

X, Y, Z = (tree.Compare(tree.Named(name), "=", Decimal(5)) for name in "xyz")


def refused(text: str, code: str = "en", **labels: str) -> RefusedDefinition:
    with pytest.raises(RefusedDefinition) as error:
        read_sentence(text, code, labels=labels)
    assert error.value.text == text
    assert error.value.code == "bad_sentence"
    return error.value


# Tables --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", LANGUAGES)
def test_languages_say_the_same_things(code: str) -> None:
    english, other = language("en"), language(code)
    assert other.code == code
    assert list(other.templates) == list(english.templates)
    for form, words in english.templates.items():
        assert sorted(re.findall(r"\{\w+\}", other.templates[form])) == sorted(re.findall(r"\{\w+\}", words)), form
        assert sorted(re.findall(r"\[[^{]*(\{\w+\})", other.templates[form])) == sorted(
            re.findall(r"\[[^{]*(\{\w+\})", words)
        ), form
    assert set(other.units) == {*get_args(TimeUnit), "calendar day"} == set(other.one)
    assert tuple(other.periods) == PERIODS
    assert len(set(other.months)) == 12
    assert set(other.events) == set(english.events)
    assert set(other.columns) == set(english.columns)
    assert not SAME_EVERYWHERE.keys() & other.templates.keys()


@pytest.mark.parametrize("code", LANGUAGES)
def test_default_words_can_be_read_back(code: str) -> None:
    for event in language(code).events:
        assert f"'{event}'" not in say_rule(tree.Did(Selection((event,))), code)
    for column in language(code).columns:
        assert f"'{column}'" not in say_rule(tree.Missing(tree.Named(column)), code)


@pytest.mark.parametrize("code", ["fr", "EN", "", "../en"])
def test_another_language_is_wrong_usage(code: str) -> None:
    for call in (lambda: say_rule(X, code), lambda: read_sentence("x", code)):
        with pytest.raises(WrongUsage, match="no sentences"):
            call()


def test_what_the_language_cannot_write_is_not_said() -> None:
    with pytest.raises(WrongUsage):
        say_rule(tree.Did(Selection(("page",), None, Window(None, Span(30, "day")))), "en")


# What is forgiven ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "code"),
    [
        ("Has Viewed  a page\n at least 3 times IN THE LAST 30 days.", "en"),
        ("has viewed a page at least 3 times in the last 30 day", "en"),
        ("heeft in de afgelopen 30 dagen minstens 3 keer een pagina bekeken", "nl"),
        ("har set en side mindst 3 gange i de seneste 30 dage", "da"),
        ("hat in den letzten 30 Tagen mindestens 3-mal eine Seite angesehen", "de"),
        ("hat in den letzten 30 Tagen mindestens 3 - mal eine Seite angesehen .", "de"),
        ("has done 'page' at least 3 times in the last 30 days", "en"),
    ],
)
def test_letters_space_and_signs_may_differ(sentence: str, code: str) -> None:
    assert read_sentence(sentence, code) == parse_rule("did('page', at_least => 3, within => '30 days')")


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("'x' is 5 and 'y' is 5", tree.AllOf((X, Y))),
        ("(('x' is 5)) or ('y' is 5)", tree.AnyOf((X, Y))),
        ("'x' is 5, and ('y' is 5, or 'z' is 5)", tree.AllOf((X, tree.AnyOf((Y, Z))))),
        ("it is not true that ('x' is 5, and 'y' is 5)", tree.Not(tree.AllOf((X, Y)))),
        ('\'x\' is "a ""b"""', tree.Compare(tree.Named("x"), "=", 'a "b"')),
        ("'x' is -1.5", tree.Compare(tree.Named("x"), "=", Decimal("-1.5"))),
        ("'x' is one of 1; 2, 3", tree.Among(tree.Named("x"), (Decimal(1), Decimal(2), Decimal(3)))),
        ("'x' is 9 dec 2011", tree.Compare(tree.Named("x"), "=", "2011-12-09")),
    ],
)
def test_groups_and_values(sentence: str, rule: tree.Rule) -> None:
    assert read_sentence(sentence, "en") == rule


def test_equal_rules_have_equal_sentences() -> None:
    one, other = (parse_rule(f"x = {n} and did('page', not  refund={n})") for n in ("12.50", "12.5"))
    assert one == other
    assert say_rule(one, "en") == say_rule(other, "en")


def test_german_lists_and_days() -> None:
    rule = parse_rule("x in (1.5, 2) or x > '2011-02-09'")
    assert say_rule(rule, "de") == "'x' ist einer der Werte 1,5; 2, oder 'x' ist später als 09.02.2011"
    assert read_sentence("'x' ist einer der Werte 1,5, 2 oder 'x' ist später als 9.2.2011", "de") == rule


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "place", "says"),
    [
        ("", (0, 0), "ends too early"),
        ("   ", (3, 3), "ends too early"),
        ("hello", (0, 5), "Expected"),
        ("has viewed a page at leas 3 times", (21, 25), "Did you mean “least”"),
        ("has viewed a page at least 3 time", (29, 33), "Did you mean “times”"),
        ("has viewed a page in the last 30", (30, 32), "a length of time such as 30 days"),
        ("'x' is 5, and 'y' is 5, or 'z' is 5", (24, 26), "put one group in parentheses"),
        ("'x' is 5, and ('y' is 5", (23, 23), "“)”"),
        ("'x' is 5 and", (12, 12), "ends too early"),
        ("'x' is “a", (7, 8), "a text in “quotes”"),
        ("'x' is 1,5", (7, 10), "a number such as 1000 or 12.5"),
        ("'x' is 31 Feb 2024", (10, 13), "Expected"),
        ("'x' is 5 'y' is 5", (9, 10), "the end"),
        ("'x' is", (6, 6), "a number such as 1000 or 12.5"),
        ("in_segment('vip')", (0, 10), "Did you mean “is in the segment”?"),
    ],
)
def test_a_wrong_sentence_is_refused_where_it_is_wrong(sentence: str, place: tuple[int, int], says: str) -> None:
    error = refused(sentence)
    assert (error.start, error.end) == place
    assert says in str(error)


@pytest.mark.parametrize(("text", "code"), [("'x' ist 1.000", "de"), ("'x' ist 1.5", "de"), ("'x' is 1,000", "en")])
def test_signs_for_thousands_are_refused(text: str, code: str) -> None:
    error = refused(text, code)
    assert text[error.start : error.end] == text.rsplit(maxsplit=1)[-1]
    assert "a number such as 1000 or 12" in error.hint


def test_what_text_cannot_say_no_sentence_can_say() -> None:
    assert "100 years" in refused("has viewed a page in the last 300 years").message
    assert "longer one" in refused("has viewed a page between 30 and 90 days ago").message
    assert "trait" in refused("the number of days since 'orders' last changed is 5").message


@pytest.mark.parametrize(
    "text",
    ["(" * 5_000, "it is not true that (" * 400, "the month of " * 3_000 + "now is 5", "x" * 100_001, "“" * 9_000],
)
def test_hostile_lengths_and_depths_are_refused(text: str) -> None:
    refused(text)


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_deepest_and_longest_rules_are_said_and_read(code: str) -> None:
    deep = parse_rule("not (" * 24 + "x = 1 or y = 2" + ")" * 24)
    long = parse_rule(" or ".join(["mode(*).a>1"] * 300))
    for rule in (deep, long):
        assert read_sentence(say_rule(rule, code), code) == rule


def test_mistakes_point_into_the_sentence() -> None:
    sentence = "has viewed a page (where 'p_speed' is 5), and 'nonsense' is at least 5, and 't_x' is known"
    (mistake,) = check_rule(read_sentence(sentence, "en"), Vocabulary(columns={"p_speed": "number"}), sentence)
    assert sentence[mistake.start : mistake.end] == "'nonsense'"


# Labels --------------------------------------------------------------------------------------------------------------


def said(name: str, **labels: str) -> str:
    rule = tree.Missing(tree.Named(name), negated=True)
    sentence = say_rule(rule, "en", labels=labels)
    assert read_sentence(sentence, "en", labels=labels) == rule
    return sentence.removesuffix(" is known")


def test_labels_stand_for_names() -> None:
    labels = {"orders": "Orders", "spend": "Orders this year", "vip": "Our best", "page": "looked at a page"}
    rule = parse_rule("orders > 5 and spend > 5 and in_segment('vip') and not did('page')")
    sentence = say_rule(rule, "en", labels=labels)
    assert sentence == (
        "Orders is more than 5, and Orders this year is more than 5, and is in the segment Our best, "
        "and it is not true that (has looked at a page)"
    )
    assert read_sentence(sentence.upper(), "en", labels=labels) == rule


SIGNS = (
    "",
    " ",
    " Orders",
    "Orders ",
    "Orders  placed",
    "Orders, placed",
    "Orders (all)",
    "'Orders'",
    "“Orders”",
    "5 orders",
)
WORDS = ("Orders: all", "avg. orders", "the orders", "Is late", "not", "yes", "Orders\nplaced", "has", "now")


@pytest.mark.parametrize("label", SIGNS + WORDS)
def test_unsafe_labels_are_passed_over(label: str) -> None:
    assert said("late", late=label) == "'late'"


def test_a_label_may_not_continue_another_one_as_the_grammar_could() -> None:
    assert said("late", late="Orders is") == "Orders is"
    assert said("late", orders="Orders", late="Orders is") == "'late'"
    assert said("late", orders="Orders", late="Orders placed") == "Orders placed"


def test_a_label_of_two_names_stands_for_neither() -> None:
    assert said("a", a="Value", b="value") == "'a'"
    assert said("b", a="Value", b="value") == "'b'"


def test_given_words_go_before_default_ones() -> None:
    assert said("net", net="amount") == "amount"
    assert said("amount", net="amount") == "'amount'"
    assert said("amount", amount="Money") == "Money"


def test_default_words_stand_where_they_fit() -> None:
    rule = parse_rule("page > 5 and did('refund') and did('page', refund > 5)")
    assert say_rule(rule, "en") == (
        "'page' is more than 5, and has done 'refund', and has viewed a page (where refund is more than 5)"
    )


def test_words_that_could_mean_something_else_are_read_back_in_any_case() -> None:
    """Nothing stops "5" from being "known" but the proof that each sentence reads back."""
    labels = {"b": "known", "c": "less than words"}
    for right in ("b", "c"):
        rule = tree.Compare(tree.Named("a"), "=", tree.Named(right))
        sentence = say_rule(rule, "en", labels=labels)
        assert read_sentence(sentence, "en", labels=labels) == rule
        assert read_sentence(f"'a' is '{right}'", "en", labels=labels) == rule


def test_grammars_are_built_once() -> None:
    assert grammar("en", (("a", "b"),)) is grammar("en", (("a", "b"),))
