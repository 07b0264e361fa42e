"""The buying models on customers whose truth is known: recovered, covered, calibrated, and refused where there is too little."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from kohort.errors import BadInput, NotEnough, WrongUsage
from kohort.predict.buying.bgbb import BGBB
from kohort.predict.buying.bgnbd import BGNBD
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.grouped import CHUNK, FINE, grouped
from kohort.predict.buying.likelihood import maximise
from kohort.predict.buying.model import BuyingModel, NotAChurnScore
from kohort.predict.buying.pareto_nbd import ParetoNBD
from kohort.predict.buying.rules import bought_lately, hold, past_rate
from kohort.predict.buying.summary import Summary
from kohort.predict.buying.value import CustomerValue

AHEAD = 30
TRUE = {
    "BGNBD": {"r": 0.8, "alpha": 6.0, "a": 0.8, "b": 2.5},
    "ParetoNBD": {"r": 0.8, "alpha": 8.0, "s": 0.7, "beta": 12.0},
    "BGBB": {"alpha": 1.2, "beta": 0.8, "gamma": 0.7, "delta": 2.8},
}
MODELS: dict[str, type[BuyingModel]] = {"BGNBD": BGNBD, "ParetoNBD": ParetoNBD, "BGBB": BGBB}


@dataclass(frozen=True, slots=True)
class World:
    """Customers seen until `age`, and what they did in the `AHEAD` after it."""

    table: Summary
    later: np.ndarray
    alive: np.ndarray


def world(name: str, customers: int, seed: int) -> World:
    """One customer after the other lives through the story of the model; nothing of the models is used."""
    draw = np.random.default_rng(seed)
    live = {"BGNBD": may_stop_after_each, "ParetoNBD": leaves_unseen, "BGBB": by_occasions}[name]
    x, recency, age, later = (np.zeros(customers) for _ in range(4))
    alive = np.zeros(customers, bool)
    for i in range(customers):
        age[i] = float(draw.integers(6, 13)) if name == "BGBB" else float(draw.integers(140, 280)) / 7
        times, leaves = live(draw, age[i] + AHEAD)
        before = times[times <= age[i]]
        x[i], recency[i] = len(before), before[-1] if len(before) else 0.0
        later[i], alive[i] = len(times) - len(before), leaves > age[i]
    return World(Summary(x.astype(np.int64), recency, age), later, alive)


def may_stop_after_each(draw: np.random.Generator, end: float) -> tuple[np.ndarray, float]:
    t = TRUE["BGNBD"]
    rate, stop = draw.gamma(t["r"], 1 / t["alpha"]), draw.beta(t["a"], t["b"])
    times, now = [], 0.0
    while (now := now + draw.exponential(1 / rate)) < end:
        times.append(now)
        if draw.random() < stop:
            return np.array(times), now
    return np.array(times), np.inf


def leaves_unseen(draw: np.random.Generator, end: float) -> tuple[np.ndarray, float]:
    t = TRUE["ParetoNBD"]
    rate, leaves = draw.gamma(t["r"], 1 / t["alpha"]), draw.exponential(1 / draw.gamma(t["s"], 1 / t["beta"]))
    until = min(end, leaves)
    return np.sort(draw.uniform(0, until, draw.poisson(rate * until))), leaves


def by_occasions(draw: np.random.Generator, end: float) -> tuple[np.ndarray, float]:
    t = TRUE["BGBB"]
    buys, leaves = draw.beta(t["alpha"], t["beta"]), draw.beta(t["gamma"], t["delta"])
    times = []
    for occasion in range(1, int(end) + 1):
        if draw.random() < leaves:
            return np.array(times, float), float(occasion)
        if draw.random() < buys:
            times.append(occasion)
    return np.array(times, float), np.inf


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return {name: world(name, 20_000, seed=i) for i, name in enumerate(TRUE)}


@pytest.fixture(scope="module")
def fitted(worlds: dict[str, World]) -> dict[str, BuyingModel]:
    return {name: MODELS[name]().fit(worlds[name].table) for name in TRUE}


@pytest.mark.parametrize("name", TRUE)
def test_the_parameters_customers_were_made_with_are_found(name: str, fitted: dict[str, BuyingModel]) -> None:
    for parameter, truth in TRUE[name].items():
        estimate = fitted[name].intervals_[parameter]
        assert estimate is not None
        four = 2 * np.log(estimate.high / estimate.value)  # four standard errors of the logarithm
        assert abs(np.log(estimate.value / truth)) < four
        assert four < 1.0, "an interval that says nothing"


@pytest.mark.parametrize("name", TRUE)
def test_alive_is_as_probable_as_it_is_said_to_be(
    name: str, worlds: dict[str, World], fitted: dict[str, BuyingModel]
) -> None:
    seen = worlds[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotAChurnScore)
        said = fitted[name].probability_alive(seen.table)
    assert said.min() >= 0
    assert said.max() <= 1
    for low in np.arange(0, 1, 0.2):
        some = (said >= low) & (said < low + 0.2)
        if some.sum() > 200:
            error = 4 * np.sqrt(0.25 / some.sum())
            assert seen.alive[some].mean() == pytest.approx(said[some].mean(), abs=error)


@pytest.mark.parametrize("name", TRUE)
def test_as_many_purchases_come_as_were_expected(
    name: str, worlds: dict[str, World], fitted: dict[str, BuyingModel]
) -> None:
    seen, model = worlds[name], fitted[name]
    total = model.expected_total(seen.table, AHEAD)
    assert total.low < seen.later.sum() < total.high
    expected = model.expected_purchases(seen.table, AHEAD)
    assert total.value == pytest.approx(expected.sum())
    edges = np.quantile(expected, [0, 0.5, 0.8, 0.95, 1])
    for low, high in pairwise(edges):
        some = (expected >= low) & (expected <= high)
        error = 4 * seen.later[some].std() / np.sqrt(some.sum())
        assert seen.later[some].mean() == pytest.approx(expected[some].mean(), abs=error)
    held = hold(expected, seen.later)
    naive = hold(past_rate(seen.table, AHEAD), seen.later)
    assert held.rmse < naive.rmse
    assert abs(held.total_error) < abs(naive.total_error)


@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_hold_as_often_as_they_say(
    name: str, level: float, worlds: dict[str, World], fitted: dict[str, BuyingModel]
) -> None:
    seen = worlds[name]
    some = slice(0, 3_000)
    table = Summary(seen.table.frequency[some], seen.table.recency[some], seen.table.age[some])
    low, high = fitted[name].purchases_interval(table, AHEAD, level=level, draws=400)
    inside = (seen.later[some] >= low) & (seen.later[some] <= high)
    assert inside.mean() > level - 0.015
    assert np.median(high - low) < 15, "an interval that says nothing"


def test_the_intervals_of_parameters_hold_in_new_worlds() -> None:
    inside = []
    for seed in range(12):
        model = BGNBD().fit(world("BGNBD", 1_500, seed=100 + seed).table)
        inside += [e.low < TRUE["BGNBD"][n] < e.high for n, e in model.intervals_.items() if e is not None]
    assert len(inside) == 48
    assert sum(inside) >= 42  # 45.6 expected; parameters of one world miss together


@pytest.mark.parametrize("name", TRUE)
def test_order_and_copies_of_customers_do_not_matter(name: str, worlds: dict[str, World]) -> None:
    whole = worlds[name].table
    table = Summary(whole.frequency[:2_000], whole.recency[:2_000], whole.age[:2_000])
    model = MODELS[name]().fit(table)
    order = np.random.default_rng(1).permutation(2_000)
    twice = np.concatenate([order, order])
    again = MODELS[name]().fit(Summary(table.frequency[twice], table.recency[twice], table.age[twice]))
    assert again.log_likelihood_ == pytest.approx(2 * model.log_likelihood_, rel=1e-9)
    for parameter, value in model.parameters_.items():
        assert again.parameters_[parameter] == pytest.approx(value, rel=1e-4)
        error, half = model.standard_errors_[parameter], again.standard_errors_[parameter]
        assert error is not None
        assert half == pytest.approx(error / np.sqrt(2), rel=1e-3)
    assert again.groups_ == model.groups_
    moved = model.expected_purchases(Summary(table.frequency[order], table.recency[order], table.age[order]), 5)
    assert np.array_equal(moved, model.expected_purchases(table, 5)[order])


def test_a_rough_first_fit_changes_nothing() -> None:
    table = many(60_000, seed=4)
    model = BGNBD().fit(table)
    assert model.groups_ > FINE, "the rough fit is for more groups than this"
    groups = grouped(table)
    plain = maximise(BGNBD()._likelihood(groups), BGNBD()._starts(groups), 60_000.0)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood, rel=1e-11)
    assert list(model.parameters_.values()) == pytest.approx(plain.parameters, rel=1e-4)


def test_more_customers_than_one_chunk_are_all_there() -> None:
    small = many(30_000, seed=6)
    times = CHUNK // 30_000 + 2
    days = Summary(*(np.tile(v, times) for v in (small.frequency, np.ceil(small.recency), np.ceil(small.age))))
    groups = grouped(days)
    assert groups.customers.sum() == len(days)
    assert groups.customers @ groups.recency == days.recency.sum()
    assert len(groups) < 20_000
    model = BGNBD.with_parameters(**TRUE["BGNBD"])
    expected = model.expected_purchases(days, 9).reshape(times, -1)
    assert np.ptp(expected, axis=0).max() == 0


def many(customers: int, seed: int) -> Summary:
    """Buyers who never leave, quickly made; no two have the same recency."""
    draw = np.random.default_rng(seed)
    age = draw.integers(140, 280, customers) / 7
    x = draw.poisson(draw.gamma(0.8, 1 / 6.0, customers) * age * draw.beta(2, 2, customers))
    recency = age * draw.beta(np.maximum(x, 1), 2.0)
    return Summary(x, np.where(x > 0, recency, 0.0), age)


def test_days_or_weeks_say_the_same(worlds: dict[str, World]) -> None:
    weeks = worlds["ParetoNBD"].table
    days = Summary(weeks.frequency, weeks.recency * 7, weeks.age * 7)
    by_week, by_day = ParetoNBD().fit(weeks), ParetoNBD().fit(days)
    assert by_day.parameters_["r"] == pytest.approx(by_week.parameters_["r"], rel=1e-3)
    assert by_day.parameters_["beta"] == pytest.approx(7 * by_week.parameters_["beta"], rel=1e-3)
    assert by_day.expected_purchases(days, 70) == pytest.approx(by_week.expected_purchases(weeks, 10), rel=1e-3)


EXTREME = Summary(
    np.array([1, 9_000, 9_000, 0, 0]), np.array([1e-9, 1e-3, 4_999.0, 0, 0]), np.array([1e-9, 5e3, 5e3, 5e3, 0])
)


@pytest.mark.parametrize("horizon", [0, 1e-9, 52, 1e6])
@pytest.mark.parametrize("build", [BGNBD, ParetoNBD])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_extreme_histories_have_finite_answers(build: type[BuyingModel], horizon: float, scale: float) -> None:
    model = build.with_parameters(**{n: v * scale for n, v in TRUE[build.__name__].items()})
    expected = model.expected_purchases(EXTREME, horizon)
    assert np.all(np.isfinite(expected) & (expected >= 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotAChurnScore)
        alive = model.probability_alive(EXTREME)
    assert np.all((alive >= 0) & (alive <= 1))
    if horizon == 0:
        assert not expected.any()


def test_more_horizon_never_expects_less(fitted: dict[str, BuyingModel], worlds: dict[str, World]) -> None:
    for name, model in fitted.items():
        steps = np.array([model.expected_purchases(worlds[name].table, t)[:500] for t in (0, 1, 5, 30, 300)])
        assert np.all(np.diff(steps, axis=0) >= -1e-12)
        new = model.expected_purchases_of_new([0, 1, 5, 30])
        assert new[0] == 0
        assert np.all(np.diff(new) > 0)


def amounts_of(draw: np.random.Generator, nu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Mean of x amounts per customer, NaN for none."""
    return np.array([draw.gamma(6.0, 1 / n, k).mean() if k else np.nan for n, k in zip(nu, x, strict=True)])


