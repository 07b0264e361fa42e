"""Rows of the rule builder say exactly what a rule says: whatever they cannot show stays text, so nothing is ever lost."""

from random import Random

import pytest

from kohort.definitions.rules import Vocabulary, format_rule, parse_rule, vocabulary_of
from kohort.definitions.rules.rows import Row, Rows, as_row, first_row, places_of, row_of, row_rule, rows_of, rule_of
from kohort.errors import RefusedDefinition
from kohort.testing.random_rules import FEATURES, RULE_COLUMNS, random_rule

KNOWN = Vocabulary(
    columns={"t_plan": "text", "t_age": "number", "t_since": "time", "t_vip": "flag", "t_tags": "list"},
    segments={"value": ("gold", "silver")},
)
SHOWN = {
    "did('page')": "did",
    "did('page', p_path = '/shop', at_least => 3, within => '30 days')": "did",
    "did(*, at_most => 2, within => '1 calendar day')": "did",
    "never('order_line', within => '12 months')": "did_not",
    "t_plan = 'gold'": "has",
    "t_plan in ('gold', 'silver')": "has",
    "t_plan not in ('gold', 'silver')": "has",
    "t_plan like '%ol%'": "has",
    "t_age >= 30.5": "has",
    "t_since > '2024-01-01'": "has",
    "t_vip": "has",
    "t_vip = false": "has",
    "t_plan is null": "has",
    "t_plan is not null": "has",
    "churn.probability > 0.5": "has",
    "sum('order_line', within => '1 year').amount > 100": "has",
    "in_segment('value', 'gold')": "is_in",
    "not in_segment('value')": "is_not_in",
}
TEXT = (
    "did('a', between => '90 and 30 days ago')",
    "did(('a', 'b'))",
    "t_plan not like 'a%'",
    "t_plan in ('a, b', 'c')",
    "t_plan = ' gold '",
    "t_since > ago('30 days')",
    "not did('page')",
    "t_age = t_height",
    "sequence(did('a'), never('b'), within => '1 day')",
)


def test_every_random_rule_comes_back_as_it_was() -> None:
    known = vocabulary_of(FEATURES, RULE_COLUMNS)
    random, kinds = Random(23), set()
    for _ in range(250):
        rule = random_rule(random, 3)
        rows = rows_of(rule, known)
        assert rule_of(rows, known) == rule
        kinds |= {row.kind for row in rows.rows}
    assert kinds >= {"did", "has", "text"}


@pytest.mark.parametrize(("text", "kind"), SHOWN.items())
def test_what_people_mostly_ask_is_a_row_of_fields(text: str, kind: str) -> None:
    rule = parse_rule(text)
    row = row_of(rule, KNOWN)
    assert row.kind == kind
    assert row_rule(row, KNOWN) == rule


@pytest.mark.parametrize("text", TEXT)
def test_what_no_row_shows_stays_text(text: str) -> None:
    row = row_of(parse_rule(text), KNOWN)
    assert row == Row("text", {"text": format_rule(parse_rule(text))})


def test_groups_are_joined_the_other_way_round() -> None:
    rule = parse_rule("did('a') and (did('b') or never('c')) and (t_plan = 'x' or (t_vip and did('d')))")
    rows = rows_of(rule, KNOWN)
    assert [row.group for row in rows.rows] == ["", "1", "1", "2", "2"]
    assert places_of(rows) == [(0,), (1, 2), (3, 4)]
    assert rows.rows[4] == Row("text", {"text": "t_vip and did('d')"}, "2")
    assert rule_of(rows, KNOWN) == rule


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row("did", {}), "What the customer did is not chosen."),
        (Row("did", {"event": "page", "times": "often"}), "'often' is not a number of times."),
        (Row("did", {"event": "page", "unit": "days"}), "How many days is not said."),
        (Row("did_not", {"event": "page", "unit": "days", "length": "-3"}), "'-3' is not a number of days."),
        (Row("did_not", {"event": "page", "unit": "days", "length": "0"}), "A window of no length holds nothing."),
        (Row("has", {"of": "t_age", "test": "more", "value": "1,000"}), "'1,000' is not a number."),
        (Row("has", {"of": "t_age", "test": "more"}), "The value is missing."),
        (Row("has", {"test": "more"}), "What to look at is not chosen."),
        (Row("is_in", {}), "The segment is not chosen."),
        (Row("is_in", {"segment": "did('page')"}), "This is not a segment."),
        (Row("text", {"text": ""}), "The rule is empty."),
    ],
)
def test_an_unfinished_row_says_what_it_lacks(row: Row, message: str) -> None:
    with pytest.raises(RefusedDefinition) as refused:
        row_rule(row, KNOWN)
    assert refused.value.message == message
    assert refused.value.hint


def test_a_row_that_becomes_text_keeps_its_rule_and_comes_back() -> None:
    row = row_of(parse_rule("did('page', at_least => 2, within => '7 days')"))
    text = as_row("text", row)
    assert text.get("text") == "did('page', at_least => 2, within => '7 days')"
    assert as_row("did", text) == row
    assert as_row("did_not", row).get("length") == "7"
    assert as_row("has", Row("text", {"text": "sequence("})) == Row("text", {"text": "sequence("}), (
        "it stays for repair"
    )


def test_text_that_no_fields_can_show_stays_beside_them_and_numbers_in_words_stay_words() -> None:
    text = "sequence(did('a'), never('b'), within => '1 day')"
    fields = as_row("did", Row("text", {"text": text}), KNOWN)
    assert fields.kind == "did"
    assert as_row("text", fields, KNOWN) == Row("text", {"text": text})
    worded = Row("has", {"of": "t_plan", "test": "is", "value": "12"})
    assert as_row("text", worded, KNOWN).get("text") == "t_plan = '12'"
    assert as_row("has", as_row("text", worded, KNOWN), KNOWN) == worded


def test_no_rows_are_no_rule() -> None:
    with pytest.raises(RefusedDefinition, match="no condition"):
        rule_of(Rows())
    assert first_row("has").fields == {}
