"""Rules that were read: every mistake is told with its place, and what is fine stays without one."""

import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.rules import Vocabulary, check_rule, operand_type, operands, parse_rule, vocabulary_of
from kohort.definitions.segments import Part, SegmentDefinition
from kohort.errors import RefusedDefinition
from kohort.model.event import ColumnType

COLUMNS: dict[str, ColumnType] = {
    "p_colour": "text",
    "p_due": "time",
    "p_paid": "flag",
    "p_rating": "number",
    "p_tags": "list",
    "t_age": "number",
    "t_country": "text",
    "t_joined": "time",
    "t_member": "flag",
    "t_tags": "list",
}
FEATURES = parse_features(
    """
    spent: {sum: amount, event: order_line}
    favourite: {mode: category}
    paid_last: {last: p_paid}
    """
)
SEGMENTS = [
    SegmentDefinition("vip", "rule", (Part("vip"),)),
    SegmentDefinition("value", "tiers", (Part("gold"), Part("silver"))),
]
KNOWN = vocabulary_of(FEATURES, COLUMNS, SEGMENTS, adopted={"Main": ("Big", "Small")}, scores=["churn"])


def mistakes(text: str) -> list[tuple[str, str]]:
    """Code and place of each mistake."""
    found = check_rule(parse_rule(text), KNOWN, text)
    assert all(error.text == text for error in found)
    return [(error.code, text[error.start : error.end]) for error in found]


