"""Rules: each form is read as its tree and written back as its canonical text; all else is refused at its place."""

import string
from decimal import Decimal

import pytest
from sqlglot.tokens import Tokenizer

from kohort.definitions import conditions
from kohort.definitions.conditions import Ref
from kohort.definitions.features import Aggregate, Selection, Step, Where
from kohort.definitions.rules import format_rule, parse_rule, walk
from kohort.definitions.rules.tree import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    DatePart,
    DaysUnchanged,
    Did,
    Distance,
    Exactly,
    FirstTime,
    Follows,
    HasItems,
    InPeriods,
    InSegment,
    Item,
    ItemCount,
    Like,
    Measured,
    Missing,
    Named,
    Not,
    Now,
    RandomBucket,
    Restarted,
    Rule,
    Score,
    Stopped,
)
from kohort.definitions.windows import Span, Window
from kohort.errors import RefusedDefinition

A, B, C = (Compare(Named(name), "=", True) for name in "abc")
DAY, MONTH, YEAR = Span(1, "day"), Span(30, "day"), Span(1, "year")
GOODS = Where("", conditions.Compare(Ref("line_kind"), "=", "goods"))
LAST = Aggregate("last", "category", Selection(("order_line",)))
TAGS = Named("t_tags")

FORMS: list[tuple[str, Rule]] = [
    ("recency_days <= 60", Compare(Named("recency_days"), "<=", Decimal(60))),
    ("t_country = 'it''s'", Compare(Named("t_country"), "=", "it's")),
    ("t_age > -2.5", Compare(Named("t_age"), ">", Decimal("-2.5"))),
    ("t_member", Compare(Named("t_member"), "=", True)),
    ("t_member != false", Compare(Named("t_member"), "!=", False)),
    ("not t_member", Not(Compare(Named("t_member"), "=", True))),
    ("spent_30d > spent_365d", Compare(Named("spent_30d"), ">", Named("spent_365d"))),
    ("t_country in ('DE', 'AT')", Among(Named("t_country"), ("DE", "AT"))),
    ("t_country not in ('DE')", Among(Named("t_country"), ("DE",), True)),
    ("not (t_country in ('DE'))", Not(Among(Named("t_country"), ("DE",)))),
    ("not (t_country not in ('DE'))", Not(Among(Named("t_country"), ("DE",), True))),
    ("t_x is null", Missing(Named("t_x"))),
    ("t_x is not null", Missing(Named("t_x"), True)),
    ("not (t_x is null)", Not(Missing(Named("t_x")))),
    ("t_x like 'a%'", Like(Named("t_x"), "start", "a")),
    ("t_x not like '%a%'", Like(Named("t_x"), "anywhere", "a", True)),
    ("not (t_x like '%a')", Not(Like(Named("t_x"), "end", "a"))),
    ("a and b and c", AllOf((A, B, C))),
    ("a and b or c", AnyOf((AllOf((A, B)), C))),
    ("(a or b) and c", AllOf((AnyOf((A, B)), C))),
    ("(a and b) and c", AllOf((AllOf((A, B)), C))),
    ("a or (b or c)", AnyOf((A, AnyOf((B, C))))),
    ("not (a and b)", Not(AllOf((A, B)))),
    ("not (not a)", Not(Not(A))),
    (
        "t_age between 18 and 25",
        AllOf((Compare(Named("t_age"), ">=", Decimal(18)), Compare(Named("t_age"), "<=", Decimal(25)))),
    ),
    (
        "a and t_age not between 18 and 25",
        AllOf(
            (
                A,
                Not(AllOf((Compare(Named("t_age"), ">=", Decimal(18)), Compare(Named("t_age"), "<=", Decimal(25))))),
            )
        ),
    ),
    ("did('page')", Did(Selection(("page",)))),
    ("did(('page', 'screen'))", Did(Selection(("page", "screen")))),
    ("did(*)", Did(Selection())),
    ("did(*, line_kind = 'goods')", Did(Selection((), GOODS))),
    (
        "did('order_line', line_kind = 'goods', at_least => 3, within => '30 days')",
        Did(Selection(("order_line",), GOODS, Window(MONTH)), "at_least", 3),
    ),
    ("did('page', at_most => 2)", Did(Selection(("page",)), "at_most", 2)),
    ("did('page', exactly => 2)", Did(Selection(("page",)), "exactly", 2)),
    ("did('page', at_least => 0)", Did(Selection(("page",)), "at_least", 0)),
    ("did('page', fewer_than => 0)", Did(Selection(("page",)), "at_most", -1)),
    (
        "never('page', between => '90 and 30 days ago')",
        Did(Selection(("page",), None, Window(Span(90, "day"), MONTH)), "exactly", 0),
    ),
    (
        "never('page', between => '2 months and 3 calendar days ago')",
        Did(Selection(("page",), None, Window(Span(2, "month"), Span(3, "day", True))), "exactly", 0),
    ),
    ("count('page') >= 2", Compare(Measured(Aggregate("count", "", Selection(("page",)))), ">=", Decimal(2))),
    ("days_since(*) > 30", Compare(Measured(Aggregate("recency", "", Selection())), ">", Decimal(30))),
    ("days_since_first(*) > 30", Compare(Measured(Aggregate("tenure", "", Selection())), ">", Decimal(30))),
    (
        "sum('order_line', line_kind = 'goods', within => '1 year').amount >= 500",
        Compare(
            Measured(Aggregate("sum", "amount", Selection(("order_line",), GOODS, Window(YEAR)))), ">=", Decimal(500)
        ),
    ),
    ("distinct(*).day > 1", Compare(Measured(Aggregate("count_distinct", "day", Selection())), ">", Decimal(1))),
    ("last('order_line').category = 'toys'", Compare(Measured(LAST), "=", "toys")),
    ("exactly(last('order_line').category) != 'aB'", Compare(Exactly(Measured(LAST)), "!=", "aB")),
    ("sequence(did('a'), did('b'), within => '1 day')", Follows(Selection(("a",)), Step(("b",)), DAY)),
    (
        "sequence(did('a', line_kind = 'goods', within => '30 days'), never('b', line_kind = 'goods'), within => '1 day')",
        Follows(Selection(("a",), GOODS, Window(MONTH)), Step(("b",), GOODS), DAY, True),
    ),
    ("first_time('page', within => '30 days')", FirstTime(Selection(("page",), None, Window(MONTH)))),
    ("stopped('page', within => '1 year', recent => '30 days')", Stopped(Step(("page",)), YEAR, MONTH)),
    (
        "restarted(*, line_kind = 'goods', within => '1 year', recent => '30 days')",
        Restarted(Step((), GOODS), YEAR, MONTH),
    ),
    ("in_periods('page', at_least => 3, of => 6, period => 'month')", InPeriods(Step(("page",)), 3, 6, "month")),
    ("in_segment('vip')", InSegment("vip")),
    ("in_segment('value', 'gold')", InSegment("value", "gold")),
    ("random_bucket('spring') < 10", Compare(RandomBucket("spring"), "<", Decimal(10))),
    ("score('churn') > 0.5", Compare(Score("churn"), ">", Decimal("0.5"))),
    ("churn.probability > 0.6", Compare(Score("churn.probability"), ">", Decimal("0.6"))),
    ("churn_90d.percentile >= 90", Compare(Score("churn_90d.percentile"), ">=", Decimal(90))),
    ("score('at risk.probability') > 0.6", Compare(Score("at risk.probability"), ">", Decimal("0.6"))),
    ("days_unchanged(t_plan) >= 30", Compare(DaysUnchanged("t_plan"), ">=", Decimal(30))),
    (
        "distance_km(t_lat, t_lon, 55.67, -12.57) <= 10",
        Compare(Distance(Named("t_lat"), Named("t_lon"), Decimal("55.67"), Decimal("-12.57")), "<=", Decimal(10)),
    ),
    (
        "month(t_birthday) = month(now())",
        Compare(DatePart("month", Named("t_birthday")), "=", DatePart("month", Now())),
    ),
    ("t_joined > ago('30 days')", Compare(Named("t_joined"), ">", Now("ago", MONTH))),
    ("t_renewal <= ahead('1 year')", Compare(Named("t_renewal"), "<=", Now("ahead", YEAR))),
    ("has_any(t_tags, 'a', 'b')", HasItems(TAGS, "any", ("a", "b"))),
    ("has_all(exactly(t_tags), 'a')", HasItems(Exactly(TAGS), "all", ("a",))),
    ("has_none(t_tags, 'a')", HasItems(TAGS, "none", ("a",))),
    ("t_tags[1] = 'x'", Compare(Item(TAGS, 1), "=", "x")),
    ("exactly(t_tags[2]) = 'x'", Compare(Exactly(Item(TAGS, 2)), "=", "x")),
    ("item_count(t_tags) > 2", Compare(ItemCount(TAGS), ">", Decimal(2))),
]


