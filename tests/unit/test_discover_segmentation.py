"""From a table to `<segmentation>`: deterministic, JSON without NaN, honest where there is nothing to find."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from kohort.discovery.discover import describe, discover
from kohort.discovery.grouping import Grouping
from kohort.discovery.labels import adjusted_rand, compare
from kohort.discovery.map import draw, pca, stratified
from kohort.discovery.tiers import tiers
from kohort.errors import BadInput, NotFound, WrongUsage
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.segmentation import Estimate, Structure, segmentation_from_dict

INFO = (
    FeatureInfo("orders", "Orders", unit="orders", idea="frequency"),
    FeatureInfo("order_value", "Order value", unit="money", idea="basket"),
    FeatureInfo("gap_days", "Days between orders", unit="days", idea="rhythm", missing="no second order yet"),
    FeatureInfo("tier", "Loyalty tier", type="text", unit="text", idea="trait"),
)


def planted(seed: int = 0, rows: int = 1200) -> tuple[FeatureTable, np.ndarray]:
    """Three groups far apart; the company's tier is right for two of them and mixes the third."""
    rng = np.random.default_rng(seed)
    label = rng.integers(3, size=rows)
    orders = np.array([1, 6, 20])[label] + rng.poisson(np.array([0.05, 1, 3])[label])
    value = rng.lognormal(np.log(np.array([30, 60, 400])[label]), 0.15)
    gap = np.where(orders > 1, rng.lognormal(np.log(np.array([60, 90, 20])[label]), 0.2), np.nan)
    tier = np.array(["Basic", "Basic", "Gold"], dtype=object)[label]
    tier[rng.random(rows) < 0.1] = None
    data = {"orders": orders.astype(float), "order_value": value, "gap_days": gap, "tier": pa.array(tier, pa.string())}
    ids = pa.array([f"c{i}" for i in range(rows)])
    return FeatureTable(ids, pa.table(data), INFO, as_of=0, value=orders * value, currency="EUR"), label


def grouping(table: FeatureTable, labels: np.ndarray, verdict: str = "spectrum") -> Grouping:
    prepared = np.column_stack([np.log(table.data[n].to_numpy()) for n in ("orders", "order_value")])
    k = int(labels.max()) + 1
    return Grouping(
        algorithm="kmeans",
        k=k,
        labels=labels.astype(np.int32),
        confidence=np.full(len(labels), 0.8, np.float32),
        structure=Structure(verdict, {"gap": 0.1}, "As found."),  # type: ignore[arg-type]
        candidates=(),
        stability=(Estimate(0.9, 0.8, 1.0),) * k,
        features=(),
        sample=np.arange(len(labels)),
        prepared=prepared.astype(np.float32),
        used=("orders", "order_value"),
        assigner=None,  # type: ignore[arg-type]
        gate="limited",
        tree=((0, 1, 1.0, 800), (2, 3, 2.0, 1200)),
    )


def test_json_has_no_nan_and_reads_back() -> None:
    table, label = planted()
    found = describe(table, grouping(table, label), labels=table.data["tier"].to_pylist()).segmentation
    text = json.dumps(found.as_dict(), allow_nan=False)
    assert segmentation_from_dict(json.loads(text)).as_dict() == json.loads(text) | {
        "tree": found.as_dict()["tree"],
        **{k: found.as_dict()[k] for k in ("candidates", "segments", "micro", "features", "layers", "map", "warnings")},
        "map_axes": found.map_axes,
    }


def test_rows_know_their_segment_whatever_the_group_numbers() -> None:
    table, label = planted()
    label = np.where(np.arange(len(label)) < 7, -1, label)
    found = describe(table, grouping(table, label))
    ids = found.segment_ids().to_pylist()
    assert [i is None for i in ids[:8]] == [True] * 7 + [False]
    for segment in found.segmentation.segments:
        assert ids.count(segment.id) == segment.size
    assert sum(s.size for s in found.segmentation.segments) + found.segmentation.outliers == len(table)
    assert found.segmentation.outliers == 7
    assert any("left out" in w for w in found.segmentation.warnings)


