"""Drift: the index against figures worked out by hand, chance told from shifts, and what too few customers can show."""

import numpy as np
import pyarrow as pa
import pytest

from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.drift import PERMUTATIONS, Parts, compare, drift, overall, parts, psi
from kohort.predict.model import Model
from kohort.predict.train import train

MANY = 1_000_000


def table(rng: np.random.Generator, rows: int, *, away: float = 60.0, pro: float = 0.5, start: int = 0) -> FeatureTable:
    """Customers with days since the last order (exponential) and a plan."""
    data = pa.table(
        {
            "away": rng.exponential(away, rows),
            "plan": np.where(rng.random(rows) < pro, "pro", "basic"),
            "noise": rng.normal(size=rows),
        }
    )
    features = (FeatureInfo("away", "Days away"), FeatureInfo("plan", "Plan", "text"), FeatureInfo("noise", "Noise"))
    return FeatureTable(pa.array(range(start, start + rows), pa.int64()), data, features)


@pytest.fixture(scope="module")
def model() -> Model:
    rng = np.random.default_rng(5)
    learned = table(rng, 1_500)
    away, pro = learned.data["away"].to_numpy(), np.array(learned.data["plan"].to_pylist()) == "pro"
    y = (rng.random(1_500) < 1 / (1 + np.exp(-(0.04 * (away - 60) - 1.2 * pro)))).astype(float)
    found = train(learned, y).model
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("before", "after", "by_hand"),
    [
        ((0.5, 0.5), (0.5, 0.5), 0.0),
        # (0.4 − 0.5) ln(0.4 / 0.5) + (0.6 − 0.5) ln(0.6 / 0.5)
        ((0.5, 0.5), (0.4, 0.6), 0.040547),
        # 0.1 ln 2 + 0.1 ln(4 / 3), the middle part stays
        ((0.2, 0.5, 0.3), (0.1, 0.5, 0.4), 0.098083),
        ((0.25, 0.25, 0.25, 0.25), (0.1, 0.2, 0.3, 0.4), 0.228218),
    ],
)
def test_the_index_is_what_it_is_by_hand(before: tuple[float, ...], after: tuple[float, ...], by_hand: float) -> None:
    counts = np.array(before) * MANY, np.array(after) * MANY
    assert float(psi(*counts)) == pytest.approx(by_hand, abs=2e-5)
    assert float(psi(*counts[::-1])) == pytest.approx(by_hand, abs=2e-5), "it is the same both ways"


def test_a_part_that_nobody_is_in_any_more_keeps_the_index_finite() -> None:
    assert 1 < float(psi(np.array([50, 50]), np.array([0, 100]))) < 10
    assert float(psi(np.array([50, 0, 50]), np.array([50, 0, 50]))) == 0


def test_parts_are_tenths_of_the_earlier_numbers_and_missing_is_one_of_them() -> None:
    before = pa.chunked_array([[float(n) for n in range(1, 101)]])
    found = parts(before, pa.chunked_array([[0.0, 10.0, 11.0, 1e9, None]]))
    assert np.bincount(found.place[:100]).tolist() == [10] * 10
    assert found.titles[-1] == "missing"
    assert [found.titles[n] for n in found.place[100:]][2:] == [found.titles[1], found.titles[9], "missing"]
    texts = parts(pa.chunked_array([["a", "a", "b", None]]), pa.chunked_array([["a", "c", None]]))
    assert [texts.titles[n] for n in texts.place] == ["“a”", "“a”", "“b”", "missing", "“a”", "others", "missing"]
    empty = parts(pa.chunked_array([[1.0, 2.0]]), pa.chunked_array([pa.nulls(2, pa.string())]))
    assert [empty.titles[n] for n in empty.place[2:]] == ["missing", "missing"]


def test_chance_is_what_the_formula_for_large_numbers_says() -> None:
    """PSI of two samples of one distribution is about (1/n + 1/m) times chi-square with one degree less than parts."""
    rng = np.random.default_rng(1)
    n, m = 3_000, 2_000
    x = rng.random(n + m)
    found = compare({"x": ("x", parts(pa.chunked_array([x[:n]]), pa.chunked_array([x[n:]])))}, n, np.full(m, -1), rng)
    assert found[0].by_chance == pytest.approx((1 / n + 1 / m) * 16.92, rel=0.2)  # the 95 % point, 9 degrees
    assert found[0].verdict == "none"


def test_no_shift_is_seen_where_there_is_none_more_often_than_stated(model: Model) -> None:
    """25 worlds without a shift; each looks at four figures together and errs in 5 % of the worlds."""
    wrong = 0
    for seed in range(25):
        rng = np.random.default_rng(100 + seed)
        verdict = drift(model, table(rng, 400), table(rng, 400, start=10_000), seed=seed)["verdict"]
        wrong += verdict in ("drift", "small")
    assert wrong <= 5  # more than 5 of 25 at 5 %: 1 in 800


def test_a_shift_is_found_named_and_measured(model: Model) -> None:
    rng = np.random.default_rng(2)
    found = drift(model, table(rng, 2_000), table(rng, 2_000, away=120, start=10_000))
    assert found["verdict"] == "drift"
    first = found["inputs"][0]
    assert (first["feature"], first["label"], first["verdict"]) == ("away", "Days away", "drift")
    assert first["p"] == 1 / (PERMUTATIONS + 1)
    assert first["psi"] > 0.1 > first["by_chance"]
    assert found["output"]["verdict"] == "drift"
    assert "drifted" in found["text"]
    assert {s["feature"]: s["verdict"] for s in found["inputs"]}.get("plan", "none") in ("none", "small")
    assert found["rows"] == {"before": 2_000, "now": 2_000, "both": 0}


def test_with_so_few_no_drift_can_be_seen(model: Model) -> None:
    rng = np.random.default_rng(3)
    found = drift(model, table(rng, 40), table(rng, 30, start=1_000))
    assert found["verdict"] == "too_few"
    assert "so few" in found["text"]
    nobody = drift(model, table(rng, 40), table(rng, 0))
    assert (nobody["verdict"], nobody["inputs"], nobody["output"]) == ("too_few", [], None)


def test_customers_who_are_there_twice_are_exchanged_with_themselves() -> None:
    """Who hardly changes shows almost nothing by chance: far less than strangers would."""
    rng = np.random.default_rng(4)
    x = rng.random(1_000)
    column = {"x": ("x", parts(pa.chunked_array([x]), pa.chunked_array([x + rng.normal(0, 0.001, 1_000)])))}
    same = compare(column, 1_000, np.arange(1_000), rng)[0]
    strangers = compare(column, 1_000, np.full(1_000, -1), rng)[0]
    assert same.by_chance < strangers.by_chance / 5
    moved = {"x": ("x", parts(pa.chunked_array([x]), pa.chunked_array([x + 0.02])))}
    assert compare(moved, 1_000, np.arange(1_000), rng)[0].verdict == "small"


def test_the_worst_figure_speaks_for_all() -> None:
    place = Parts(np.array([0, 1]), ("a", "b"))
    assert overall(compare({"x": ("x", place)}, 1, np.array([-1]), np.random.default_rng(0))) == "too_few"


def test_a_feature_that_is_not_there_is_refused(model: Model) -> None:
    from kohort.errors import WrongUsage

    rng = np.random.default_rng(6)
    with pytest.raises(WrongUsage, match="lacks the feature"):
        drift(model, table(rng, 50), table(rng, 50).select(["noise"]))