def spending(customers: int, seed: int, *, tied: bool = False) -> tuple[Summary, np.ndarray]:
    """A table, and what each customer's mean truly is."""
    draw = np.random.default_rng(seed)
    nu = draw.gamma(3.7, 1 / 15.0, customers)
    x = draw.poisson(np.minimum(6.0 / nu / 10, 50)) if tied else draw.poisson(2.5, customers)
    recency = np.where(x > 0, 10.0, 0.0)
    return Summary(x, recency, np.full(customers, 20.0), amounts_of(draw, nu, x)), 6.0 / nu


def test_what_customers_spend_is_found_and_covered() -> None:
    table, true = spending(30_000, 5)
    model = GammaGamma().fit(table)
    for parameter, truth in {"p": 6.0, "q": 3.7, "v": 15.0}.items():
        estimate = model.intervals_[parameter]
        assert estimate is not None
        assert abs(np.log(estimate.value / truth)) < 2 * np.log(estimate.high / estimate.value) < 1
    expected, (low, high) = model.expected_value(table), model.value_interval(table)
    assert true.mean() == pytest.approx(expected.mean(), rel=0.03)
    assert np.mean((true > low) & (true < high)) == pytest.approx(0.95, abs=0.012)
    mean = table.monetary
    assert mean is not None
    naive = np.where(table.frequency > 0, mean, np.nanmean(mean))
    assert ((expected - true) ** 2).mean() < ((naive - true) ** 2).mean()
    assert abs(model.correlation_) < 0.05
    assert model.cautions_ == ()


