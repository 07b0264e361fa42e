"""Customers of whom not everything is known are placed by what is, nothing stands for the rest, and that is measured."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

from kohort.cli.app import app
from kohort.discovery.algorithms import Model, fit_dense, fit_kmeans, fit_mixture
from kohort.discovery.assign import assigner_from_bytes
from kohort.discovery.discover import discover
from kohort.discovery.group import group
from kohort.discovery.layers import MOST, unknown_words
from kohort.discovery.partial import label_known
from kohort.discovery.prepare import fit_preparation
from kohort.discovery.worlds import blobs, table_of
from kohort.errors import NotEnough
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import segmentation_from_dict


def rng(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


def prepared(apart: float = 5.0, rows: int = 1_500) -> np.ndarray:
    return blobs(rng(), rows, 3, 4, apart, stretch=2)[0].astype(np.float32)


def holes(shape: tuple[int, int], share: float = 0.35) -> np.ndarray:
    known = rng(6).random(shape) > share
    known[0] = False
    known[1] = True
    return known


def hidden(columns: list[np.ndarray], gone: dict[int, np.ndarray]) -> FeatureTable:
    return table_of([np.where(gone[i], np.nan, c) if i in gone else c for i, c in enumerate(columns)])


# -- The three families against their own formulas ---------------------------------------------------------------------


def test_the_nearest_centre_is_looked_for_among_the_known_columns() -> None:
    X, known = prepared(), holes((1_500, 4))
    model = fit_kmeans(X, 3)
    labels, confidence = label_known(model, np.where(known, X, 99).astype(np.float32), known)
    for i in range(1, 300):
        far = [sum((X[i, j] - c[j]) ** 2 for j in range(4) if known[i, j]) for c in model.arrays["centres"]]
        if known[i].any():
            assert far[labels[i]] == pytest.approx(min(far), abs=1e-4)
    assert (labels[~known.any(axis=1)] == -1).all()
    assert (confidence[~known.any(axis=1)] == 0).all()


def test_a_gaussian_group_is_seen_through_its_marginal_distribution() -> None:
    X, known = prepared(4.0), holes((1_500, 4))
    model = fit_mixture(X, fit_kmeans(X, 3).label(X)[0])
    a = {name: value.astype(float) for name, value in model.arrays.items()}
    S = np.linalg.inv(a["whiten"] @ a["whiten"].transpose(0, 2, 1))
    weights = np.exp(a["offset"] + 0.5 * np.linalg.slogdet(S)[1])
    assert weights.sum() == pytest.approx(1, abs=1e-3)
    labels, confidence = label_known(model, X, known)
    for i in range(1, 300):
        K = np.flatnonzero(known[i])
        if len(K):
            part = [multivariate_normal(a["means"][g][K], S[g][np.ix_(K, K)]).pdf(X[i, K]) for g in range(3)]
            posterior = weights * part / (weights @ part)
            assert posterior[labels[i]] == pytest.approx(posterior.max(), abs=2e-3)
            assert confidence[i] == pytest.approx(posterior.max(), abs=2e-3)


def test_dense_rows_are_near_by_what_the_known_columns_leave_open() -> None:
    X, known = prepared(9.0), holes((1_500, 4), 0.2)
    model = fit_dense(X, 40)
    assert model is not None
    a = {name: value.astype(float) for name, value in model.arrays.items()}
    labels, _ = label_known(model, X, known)
    for i in range(1, 200):
        K = np.flatnonzero(known[i])
        if len(K):
            A, away = a["axes"][K], X[i, K] - a["mean"][K]
            rest = np.linalg.lstsq(A, away, rcond=None)[0]
            least = ((away - A @ rest) ** 2).sum()
            squares = ((away - a["points"] @ A.T) ** 2).sum(axis=1) - least
            reaches = [
                np.sqrt(max(squares[a["groups"] == g].min(), 0)) / (a["reach"][g] * np.sqrt(len(K) / 4))
                for g in range(model.k)
            ]
            if labels[i] >= 0:
                assert reaches[labels[i]] == pytest.approx(min(reaches), abs=1e-2)
            else:
                assert min(reaches) > 2.9


def test_where_all_is_known_nothing_changes() -> None:
    X = prepared()
    for model in (fit_kmeans(X, 3), fit_mixture(X, fit_kmeans(X, 3).label(X)[0]), fit_dense(X, 40), Model("tiers", 1)):
        assert model is not None
        for mine, plain in zip(label_known(model, X, np.ones(X.shape, bool)), model.label(X), strict=True):
            assert np.array_equal(mine, plain)


# -- What absence says -------------------------------------------------------------------------------------------------


def test_what_is_missing_together_by_chance_is_unknown() -> None:
    """Their absences go together with each other, and with nothing else: that says nothing of anybody."""
    z = rng().standard_normal((3_000, 5))
    no_answer = rng(7).random(3_000) < 0.4
    table = hidden([*z.T, (rng(8).random(3_000) < 0.1).astype(float)], dict.fromkeys((2, 3, 5), no_answer))
    preparation, uses = fit_preparation(table)
    assert preparation.partial == ("f2", "f3", "f5")
    assert not [c for c in preparation.columns if c.kind == "absent"]
    assert [u.absence for u in uses] == ["", "", "unknown", "unknown", "", "unknown"]
    assert uses[2].treatment.endswith(f"unknown for {no_answer.mean():.1%}, who are placed by what else is known")
    assert uses[2].missing == pytest.approx(no_answer.mean())


def test_what_goes_together_with_something_is_a_fact_and_not_unknown() -> None:
    z = rng().standard_normal((3_000, 3))
    table = hidden(list(z.T), {1: z[:, 0] + rng(9).standard_normal(3_000) > 0.8})
    preparation, uses = fit_preparation(table)
    assert preparation.partial == ()
    assert uses[1].absence == "marked"


def test_what_another_feature_tells_is_told() -> None:
    orders = 1.0 + rng().poisson(1, 3_000)
    rhythm = np.where(orders == 1, np.nan, rng(3).gamma(3, 10, 3_000))
    once = orders == 1
    found = fit_preparation(table_of([orders, rhythm, once]))[1]
    assert (found[1].absence, found[2].absence) == ("told", "")
    assert "which other features say already" in found[1].treatment


def test_the_few_without_any_purchase_are_told_by_their_number_of_orders() -> None:
    """Absence of few customers cannot correlate strongly with anything; that all of them have no orders tells it."""
    orders = 1.0 + rng().poisson(2, 3_000)
    basket, z = rng(3).gamma(3, 10, 3_000), rng(4).standard_normal(3_000)
    never = np.arange(3_000) < 40
    orders[never] = 0
    by_chance = rng(5).random(3_000) < 0.015
    preparation, uses = fit_preparation(hidden([orders, basket, z], {1: never, 2: by_chance}))
    assert [u.absence for u in uses] == ["", "told", "unknown"]
    assert preparation.partial == ("f2",)


def test_what_is_known_of_few_is_left_out_with_the_reason() -> None:
    z = rng().standard_normal((2_000, 3))
    gone = rng(7).random(2_000) < 0.8
    table = hidden(list(z.T), {2: gone})
    preparation, uses = fit_preparation(table)
    assert preparation.partial == ()
    assert not uses[2].used
    assert uses[2].reason.startswith(f"is unknown for {gone.mean():.1%} of the customers")
    assert uses[2].absence == "unknown"


def test_too_few_customers_of_whom_anything_is_known_are_not_enough() -> None:
    with pytest.raises(NotEnough, match="No feature"):
        group(table_of([np.r_[np.full(35, np.nan), rng().random(5)]]))


def test_a_text_that_is_absent_where_something_else_is_so_has_none_of_its_values() -> None:
    z = rng().standard_normal((2_000, 2))
    plan = np.array(["basic", "plus", "max"], dtype=object)[rng(3).integers(0, 3, 2_000)]
    plan[z[:, 0] + rng(9).standard_normal(2_000) > 0.8] = None
    preparation, uses = fit_preparation(table_of([*z.T, plan]))
    assert (preparation.partial, uses[2].absence) == ((), "marked")


# -- Worlds whose truth is known ---------------------------------------------------------------------------------------


def test_groups_come_out_as_if_nothing_had_been_hidden() -> None:
    X, truth = blobs(rng(), 3_000, 4, 6, 7.0)
    gone = {i: rng(20 + i).random(3_000) < 0.15 for i in range(1, 6)}
    found = group(hidden(list(X.T), gone))
    some = np.any(list(gone.values()), axis=0)
    assert found.structure.verdict == "separate"
    assert found.k == 4
    assert adjusted_rand_score(truth[some], found.labels[some]) > 0.97
    assert adjusted_rand_score(truth[~some], found.labels[~some]) > 0.99


def test_nothing_in_the_place_of_what_is_unknown_is_better_than_the_middle() -> None:
    X, truth = blobs(rng(31), 4_000, 3, 3, 4.5)
    gone = {0: rng(32).random(4_000) < 0.3, 1: rng(33).random(4_000) < 0.3}
    table = hidden(list(X.T), gone)
    found = group(table, algorithm="kmeans", k=3)
    some = gone[0] | gone[1]
    preparation, model = found.assigner.preparation, found.assigner.model  # type: ignore[attr-defined]
    middle = model.label(preparation.matrix(table.data))[0]
    assert adjusted_rand_score(truth[some], found.labels[some]) > adjusted_rand_score(truth[some], middle[some]) + 0.05


@pytest.mark.parametrize("algorithm", ["kmeans", "mixture"])
def test_the_measured_agreement_is_that_of_those_whose_values_were_hidden(algorithm: str) -> None:
    X, _ = blobs(rng(41), 6_000, 3, 3, 4.0)
    gone = rng(42).random(6_000) < 0.3
    found = group(hidden(list(X.T), {0: gone}), algorithm=algorithm, k=3)
    everything = found.assigner.assign(table_of(list(X.T)))[0]
    (known, unknown) = found.layers
    assert (known.unknown, known.agreement, unknown.unknown) == ((), None, ("f0",))
    assert unknown.customers == gone.sum()
    assert unknown.agreement is not None
    assert unknown.agreement.value == pytest.approx((found.labels[gone] == everything[gone]).mean(), abs=0.03)
    assert 0.4 < unknown.agreement.value < 0.99


def test_layers_say_what_is_known_of_whom() -> None:
    X, _ = blobs(rng(51), 3_000, 3, 6, 6.0)
    gone = {i: rng(60 + i).random(3_000) < 0.12 for i in range(6)}
    table = hidden(list(X.T), gone)
    found = group(table, k=3)
    assert found.layer_of is not None
    assert sum(layer.customers for layer in found.layers) == 3_000
    assert len(found.layers) == MOST + 2
    assert [layer.exact for layer in found.layers] == [True] * (MOST + 1) + [False]
    nulls = np.array([[v is None for v in table.data[f"f{i}"].to_pylist()] for i in range(6)]).T
    for number, layer in enumerate(found.layers[:-1]):
        mine = nulls[found.layer_of == number]
        assert len(mine) == layer.customers
        assert (mine == [f"f{i}" in layer.unknown for i in range(6)]).all()
    words = unknown_words(table, found.layers)
    assert words == ["; ".join(f"Feature {i}" for i in np.flatnonzero(row)) for row in nulls]


def test_of_whom_nothing_is_known_is_left_out() -> None:
    X, _ = blobs(rng(), 1_000, 2, 2, 8.0)
    gone = np.arange(1_000) % 5 == 0
    found = group(hidden(list(X.T), {0: gone, 1: gone}), k=2)
    assert (found.labels[gone] == -1).all()
    assert (found.labels[~gone] >= 0).all()
    assert found.layers[-1].agreement is None
    assert found.layers[-1].text.endswith("Nothing is left to place them by.")


def test_an_unknown_text_is_not_one_of_its_values() -> None:
    X, truth = blobs(rng(), 2_000, 2, 2, 5.0)
    plan = np.array(["basic", "plus"], dtype=object)[truth]
    gone = rng(3).random(2_000) < 0.25
    plan[gone] = None
    found = group(table_of([*X.T, plan]), k=2)
    assert [layer.unknown for layer in found.layers] == [(), ("f2",)]
    assert adjusted_rand_score(truth[gone], found.labels[gone]) > 0.95


# -- Afterwards --------------------------------------------------------------------------------------------------------


def small() -> tuple[FeatureTable, np.ndarray]:
    X, truth = blobs(rng(), 900, 3, 3, 7.0)
    return hidden(list(X.T), {2: rng(4).random(900) < 0.3}), truth


def test_later_customers_are_placed_by_what_is_known_and_the_file_keeps_that() -> None:
    table, _ = small()
    found = group(table, k=3, micro=True)
    again = assigner_from_bytes(found.assigner.to_bytes())
    assert np.array_equal(again.assign(table)[0], found.labels)
    pieces = again.assign_micro(table, found.labels)
    assert np.array_equal(np.asarray(again.micro_parent)[pieces], found.labels)


def test_the_order_of_customers_does_not_matter() -> None:
    table, _ = small()
    order = rng(70).permutation(900)
    turned = FeatureTable(table.ids.take(order), table.data.take(order), table.features)
    one, other = (group(t, algorithm="kmeans", k=3) for t in (table, turned))
    assert np.array_equal(one.labels[order], other.labels)
    assert one.layers == other.layers


def test_what_is_said_survives_json() -> None:
    table, _ = small()
    said = discover(table, k=3).segmentation
    assert [layer.unknown for layer in said.layers] == [(), ("f2",)]
    assert segmentation_from_dict(json.loads(json.dumps(said.as_dict()))) == said
    old = said.as_dict()
    del old["layers"]
    assert segmentation_from_dict(old).layers == ()


def test_little_known_is_warned_of() -> None:
    X, _ = blobs(rng(), 2_000, 4, 1, 6.0)
    gone = rng(2).random(2_000) < 0.3
    noise = rng(3).standard_normal(2_000)
    said = discover(hidden([X[:, 0], noise], {0: gone}), k=4, algorithm="kmeans").segmentation
    assert any(f"Of {gone.sum()} customers so little is known" in w for w in said.warnings)


def test_the_command_says_it_and_writes_it_per_customer(tmp_path: Path) -> None:
    table, _ = small()
    path, out = tmp_path / "clients.csv", tmp_path / "out.csv"
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["who", "visits", "age", "Answer"])
        for i, row in enumerate(table.data.to_pylist()):
            writer.writerow([f"c{i}", *("" if v is None else round(v, 4) for v in row.values())])
    arguments = ["discover", "--table", str(path), "--k", "3", "--out", str(out)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert "What is known of whom" in told.stdout
    assert "stay in their group when that is hidden." in told.stdout
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert [layer["unknown"] for layer in found["layers"]] == [[], ["answer"]]
    assert found["features"][2]["absence"] == "unknown"
    written = list(csv.DictReader(out.open()))
    nulls = table.data["f2"].is_null().to_pylist()
    assert [row["unknown"] for row in written] == ["Answer" if gone else "" for gone in nulls]


def test_also_where_there_is_one_group_those_of_whom_nothing_is_known_are_in_none() -> None:
    values = np.zeros(31)
    values[-2:] = 1, np.inf
    found = group(table_of([values]))
    assert (found.k, found.labels.tolist()) == (1, [0] * 30 + [-1])
    assert np.array_equal(found.assigner.assign(table_of([values]))[0], found.labels)