@pytest.mark.parametrize(("text", "rule"), FORMS, ids=[text for text, _ in FORMS])
def test_every_form_is_its_tree_and_back(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule
    assert format_rule(rule) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("5 < recency_days", "recency_days > 5"),
        ("((recency_days)) >= (5.50)", "recency_days >= 5.5"),
        ("T_x <> 1e3 AND NOT t_y == TRUE", "T_x != 1000 and not t_y"),
        ("DID('page', at_least=>1)", "did('page')"),
        ("did('page', exactly => 0)", "never('page')"),
        ("did('page', more_than => 2)", "did('page', at_least => 3)"),
        ("did('page', fewer_than => 3)", "did('page', at_most => 2)"),
        ("did(('page'), ((amount > 1.0)))", "did('page', amount > 1)"),
        ("did('page', within => '30 d')", "did('page', within => '30 days')"),
        ("never(*, between => '90 days and 30 days ago')", "never(*, between => '90 and 30 days ago')"),
        ("not t_x in ('a') and not t_x is null", "t_x not in ('a') and t_x is not null"),
        ("t_x >= 1 and t_x <= 2", "t_x between 1 and 2"),
        ("t_address.city = 'a'", "t_address_city = 'a'"),
        ("t_a.homeCity.x = 'a'", "t_a_home_city_x = 'a'"),
        ("last('page').p_a.b = 'a'", "last('page').p_a_b = 'a'"),
        (
            "did('page', p_a.b = 'a' and EXACTLY(product) = 'aB')",
            "did('page', p_a_b = 'a' and exactly(product) = 'aB')",
        ),
        ("t_flags.is and t_flags.in = 'x'", "t_flags_is and t_flags_in = 'x'"),
        ("a\n  and\r\n\tb", "a and b"),
        ('"null" = 3 and "t_x" = 1', '"null" = 3 and t_x = 1'),
    ],
)
def test_other_spellings_become_the_canonical_one(text: str, canonical: str) -> None:
    assert format_rule(parse_rule(text)) == canonical
    assert parse_rule(canonical) == parse_rule(text)