def test_a_caution_follows_where_frequent_buyers_spend_more() -> None:
    codes = [c.code for c in GammaGamma().fit(spending(3_000, 3, tied=True)[0]).cautions_]
    assert "frequency_and_amount" in codes


def test_amounts_that_cannot_be_fitted_are_counted_and_still_answered() -> None:
    table, _ = spending(1_000, 1)
    again = np.flatnonzero(table.frequency)
    table.monetary[again[:7]] = 0.0  # type: ignore[index]
    model = GammaGamma().fit(table)
    assert model.left_out_ == 7
    assert np.all(model.expected_value(table) > 0)


def test_the_value_of_a_customer_is_purchases_times_amount() -> None:
    seen = world("BGNBD", 3_000, 8)
    draw = np.random.default_rng(8)
    nu = draw.gamma(3.7, 1 / 15.0, 3_000)
    x = seen.table.frequency
    table = Summary(x, seen.table.recency, seen.table.age, amounts_of(draw, nu, x))
    value = CustomerValue().fit(table)
    expected = value.expected_value(table, AHEAD)
    assert expected == pytest.approx(
        value.purchases_.expected_purchases(table, AHEAD) * value.spend_.expected_value(table)
    )
    spent = np.array([draw.gamma(6.0, 1 / n, int(k)).sum() for n, k in zip(nu, seen.later, strict=True)])
    assert spent.sum() == pytest.approx(expected.sum(), rel=0.1)
    low, high = value.value_interval(table, AHEAD, draws=300)
    assert np.mean((spent >= low) & (spent <= high)) > 0.935
    discounted = value.expected_value(table, AHEAD, discount=0.01)
    assert np.all(discounted <= expected)
    assert discounted.sum() / expected.sum() == pytest.approx(0.99 ** (AHEAD / 2), rel=0.05)
    assert {c.code for c in value.cautions_} == {"not_a_churn_score"}
    assert clone(value).get_params()["spend"] is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"frequency": [1] * 50, "recency": [1] * 50, "age": [2] * 50}, "50 customers"),
        ({"frequency": [], "recency": [], "age": []}, "0 customers"),
        (
            {"frequency": [0] * 500, "recency": [0] * 500, "age": [2] * 500},
            "none of 500 customers bought a second time",
        ),
        ({"frequency": [0] * 480 + [1] * 20, "recency": [0] * 480 + [1] * 20, "age": [2] * 500}, "20 of 500"),
    ],
)
@pytest.mark.parametrize("build", [BGNBD, ParetoNBD, BGBB])
def test_too_little_is_said_to_be_not_enough(build: type[BuyingModel], table: dict[str, list[int]], said: str) -> None:
    with pytest.raises(NotEnough, match=said) as refused:
        build().fit(table)
    assert (refused.value.exit_code, refused.value.hint != "") == (3, True)
    assert "Not enough data" in refused.value.message


