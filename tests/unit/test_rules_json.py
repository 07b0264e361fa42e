"""Rules as JSON: the same tree both ways, and data that nobody checked is refused with its pointer."""

import json
from decimal import Decimal
from typing import Any

import pytest

from kohort.definitions.rules import format_rule, parse_rule, rule_from_json, rule_to_json
from kohort.definitions.rules.tree import Compare, Named
from kohort.errors import RefusedDefinition

DID = {"did": {"events": ["page"]}}


def compare(**changed: Any) -> dict[str, Any]:
    return {"compare": {"left": {"name": "a"}, "op": "=", "right": 1} | changed}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a", {"compare": {"left": {"name": "a"}, "op": "=", "right": True}}),
        ("a > 12.5", {"compare": {"left": {"name": "a"}, "op": ">", "right": 12.5}}),
        ("a != 'x'", {"compare": {"left": {"name": "a"}, "op": "!=", "right": "x"}}),
        ("a < b", {"compare": {"left": {"name": "a"}, "op": "<", "right": {"name": "b"}}}),
        ("not a in (1, 2)", {"in": {"of": {"name": "a"}, "values": [1, 2], "not": True}}),
        ("a is null", {"missing": {"of": {"name": "a"}}}),
        ("a not like 'x%'", {"like": {"of": {"name": "a"}, "where": "start", "text": "x", "not": True}}),
        ("has_all(exactly(t_x), 'a')", {"has": {"of": {"exactly": {"name": "t_x"}}, "how": "all", "values": ["a"]}}),
        ("did(*)", {"did": {"at_least": 1}}),
        ("never('a', within => '1 day')", {"did": {"events": ["a"], "within": "1 day", "exactly": 0}}),
        (
            "did(('a', 'b'), not (exactly(product) = 'x' or amount > p_x), between => '9 and 3 days ago')",
            {
                "did": {
                    "events": ["a", "b"],
                    "filter": {
                        "not": {
                            "any": [
                                {
                                    "compare": {
                                        "left": {"exactly": {"column": "product"}},
                                        "op": "=",
                                        "right": "x",
                                    }
                                },
                                {"compare": {"left": {"column": "amount"}, "op": ">", "right": {"column": "p_x"}}},
                            ]
                        }
                    },
                    "between": "9 and 3 days ago",
                    "at_least": 1,
                }
            },
        ),
        ("first_time('a', within => '1 day')", {"first_time": {"events": ["a"], "within": "1 day"}}),
        (
            "stopped('a', within => '1 year', recent => '1 day')",
            {"stopped": {"events": ["a"], "within": "1 year", "recent": "1 day"}},
        ),
        (
            "restarted(*, within => '1 year', recent => '1 day')",
            {"restarted": {"within": "1 year", "recent": "1 day"}},
        ),
        (
            "in_periods('a', at_least => 1, of => 2, period => 'week')",
            {"in_periods": {"events": ["a"], "at_least": 1, "of": 2, "period": "week"}},
        ),
        (
            "sequence(did('a', within => '9 days'), never('b', amount > 1), within => '1 day')",
            {
                "sequence": {
                    "first": {"events": ["a"], "within": "9 days"},
                    "then": {
                        "events": ["b"],
                        "filter": {"compare": {"left": {"column": "amount"}, "op": ">", "right": 1}},
                    },
                    "within": "1 day",
                    "not": True,
                }
            },
        ),
        ("in_segment('a', 'b')", {"in_segment": {"name": "a", "key": "b"}}),
        ("not in_segment('a')", {"not": {"in_segment": {"name": "a"}}}),
        (
            "sum('a').amount > 1",
            {"compare": {"left": {"sum": {"events": ["a"], "of": "amount"}}, "op": ">", "right": 1}},
        ),
        ("days_since(*) > 1", {"compare": {"left": {"days_since": {}}, "op": ">", "right": 1}}),
        (
            "month(t_x) = month(now())",
            {"compare": {"left": {"month": {"name": "t_x"}}, "op": "=", "right": {"month": {"now": {}}}}},
        ),
        ("t_x > ago('1 day')", {"compare": {"left": {"name": "t_x"}, "op": ">", "right": {"ago": "1 day"}}}),
        (
            "t_x[2] = 'a'",
            {"compare": {"left": {"item": {"of": {"name": "t_x"}, "index": 2}}, "op": "=", "right": "a"}},
        ),
        ("item_count(t_x) = 1", {"compare": {"left": {"item_count": {"name": "t_x"}}, "op": "=", "right": 1}}),
        (
            "distance_km(t_x, t_y, 55.67, -1) < 1",
            {
                "compare": {
                    "left": {
                        "distance_km": {
                            "latitude": {"name": "t_x"},
                            "longitude": {"name": "t_y"},
                            "to": [55.67, -1],
                        }
                    },
                    "op": "<",
                    "right": 1,
                }
            },
        ),
        (
            "days_unchanged(t_x) > 1 and random_bucket('s') < 10 and score('c') > 0 and c.percentile > 90",
            {
                "all": [
                    {"compare": {"left": {"days_unchanged": "t_x"}, "op": ">", "right": 1}},
                    {"compare": {"left": {"random_bucket": "s"}, "op": "<", "right": 10}},
                    {"compare": {"left": {"score": "c"}, "op": ">", "right": 0}},
                    {"compare": {"left": {"score": "c.percentile"}, "op": ">", "right": 90}},
                ]
            },
        ),
    ],
)
def test_every_form_has_its_json(text: str, data: dict[str, Any]) -> None:
    assert rule_to_json(parse_rule(text)) == data
    assert rule_from_json(json.loads(json.dumps(data))) == parse_rule(text)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("12", 12),
        ("-0.1", -0.1),
        ("999999999999", 999999999999),
        ("0.000000000001", 1e-12),
        ("123456789.123456789123", {"decimal": "123456789.123456789123"}),
    ],
)
def test_numbers_keep_every_digit(number: str, written: object) -> None:
    rule = Compare(Named("a"), "=", Decimal(number))
    data = json.loads(json.dumps(rule_to_json(rule)))
    assert data["compare"]["right"] == written
    assert rule_from_json(data) == rule


