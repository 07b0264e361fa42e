"""Conditions: what is read, what is refused, and that every refusal points at its place."""

import string
from decimal import Decimal
from random import Random

import pytest

from kohort.definitions.columns import vocabulary
from kohort.definitions.conditions import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    Like,
    Missing,
    Not,
    Ref,
    check_condition,
    parse_condition,
    refs,
)
from kohort.errors import RefusedDefinition
from kohort.testing.worlds import COLUMNS, random_condition

KNOWN = vocabulary({"p_colour": "text", "p_paid": "flag", "p_due": "time"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount > 12.50", Compare(Ref("amount"), ">", Decimal("12.50"))),
        ("12 < amount", Compare(Ref("amount"), ">", Decimal(12))),
        ("amount >= -3", Compare(Ref("amount"), ">=", Decimal(-3))),
        ("product <> 'it''s'", Compare(Ref("product"), "!=", "it's")),
        ("p_paid", Compare(Ref("p_paid"), "=", True)),
        ("not p_paid", Not(Compare(Ref("p_paid"), "=", True))),
        ("product = category", Compare(Ref("product"), "=", Ref("category"))),
        ("hour in (1, 2)", Among(Ref("hour"), (Decimal(1), Decimal(2)))),
        ("hour not in (1)", Among(Ref("hour"), (Decimal(1),), True)),
        ("not (hour in (1))", Not(Among(Ref("hour"), (Decimal(1),)))),
        ("product is null", Missing(Ref("product"))),
        ("product is not null", Missing(Ref("product"), True)),
        ("product like '85%'", Like(Ref("product"), "start", "85")),
        ("product not like '%x%'", Like(Ref("product"), "anywhere", "x", True)),
        (
            "amount between 1 and 2",
            AllOf((Compare(Ref("amount"), ">=", Decimal(1)), Compare(Ref("amount"), "<=", Decimal(2)))),
        ),
        (
            "p_paid and (hour = 1 or hour = 2) and product is null",
            AllOf(
                (
                    Compare(Ref("p_paid"), "=", True),
                    AnyOf((Compare(Ref("hour"), "=", Decimal(1)), Compare(Ref("hour"), "=", Decimal(2)))),
                    Missing(Ref("product")),
                )
            ),
        ),
    ],
)
def test_reads_the_portable_subset(text: str, expected: object) -> None:
    assert parse_condition(text) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("amount > 1; drop table events", "amount > 1; drop table events"),
        ("amount > (select 1)", "1"),
        ("lower(product) = 'x'", "lower(product"),
        ("amount + 1 > 2", "amount + 1"),
        ("product like '8_5%'", "product like '8_5%'"),
        ("product = null", "product = null"),
        ("e.amount > 2", "e.amount"),
        ("amount > 1e40", "1e40"),
        ("product ~ 'x'", "product ~ 'x'"),
        ("case when p_paid then true else false end", "p_paid"),
        ("1 = 1", "1 = 1"),
        ("", ""),
        ("amount is true", "amount"),
        ("hour in (select 1)", "hour in (select 1"),
        ("hour between symmetric 3 and 1", "hour between symmetric 3 and 1"),
        ("hour in unnest([1])", "hour in unnest([1])"),
        ("product like any ('a%')", "product like any ('a%')"),
        ("product like 'a!%' escape '!'", "product like 'a!%' escape '!'"),
        ("product ilike 'a%'", "product ilike 'a%'"),
        ("hour = any (1)", "hour = any (1)"),
        ("product = 'x' collate nocase", "product = 'x' collate nocase"),
    ],
)
def test_refuses_all_else_with_its_place(text: str, place: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        parse_condition(text)
    error = caught.value
    assert error.text == text
    assert error.start is not None
    assert error.end is not None
    assert text[error.start : error.end] in place or place in text[error.start : error.end]


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("hour > 3 and amont > 1", "amont", "'amount'"),
        ("colour = 'red'", "colour", "'p_colour'"),
        ("amount = 'much'", "amount", "a number"),
        ("p_paid = 1", "p_paid", "true or false"),
        ("p_due > 3", "p_due", "2011-12-09"),
        ("product > 'a'", "product", "="),
        ("product = ''", "product", "product is null"),
        ("amount = quantity", "amount = quantity", ""),
        ("line_kind = 'good'", "line_kind", "'goods'"),
        ("hour like '1%'", "hour", ""),
        ("ts > '0001-01-01'", "ts", "2011-12-09"),
    ],
)
def test_checks_names_and_types(text: str, place: str, hint: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        check_condition(parse_condition(text), KNOWN, text)
    error = caught.value
    assert text[error.start : error.end] == place
    assert hint in str(error)


def test_not_between_is_the_opposite() -> None:
    inside = AllOf((Compare(Ref("hour"), ">=", Decimal(1)), Compare(Ref("hour"), "<=", Decimal(2))))
    assert parse_condition("hour not between 1 and 2") == Not(inside)


def test_finds_every_column() -> None:
    text = "amount > 1 and (not product = category or hour in (1) or p_paid or p_due is null or product like 'a%')"
    names = [ref.name for ref in refs(parse_condition(text))]
    assert names == ["amount", "product", "category", "hour", "p_paid", "p_due", "product"]


@pytest.mark.parametrize(
    "text", ["(" * 60 + "p_paid" + ")" * 60, "not " * 400 + "p_paid", "p_paid and " * 300, "a" * 5000]
)
def test_hostile_texts_are_refused_quickly(text: str) -> None:
    with pytest.raises(RefusedDefinition):
        parse_condition(text)


def test_long_flat_conditions_are_fine() -> None:
    read = parse_condition(" or ".join(f"hour = {n}" for n in range(120)))
    assert isinstance(read, AnyOf)
    assert len(read.items) == 120


def test_two_thousand_broken_conditions_get_an_answer_with_a_place() -> None:
    rng, known, read = Random(11), vocabulary(COLUMNS), 0
    refused: list[RefusedDefinition] = []
    for _ in range(2_000):
        letters = list(random_condition(rng, 1))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(letters))
            letters[at : at + rng.randint(0, 3)] = rng.choices(string.printable + "é\x00日", k=rng.randint(0, 3))
        text = "".join(letters)
        try:
            check_condition(parse_condition(text), known, text)
            read += 1
        except RefusedDefinition as error:
            refused.append(error)
    assert read > 20
    assert len(refused) > 1_000
    for error in refused:
        assert error.start is not None
        assert error.end is not None
        assert 0 <= error.start <= error.end <= len(error.text)