@pytest.mark.parametrize(
    "text",
    [
        "spent > 3 and favourite = 'toys' and paid_last and not t_member",
        "t_tags = 'a' and t_tags != 'b' and t_tags in ('a') and t_tags like 'a%' and t_tags is not null",
        "t_joined > '2024-02-29' and t_joined <= '2024-02-29 12:00' and t_joined < now() and now() > t_joined",
        "last('page').p_due > ago('3 days') and last('page').p_paid and last('page').p_tags = 'a'",
        "has_any(last('page').p_tags, 'a') and first('page').p_tags[1] = 'a' and exactly(t_tags) = 'A'",
        "spent > t_age and favourite = t_country and exactly(favourite) = t_country and t_member = paid_last",
        "weekday(last('page').ts) = weekday(now()) and distinct(*).day > 3 and last(*).refund is null",
        "in_segment('vip') and in_segment('vip', 'vip') and in_segment('value', 'gold') and in_segment('Main')",
        "did('nobody_ever_did_this') and did('page') and did('page')",
        "did('page', p_tags = 'a' and p_tags not like '%b' and exactly(p_colour) in ('Red'))",
        "stopped('page', within => '1 year', recent => '364 days') and score('churn') > 0.5 and churn.percentile > churn.probability",
        "in_periods('page', at_least => 6, of => 6, period => 'week') and did('page', at_most => 0)",
        "distance_km(t_age, last(*).p_rating, 1, 2) < 3 and item_count(t_tags) = 0 and random_bucket('x') < 50",
    ],
)
def test_what_fits_has_no_mistake(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "t_new = 'a' and t_new > 5 and t_new and t_new in (1, 2) and t_new like 'a%' and t_new is null",
        "t_new > ago('3 days') and month(t_new) = 1 and has_any(t_new, 'a') and t_new[1] = 'a' and t_new = t_age",
        "did('page', p_new = 'a' and p_new > 5 and p_new) and sum('page').p_new > 3 and last('page').p_new = 'a'",
        "exactly(t_new) = 'a' and days_unchanged(t_new) > 3 and item_count(t_new) > 1",
    ],
)
def test_a_column_that_was_never_declared_is_always_missing_and_compares_with_all(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    ("text", "place", "code", "says"),
    [
        ("spnt > 3", "spnt", "unknown_name", "'spent'"),
        ("SPENT > 3", "SPENT", "unknown_name", "'spent'"),
        ("country = 'DE'", "country", "unknown_name", "'t_country'"),
        ("contry = 'DE'", "contry", "unknown_name", "'t_country'"),
        ("nothing_alike = 'DE'", "nothing_alike", "unknown_name", "There are: favourite"),
        ('t_country = "DE"', '"DE"', "unknown_name", "Text stands in single quotes: 'DE'"),
        ("t_country = XY", "XY", "unknown_name", "Text stands in single quotes: 'XY'"),
        ("t_country != ''", "t_country != ''", "wrong_type", "t_country is not null"),
        ("t_joined > '30 days ago'", "t_joined > '30 days ago'", "wrong_type", "ago('30 days')"),
        ("amount > 3", "amount", "unknown_name", "sum('order_line').amount"),
        ("category = 'toys'", "category", "unknown_name", "last('order_line').category"),
        ("p_colour = 'red'", "p_colour", "unknown_name", "last('order_line').p_colour"),
        ("p_new = 'red'", "p_new", "unknown_name", "last(*).p_new"),
        ("month(spnt) = 1", "spnt", "unknown_name", "'spent'"),
        ("did('page', amont > 3)", "amont", "unknown_column", "'amount'"),
        ("did('page', colour = 'red')", "colour", "unknown_column", "'p_colour'"),
        ("sum('page').amont > 3", "sum('page').amont", "unknown_column", "'amount'"),
        ("in_segment('vpi')", "in_segment('vpi')", "unknown_segment", "'vip'"),
        ("in_segment('value', 'bronze')", "in_segment('value', 'bronze')", "unknown_segment", "gold, silver"),
        ("score('chrun') > 1", "score('chrun')", "unknown_score", "'churn'"),
        ("chrun.percentile > 1", "chrun.percentile", "unknown_score", "'churn'"),
        ("spent = 'much'", "spent = 'much'", "wrong_type", "a number"),
        ("spent", "spent", "wrong_type", "spent > 0"),
        ("t_country", "t_country", "wrong_type", "is not null"),
        ("count('page')", "count('page')", "wrong_type", "neither true nor false"),
        ("t_country > 'a'", "t_country > 'a'", "wrong_type", "no order"),
        ("t_country > t_country", "t_country > t_country", "wrong_type", "no order"),
        ("t_member < true", "t_member < true", "wrong_type", "= or !="),
        ("t_tags > 'a'", "t_tags > 'a'", "wrong_type", "no order"),
        ("t_tags = t_country", "t_tags = t_country", "wrong_type", "in quotes"),
        ("t_tags = t_tags", "t_tags = t_tags", "wrong_type", "in quotes"),
        ("spent = t_country", "spent = t_country", "wrong_type", "different things"),
        ("t_joined = 'yesterday'", "t_joined = 'yesterday'", "wrong_type", "2011-12-09"),
        ("t_joined > 3", "t_joined > 3", "wrong_type", "2011-12-09"),
        ("t_joined <= '20111209'", "t_joined <= '20111209'", "wrong_type", "2011-12-09"),
        ("t_joined = '2011-W49'", "t_joined = '2011-W49'", "wrong_type", "2011-12-09"),
        ("t_joined = '2011-W49-5'", "t_joined = '2011-W49-5'", "wrong_type", "2011-12-09"),
        ("t_country = ''", "t_country = ''", "wrong_type", "t_country is null"),
        ("t_new = ''", "t_new = ''", "wrong_type", "t_new is null"),
        ("t_country in ('a', 3)", "t_country in ('a', 3)", "wrong_type", "'text'"),
        ("spent like '3%'", "spent like '3%'", "wrong_type", "not text"),
        ("has_any(t_country, 'a')", "t_country", "wrong_type", "in ('a', 'b')"),
        ("t_country[1] = 'a'", "t_country", "wrong_type", "not a list"),
        ("item_count(spent) > 1", "spent", "wrong_type", "not a list"),
        ("month(t_country) = 1", "t_country", "wrong_type", "not a date"),
        ("exactly(spent) = 'a'", "spent", "wrong_type", "not text"),
        ("distance_km(t_country, t_age, 1, 2) < 3", "t_country", "wrong_type", "degrees"),
        ("sum('page').p_colour > 3", "sum('page').p_colour", "wrong_type", "has no sum"),
        ("did('page', p_colour > 3)", "p_colour", "wrong_type", "'text'"),
        ("did('page', p_tags = p_tags)", "p_tags = p_tags", "wrong_type", "different things"),
        ("did('page', line_kind = 'good')", "line_kind", "wrong_type", "'goods'"),
        ("did('page', at_least => 0)", "did('page', at_least => 0)", "bad_count", "always true"),
        ("did('page', fewer_than => 0)", "did('page', fewer_than => 0)", "bad_count", "never true"),
        ("stopped(*, within => '90 days', recent => '90 days')", None, "bad_window", "shorter"),
        ("restarted(*, within => '1 month', recent => '1 year')", None, "bad_window", "shorter"),
        ("in_periods(*, at_least => 4, of => 3, period => 'day')", None, "bad_count", "4 of the last 3"),
        ("in_periods(*, at_least => 0, of => 3, period => 'day')", None, "bad_count", "always true"),
        ("in_periods(*, at_least => 1, of => 1001, period => 'day')", None, "bad_count", "1,000"),
    ],
)
def test_one_mistake_has_its_place_code_and_hint(text: str, place: str | None, code: str, says: str) -> None:
    [error] = check_rule(parse_rule(text), KNOWN, text)
    assert error.code == code
    assert says in str(error)
    assert text[error.start : error.end] == (place or text)