def test_rules_that_are_equal_have_one_text_and_places_do_not_count() -> None:
    spread, dense = parse_rule("  a   and  ( t_x = 2.50 )"), parse_rule("a and t_x=2.5")
    assert spread == dense
    assert format_rule(spread) == format_rule(dense)


def test_every_node_knows_its_place() -> None:
    text = "not (t_x in ('a')) and (did('page', at_least => 2) or t_y is not null) and t_z != false"
    placed = [text[node.place[0] : node.place[1]] for node in walk(parse_rule(text))]
    assert placed == [
        text,
        "not (t_x in ('a'))",
        "t_x in ('a')",
        "did('page', at_least => 2) or t_y is not null",
        "did('page', at_least => 2)",
        "t_y is not null",
        "t_z != false",
    ]


@pytest.mark.parametrize("word", [*sorted(w for w in Tokenizer.KEYWORDS if w.isidentifier()), "ESCAPE"])
def test_words_of_sql_are_plain_names_here(word: str) -> None:
    name = word.lower()
    for text in ("{} = 3", "t_x = 1 and not {}", "did('page', {} = 'a')", "sum('page').{} > 1", "month({}) in (1, 2)"):
        quoted = (
            f'"{name}"'
            if name in ("and", "or", "not", "in", "is", "null", "between", "like", "true", "false")
            else name
        )
        rule = parse_rule(text.format(quoted))
        assert format_rule(rule) == text.format(quoted)


