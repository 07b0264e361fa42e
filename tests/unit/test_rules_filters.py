"""Event filters in rules: canonical text, letters that count, lists, parts of nested columns, columns never declared."""

from decimal import Decimal
from random import Random

import pytest

from kohort.definitions.columns import vocabulary
from kohort.definitions.conditions import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    Condition,
    Like,
    Missing,
    Not,
    Ref,
    check_condition,
    condition_mistakes,
    format_condition,
    parse_condition,
)
from kohort.definitions.features import Where
from kohort.errors import RefusedDefinition
from kohort.testing.worlds import random_condition

KNOWN = vocabulary({"p_colour": "text", "p_tags": "list", "p_labels": "list", "p_due": "time"})


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("exactly(product) = 'aB'", Compare(Ref("product", exact=True), "=", "aB")),
        ("exactly(product) not in ('aB')", Among(Ref("product", exact=True), ("aB",), True)),
        ("exactly(product) like 'aB%'", Like(Ref("product", exact=True), "start", "aB")),
        ("product = exactly(category)", Compare(Ref("product"), "=", Ref("category", exact=True))),
        ("p_address_city is null", Missing(Ref("p_address_city"))),
        ("amount >= -0.5 and not (p_paid or hour in (1, 2))", None),
        ("p_tags = 'a' and p_tags != 'b'", None),
        ("amount not between 1 and 2", None),
    ],
)
def test_a_condition_has_one_canonical_text(text: str, condition: Condition | None) -> None:
    read = parse_condition(text)
    assert condition in (None, read)
    assert format_condition(read) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("EXACTLY( product )<>'a'", "exactly(product) != 'a'"),
        ("'a' = exactly(product)", "exactly(product) = 'a'"),
        ("p_address.City is null", "p_address_city is null"),
        ("p_a.homeCity.d = 1", "p_a_home_city_d = 1"),
        ("(amount) > (12.50)", "amount > 12.5"),
        ("not hour in (1.0, 2)", "hour not in (1, 2)"),
    ],
)
def test_other_spellings_become_it(text: str, canonical: str) -> None:
    assert format_condition(parse_condition(text)) == canonical


def test_random_conditions_come_back_from_their_text() -> None:
    rng = Random(8)
    for _ in range(400):
        condition = parse_condition(random_condition(rng, 3))
        text = format_condition(condition)
        assert parse_condition(text) == condition
        assert format_condition(parse_condition(text)) == text


def test_all_kinds_nest_with_no_parenthesis_too_many() -> None:
    a, b, c = (Compare(Ref(name), ">", Decimal(1)) for name in ("amount", "quantity", "hour"))
    written = format_condition(AnyOf((AllOf((a, AnyOf((b, c)))), Not(AllOf((a, b))), Not(c))))
    assert written == "amount > 1 and (quantity > 1 or hour > 1) or not (amount > 1 and quantity > 1) or not hour > 1"


def test_how_a_condition_was_written_does_not_make_it_another() -> None:
    assert Where.parse("amount>1.0") == Where.parse("(amount > 1)")
    assert Where.parse("amount>1.0").text == "amount>1.0"
    assert Where.parse("amount > 1") != Where.parse("amount > 2")


@pytest.mark.parametrize(
    "text",
    [
        "p_tags = 'a'",
        "p_tags != 'a'",
        "p_tags in ('a', 'b')",
        "p_tags not like 'a%'",
        "exactly(p_tags) = 'A'",
        "p_tags is null",
    ],
)
def test_lists_compare_by_their_items(text: str) -> None:
    check_condition(parse_condition(text), KNOWN, text)


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("p_tags = 3", "p_tags", "wrong_type"),
        ("p_tags > 'a'", "p_tags", "wrong_type"),
        ("p_tags = p_labels", "p_tags = p_labels", "wrong_type"),
        ("p_tags = p_colour", "p_tags = p_colour", "wrong_type"),
        ("exactly(prodct) = 'a'", "exactly(prodct)", "unknown_column"),
        ("p_new = 'a'", "p_new", "unknown_column"),
    ],
)
def test_what_never_compares_is_refused_at_its_place(text: str, place: str, code: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        check_condition(parse_condition(text), KNOWN, text)
    assert caught.value.code == code
    assert text[caught.value.start : caught.value.end] == place


def test_every_mistake_of_a_condition_is_told() -> None:
    text = "amont > 1 or not (p_due = 'soon' and p_tags = 3) or p_new = 1 and hour like '1%'"
    found = list(condition_mistakes(parse_condition(text), KNOWN, text, undeclared=True))
    assert [text[e.start : e.end] for e in found] == ["amont", "p_due", "p_tags", "hour"]


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("exactly() = 'a'", "exactly()", "unknown_function"),
        ("exactly(product, category) = 'a'", "exactly(product, category)", "unknown_function"),
        ("exactly(exactly(product)) = 'a'", "exactly(product)", "unknown_function"),
        ("exactly('a') = 'a'", "'a'", "not_allowed"),
        ("p_tags[1] = 'a'", "p_tags[1]", "not_allowed"),
        ("product.name = 'a'", "product", "bad_name"),
        ("product = 'a\x1f'", "'a\x1f'", "bad_character"),
        ("product = 'a' -- c", "-", "not_allowed"),
        ("product = at_least => 3", "=> 3", "bad_condition"),
        ("product not null", "not", "bad_condition"),
    ],
)
def test_all_else_is_refused(text: str, place: str, code: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        parse_condition(text)
    assert caught.value.code == code
    assert text[caught.value.start : caught.value.end] == place
