"""The figures of the papers, on their data: donations (in the paper as a table of 22 rows) and CDNOW (not ours to pass on)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kohort.model.clock import DAY_US
from kohort.predict.buying.bgbb import BGBB
from kohort.predict.buying.bgnbd import BGNBD
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.model import BuyingModel
from kohort.predict.buying.pareto_nbd import ParetoNBD
from kohort.predict.buying.rules import bought_lately, hold, past_rate
from kohort.predict.buying.summary import Summary, read_summary, summarise

DONATIONS = [
    # repeat years, last repeat year, donors; all of six years
    *((6, 6, 1203), (5, 6, 728), (4, 6, 512), (3, 6, 357), (2, 6, 234), (1, 6, 129), (5, 5, 335), (4, 5, 284)),
    *((3, 5, 225), (2, 5, 173), (1, 5, 119), (4, 4, 240), (3, 4, 181), (2, 4, 155), (1, 4, 78), (3, 3, 322)),
    *((2, 3, 255), (1, 3, 129), (2, 2, 613), (1, 2, 277), (1, 1, 1091), (0, 0, 3464)),
]


def test_bgbb_finds_the_parameters_of_the_donation_paper() -> None:
    x, recency, donors = (np.array(c) for c in zip(*DONATIONS, strict=True))
    assert donors.sum() == 11_104
    model = BGBB().fit(Summary(np.repeat(x, donors), np.repeat(recency, donors) * 1.0, np.full(11_104, 6.0)))
    assert list(model.parameters_.values()) == pytest.approx([1.204, 0.750, 0.657, 2.783], abs=1e-3)
    assert model.log_likelihood_ == pytest.approx(-33225.6, abs=0.05)
    assert model.groups_ == 22
    # the paper's table of expected donations in the five years 2002 to 2006
    table = {"frequency": [0, 1, 4, 6], "recency": [0, 6, 6, 6], "age": [6, 6, 6, 6]}
    assert model.expected_purchases(table, 5) == pytest.approx([0.07, 1.15, 2.71, 3.75], abs=0.0051)


@pytest.fixture(scope="module")
def purchases(shared_data: Path) -> pa.Table:
    """The sample of 2,357 customers as Kohort's events: days as µs UTC, amounts in cents."""
    names = ["master", "customer", "date", "cds", "amount"]
    rows = pd.read_csv(shared_data / "cdnow" / "CDNOW_sample.txt", sep=r"\s+", names=names)
    day = pd.to_datetime(rows["date"].astype(str)).to_numpy().astype("datetime64[us]").astype(np.int64)
    cents = np.rint(rows["amount"].to_numpy() * 100).astype(np.int64)
    return pa.table({"customer": rows["customer"].to_numpy(), "ts": day, "amount": cents})


END = int(np.datetime64("1997-09-30", "us").astype(np.int64))
"""Last day of the 39 weeks on which the papers fit."""


@pytest.fixture(scope="module")
def cdnow(purchases: pa.Table) -> Summary:
    return summarise(purchases, END)


@pytest.fixture(scope="module")
def later(purchases: pa.Table, cdnow: Summary) -> np.ndarray:
    """Days with purchases in the 39 weeks after."""
    whole = summarise(purchases, END + 39 * 7 * DAY_US)
    assert whole.customer.equals(cdnow.customer)  # type: ignore[union-attr]
    bought: np.ndarray = whole.frequency - cdnow.frequency
    return bought


@pytest.mark.shared
def test_the_summary_of_cdnow_is_the_published_one(cdnow: Summary, shared_data: Path) -> None:
    theirs = read_summary(pd.read_csv(shared_data / "cdnow" / "cdnow_customers_summary.csv"))
    assert cdnow.customer.equals(theirs.customer)  # type: ignore[union-attr]
    assert np.array_equal(cdnow.frequency, theirs.frequency)
    assert np.allclose(cdnow.recency, theirs.recency, atol=0.0051)
    assert np.allclose(cdnow.age, theirs.age, atol=0.0051)


PUBLISHED = [
    (BGNBD, {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, -9582.4),
    (ParetoNBD, {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}, -9595.0),
]


@pytest.mark.shared
@pytest.mark.parametrize(("build", "parameters", "likelihood"), PUBLISHED)
def test_the_published_parameters_are_found(
    build: type[BuyingModel], parameters: dict[str, float], likelihood: float, cdnow: Summary
) -> None:
    model = build().fit(cdnow)
    for name, value in parameters.items():
        assert model.parameters_[name] == pytest.approx(value, abs=0.0006 if value < 5 else 0.004)
        estimate = model.intervals_[name]
        assert estimate is not None
        assert estimate.low < value < estimate.high
    assert model.log_likelihood_ == pytest.approx(likelihood, abs=0.06)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("build", "published"),
    [
        (BGNBD, {"expected": 1_653, "correlation": 0.626, "mae": 0.785, "rmse": 1.608, "auc": 0.773, "none": 0.23}),
        (ParetoNBD, {"expected": 1_666, "correlation": 0.630, "mae": 0.755, "rmse": 1.603, "auc": 0.779, "none": 0.14}),
    ],
)
def test_the_39_weeks_after_come_out_as_published(
    build: type[BuyingModel], published: dict[str, float], cdnow: Summary, later: np.ndarray
) -> None:
    guess = build().fit(cdnow).expected_purchases(cdnow, 39)
    held = hold(guess, later)
    assert held.actual == 1_882
    assert held.expected == pytest.approx(published["expected"], abs=1)
    assert held.correlation >= published["correlation"] - 0.0006
    assert held.mae == pytest.approx(published["mae"], abs=0.0006)
    assert held.rmse == pytest.approx(published["rmse"], abs=0.0011)
    assert held.auc == pytest.approx(published["auc"], abs=0.0006)
    assert guess[cdnow.frequency == 0].mean() == pytest.approx(published["none"], abs=0.0051)
    assert later[cdnow.frequency == 0].mean() == pytest.approx(0.24, abs=0.0051)
    naive = hold(past_rate(cdnow, 39), later)
    assert (naive.expected, naive.rmse) == (pytest.approx(2_930, abs=1), pytest.approx(2.212, abs=0.001))
    assert bought_lately(cdnow, 13).shape == later.shape
    assert np.mean(bought_lately(cdnow, 13) == (later > 0)) == pytest.approx(0.779, abs=0.0006)