def test_too_few_amounts_are_said_to_be_not_enough() -> None:
    x = np.array([0] * 90 + [1] * 10)
    few = Summary(x, x * 1.0, x * 1.0 + 1, x * 5.0)
    with pytest.raises(NotEnough, match="10 customers"):
        GammaGamma().fit(few)
    with pytest.raises(NotEnough, match="no customer bought a second time"):
        GammaGamma().fit(Summary(x * 0, x * 0.0, x * 1.0, x * 5.0))
    same = np.ones(60, np.int64)
    with pytest.raises(NotEnough, match="the same"):
        GammaGamma().fit(Summary(same, same * 1.0, same * 2.0, same * 5.0))
    with pytest.raises(BadInput, match="monetary"):
        GammaGamma().fit(Summary(same, same * 1.0, same * 2.0))


def test_wrong_calls_are_told(fitted: dict[str, BuyingModel]) -> None:
    table = {"frequency": [1], "recency": [1.0], "age": [2.0]}
    with pytest.raises(NotFittedError):
        BGNBD().expected_purchases(table, 1)
    with pytest.raises(WrongUsage, match="r, alpha, a, b"):
        BGNBD.with_parameters(r=1.0)
    with pytest.raises(WrongUsage, match="positive"):
        BGNBD.with_parameters(r=1.0, alpha=-1.0, a=1.0, b=1.0)
    with pytest.raises(WrongUsage, match="horizon"):
        fitted["BGNBD"].expected_purchases(table, float("nan"))
    with pytest.raises(BadInput, match="whole number of occasions"):
        fitted["BGBB"].expected_purchases(table, 1.5)
    with pytest.raises(BadInput, match="whole numbers"):
        fitted["BGBB"].expected_purchases({"frequency": [1], "recency": [1.5], "age": [2.0]}, 1)
    with pytest.raises(BadInput, match="more occasions"):
        fitted["BGBB"].expected_purchases({"frequency": [3], "recency": [2], "age": [5]}, 1)
    with pytest.raises(WrongUsage, match="level"):
        fitted["BGNBD"].purchases_interval(table, 1, level=1.0)
    with pytest.raises(WrongUsage, match="discount"):
        CustomerValue.of(fitted["BGNBD"], GammaGamma.with_parameters(p=1.0, q=2.0, v=3.0)).expected_value(
            table | {"monetary": [1.0]}, 1, discount=1.5
        )


