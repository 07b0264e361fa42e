"""Going through rules: nodes in order, values, and everything that a rule names."""

from kohort.definitions.rules import (
    all_operands,
    events_and_columns,
    filters,
    format_rule,
    leaves,
    names,
    operands,
    parse_rule,
    references,
    steps,
    walk,
)
from kohort.definitions.rules.write import operand_text

RULE = parse_rule(
    "a > b and not (did('page', p_x = 1 and exactly(product) = 'A') or in_segment('v', 'g')) "
    "and month(last('cart', p_y is null).p_due) = month(now()) and t_z in (1) "
    "and sequence(did('s1', amount > 1), never('s2', amount > 2), within => '1 day') "
    "and stopped('st', within => '1 year', recent => '1 day') and days_unchanged(t_plan) > 1 "
    "and distance_km(t_lat, t_lon, 1, 2) < 3 and in_segment('v') and first_time('f', within => '1 day') "
    "and in_periods('ip', at_least => 1, of => 2, period => 'day') and has_any(t_tags, 'a') and t_l like 'a%' and t_m is null"
)


def test_walk_gives_every_node_before_its_items() -> None:
    small = parse_rule("a and not (b or c) and d")
    assert [format_rule(node) for node in walk(small)] == [
        "a and not (b or c) and d",
        "a",
        "not (b or c)",
        "b or c",
        "b",
        "c",
        "d",
    ]
    assert [format_rule(leaf) for leaf in leaves(small)] == ["a", "b", "c", "d"]


def test_a_rule_of_many_conditions_is_walked_without_recursion() -> None:
    assert sum(1 for _ in leaves(parse_rule(" or ".join(["a"] * 300)))) == 300


def test_operands_are_the_compared_values_in_order() -> None:
    written = [operand_text(operand) for operand in operands(RULE)]
    assert written == [
        "a",
        "b",
        "month(last('cart', p_y is null).p_due)",
        "month(now())",
        "t_z",
        "days_unchanged(t_plan)",
        "distance_km(t_lat, t_lon, 1, 2)",
        "t_tags",
        "t_l",
        "t_m",
    ]
    inner = [operand_text(operand) for operand in all_operands(RULE)]
    assert inner[2:6] == [
        "month(last('cart', p_y is null).p_due)",
        "last('cart', p_y is null).p_due",
        "month(now())",
        "now()",
    ]


def test_a_rule_names_segments_features_traits_events_and_columns() -> None:
    assert references(RULE) == {("v", "g"), ("v", "")}
    assert names(RULE) == {"a", "b", "t_z", "t_plan", "t_lat", "t_lon", "t_tags", "t_l", "t_m"}
    events, columns = events_and_columns(RULE)
    assert events == {"page", "cart", "s1", "s2", "st", "f", "ip"}
    assert columns == {"p_x", "p_y", "p_due", "t_z", "t_plan", "t_lat", "t_lon", "t_tags", "t_l", "t_m"}
    assert sorted(where.text for where in filters(RULE)) == [
        "amount > 1",
        "amount > 2",
        "p_x = 1 and exactly(product) = 'A'",
        "p_y is null",
    ]
    assert len(list(steps(RULE))) == 7