@pytest.mark.shared
@pytest.mark.parametrize(("build", "off"), [(BGNBD, -0.04), (ParetoNBD, -0.02)])
def test_all_repeat_purchases_to_week_78_are_expected_as_closely_as_published(
    build: type[BuyingModel], off: float, cdnow: Summary, later: np.ndarray
) -> None:
    model = build().fit(cdnow)
    ages, customers = np.unique(cdnow.age + 39, return_counts=True)
    expected = float(customers @ model.expected_purchases_of_new(ages))
    actual = float(cdnow.frequency.sum() + later.sum())
    assert expected / actual - 1 == pytest.approx(off, abs=0.0051)


@pytest.mark.shared
def test_alive_of_bgnbd_ranks_worse_than_chance(cdnow: Summary, later: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="no churn score"):
        alive = BGNBD().fit(cdnow).probability_alive(cdnow)
    assert hold(alive, later).auc == pytest.approx(0.316, abs=0.001)
    assert hold(ParetoNBD().fit(cdnow).probability_alive(cdnow), later).auc == pytest.approx(0.726, abs=0.001)


@pytest.mark.shared
def test_gamma_gamma_finds_the_published_parameters(cdnow: Summary) -> None:
    dollars = Summary(cdnow.frequency, cdnow.recency, cdnow.age, cdnow.monetary / 100)  # type: ignore[operator]
    model = GammaGamma().fit(dollars)
    assert list(model.parameters_.values()) == pytest.approx([6.25, 3.74, 15.44], rel=0.01)


@pytest.mark.shared
def test_simulated_shoppers_of_clvtools_are_expected_right(shared_data: Path) -> None:
    """apparel-clv: fitted on the first 104 weeks, held against the rest."""
    rows = pd.read_csv(shared_data / "apparel-clv" / "apparelTrans.csv")
    day = pd.to_datetime(rows["Date"]).to_numpy().astype("datetime64[us]").astype(np.int64)
    events = pa.table({"customer": rows["Id"].to_numpy(), "ts": day, "amount": rows["Price"].to_numpy()})
    begin = int(day.min())
    end = begin + 104 * 7 * DAY_US
    seen, whole = summarise(events, end), summarise(events, int(day.max()))
    actual = whole.frequency - seen.frequency
    ahead = float(whole.age[0] - seen.age[0])
    for build in (BGNBD, ParetoNBD):
        model = build().fit(seen)
        held = hold(model.expected_purchases(seen, ahead), actual)
        assert held.rmse < hold(past_rate(seen, ahead), actual).rmse
        assert abs(held.total_error) < 0.25


@pytest.mark.shared
def test_the_command_finds_the_published_figures_in_the_file_as_it_is(shared_data: Path) -> None:
    from kohort.definitions.predictions import parse_horizon
    from kohort.ingest.transactions import read_transactions
    from kohort.predict.lifetime.plain import fit_table

    file = shared_data / "cdnow" / "CDNOW_sample.txt"
    read = read_transactions(file, id="column_2", date="column_3", amount="column_5", currency="USD")
    assert (len(read.ids), read.left_out) == (2_357, {})
    report = fit_table(read, horizon=parse_horizon("39 weeks"), as_of=END, currency="USD").report
    published = {build.__name__: (parameters, likelihood) for build, parameters, likelihood in PUBLISHED}
    parameters, likelihood = published[report["model"]]
    for name, value in parameters.items():
        assert report["parameters"][name]["value"] == pytest.approx(value, abs=0.0006 if value < 5 else 0.004)
        assert report["parameters"][name]["low"] < value < report["parameters"][name]["high"]
    assert report["log_likelihood"] == pytest.approx(likelihood, abs=0.06)
    spend = {n: p["value"] for n, p in report["spend"]["parameters"].items()}
    assert spend == pytest.approx({"p": 6.25, "q": 3.74, "v": 15.44}, rel=0.01)
    held = report["holdout"]["purchases"]
    assert held["BGNBD"]["actual"] == 1_882
    for name, correlation, mae, auc in (("BGNBD", 0.626, 0.785, 0.773), ("ParetoNBD", 0.630, 0.755, 0.779)):
        found = {key: held[name][key]["value"] for key in ("correlation", "mae", "auc")}
        assert found == pytest.approx({"correlation": correlation, "mae": mae, "auc": auc}, abs=0.001)
    assert held["past_rate"]["total_error"]["value"] == pytest.approx(0.56, abs=0.006)