def test_all_mistakes_are_told_at_once_in_the_order_of_their_places() -> None:
    text = (
        "spnt > 3 and did('page', amont > 1 and p_colour = 3, at_least => 0) or not (t_age = 'old') "
        "and in_segment('vpi') and month(t_country) = 'May'"
    )
    assert mistakes(text) == [
        ("unknown_name", "spnt"),
        ("bad_count", "did('page', amont > 1 and p_colour = 3, at_least => 0)"),
        ("unknown_column", "amont"),
        ("wrong_type", "p_colour"),
        ("wrong_type", "t_age = 'old'"),
        ("unknown_segment", "in_segment('vpi')"),
        ("wrong_type", "month(t_country) = 'May'"),
        ("wrong_type", "t_country"),
    ]


def test_one_mistake_is_told_once() -> None:
    assert mistakes("spnt between 1 and 2") == [("unknown_name", "spnt")]


def test_without_a_text_the_places_point_into_the_canonical_one() -> None:
    [error] = check_rule(parse_rule("NOT   (spnt>3.0)"), KNOWN)
    assert error.text == "not spnt > 3"
    assert error.text[error.start : error.end] == "spnt"


def test_a_feature_comes_before_a_trait_of_the_same_name() -> None:
    [feature] = parse_features("t_country: {count: events}")
    known = vocabulary_of([feature], COLUMNS)
    assert check_rule(parse_rule("t_country > 3"), known, "t_country > 3") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spent", "number"),
        ("favourite", "text"),
        ("paid_last", "flag"),
        ("t_joined", "time"),
        ("t_tags", "list"),
        ("t_new", None),
        ("count(*)", "number"),
        ("days_since(*)", "number"),
        ("sum(*).amount", "number"),
        ("distinct(*).category", "number"),
        ("last(*).category", "text"),
        ("last(*).p_due", "time"),
        ("mode(*).p_tags", "list"),
        ("first(*).p_new", None),
        ("last(*).ts", "time"),
        ("days_unchanged(t_country)", "number"),
        ("random_bucket('a')", "number"),
        ("score('churn')", "number"),
        ("distance_km(t_age, t_age, 1, 2)", "number"),
        ("month(t_joined)", "number"),
        ("now()", "time"),
        ("ago('3 days')", "time"),
        ("exactly(favourite)", "text"),
        ("exactly(t_tags)", "list"),
        ("t_tags[1]", "text"),
        ("item_count(t_tags)", "number"),
    ],
)
def test_every_value_has_a_type(text: str, expected: str | None) -> None:
    [operand] = operands(parse_rule(f"{text} is null"))
    assert operand_type(operand, KNOWN) == expected


def test_the_type_of_an_unknown_name_is_refused() -> None:
    [operand] = operands(parse_rule("spnt is null"))
    with pytest.raises(RefusedDefinition) as caught:
        operand_type(operand, KNOWN)
    assert caught.value.code == "unknown_name"


def test_a_vocabulary_knows_parts_of_definitions_and_of_adopted_segmentations() -> None:
    assert KNOWN.segments == {"vip": ("vip",), "value": ("gold", "silver"), "Main": ("Big", "Small")}
    assert KNOWN.features["spent"].type == "number"
    assert Vocabulary().segments == {}


def test_what_cannot_be_read_is_told_for_every_condition() -> None:
    text = "foo(1) and recency_days > 3 and (bar(2) or did('page', within => '3 m'))"
    with pytest.raises(RefusedDefinition) as refused:
        parse_rule(text)
    told = [refused.value, *refused.value.others]
    assert [text[e.start : e.end] for e in told] == ["foo(1)", "bar(2)", "m"]
    assert not any(e.others for e in told[1:])
