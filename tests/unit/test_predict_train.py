"""From a table to a model that was checked, or to the reason why there is none."""

import numpy as np
import pyarrow as pa
import pytest

from kohort.errors import BadInput, NotEnough, NotFound, WrongUsage
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.folds import make_folds
from kohort.predict.labels import take_labels
from kohort.predict.model import model_from_bytes
from kohort.predict.train import Costs, Trained, train
from kohort.predict.why import pushes, why


def table(columns: dict[str, object], **infos: FeatureInfo) -> FeatureTable:
    data = pa.table(columns)
    kinds = {pa.string(): "text", pa.bool_(): "flag"}
    made = tuple(
        infos.get(n, FeatureInfo(n, n.capitalize(), kinds.get(data[n].type, "number")))  # type: ignore[arg-type]
        for n in data.column_names
    )
    return FeatureTable(pa.array(range(data.num_rows)), data, made)


def customers(rows: int, seed: int = 0) -> tuple[FeatureTable, np.ndarray]:
    """Churn grows with days away and falls with orders; the plan matters; one column is noise, one has gaps."""
    rng = np.random.default_rng(seed)
    away, orders = rng.exponential(60, rows), rng.poisson(4, rows)
    plan = rng.choice(["basic", "plus", "pro"], rows)
    gaps = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows))
    z = 0.02 * (away - 60) - 0.4 * (orders - 4) - 0.8 * (plan == "pro") - 0.6
    y = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(float)
    return table(
        {"away": away, "orders": orders.astype(float), "plan": plan, "gaps": pa.array(gaps, from_pandas=True)}
    ), y


@pytest.fixture(scope="module")
def found() -> Trained:
    return train(*customers(900))


def codes(report: dict[str, object]) -> dict[str, str]:
    return {w["code"]: w["feature"] for w in report["warnings"]}  # type: ignore[attr-defined]


def test_a_linear_world_gets_the_simplest_model_and_probabilities_that_hold(found: Trained) -> None:
    report = found.report
    assert report["eligible"]
    assert report["model"] == "logistic"
    assert report["metrics"]["roc_auc"]["low"] > 0.65
    assert report["metrics"].keys() >= {
        "roc_auc", "average_precision", "log_loss", "brier", "calibration_error", "f1", "precision", "recall",
    }  # fmt: skip
    assert "accuracy" not in report["metrics"]
    for e in report["metrics"].values():
        assert e["low"] <= e["value"] <= e["high"] or e["low"] > e["value"], "resamples of a distance may lie above it"
    assert report["baseline"]["one_feature"]["roc_auc"]["value"] < report["metrics"]["roc_auc"]["value"]
    assert [c["share"] for c in report["learning_curve"]] == [0.25, 0.5, 1.0]
    assert sum(c["chosen"] for c in report["candidates"]) == 1
    assert found.model is not None
    fresh, y = customers(4_000, seed=5)
    p = found.model.probability(fresh.data)
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 1)):
        some = (p >= low) & (p < high)
        assert y[some].mean() == pytest.approx(p[some].mean(), abs=0.06)


def test_trees_are_taken_where_features_only_count_together() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=1_500), rng.normal(size=1_500)
    y = ((a > 0) ^ (b > 0) ^ (rng.random(1_500) < 0.1)).astype(float)
    report = train(table({"a": a, "b": b}), y).report
    assert report["model"] in ("tree", "forest", "boosting")
    assert report["metrics"]["roc_auc"]["value"] > 0.8


def test_the_same_table_and_seed_give_the_same_bytes(found: Trained) -> None:
    again = train(*customers(900))
    assert again.report == found.report
    assert again.model is not None
    assert found.model is not None
    assert again.model.to_bytes() == found.model.to_bytes()
    assert model_from_bytes(again.model.to_bytes()).id == found.model.id


def test_shuffled_labels_have_no_signal() -> None:
    said = 0
    for seed in range(8):
        features, y = customers(400, seed)
        report = train(features, np.random.default_rng(seed).permutation(y), seed=seed).report
        said += report["code"] == "no_signal"
        assert report["eligible"] == (report["model"] is not None)
    assert said >= 7


def test_too_few_is_an_answer() -> None:
    features, y = customers(400)
    y[np.flatnonzero(y)[40:]] = 0
    report = train(features, y).report
    assert (report["eligible"], report["code"], report["positives"]) == (False, "too_few", 40)
    assert "40 customers" in report["reason"]


def test_many_rows_of_few_customers_are_few() -> None:
    features, y = customers(600)
    assert train(features, y, groups=np.arange(600) % 40).report["code"] == "too_few"


def test_the_threshold_follows_from_the_costs() -> None:
    features, y = customers(500)
    report = train(features, y, costs=Costs(missed=9, alarm=1)).report
    assert report["threshold"]["value"] == pytest.approx(0.1)
    assert train(features, y).report["threshold"]["value"] == pytest.approx(y.mean())
    with pytest.raises(WrongUsage):
        Costs(missed=0)