def test_the_churn_warning_comes_where_it_must(fitted: dict[str, BuyingModel]) -> None:
    once = {"frequency": [0], "recency": [0], "age": [20]}
    again = {"frequency": [1], "recency": [3], "age": [20]}
    with pytest.warns(NotAChurnScore, match="no churn score"):
        assert fitted["BGNBD"].probability_alive(once).tolist() == [1.0]
    assert fitted["BGNBD"].probability_alive(again)[0] < 1  # no warning: warnings are errors here
    assert fitted["ParetoNBD"].probability_alive(once)[0] < 1
    assert "not_a_churn_score" in {c.code for c in fitted["BGNBD"].cautions_}


def test_customers_without_differences_have_no_interval() -> None:
    draw = np.random.default_rng(2)
    times: Callable[[], np.ndarray] = lambda: np.sort(draw.uniform(0, 40, draw.poisson(4)))  # noqa: E731 - one rate, nobody leaves
    lives = [times() for _ in range(2_000)]
    x = np.array([len(t) for t in lives])
    table = Summary(x, np.array([t[-1] if len(t) else 0.0 for t in lives]), np.full(2_000, 40.0))
    model = BGNBD().fit(table)
    rivals: list[BuyingModel] = [model, ParetoNBD().fit(table)]
    for rival, leaving in zip(rivals, ("a", "s"), strict=True):
        assert "left_open" in {c.code for c in rival.cautions_}
        assert rival.intervals_["r"] is None
        assert rival.intervals_[leaving] is None
        assert rival.expected_purchases(table, 10).mean() == pytest.approx(1.0, abs=0.05)
        total = rival.expected_total(table, 10)
        assert total.value * 0.9 < total.low < total.high < total.value * 1.1
        low, high = rival.purchases_interval(table, 10, draws=200)
        assert low.min() == 0
        assert 2 <= high.min() <= high.max() <= 6
        json.dumps(rival.as_dict(), allow_nan=False)