def test_tree_speaks_of_segments_by_place() -> None:
    table, label = planted()
    found = describe(table, grouping(table, label))
    place = {g: int(found.segment_of[g][1:]) - 1 for g in range(3)}
    assert found.segmentation.tree == ((place[0], place[1], 1.0, 800), (place[2], 3, 2.0, 1200))


def test_nothing_found_means_no_segments_but_tiers() -> None:
    table, label = planted()
    found = describe(table, grouping(table, label, "none")).segmentation
    assert (found.k, found.segments, found.outliers) == (0, (), 0)
    assert found.structure.text == "As found."
    parts = found.alternatives["tiers"]
    value = np.asarray(table.value)
    assert sum(t["size"] for t in parts) == len(table)
    assert sum(t["revenue_share"] for t in parts) == pytest.approx(1)
    for t in parts:
        low = -np.inf if t["from"] is None else t["from"]
        high = np.inf if t["below"] is None else t["below"]
        inside = (value >= low) & (value < high)
        assert t["size"] == inside.sum()
        assert t["revenue"] == pytest.approx(value[inside].sum())


def test_groups_asked_for_by_number_stay_with_the_verdict() -> None:
    table, label = planted()
    found = describe(table, grouping(table, label, "none"), asked=True).segmentation
    assert len(found.segments) == 3
    assert found.structure.verdict == "none"
    assert found.alternatives["kind"] == "tiers"


def test_few_customers_are_told_that_rules_serve_them_better() -> None:
    table, label = planted(rows=200)
    found = describe(table, replace(grouping(table, label), gate="insufficient", warnings=("First.",))).segmentation
    assert found.warnings[0] == "First."
    assert any("under 1,000 customers rules serve you better" in w.lower() for w in found.warnings)


def test_tiers_need_value() -> None:
    table, _ = planted()
    assert tiers(replace(table, value=None)) == {}
    assert tiers(replace(table, value=np.full(len(table), 5.0))) == {}
    spend = replace(
        table.select(["order_value"]),
        value=None,
        features=(FeatureInfo("order_value", "Spend", unit="money", idea="value"),),
    )
    assert tiers(spend)["by"] == "spend"


def test_agreement_equals_scikit_learns() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = rng.integers(4, size=500), rng.integers(3, size=500)
    theirs[:300] = ours[:300] % 3
    counts = np.zeros((4, 3), dtype=np.int64)
    np.add.at(counts, (ours, theirs), 1)
    assert adjusted_rand(counts) == pytest.approx(adjusted_rand_score(ours, theirs))
    table, label = planted()
    found = describe(table, grouping(table, label))
    brought = table.data["tier"].to_pylist()
    result = compare(brought, found.grouping.labels, found.segmentation.segments, found.segment_of)
    known = np.array([b is not None for b in brought])
    names = [b for b in brought if b]
    assert result["agreement"]["value"] == pytest.approx(adjusted_rand_score(names, label[known]))
    assert result["mutual"] == pytest.approx(adjusted_mutual_info_score(names, label[known]))
    assert result["agreement"]["low"] <= result["agreement"]["value"] <= result["agreement"]["high"]
    assert result["customers"] == known.sum()
    assert result["unlabelled"] == (~known).sum()


def test_a_label_that_mixes_two_behaviours_is_proposed_to_be_split() -> None:
    table, label = planted()
    found = describe(table, grouping(table, label), labels=table.data["tier"].to_pylist()).segmentation
    (split,) = found.labels["splits"]
    assert split["label"] == "Basic"
    assert split["text"].startswith("Your “Basic” holds two groups that behave differently: ")
    assert {p["segment"] for p in split["parts"]} == {
        s.id for s in found.segments if not s.name.startswith("Frequent big")
    }
    row = next(r for r in found.labels["table"] if r["label"] == "Gold")
    assert sum(row["segments"].values()) + row["left_out"] == row["size"]