def test_what_knows_the_outcome_is_left_out_and_said() -> None:
    rng = np.random.default_rng(0)
    features, y = customers(600)
    columns = dict(zip(features.data.column_names, features.data.columns, strict=True))
    leaky = table(
        {
            **columns,
            "naive_bayes": y * 0.9 + rng.random(600) * 0.05,
            "customer_id": rng.permutation(600) + 1_000,
            "parking": np.where((y == 0) & (rng.random(600) < 0.5), 1.0, 0.0),
            "call_duration": rng.normal(size=600),
        }
    )
    report = train(leaky, y).report
    assert codes(report) == {
        "too_good": "naive_bayes",
        "identifier": "customer_id",
        "settles_it": "parking",
        "known_afterwards": "call_duration",
    }
    assert {w["feature"] for w in report["warnings"] if w["left_out"]} == {"naive_bayes", "customer_id"}
    assert report["features"] == 6
    kept = train(leaky, y, keep=["naive_bayes"], drop=["parking"]).report
    assert kept["metrics"]["roc_auc"]["value"] > 0.99
    with pytest.raises(NotFound, match="naive_bayes"):
        train(leaky, y, drop=["naive_byes"])


def test_rows_made_up_before_the_table_came_are_told() -> None:
    features, y = customers(600)
    rare = np.flatnonzero(y)
    rng = np.random.default_rng(0)
    extra = int((y == 0).sum() - len(rare))
    a, b = rng.choice(rare, extra), rng.choice(rare, extra)
    orders = features.data["orders"].to_numpy()
    mixed = orders[a] + rng.random(extra) * (orders[b] - orders[a])
    smote = table(
        {
            "orders": np.concatenate([orders, mixed]),
            "away": np.concatenate([features.data["away"].to_numpy()] * 2)[: 600 + extra],
        }
    )
    assert "made_up_rows" in codes(train(smote, np.concatenate([y, np.ones(extra)])).report)
    again = np.concatenate([np.arange(600), np.repeat(rare, 3)])
    repeated = train(
        FeatureTable(pa.array(range(len(again))), features.data.take(pa.array(again)), features.features), y[again]
    ).report
    assert "repeated_rows" in codes(repeated)


def test_copies_are_never_on_both_sides_of_a_fold() -> None:
    rng = np.random.default_rng(1)
    noise, y = rng.normal(size=(300, 3)), (rng.random(300) < 0.5).astype(float)
    thrice = np.tile(noise, (3, 1))
    report = train(table({n: thrice[:, i] for i, n in enumerate("abc")}), np.tile(y, 3)).report
    assert report["code"] == "no_signal", "copies that a model has seen would give it away"


def test_folds_keep_customers_apart_and_the_past_before_the_future() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 200, 1_000)
    time = rng.integers(0, 6, 1_000).astype(float)
    y = (rng.random(1_000) < 0.3).astype(float)
    folds = make_folds(y, groups, time=time, known_at=time + 1)
    assert folds.cut is not None
    for fold in folds.folds:
        assert not set(groups[fold.learn]) & set(groups[fold.judge])
        assert (time[fold.learn] + 1).max() <= folds.cut <= time[fold.judge].min()
    assert sorted(folds.judged) == np.flatnonzero(time >= folds.cut).tolist()
    plain = make_folds(y, groups)
    assert plain.judged.tolist() == list(range(1_000))
    assert all(0.2 < y[f.judge].mean() < 0.4 for f in plain.folds)
    with pytest.raises(NotEnough):
        make_folds(y, groups, time=time, known_at=time + 10)
    with pytest.raises(NotEnough):
        make_folds(y, groups, time=time * 0)


def test_a_rule_that_changed_over_time_is_judged_on_the_later_rows() -> None:
    features, y = customers(1_500)
    time = np.arange(1_500.0)
    late = time > 1_050
    y[late] = np.random.default_rng(3).permutation(y[late])
    assert train(features, y).report["eligible"]
    assert train(features, y, time=time).report["code"] == "no_signal"


def test_reasons_are_the_models_own(found: Trained) -> None:
    assert found.model is not None
    features, _ = customers(200, seed=8)
    p, push = pushes(found.model, features.data)
    assert p[:, 0] == pytest.approx(found.model.probability(features.data))
    typical = found.model.encoder.matrix(features.data.slice(0, 1))
    typical[0] = [c.typical for c in found.model.encoder.columns]
    z = np.log(p[:, 0] / (1 - p[:, 0]))
    base = float(found.model.of_matrix(typical)[0])
    assert z - push.sum(axis=1) == pytest.approx(np.log(base / (1 - base)), abs=1e-4), "they add up, for a linear model"
    for reason in (r for w in why(found.model, features.data.slice(0, 20)) for r in (*w.up, *w.down)):
        assert reason.label in reason.text
    worst = why(found.model, table({"away": [400.0], "orders": [0.0], "plan": ["basic"], "gaps": [0.0]}).data)[0]
    assert worst.up[0].feature == "away"
    assert worst.up[0].instead < worst.probability


def test_which_outcome_is_meant() -> None:
    def positive(values: list[object], asked: str | None = None) -> str:
        t = table({"x": [1.0] * len(values), "left": values})
        return take_labels(t, "left", asked)[1].positive

    assert positive(["No", "Yes", "Yes"]) == "Yes"
    assert positive([True, False, None]) == "yes"
    assert positive(["Existing Customer", "Attrited Customer", "Existing Customer"]) == "Attrited Customer"
    assert positive([0, 1, 1]) == "1"
    assert positive(["a", "b", "c"], "B") == "b"
    with pytest.raises(BadInput, match="3 different values"):
        positive(["a", "b", "c"])
    with pytest.raises(BadInput):
        positive(["a", "a"])
    with pytest.raises(NotFound):
        positive(["a", "b"], "z")
    t, labels = take_labels(table({"x": [1.0, 2, 3], "left": ["yes", None, "no"]}), "left")
    assert labels.y.tolist()[0] == 1
    assert np.isnan(labels.y[1])
    assert t.data.column_names == ["x"]