def test_tables_of_every_kind_are_taken_and_left_alone(
    worlds: dict[str, World], fitted: dict[str, BuyingModel]
) -> None:
    arrow = worlds["BGNBD"].table.to_arrow().slice(0, 300)
    frame = pd.DataFrame(arrow.to_pandas())
    before = frame.copy()
    model = fitted["BGNBD"]
    answers = [model.expected_purchases(t, 9).tolist() for t in (arrow, frame, frame.to_dict("list"))]
    assert answers[0] == answers[1] == answers[2]
    clone(model).fit(frame)
    pd.testing.assert_frame_equal(frame, before)
    empty = arrow.slice(0, 0)
    assert model.expected_purchases(empty, 9).tolist() == []
    assert [len(part) for part in model.purchases_interval(empty, 9)] == [0, 0]


def test_a_fitted_model_is_ready_for_json(fitted: dict[str, BuyingModel]) -> None:
    said = json.loads(json.dumps(fitted["ParetoNBD"].as_dict(), allow_nan=False))
    assert set(said["parameters"]["r"]) == {"value", "low", "high"}
    assert said["customers"] == 20_000
    given = ParetoNBD.with_parameters(**TRUE["ParetoNBD"]).as_dict()
    assert (given["log_likelihood"], given["parameters"]) == (
        None,
        {n: {"value": v} for n, v in TRUE["ParetoNBD"].items()},
    )


def test_the_figures_of_a_comparison_are_what_they_are_called() -> None:
    held = hold(np.array([1.0, 2, 3, 4]), np.array([0, 0, 4, 1]))
    assert (held.actual, held.expected, held.total_error) == (5, 10, 1.0)
    assert (held.mae, held.rmse) == (1.75, pytest.approx(np.sqrt(15 / 4)))
    assert held.auc == 1.0
    assert hold(np.array([5.0, 1, 1, 1]), np.array([0, 1, 0, 1])).auc == 0.25
    assert held.best_tenth == 0.0
    assert np.isnan(hold(np.ones(3), np.zeros(3)).correlation)
    with pytest.raises(WrongUsage):
        hold(np.ones(3), np.ones(2))
    table = {"frequency": [0, 4], "recency": [0, 8], "age": [0, 8]}
    assert past_rate(table, 2).tolist() == [0, 1]
    assert bought_lately(table, 0).tolist() == [True, True]