@pytest.mark.parametrize(
    "letter", [*string.punctuation, "and", "not", "=>", "--", "/*", "é", "日本", " a ", "(", "')", "\\'"]
)
def test_any_letter_can_stand_in_a_text(letter: str) -> None:
    quoted = letter.replace("'", "''")
    texts = [
        f"t_x = '{quoted}'",
        f"did('{quoted}')",
        f"has_any(t_x, '{quoted}', '{quoted}')",
        f"random_bucket('{quoted}') < 1",
    ]
    assert [format_rule(parse_rule(text)) for text in texts] == texts
    assert parse_rule(texts[0]) == Compare(Named("t_x"), "=", letter)


REFUSED = [
    # text, where, code, what the message or the hint says
    ("", "", "empty", "empty"),
    (" \n ", " \n ", "empty", "empty"),
    ("did('page'", "(", "bad_rule", "never closed"),
    ("did('page'))", ")", "bad_rule", "Nothing was opened"),
    ("t_tags[1)", ")", "bad_rule", "Nothing was opened"),
    ("recency_days <=", "<=", "bad_rule", "ends too early"),
    ("recency_days <= 60 and", "and", "bad_rule", "ends too early"),
    ("t_x = 1 t_y = 2", "t_y", "bad_rule", "`and` or `or`"),
    ("t_x = 'a", "'a", "bad_rule", "quote is not closed"),
    ("t_x = 'a' 'b'", "'a'", "bad_rule", "plain value"),
    ("5 = 5", "5 = 5", "bad_rule", "something of the customer"),
    ("'a'", "'a'", "not_allowed", "compared with nothing"),
    ("t_x = 'DE' or 'AT'", "'AT'", "not_allowed", "t_country in ('DE', 'AT')"),
    ("t_x in ['DE']", "[", "bad_rule", "in parentheses"),
    ("and = 3", "3", "bad_rule", "not expected"),
    ("is = 3", "is", "bad_rule", "not expected"),
    ("sum('page').and > 1", "and", "bad_rule", "not expected"),
    ("t_x = 1 and or", "or", "bad_rule", "ends too early"),
    ("t_x not null", "not", "bad_rule", "is not null"),
    ("did('page', '30 days')", "'30 days'", "bad_arguments", "within => '30 days'"),
    ("did('page', 3)", "3", "bad_arguments", "at_least => 3"),
    ("t_x = null", "t_x = null", "bad_rule", "is null"),
    ("t_x is true", "t_x", "bad_rule", "is null"),
    ("t_x in ()", "t_x in ()", "bad_rule", "list of values"),
    ("t_x in (t_y)", "t_y", "bad_rule", "plain value"),
    ("t_x like 'a_b%'", "t_x like 'a_b%'", "bad_rule", "%"),
    ("(t_x = 1) = (t_y = 2)", "t_x = 1", "not_allowed", "no value"),
    ("t_x = not t_y", "not", "bad_rule", "cannot stand here"),
    ("not not not t_x", "not", "too_deep", "deeply"),
    ("t_x + 1 > 3", "+", "not_allowed", "Define a feature"),
    ("t_x - 1 > 3", "-", "not_allowed", "Define a feature"),
    ("t_x * 2 > 3", "*", "not_allowed", "Define a feature"),
    ("- t_x > 3", "-", "not_allowed", "Define a feature"),
    ("t_x = 'a'; drop table events", ";", "not_allowed", "semicolon"),
    ("t_x = 'a' -- c", "-", "not_allowed", "Comments"),
    ("t_x = 'a' /* c */", "/", "not_allowed", "Comments"),
    ("t_x = 'a' # c", "#", "not_allowed", "Comments"),
    ("t_x::int = 3", ":", "not_allowed", "not converted"),
    ("cast(t_x as int) = 3", "as int", "bad_rule", "not expected"),
    ("t_x = (select 1)", "1", "bad_rule", "not expected"),
    ("exists(select 1 from events)", "1 from events", "bad_rule", "not expected"),
    ("t_x in (select t_y)", "t_y", "bad_rule", "not expected"),
    ("t_x between symmetric 1 and 2", "symmetric", "not_allowed", "cannot be used"),
    ("t_x is distinct from t_y", "t_x is distinct from t_y", "not_allowed", "cannot be used"),
    ("t_x = date '2020-01-01'", "'2020-01-01'", "bad_rule", "not expected"),
    ("did('x') over ()", "over", "bad_rule", "not expected"),
    ("did('x', amount > 1 order by ts)", "order by ts", "bad_rule", "not expected"),
    ("t_x = @a", "@", "not_allowed", "cannot be used"),
    ("t_x = ?", "?", "not_allowed", "cannot be used"),
    ("{{ t_x }}", "{", "not_allowed", "cannot be used"),
    ("t_x | t_y", "|", "not_allowed", "cannot be used"),
    ("!t_x", "!", "not_allowed", "as a word"),
    ("t_x = ‘a’", "‘", "bad_character", "straight"),
    ("t_x ≥ 5", "≥", "bad_character", ">="),
    ("t_x =\u00a05", "\u00a0", "bad_character", "plain space"),
    ("täg = 5", "ä", "bad_character", "outside"),
    ("t_x = 'a\x00'", "'a\x00'", "bad_character", "U+0000"),
    ("t_x = 'a\x1fb'", "'a\x1fb'", "bad_character", "U+001F"),
    ("t_x = 'a\ud800'", "'a\ud800'", "bad_character", "U+D800"),
    ("t_x = 'a\u202eb'", "'a\u202eb'", "bad_character", "U+202E"),
    ("t_x\x00 = 1", "\x00", "bad_character", "U+0000"),
    ('"t x" = 1', '"t x"', "bad_name", "single quotes"),
    ("a.b = 3", "a", "bad_name", "no parts"),
    ("t_x = 1e40", "1e40", "bad_value", "12 digits"),
    ("t_x = 1e", "1e", "bad_value", "12 digits"),
    ("t_x = 1000000000000", "1000000000000", "bad_value", "12 digits"),
    ("t_x = 0.0000000000001", "0.0000000000001", "bad_value", "12 digits"),
    ("t_tags[0] = 'a'", "0", "bad_value", "from 1"),
    ("t_tags['x'] = 'a'", "t_tags['x']", "bad_rule", "by its number"),
    ("t_tags[1][2] = 'a'", "t_tags[1]", "bad_arguments", "cannot stand here"),
    ("didd('page')", "didd('page')", "unknown_function", "did(…)"),
    ("avg('order_line').amount > 3", "avg('order_line')", "unknown_function", "mean(…)"),
    ("lower(t_x) = 'a'", "lower(t_x)", "unknown_function", "already"),
    ("did('page', lower(product) = 'a')", "lower(product)", "unknown_function", "exactly(column)"),
    ("did('page', did('a'))", "did('a')", "unknown_function", "exactly(column)"),
    ("did('page') > 3", "did('page')", "wrong_type", "count(…)"),
    ("sum('page') > 3", "sum('page')", "bad_arguments", "sum('order_line').amount"),
    ("count('page').amount > 3", "count('page')", "bad_arguments", "no property"),
    ("did()", "did()", "bad_arguments", "needs an event"),
    ("did('')", "''", "bad_arguments", "not an empty text"),
    ("did(page)", "page", "bad_arguments", "in 'quotes'"),
    ("did('page', 'screen')", "'screen'", "bad_arguments", "parentheses"),
    ("did('page', amount > 1, amount < 5)", "amount < 5", "bad_arguments", "does not take"),
    ("did('page', within => '3 days', amount > 1)", "amount > 1", "bad_arguments", "Options stand last"),
    ("did('page', at_least = 2)", "at_least = 2", "bad_arguments", "at_least => 2"),
    ("did('page', at_lest => 2)", "at_lest", "unknown_option", "'at_least'"),
    ("did('page', at_least => 2, at_least => 3)", "at_least", "bad_arguments", "twice"),
    ("did('page', at_least => 2, at_most => 3)", "did('page', at_least => 2, at_most => 3)", "bad_arguments", "once"),
    ("never('page', at_least => 2)", "at_least", "unknown_option", "within, between"),
    ("did('page', at_least => 2.5)", "2.5", "bad_count", "whole number"),
    ("did('page', at_least => -2)", "2", "bad_count", "whole number"),
    ("did('page', at_least => '2')", "'2'", "bad_count", "whole number"),
    ("did('page', within => 30)", "30", "bad_arguments", "'30 days'"),
    ("did('page', within => '30 m')", "m", "bad_window", "Write the unit out"),
    ("did('page', within => '0 days')", "0 days", "bad_window", "at least 1"),
    ("did('page', between => '30 and 90 days ago')", "30 and 90 days ago", "bad_window", "longer"),
    ("first_time('page')", "first_time('page')", "missing_option", "within"),
    ("stopped('page', within => '1 year')", "stopped('page', within => '1 year')", "missing_option", "recent"),
    ("in_periods('a', at_least => 1, of => 2, period => 'moth')", "'moth'", "bad_value", "'month'"),
    ("in_periods('a', at_least => 1, of => 2, period => 'hour')", "'hour'", "bad_value", "month"),
    ("sequence(did('a'), within => '1 day')", "sequence(did('a'), within => '1 day')", "bad_arguments", "two steps"),
    ("sequence(never('a'), did('b'), within => '1 day')", None, "bad_arguments", "two steps"),
    ("sequence(did('a', at_least => 2), did('b'), within => '1 day')", "at_least", "bad_arguments", "no count"),
    ("sequence(did('a'), did('b', within => '1 day'), within => '1 day')", "within", "bad_arguments", "first step"),
    ("sequence(did('a'), did('b'), within => '1 month')", "'1 month'", "bad_window", "fixed length"),
    ("in_segment(vip)", "vip", "bad_arguments", "in 'quotes'"),
    ("in_segment('a', 'b', 'c')", "'c'", "bad_arguments", "does not take"),
    ("days_unchanged(plan) > 1", "plan", "wrong_type", "t_"),
    ("month('2020-01-01') = 1", "'2020-01-01'", "bad_arguments", "cannot stand here"),
    ("exactly(count('a') = 3) = 'x'", "count('a') = 3", "bad_arguments", "cannot stand here"),
    ("now(1) = t_x", "1", "bad_arguments", "does not take"),
    ("ago() < t_x", "ago()", "bad_arguments", "length of time"),
    ("has_any(t_tags)", "has_any(t_tags)", "bad_arguments", "1 to 1,000"),
    ("distance_km(t_lat, t_lon, 91, 0) < 1", "91", "bad_value", "degrees"),
    ("distance_km(t_lat, t_lon) < 1", "distance_km(t_lat, t_lon)", "bad_arguments", "four"),
]


