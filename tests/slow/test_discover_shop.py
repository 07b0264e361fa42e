"""The bundled shop: every figure of the explanation against plain pandas on the same customers."""

import operator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kohort.discovery.assign import assigner_from_bytes
from kohort.discovery.discover import Discovery, describe, discover
from kohort.discovery.map import draw
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.segments import adopt, adopted, members, run
from kohort.store import create_store

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[2] / "src" / "kohort" / "data" / "online_retail_ii"
SIGNS = {">=": operator.ge, "<": operator.lt, "<=": operator.le}
INFO = (
    FeatureInfo("recency_days", "Days since last order", unit="days", idea="recency"),
    FeatureInfo("orders", "Orders", unit="orders", idea="frequency"),
    FeatureInfo("spend", "Spend", unit="money", idea="value"),
    FeatureInfo("order_value", "Order value", unit="money", idea="basket"),
    FeatureInfo("tenure_days", "Days since first order", unit="days", idea="tenure"),
    FeatureInfo("gap_days", "Days between orders", unit="days", idea="rhythm", missing="no second order yet"),
    FeatureInfo("country", "Country", type="text", unit="text", idea="trait"),
)


def table_at(lines: pd.DataFrame, moment: pd.Timestamp) -> tuple[pd.DataFrame, FeatureTable]:
    past = lines[lines.InvoiceDate <= moment]
    orders = past.groupby(["Customer ID", "Invoice"]).agg(t=("InvoiceDate", "min"), amount=("amount", "sum"))
    of = orders.reset_index().groupby("Customer ID")
    count = of.size().astype(float)
    day = pd.Timedelta(days=1)
    span = (of.t.max() - of.t.min()) / day
    frame = pd.DataFrame(
        {
            "recency_days": (moment - of.t.max()) / day,
            "orders": count,
            "spend": of.amount.sum(),
            "order_value": of.amount.sum() / count,
            "tenure_days": (moment - of.t.min()) / day,
            "gap_days": (span / (count - 1)).where(count > 1),
            "country": past.groupby("Customer ID").Country.first(),
        }
    )
    table = FeatureTable(
        pa.array(frame.index.astype("int64")),
        pa.Table.from_pandas(frame, preserve_index=False),
        INFO,
        as_of=int(moment.timestamp() * 1_000_000),
        value=frame.spend.to_numpy(),
        currency="GBP",
    )
    return frame, table


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    columns = ["Invoice", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
    both = pd.concat(pd.read_parquet(p, columns=columns) for p in sorted(DATA.glob("*.parquet")))
    kept = both[both["Customer ID"].notna() & (both.Quantity > 0) & (both.Price > 0)].drop_duplicates()
    return kept.assign(amount=kept.Quantity * kept.Price)


@pytest.fixture(scope="module")
def shop(lines: pd.DataFrame) -> tuple[pd.DataFrame, FeatureTable, Discovery]:
    frame, table = table_at(lines, lines.InvoiceDate.max())
    return frame, table, discover(table, algorithm="kmeans", k=6)


def test_sizes_and_revenue_are_pandas(shop: tuple[pd.DataFrame, FeatureTable, Discovery]) -> None:
    frame, _, found = shop
    placed = frame.assign(segment=found.segment_ids().to_pylist())
    by_segment = placed.groupby("segment").spend.agg(["size", "sum"])
    for segment in found.segmentation.segments:
        assert segment.size == by_segment.loc[segment.id, "size"]
        assert segment.share == pytest.approx(segment.size / len(frame))
        assert segment.revenue == pytest.approx(by_segment.loc[segment.id, "sum"])
        assert segment.description.startswith(f"{segment.size:,} customers ")
    assert sum(s.revenue_share for s in found.segmentation.segments) == pytest.approx(1)
    revenue = [s.revenue for s in found.segmentation.segments]
    assert revenue == sorted(revenue, reverse=True)


def test_typical_members_are_pandas_medians(shop: tuple[pd.DataFrame, FeatureTable, Discovery]) -> None:
    frame, _, found = shop
    placed = frame.assign(segment=found.segment_ids().to_pylist())
    overall = frame.drop(columns="country").median()
    checked = 0
    for segment in found.segmentation.segments:
        members_of = placed[placed.segment == segment.id]
        for d in segment.different:
            if d.feature == "country" or d.value is None:
                continue
            assert d.value == pytest.approx(members_of[d.feature].median())
            assert d.average == pytest.approx(overall[d.feature])
            if abs(d.effect) > 0.5:
                assert np.sign(d.effect) == np.sign(d.value - d.average)
            checked += 1
    assert checked >= 20


def test_rules_mean_what_pandas_says(shop: tuple[pd.DataFrame, FeatureTable, Discovery]) -> None:
    frame, _, found = shop
    ids = np.array(found.segment_ids().to_pylist(), dtype=object)
    for segment in found.segmentation.segments:
        assert segment.rule is not None
        met = np.ones(len(frame), dtype=bool)
        for condition in segment.rule.expression.split(" AND "):
            feature, sign, bound = condition.split(" ", 2)
            met &= SIGNS[sign](frame[feature].to_numpy(), float(bound))
        inside = ids == segment.id
        assert segment.rule.fidelity == pytest.approx((met & inside).sum() / met.sum())
        assert segment.rule.coverage == pytest.approx((met & inside).sum() / inside.sum())
        assert segment.rule.fidelity > 0.6
        assert segment.rule.expression.count(" AND ") <= 2


def test_words_of_names_are_true(shop: tuple[pd.DataFrame, FeatureTable, Discovery]) -> None:
    frame, _, found = shop
    placed = frame.assign(segment=found.segment_ids().to_pylist())
    overall = frame.drop(columns="country").median()
    for segment in found.segmentation.segments:
        typical = placed[placed.segment == segment.id].drop(columns=["country", "segment"]).median()
        name = segment.name.lower()
        if "frequent" in name or "regulars" in name:
            assert typical.orders > overall.orders
        if "quiet" in name:
            assert typical.recency_days > overall.recency_days
        if "newcomers" in name:
            assert typical.tenure_days < overall.tenure_days
        if "big spenders" in name:
            assert typical.spend > overall.spend
        if "small" in name and "orders" in name:
            assert typical.order_value < overall.order_value
    assert found.segmentation.segments[0].name == "Frequent big spenders"


def test_explaining_repeats(shop: tuple[pd.DataFrame, FeatureTable, Discovery]) -> None:
    _, table, found = shop
    again = describe(table, found.grouping, asked=True)
    assert replace(again.segmentation, seconds=None) == replace(found.segmentation, seconds=None)


def test_t_sne_keeps_neighbours_of_a_segment_together(shop: tuple[pd.DataFrame, FeatureTable, Discovery]) -> None:
    pytest.importorskip("openTSNE")
    from sklearn.neighbors import NearestNeighbors

    _, table, found = shop
    rows = found.grouping.sample[:1500]
    small = replace(found.grouping, sample=rows, prepared=found.grouping.prepared[:1500])
    drawn = draw(table, small, found.segment_of, method="tsne")
    places = np.array([(p.x, p.y) for p in drawn.points])
    ids = np.array([p.segment for p in drawn.points])
    near = NearestNeighbors(n_neighbors=6).fit(places).kneighbors(places, return_distance=False)[:, 1:]
    assert (drawn.method, drawn.explained, drawn.axes) == ("tsne", None, ())
    assert (ids[near] == ids[:, None]).mean() > 0.6


def test_adopted_segments_place_later_customers_and_keep_their_names(lines: pd.DataFrame, tmp_path: Path) -> None:
    """Found in June, run in September, found again in December: the same names, and who moved adds up."""
    store = create_store(tmp_path)
    june, september = (table_at(lines, pd.Timestamp(d))[1] for d in ("2011-06-01", "2011-09-01"))
    first = discover(june, algorithm="kmeans", k=4)
    load = assigner_from_bytes

    def adopt_as(table: FeatureTable, found: Discovery) -> object:
        return adopt(
            store,
            "Main",
            found.segmentation,
            table,
            groups=found.grouping.labels,
            confidence=found.grouping.confidence,
            segment_of=found.segment_of,
            assigner=found.grouping.assigner.to_bytes(),
            load=load,
        )

    adopt_as(june, first)
    before = members(store, "Main").to_pandas().set_index("customer").segment
    assert before.value_counts().to_dict() == {s.id: s.size for s in first.segmentation.segments}

    moved = run(store, "Main", september, load=load)
    now = members(store, "Main").to_pandas().set_index("customer").segment
    both = before.index.intersection(now.index)
    assert moved.stayed == int((before[both] == now[both]).sum())
    assert moved.moved == int((before[both] != now[both]).sum())
    assert moved.entered == len(now) - len(both)
    assert sum(f.customers for f in moved.flows) == len(before.index.union(now.index))

    again = discover(september, algorithm="kmeans", k=4, seed=0)
    adopt_as(september, again)
    kept = adopted(store, "Main")
    assert len(set(kept.titles) & {s.id for s in first.segmentation.segments}) >= 3
    for segment in first.segmentation.segments:
        if segment.id in kept.titles:
            assert kept.titles[segment.id] == segment.name