def test_what_a_builder_may_leave_out() -> None:
    assert format_rule(rule_from_json(DID)) == "did('page')"
    assert format_rule(rule_from_json({"all": [DID]})) == "did('page')"
    assert format_rule(rule_from_json(compare(right=2.0))) == "a = 2"


@pytest.mark.parametrize(
    ("data", "pointer", "code"),
    [
        (None, "/", "bad_json"),
        ([DID], "/", "bad_json"),
        ({}, "/", "bad_json"),
        ({1: 2}, "/", "bad_json"),
        ({"did": {}, "not": {}}, "/", "bad_json"),
        ({"dit": {}}, "/dit", "bad_json"),
        ({"a/b~c": {}}, "/a~1b~0c", "bad_json"),
        ({"all": []}, "/all", "empty"),
        ({"all": {}}, "/all", "bad_json"),
        ({"any": [DID, {"not": None}]}, "/any/1/not", "bad_json"),
        ({"did": {"event": ["page"]}}, "/did/event", "bad_json"),
        ({"did": {"events": "page"}}, "/did/events", "bad_json"),
        ({"did": {"events": []}}, "/did/events", "bad_json"),
        ({"did": {"events": ["page", ""]}}, "/did/events/1", "bad_json"),
        ({"did": {"events": ["\ud800"]}}, "/did/events/0", "bad_character"),
        ({"did": {"events": ["a" * 501]}}, "/did/events/0", "too_long"),
        ({"did": {"events": ["a"] * 1_001}}, "/did/events", "too_many"),
        ({"did": {"at_least": 1, "at_most": 2}}, "/did", "bad_json"),
        ({"did": {"at_least": 1.5}}, "/did/at_least", "bad_count"),
        ({"did": {"at_least": True}}, "/did/at_least", "bad_count"),
        ({"did": {"at_least": -1}}, "/did/at_least", "bad_count"),
        ({"did": {"within": "30"}}, "/did/within", "bad_window"),
        ({"did": {"within": 30}}, "/did/within", "bad_json"),
        ({"did": {"within": "1 day", "between": "3 and 2 days ago"}}, "/did", "bad_json"),
        ({"did": {"filter": DID}}, "/did/filter/did", "bad_json"),
        ({"did": {"filter": compare()}}, "/did/filter/compare/left/name", "bad_json"),
        ({"first_time": {"events": ["a"]}}, "/first_time", "missing_option"),
        ({"stopped": {"within": "1 year"}}, "/stopped", "bad_json"),
        ({"in_periods": {"at_least": 1, "of": 2, "period": "hour"}}, "/in_periods/period", "bad_json"),
        ({"in_periods": {"at_least": 1, "of": 10**12, "period": "day"}}, "/in_periods/of", "bad_count"),
        ({"sequence": {"first": {}, "then": {"within": "1 day"}, "within": "1 day"}}, "/sequence/then/within", "bad_json"),
        ({"sequence": {"first": {}, "then": {}, "within": "1 month"}}, "/", "bad_window"),
        ({"in_segment": {"name": 3}}, "/in_segment/name", "bad_json"),
        (compare(op="=="), "/compare/op", "bad_json"),
        (compare(left={"name": "a b"}), "/compare/left/name", "bad_name"),
        (compare(left={"name": "a; drop table events"}), "/compare/left/name", "bad_name"),
        (compare(left="a"), "/compare/left", "bad_json"),
        (compare(left={"avg": {}}), "/compare/left/avg", "bad_json"),
        (compare(left={"item": {"of": {"name": "t_x"}, "index": 0}}), "/compare/left/item/index", "bad_count"),
        (compare(left={"exactly": {"now": {}}}), "/", "bad_arguments"),
        (compare(left={"days_unchanged": "plan"}), "/", "wrong_type"),
        (compare(left={"distance_km": {"latitude": {"name": "a"}, "longitude": {"name": "b"}, "to": [1]}}),
         "/compare/left/distance_km/to", "bad_json"),
        (compare(right=None), "/compare/right", "bad_json"),
        (compare(right=float("nan")), "/compare/right", "bad_json"),
        (compare(right=float("inf")), "/compare/right", "bad_json"),
        (compare(right=10**400), "/compare/right", "bad_value"),
        (compare(right=10**12), "/compare/right", "bad_value"),
        (compare(right={"decimal": "1e5000"}), "/compare/right", "bad_value"),
        (compare(right={"decimal": 5}), "/compare/right", "bad_value"),
        (compare(right="a\x00"), "/compare/right", "bad_character"),
        ({"in": {"of": {"name": "a"}, "values": [[1]]}}, "/in/values/0", "bad_json"),
        ({"in": {"of": {"name": "a"}, "values": [1], "not": 1}}, "/in/not", "bad_json"),
        ({"like": {"of": {"name": "a"}, "where": "start", "text": "a%"}}, "/like/text", "bad_value"),
        ({"like": {"of": {"name": "a"}, "where": "middle", "text": "a"}}, "/like/where", "bad_json"),
        ({"any": [DID] * 301}, "/", "too_many"),
    ],
)  # fmt: skip
def test_data_that_is_no_rule_is_refused_with_its_pointer(data: object, pointer: str, code: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        rule_from_json(data)
    assert caught.value.message.startswith(f"{pointer}: ")
    assert caught.value.code == code


@pytest.mark.parametrize("levels", [60, 100, 5_000])
def test_nesting_without_end_is_refused(levels: int) -> None:
    data: dict[str, Any] = DID
    for _ in range(levels):
        data = {"not": data}
    with pytest.raises(RefusedDefinition) as caught:
        rule_from_json(data)
    assert caught.value.code == "too_deep"
