"""Planted groups whose right words are known get those words; sentences carry the right figures."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kohort.discovery.explain import explain, with_trend
from kohort.discovery.explain.columns import with_idea
from kohort.discovery.explain.rules import human
from kohort.discovery.explain.sql import quoted
from kohort.discovery.grouping import Grouping
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.segmentation import Segment, Structure, TrendPoint

SHOP = (
    FeatureInfo("recency_days", "Days since last order", unit="days", idea="recency"),
    FeatureInfo("orders", "Orders", unit="orders", idea="frequency"),
    FeatureInfo("order_value", "Order value", unit="money", idea="basket"),
    FeatureInfo("spend", "Spend", unit="money", idea="value"),
    FeatureInfo("tenure_days", "Days since first order", unit="days", idea="tenure"),
    FeatureInfo("gap_days", "Days between orders", unit="days", idea="rhythm", missing="no second order yet"),
)


def grouping(table: FeatureTable, labels: np.ndarray, **more: object) -> Grouping:
    numbers = [f.name for f in table.features if f.type != "text"]
    prepared = np.column_stack([np.nan_to_num(table.data[n].cast("float64").to_numpy()) for n in numbers])
    prepared = (prepared - prepared.mean(0)) / np.maximum(prepared.std(0), 1e-9)
    k = int(labels.max()) + 1
    base = Grouping(
        algorithm="kmeans",
        k=k,
        labels=labels.astype(np.int32),
        confidence=np.full(len(labels), 0.8, np.float32),
        structure=Structure("spectrum", {}, ""),
        candidates=(),
        stability=(None,) * k,
        features=(),
        sample=np.arange(len(labels)),
        prepared=prepared.astype(np.float32),
        used=tuple(numbers),
        assigner=None,  # type: ignore[arg-type]
        gate="limited",
    )
    return replace(base, **more)  # type: ignore[arg-type]


def planted_shop(seed: int = 1) -> tuple[FeatureTable, np.ndarray]:
    """Four kinds: frequent big spenders, customers slipping away, one-off and quiet, recent first orders."""
    rng = np.random.default_rng(seed)
    sizes = [100, 300, 300, 300]
    label = np.repeat(range(4), sizes)
    draw = lambda means, spread: rng.lognormal(np.log(np.array(means))[label], spread)  # noqa: E731
    orders = np.array([20, 5, 1, 1])[label] + (label == 0) * rng.integers(0, 5, 1000)
    recency = draw([7, 210, 400, 20], 0.1)
    value = draw([400, 120, 50, 80], 0.1)
    gap = np.where(orders > 1, draw([25, 60, 1, 1], 0.1), np.nan)
    data = {
        "recency_days": recency,
        "orders": orders.astype(float),
        "order_value": value,
        "spend": value * orders,
        "tenure_days": recency + np.nan_to_num(gap) * (orders - 1),
        "gap_days": gap,
    }
    order = rng.permutation(1000)
    table = FeatureTable(
        pa.array(np.arange(1000)[order]),
        pa.table({k: v[order] for k, v in data.items()}, schema=None),
        SHOP,
        value=data["spend"][order],
        currency="GBP",
    )
    return table, label[order]


@pytest.fixture(scope="module")
def shop() -> tuple[FeatureTable, np.ndarray, dict[int, Segment]]:
    table, labels = planted_shop()
    found = explain(table, grouping(table, labels))
    return table, labels, {found.segment_of.index(s.id): s for s in found.segments}


def test_planted_behaviour_gets_its_name(shop: tuple[FeatureTable, np.ndarray, dict[int, Segment]]) -> None:
    names = [shop[2][label].name for label in range(4)]
    assert names == ["Frequent big spenders", "Slipping away", "One-off and quiet", "Recent first orders"]


def test_segments_come_in_order_of_revenue(shop: tuple[FeatureTable, np.ndarray, dict[int, Segment]]) -> None:
    table, labels, segments = shop
    by_hand = [float(table.value[labels == label].sum()) for label in range(4)]
    assert [segments[label].revenue for label in range(4)] == pytest.approx(by_hand)
    assert sorted(segments.values(), key=lambda s: s.id) == sorted(segments.values(), key=lambda s: -s.revenue)
    assert sum(s.revenue_share for s in segments.values()) == pytest.approx(1)


def test_description_tells_how_many_how_often_how_much_and_when(
    shop: tuple[FeatureTable, np.ndarray, dict[int, Segment]],
) -> None:
    table, labels, segments = shop
    mine = labels == 0
    orders, value, recency, gap = (
        np.median(table.data[n].to_numpy()[mine]) for n in ("orders", "order_value", "recency_days", "gap_days")
    )
    text = segments[0].description
    assert text.startswith("100 customers who typically ordered")
    assert f"{orders:.0f} times" in text or f"{np.floor(orders):.0f} or {np.ceil(orders):.0f} times" in text
    assert f"about every {gap:.0f} days" in text
    assert f"usually for around £{value:.0f}" in text
    assert f"the last time {recency:.0f} days ago" in text
    assert segments[2].description.startswith("300 customers who ordered once, for around £")


def test_differences_put_the_typical_customer_beside(
    shop: tuple[FeatureTable, np.ndarray, dict[int, Segment]],
) -> None:
    table, labels, segments = shop
    spend = table.data["spend"].to_numpy()
    told = {d.feature: d for d in segments[0].different}
    assert told["spend"].value == pytest.approx(np.median(spend[labels == 0]))
    assert told["spend"].average == pytest.approx(np.median(spend))
    assert told["spend"].text.endswith(" times")
    assert told["spend"].effect > 1
    assert told["recency_days"].effect < 0
    assert " instead of " in told["recency_days"].text
    once = {d.feature: d for d in segments[2].different}
    assert once["gap_days"].value is None
    assert "no second order yet" in once["gap_days"].text


def test_planted_boxes_get_an_almost_perfect_short_rule(
    shop: tuple[FeatureTable, np.ndarray, dict[int, Segment]],
) -> None:
    for segment in shop[2].values():
        assert segment.rule is not None
        assert min(segment.rule.fidelity, segment.rule.coverage) > 0.97
        assert segment.rule.expression.count(" AND ") <= 2


def test_people_are_members_and_nobody_appears_twice(
    shop: tuple[FeatureTable, np.ndarray, dict[int, Segment]],
) -> None:
    table, labels, segments = shop
    label_of = dict(zip(table.ids.to_pylist(), labels.tolist(), strict=True))
    for label, segment in segments.items():
        shown = [p["customer"] for p in (*segment.typical, *segment.edge, *segment.odd)]
        assert len(shown) == len(set(shown))
        assert len(segment.typical) == 4
        assert all(label_of[c] == label for c in shown)
        assert all(p["other"] != segment.id and p["why"].startswith("Between ") for p in segment.edge)


def test_a_stranger_inside_a_group_is_shown_as_odd() -> None:
    table, labels = planted_shop()
    spend = table.data["spend"].to_numpy().copy()
    stranger = int(np.flatnonzero(labels == 3)[0])
    spend[stranger] = 500_000.0
    changed = replace(table, data=table.data.set_column(3, "spend", pa.array(spend)))
    found = explain(changed, grouping(changed, labels))
    segment = next(s for s in found.segments if s.id == found.segment_of[3])
    assert segment.odd[0]["customer"] == table.ids[stranger].as_py()
    assert segment.odd[0]["why"].startswith("Spend £500,000")


def test_tables_without_ideas_are_told_in_their_own_words() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    info = (FeatureInfo("annual_income_k", "Annual Income (k$)"), FeatureInfo("city", "City", type="text", unit="text"))
    table = FeatureTable(
        pa.array([f"{i:05d}" for i in range(400)]),
        pa.table(
            {
                "annual_income_k": np.where(labels == 0, rng.normal(90, 5, 400), rng.normal(30, 5, 400)),
                "city": pa.array(np.where(labels == 0, "Aarhus", "Odense")),
            }
        ),
        info,
    )
    found = explain(table, grouping(table, labels))
    high = next(s for s in found.segments if s.id == found.segment_of[0])
    assert set(high.name.lower().split(", ")) <= {"high income", "mostly aarhus"}
    assert "annual income typically" in high.description
    assert high.revenue is None
    assert high.revenue_share is None
    assert {d.feature: d.value for d in high.different}["city"] == "Aarhus"


def test_groups_alike_in_everything_claim_nothing() -> None:
    rng = np.random.default_rng(3)
    table, labels = planted_shop()
    found = explain(table, grouping(table, rng.integers(0, 2, len(labels))))
    assert {s.name for s in found.segments} == {"Typical customers", "Typical customers 2"}


@pytest.mark.parametrize(
    ("name", "idea"),
    [
        ("recency", "recency"),
        ("days_since_last_purchase", "recency"),
        ("frequency", "frequency"),
        ("total_orders", "frequency"),
        ("monetary", "value"),
        ("avg_order_value", "basket"),
        ("spending_score", "other"),
        ("income", "other"),
        ("fresh", "other"),
        ("return_rate", "other"),
        ("tenure", "tenure"),
    ],
)
def test_ideas_are_inferred_only_where_a_name_leaves_no_doubt(name: str, idea: str) -> None:
    assert with_idea(FeatureInfo(name, name)).idea == idea


@pytest.mark.parametrize(("value", "spread", "near"), [(1, 10, 1), (61.3, 500, 60), (0.0004, 1, 0.0004), (987, 1, 987)])
def test_thresholds_are_near_what_they_round(value: float, spread: float, near: float) -> None:
    assert human(value, spread) == pytest.approx(near, rel=0.05)


def test_units_are_not_guessed() -> None:
    """Tenure of a phone contract counts months; calling them days would be a lie."""
    assert with_idea(FeatureInfo("tenure", "Tenure")).unit == "number"
    assert with_idea(FeatureInfo("recency", "Recency")).unit == "number"
    assert with_idea(FeatureInfo("tenure_days", "Tenure days")).unit == "days"


def test_trend_is_filled_by_id(shop: tuple[FeatureTable, np.ndarray, dict[int, Segment]]) -> None:
    from kohort.discovery.discover import describe

    table, labels, _ = shop
    segmentation = describe(table, grouping(table, labels)).segmentation
    points = (TrendPoint("2011-01-01", 90, 1000.0), TrendPoint("2011-02-01", 100, None))
    filled = with_trend(segmentation, {"s1": points})
    assert filled.segments[0].trend == points
    assert filled.segments[1].trend == ()


def test_same_input_same_words() -> None:
    table, labels = planted_shop()
    assert explain(table, grouping(table, labels)) == explain(table, grouping(table, labels))


def test_micro_segments_are_named_as_slices_of_their_segment() -> None:
    table, labels = planted_shop()
    large = (np.arange(len(labels)) % 5 < 2).astype(int)
    order_value = table.data["order_value"].to_numpy() * np.where(large, 3.0, 1.0)
    table = replace(table, data=table.data.set_column(2, "order_value", pa.array(order_value)))
    micro = labels * 2 + large
    found = explain(
        table,
        grouping(
            table,
            labels,
            micro_labels=micro.astype(np.int32),
            micro_parent=(0, 0, 1, 1, 2, 2, 3, 3),
            micro_stability=(None,) * 8,
        ),
    )
    assert len(found.micro) == 8
    names = {s.id: s.name for s in found.segments}
    for number, slice_id in enumerate(found.micro_of):
        piece = next(m for m in found.micro if m.id == slice_id)
        assert piece.parent == found.segment_of[number // 2]
        assert piece.name.startswith(f"{names[piece.parent]} · ")
        assert piece.size == int((micro == number).sum())
        assert piece.description.startswith(f"A slice of {names[piece.parent]}: ")
    assert {m.name for m in found.micro if m.parent == found.segment_of[1]} == {
        "Slipping away · larger orders",
        "Slipping away · in the middle",  # three in five: they are what is typical, and nothing is claimed of them
    }


def test_every_keyword_of_duckdb_is_quoted() -> None:
    import duckdb

    words = duckdb.sql("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'").fetchall()
    assert len(words) > 50
    assert all(quoted(word) == f'"{word}"' for (word,) in words)
    assert quoted("orders") == "orders"


def readers(features: tuple[FeatureInfo, ...], columns: dict[str, np.ndarray]) -> tuple[FeatureTable, np.ndarray]:
    """Two kinds of readers of a site, 200 each, who buy nothing."""
    data = pa.table({name: values.astype(float) for name, values in columns.items()})
    return FeatureTable(pa.array(np.arange(400)), data, features), np.repeat([0, 1], 200)


def test_people_who_bought_nothing_are_no_buyers() -> None:
    features = (
        FeatureInfo("recency_days", "Days since last activity", unit="days", idea="recency"),
        FeatureInfo("events_90d", "Events in 90 days", unit="events", idea="frequency"),
        FeatureInfo("pause_days", "Days between active days", unit="days", idea="rhythm"),
    )
    rng = np.random.default_rng(4)
    often = np.concatenate([rng.integers(15, 30, 200), np.ones(200)])
    recency = np.concatenate([rng.uniform(1, 5, 200), rng.uniform(60, 80, 200)])
    pause = np.concatenate([rng.uniform(2, 4, 200), rng.uniform(50, 60, 200)])
    columns = {"recency_days": recency, "events_90d": often, "pause_days": pause}
    table, labels = readers(features, columns)
    segments = explain(table, grouping(table, labels)).segments
    told = " ".join(f"{s.name} {s.description} {s.rule.text if s.rule else ''}" for s in segments)
    for word in (
        "buyer",
        "order",
        "spender",
        "once",
        "1 events",
        "days between active at",
        "days between active under",
    ):
        assert word not in told.lower()
    assert "1 event in 90 days" in told


@pytest.mark.parametrize(("seldom", "promised"), [(1, True), (0, False)])
def test_one_is_once_only_where_the_first_time_is_counted(seldom: int, promised: bool) -> None:
    features = (
        FeatureInfo("frequency", "Frequency", unit="count", idea="frequency"),
        FeatureInfo("score", "Score"),
    )
    rng = np.random.default_rng(4)
    often = np.concatenate([np.full(200, 1 + seldom * 4), np.full(180, 1 - (1 - seldom)), np.ones(20)])
    table, labels = readers(features, {"frequency": often, "score": rng.normal(size=400) + 5 * (often > 1)})
    names = [s.name for s in explain(table, grouping(table, labels)).segments]
    assert any("once" in name.lower() for name in names) is promised


def test_four_corners_of_spend_and_orders_have_four_names() -> None:
    features = (
        FeatureInfo("orders", "Orders", unit="orders", idea="frequency"),
        FeatureInfo("spend", "Spend", unit="money", idea="value"),
    )
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2, 3], 100)
    orders = np.array([3, 3, 30, 30])[labels] + rng.integers(0, 3, 400)
    spend = np.array([50, 900, 50, 900])[labels] * rng.uniform(0.9, 1.1, 400)
    data = pa.table({"orders": orders.astype(float), "spend": spend})
    table = FeatureTable(pa.array(np.arange(400)), data, features)
    names = {s.name for s in explain(table, grouping(table, labels)).segments}
    assert len(names) == 4
    assert not any(name[-1].isdigit() for name in names)