def test_labels_that_behave_alike_are_said_to() -> None:
    table, label = planted()
    halves = np.array(["North", "South"])[np.arange(len(label)) % 2]
    brought = [h if lab == 0 else "Other" for h, lab in zip(halves, label, strict=True)]
    merged = describe(table, grouping(table, label), labels=brought).segmentation.labels["merges"]
    assert [m["labels"] for m in merged] == [["North", "South"]]
    assert "behave alike" in merged[0]["text"]


def test_labels_must_fit_the_customers() -> None:
    table, label = planted()
    with pytest.raises(BadInput):
        describe(table, grouping(table, label), labels=["a"])
    with pytest.raises(BadInput):
        describe(table, grouping(table, label), labels=[str(i) for i in range(len(table))])


def test_map_keeps_what_scikit_learns_pca_keeps() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5))
    places, explained, _ = pca(points)
    peer = PCA(2).fit(points)
    assert explained == pytest.approx(peer.explained_variance_ratio_.sum())
    assert np.abs(places) == pytest.approx(np.abs(peer.transform(points)))


def test_map_shows_every_segment_and_says_what_its_axes_mean() -> None:
    table, label = planted(rows=4000)
    label[label == 2] = 1
    label[:3] = 2  # three customers of four thousand
    drawn = draw(table, grouping(table, label), ("s1", "s2", "s3"))
    assert len(drawn.points) <= 2000
    assert {p.segment for p in drawn.points} == {"s1", "s2", "s3"}
    assert drawn.axes[0] == "more orders, higher order value"
    assert drawn.explained == pytest.approx(1)


def test_axis_words_follow_the_values_not_the_sign_of_the_preparation() -> None:
    table, label = planted()
    flipped = grouping(table, label)
    flipped = replace(flipped, prepared=-flipped.prepared)
    assert draw(table, flipped, ("s1", "s2", "s3")).axes[0] == "fewer orders, lower order value"


def test_a_single_feature_still_gives_a_map() -> None:
    places, explained, _ = pca(np.arange(10.0)[:, None])
    assert places.shape == (10, 2)
    assert explained == 1


def test_a_thinned_sample_is_in_proportion() -> None:
    labels = np.repeat([0, 1, 2], [9000, 900, 100])
    chosen = stratified(labels, 1000, np.random.default_rng(0))
    assert np.bincount(labels[chosen]).tolist() == [900, 90, 10]
    assert len(set(chosen.tolist())) == len(chosen)


def test_unknown_maps_are_refused() -> None:
    table, label = planted()
    with pytest.raises(WrongUsage):
        draw(table, grouping(table, label), ("s1", "s2", "s3"), method="globe")


def test_discover_finds_and_explains_planted_groups() -> None:
    table, label = planted()
    found = discover(table, algorithm="kmeans", k=3, labels="tier")
    again = discover(table, algorithm="kmeans", k=3, labels="tier")
    assert replace(found.segmentation, seconds=None) == replace(again.segmentation, seconds=None)
    inside = found.grouping.labels >= 0
    assert adjusted_rand_score(label[inside], found.grouping.labels[inside]) > 0.9
    assert "tier" not in {f.feature for f in found.segmentation.features}
    assert found.segmentation.labels["customers"] > 1000
    assert found.segmentation.segments[0].name == "Frequent big spenders"
    assert found.segmentation.seconds is not None
    json.dumps(found.segmentation.as_dict(), allow_nan=False)


def test_labels_of_an_unknown_feature_are_refused() -> None:
    table, _ = planted()
    with pytest.raises(NotFound):
        discover(table, labels="teir")
    with pytest.raises(WrongUsage):
        discover(table.select(["tier"]), labels="tier")


def test_of_a_crowd_everybody_is_on_the_map() -> None:
    table, _ = planted(rows=12_000)
    found = discover(table, algorithm="kmeans", k=3).segmentation
    assert sum(p.customers for p in found.map) == 12_000 - table.data["tier"].null_count, "of whom everything is known"
    assert len(found.map) < 5_000
    assert {p.segment for p in found.map} <= {s.id for s in found.segments} | {""}
    assert all(-0.05 <= p.x <= 1.05 and -0.05 <= p.y <= 1.05 for p in found.map)
    assert segmentation_from_dict(json.loads(json.dumps(found.as_dict()))).map == found.map
