"""Preparation: treatments are chosen from the data and said, absence is marked, nothing is invented or changed."""

import numpy as np
import pyarrow as pa
import pytest

from kohort.discovery.prepare import fit_preparation
from kohort.discovery.worlds import table_of
from kohort.errors import NotEnough, WrongUsage
from kohort.model.columns import row_sample
from kohort.model.feature import FeatureInfo, FeatureTable


def rng(seed: int = 4) -> np.random.Generator:
    return np.random.default_rng(seed)


def uses(table: FeatureTable) -> dict[str, tuple[bool, str, str]]:
    return {u.feature: (u.used, u.treatment, u.reason) for u in fit_preparation(table)[1]}


def test_even_numbers_stay_as_they_are_and_skewed_ones_take_a_logarithm() -> None:
    z = rng().standard_normal((2_000, 3))
    found = uses(table_of([z[:, 0], np.exp(2 * z[:, 1]), 5 + z[:, 2] ** 5]))
    assert found["f0"][1] == "as is"
    assert found["f1"][1].startswith("logarithm")
    assert found["f2"][1] == "logarithm of the distance to the middle"


def test_prepared_lognormal_is_nearly_normal() -> None:
    table = table_of([np.exp(1.5 * rng().standard_normal(5_000)), rng().random(5_000)])
    x = fit_preparation(table)[0].matrix(table.data)[:, 0]
    assert abs(float(np.median(x))) < 0.05
    assert 0.85 < x.std() < 1.15
    z = (x - x.mean()) / x.std()
    assert abs(float((z**3).mean())) < 0.3


def test_a_small_group_far_away_is_not_squeezed() -> None:
    x = np.r_[rng().standard_normal(1_980), 9 + 0.3 * rng().standard_normal(20)]
    assert uses(table_of([x, rng().random(2_000)]))["f0"][1] == "as is"


def test_columns_that_tell_nothing_are_left_out_with_the_reason() -> None:
    n = 1_000
    many = np.array([f"name {i}" for i in range(n)], dtype=object)
    z = rng().standard_normal(n)
    near = np.zeros(n)
    near[:3] = 1
    found = uses(table_of([z, np.full(n, np.nan), np.full(n, 3.0), near, many, 2 * z + 0.01 * rng().random(n)]))
    assert found["f0"][0]
    assert [found[f"f{i}"][0] for i in range(1, 6)] == [False] * 5
    assert found["f1"][2] == "has no values"
    assert found["f2"][2] == "is the same for every customer"
    assert "99.7%" in found["f3"][2]
    assert "many different values" in found["f4"][2]
    assert found["f5"][2] == "says the same as Feature 0 (1.00)"


def test_absence_is_marked_where_it_goes_together_with_something() -> None:
    n = 2_000
    z = rng().standard_normal(n)
    gone = np.where(z + rng(5).standard_normal(n) > 0.8, np.nan, rng(6).standard_normal(n))
    by_chance = np.where(np.random.default_rng(9).random(n) < 0.2, np.nan, np.random.default_rng(8).random(n))
    table = table_of([z, gone, by_chance])
    preparation, found = fit_preparation(table)
    assert [c.kind for c in preparation.columns if c.feature == "f1"] == ["number", "absent"]
    assert [c.kind for c in preparation.columns if c.feature == "f2"] == ["number"]
    assert "which counts as a fact of its own" in found[1].treatment
    assert found[2].treatment.endswith("who are placed by what else is known")
    assert preparation.partial == ("f2",)
    X = preparation.matrix(table.data)
    assert np.isfinite(X).all()
    assert (X[np.isnan(gone), 1] == 0).all()
    assert (preparation.missing(table.data)[:, 1] == np.isnan(gone)).all()


def test_infinite_numbers_count_as_missing() -> None:
    x = rng().standard_normal(500)
    x[::10] = np.inf
    table = table_of([x, rng().random(500)])
    X = fit_preparation(table)[0].matrix(table.data)
    assert np.isfinite(X).all()
    assert np.abs(X).max() <= 6


def test_text_with_few_levels_becomes_columns_of_bounded_weight() -> None:
    levels = np.array(["web", "shop", "app"], dtype=object)[rng().integers(0, 3, 900)]
    table = table_of([levels, rng().random(900)])
    preparation, _ = fit_preparation(table)
    X = preparation.matrix(table.data)[:, [i for i, c in enumerate(preparation.columns) if c.feature == "f0"]]
    web, shop = X[levels == "web"][0], X[levels == "shop"][0]
    assert np.linalg.norm(web - shop) == pytest.approx(1.2, abs=1e-5)


def test_chunks_are_the_matrix_and_the_table_stays_untouched() -> None:
    z = rng().standard_normal((1_000, 3))
    table = table_of([z[:, 0], np.exp(z[:, 1]), z[:, 2] > 0])
    before = [c.to_pylist() for c in table.data.columns]
    preparation, _ = fit_preparation(table)
    parts = [X for _, X, _ in preparation.chunks(table.data, rows=170)]
    assert np.array_equal(np.vstack(parts), preparation.matrix(table.data))
    assert [c.to_pylist() for c in table.data.columns] == before


def test_a_later_table_without_a_needed_feature_is_refused() -> None:
    table = table_of([rng().random(100), rng(5).random(100)])
    preparation, _ = fit_preparation(table)
    with pytest.raises(WrongUsage, match="f1"):
        list(preparation.chunks(table.data.select(["f0"])))


def test_nothing_but_constants_is_not_enough() -> None:
    with pytest.raises(NotEnough):
        fit_preparation(table_of([np.ones(50), np.full(50, np.nan)]))


def test_the_sample_does_not_depend_on_the_order_of_rows_and_keeps_the_share_of_ties() -> None:
    x = np.r_[np.zeros(900), rng().random(100)]
    data = pa.table({"x": x, "t": [str(i % 3) for i in range(1_000)]})
    rows = row_sample(data, 200)
    turned = data.take(np.arange(999, -1, -1))
    assert data.take(rows).to_pylist() == turned.take(row_sample(turned, 200)).to_pylist()
    assert abs(np.mean(x[rows] == 0) - 0.9) < 0.02


def test_of_two_twins_the_one_with_a_known_idea_stays() -> None:
    z = rng().standard_normal(300)
    data = pa.table({"raw": z, "orders": z * 2, "other": rng().random(300)})
    infos = (
        FeatureInfo("raw", "Raw"),
        FeatureInfo("orders", "Orders", idea="frequency"),
        FeatureInfo("other", "Other"),
    )
    found = uses(FeatureTable(pa.array(range(300)), data, infos))
    assert found["orders"][0]
    assert found["raw"][2] == "says the same as Orders (1.00)"
