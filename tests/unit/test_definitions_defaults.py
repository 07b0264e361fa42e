"""Default features: chosen from what the data contains, nothing that it cannot answer."""

import pytest

from kohort.definitions.defaults import DataProfile, default_features, guess_business, value_definition
from kohort.definitions.features import check
from kohort.errors import NotEnough
from kohort.model.clock import DAY_US
from kohort.model.event import ColumnType

FULL = {"order_id": 900, "product": 900, "category": 900, "quantity": 900, "amount": 900}


def shop(span_days: float = 700, **changes: object) -> DataProfile:
    values: dict[str, object] = {
        "customers": 100,
        "events": {"order_line": 1_000},
        "first_ts": 0,
        "last_ts": int(span_days * DAY_US),
        "goods": 900,
        "filled": FULL,
        "returned": 20,
        "weekend": 200,
        "evening": 100,
    }
    return DataProfile(**(values | changes))  # type: ignore[arg-type]


def names(profile: DataProfile, business: str = "auto") -> list[str]:
    return [f.name for f in default_features(profile, business)[1]]


def test_a_full_shop() -> None:
    kind, found = default_features(shop())
    assert kind == "shop"
    assert [f.name for f in found] == [
        "recency_days",
        "tenure_days",
        "orders",
        "orders_365d",
        "recent_share",
        "gap_days",
        "revenue_365d",
        "order_value",
        "returned_share",
        "items_per_order",
        "item_price",
        "products",
        "categories",
        "weekend_share",
        "evening_share",
    ]
    for definition in found:
        check(definition, {})
        assert definition.label
        assert definition.idea != "other"


@pytest.mark.parametrize(
    ("column", "gone"),
    [
        ("product", {"products"}),
        ("category", {"categories"}),
        ("quantity", {"items_per_order", "item_price"}),
        ("amount", {"revenue_365d", "order_value", "returned_share", "item_price"}),
    ],
)
def test_a_missing_column_takes_its_features_with_it(column: str, gone: set[str]) -> None:
    profile = shop(filled=FULL | {column: 0})
    assert set(names(shop())) - set(names(profile)) == gone


@pytest.mark.parametrize(("days", "window"), [(700, "365d"), (300, "180d"), (140, "90d"), (50, "30d")])
def test_windows_fit_the_span(days: float, window: str) -> None:
    assert {f"orders_{window}", f"revenue_{window}"} <= set(names(shop(days)))


def test_a_few_days_have_no_windows() -> None:
    found = names(shop(10))
    assert "revenue" in found
    assert not [n for n in found if n.endswith("d") or n == "recent_share"]


def test_no_order_numbers_means_days_with_a_purchase() -> None:
    _, found = default_features(shop(filled=FULL | {"order_id": 0}))
    orders = next(f for f in found if f.name == "orders")
    assert orders.text.startswith("count_distinct of day")


def test_timing_only_where_it_differs() -> None:
    assert "evening_share" not in names(shop(evening=0))
    assert "weekend_share" not in names(shop(weekend=1_000))


def test_companies_are_told_from_shops() -> None:
    columns: dict[str, ColumnType] = {"t_industry": "text", "t_employees": "number"}
    profile = shop(columns=columns, present={"t_industry": 90, "t_employees": 80}, distinct={"t_industry": 6})
    assert guess_business(profile) == "b2b"
    found = names(profile)
    assert {"gap_spread_days", "lines_per_order", "industry", "employees"} <= set(found)
    assert "evening_share" not in found


def test_activation_is_not_a_tax_number() -> None:
    assert guess_business(shop(events={"order_line": 1_000, "activation": 5, "private_view": 2})) == "shop"


def test_activity_without_orders() -> None:
    events = {"log in": 500, "export": 300, "invite": 9, "identify": 40}
    profile = DataProfile(100, events, 0, 200 * DAY_US, weekend=50, evening=3)
    kind, found = default_features(profile)
    assert kind == "subscription"
    assert {"recency_days", "events_90d", "active_days_90d", "log_in_90d", "kinds_90d", "weekend_share"} <= {
        f.name for f in found
    }
    assert not any("identify" in f.name for f in found)
    assert default_features(profile, "shop")[0] == "subscription"


def test_traits_only() -> None:
    columns: dict[str, ColumnType] = {
        "t_country": "text",
        "t_age": "number",
        "t_member": "flag",
        "t_since": "time",
        "t_note": "text",
        "t_empty": "number",
    }
    profile = DataProfile(
        100,
        {"identify": 100},
        columns=columns,
        present={"t_country": 100, "t_age": 90, "t_member": 100, "t_since": 5, "t_note": 99, "t_empty": 0},
        distinct={"t_country": 12, "t_note": 99},
    )
    kind, found = default_features(profile)
    assert kind == "traits"
    assert [(f.name, f.unit) for f in found] == [
        ("age", "number"),
        ("country", "text"),
        ("member", "flag"),
        ("since", "days"),
    ]
    assert value_definition(profile) is None


def test_a_list_is_no_feature() -> None:
    columns: dict[str, ColumnType] = {"t_tags": "list", "t_age": "number"}
    assert [f.name for f in default_features(DataProfile(9, {"identify": 9}, columns=columns))[1]] == ["age"]


def test_nothing_at_all_is_said_honestly() -> None:
    with pytest.raises(NotEnough):
        default_features(DataProfile(0, {}))
    with pytest.raises(NotEnough):
        default_features(DataProfile(5, {"identify": 5}))


def test_value_is_net_revenue_of_goods() -> None:
    definition = value_definition(shop())
    assert definition is not None
    assert definition.text == ("sum of amount on order_line where line_kind = 'goods' and duplicate_line != true")