@pytest.mark.parametrize(("text", "place", "code", "says"), REFUSED, ids=[ascii(text) for text, *_ in REFUSED])
def test_refuses_all_else_with_place_code_and_hint(text: str, place: str | None, code: str, says: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        parse_rule(text)
    error = caught.value
    assert error.text == text
    assert error.code == code
    assert says in str(error)
    assert text[error.start : error.end] == (text if place is None else place)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 26 + "t_x" + ")" * 26, "too_deep"),
        ("not (" * 26 + "t_x" + ")" * 26, "too_deep"),
        ("month(" * 26 + "t_x" + ")" * 26 + " = 1", "too_deep"),
        (f"t_x in ({', '.join(map(str, range(1_001)))})", "too_many"),
        (f"has_any(t_x, {', '.join(map(repr, map(str, range(1_001))))})", "bad_arguments"),
        (" or ".join(f"t_x = {n}" for n in range(301)), "too_many"),
        (f"did('a', {' or '.join(f'amount = {n}' for n in range(301))})", "too_many"),
        ("t_x = '" + "a" * 501 + "'", "too_long"),
        ("t_x = 1" + " " * 20_000, "too_long"),
        ("not " * 4_000 + "t_x", "too_deep"),
        ("t_x = " * 3_000 + "1", "not_allowed"),
        ("- " * 5_000 + "1", "not_allowed"),
        ("t_" + "x" * 9_000 + " = 1", "bad_name"),
    ],
)
def test_too_much_of_anything_is_refused(text: str, code: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        parse_rule(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "(" * 25 + "t_x" + ")" * 25,
        f"t_x in ({', '.join(map(str, range(1_000)))})",
        " or ".join(f"t_x = {n}" for n in range(300)),
        "t_x = '" + "ß🙂" * 250 + "'",
        "a and not (" * 24 + "b" + ")" * 24,
    ],
)
def test_up_to_the_limits_it_is_read(text: str) -> None:
    rule = parse_rule(text)
    assert parse_rule(format_rule(rule)) == rule
