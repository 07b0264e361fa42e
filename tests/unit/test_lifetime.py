"""Value models on worlds whose truth is known: judged on what came, chosen by it, kept whole, and silent where there is too little."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from kohort.definitions.predictions import parse_horizon
from kohort.errors import BadInput, Damaged, NeedsAnswer, NotEnough, RefusedDefinition, WrongUsage
from kohort.ingest.transactions import Transactions, read_transactions
from kohort.model.clock import DAY_US, parse_instant
from kohort.predict.buying.bgnbd import BGNBD
from kohort.predict.buying.pareto_nbd import ParetoNBD
from kohort.predict.lifetime.fit import Found
from kohort.predict.lifetime.held import FLOOR, choose, deviance, figures, surely_better
from kohort.predict.lifetime.learned import bands
from kohort.predict.lifetime.model import between, lifetime_from_bytes
from kohort.predict.lifetime.plain import fit_table, score_table

START = date(2023, 1, 1)
HORIZON = parse_horizon("90 days")
AT = parse_instant("2024-06-30")


CUSTOMERS = 450
"""So few that with four moments only the small settings of a learned model are tried."""


def steady(customers: int, seed: int, *, until: int = 720) -> list[str]:
    """Customers who buy at a steady rate of their own until an unseen moment: the story of Pareto/NBD."""
    draw = np.random.default_rng(seed)
    lines = ["who,day,paid"]
    for n in range(customers):
        day, rate, usual = draw.integers(0, 400), draw.gamma(1.2, 1 / 60), 20 / draw.gamma(4.0) * 4
        leaves = day + draw.exponential(1 / draw.gamma(1.5, 1 / 500))
        while day <= min(until, leaves):
            lines.append(f"C{n},{START + timedelta(int(day))},{draw.gamma(5.0) * usual / 5 + 0.5:.2f}")
            day = day + draw.exponential(1 / rate)
    return lines


def counted(customers: int, seed: int) -> list[str]:
    """Customers who buy every four weeks, and never again after the eighth time: no steady rate, and plain to see."""
    draw = random.Random(seed)
    lines = ["who,day,paid"]
    for n in range(customers):
        day, times = draw.randint(0, 520), 0
        while day <= 720 and times < 8:
            lines.append(f"C{n},{START + timedelta(day)},{draw.randint(900, 1100) / 100:.2f}")
            day, times = day + draw.randint(26, 30), times + 1
    return lines


def table(path: Path, lines: list[str], *, amount: str | None = "paid") -> Transactions:
    path.write_text("\n".join(lines) + "\n")
    return read_transactions(path, id="who", date="day", amount=amount)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Transactions:
    return table(tmp_path_factory.mktemp("lifetime") / "steady.csv", steady(CUSTOMERS, 1))


@pytest.fixture(scope="module")
def found(shop: Transactions) -> Found:
    return fit_table(shop, horizon=HORIZON)


# Reading --------------------------------------------------------------------------------------------------------------


def test_a_table_becomes_purchases_and_rows_that_cannot_are_counted(tmp_path: Path) -> None:
    lines = [
        "who;day;paid",
        "b;03/04/2024;1,50",
        "a;21/04/2024;2,00",
        ";21/04/2024;2,00",
        "a;soon;2,00",
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    read = read_transactions(tmp_path / "t.csv", id="who", date="day", amount="paid")
    assert read.ids == ("b", "a")
    assert (read.read, sum(read.left_out.values()), read.left_out["no_customer"]) == (4, 2, 1)
    assert read.snapshot.hot is not None
    assert read.snapshot.hot.column("amount").to_pylist() == [150, 200]
    assert read.first == parse_instant("2024-04-03T00:00:00Z")


def test_what_can_be_read_in_two_ways_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("who,day\na,03/04/2024\nb,05/06/2024\n")
    with pytest.raises(NeedsAnswer, match="more than one way"):
        read_transactions(path, id="who", date="day")
    read = read_transactions(path, id="who", date="day", answers={"day_first": False})
    assert read.first == parse_instant("2024-03-04T00:00:00Z")
    with pytest.raises(BadInput, match="no column 'whom'"):
        read_transactions(path, id="whom", date="day")


# Judging --------------------------------------------------------------------------------------------------------------


def test_the_best_answer_to_deviance_is_the_mean() -> None:
    came = np.random.default_rng(0).gamma(0.5, 10, 2_000)
    losses = {m: deviance(np.full(2_000, m * came.mean()), came).mean() for m in (0.5, 0.9, 1.0, 1.1, 2.0)}
    assert min(losses, key=losses.__getitem__) == 1.0
    right = deviance(came, came)
    assert right[came >= FLOOR * came.mean()].max() == pytest.approx(0.0, abs=1e-12)
    assert right.max() <= 2 * FLOOR


def test_the_simplest_that_is_not_surely_worse_is_taken() -> None:
    noise = np.random.default_rng(1).normal(size=500)
    assert choose({"simple": 1.0 + noise, "rich": 1.0 + noise[::-1] - 0.01}) == "simple"
    assert choose({"simple": 1.5 + noise, "rich": 1.0 + noise}) == "rich"
    assert surely_better(noise, noise + 1.0)
    assert not surely_better(noise, noise[::-1])


def test_intervals_hold_the_figure_and_narrow_with_customers() -> None:
    draw = np.random.default_rng(2)
    width = []
    for count in (300, 30_000):
        mean = draw.gamma(1.0, 2.0, count)
        told = figures(mean, draw.poisson(mean).astype(float))
        for name in ("total_error", "correlation", "mae", "auc"):
            assert told[name]["low"] <= told[name]["value"] <= told[name]["high"]
        assert abs(told["total_error"]["value"]) < 0.2
        width.append(told["mae"]["high"] - told["mae"]["low"])
    assert width[1] < width[0] / 4


def test_bands_hold_as_many_as_they_say() -> None:
    draw = np.random.default_rng(3)
    mean = draw.gamma(1.0, 30.0, 8_000)
    came = draw.gamma(2.0, mean / 2)
    low, high = between(bands(mean[::2], came[::2]), mean[1::2])
    inside = ((low <= came[1::2]) & (came[1::2] <= high)).mean()
    assert inside == pytest.approx(0.95, abs=0.02)
    assert (low <= mean[1::2]).all()
    assert (mean[1::2] <= high).all()


# Fitting --------------------------------------------------------------------------------------------------------------


def test_the_report_is_what_the_interface_promises(found: Found) -> None:
    report = found.report
    assert report.keys() >= {
        "model",
        "parameters",
        "log_likelihood",
        "customers",
        "seconds",
        "holdout",
        "chosen",
        "cautions",
    }
    assert report["model"] in ("BGNBD", "ParetoNBD")
    assert all(p.keys() == {"value", "low", "high"} for p in report["parameters"].values())
    held = report["holdout"]
    assert held["purchases"].keys() == {"BGNBD", "ParetoNBD", "past_rate"}
    assert held["choice"].keys() == {"model", "learned", "past_rate"}
    for told in (*held["purchases"].values(), *held["choice"].values()):
        assert told.keys() >= {"expected", "actual", "total_error", "correlation", "mae", "auc", "deviance"}
    assert "alive" not in str(report.keys() | held.keys())


def test_in_a_steady_world_the_models_beat_the_naive_rule_and_their_intervals_hold(found: Found) -> None:
    held = found.report["holdout"]
    naive, best = held["purchases"]["past_rate"], held["purchases"][found.report["model"]]
    assert best["deviance"] < naive["deviance"]
    assert abs(best["total_error"]["value"]) < 0.15
    assert best["auc"]["low"] > 0.7
    assert held["coverage"]["model"] > 0.9
    assert held["coverage"]["learned"] > 0.9


def test_the_parameters_are_those_of_the_models_alone(shop: Transactions, found: Found) -> None:
    from kohort.engines.purchases import purchases
    from kohort.predict.buying.summary import summarise

    summary = summarise(purchases(shop.snapshot, as_of=shop.last), shop.last)
    alone = {"BGNBD": BGNBD, "ParetoNBD": ParetoNBD}[found.report["model"]]().fit(summary)
    told = {n: p["value"] for n, p in found.report["parameters"].items()}
    assert told == pytest.approx(alone.parameters_)
    assert found.report["log_likelihood"] == pytest.approx(alone.log_likelihood_)
    assert found.report["customers"] == len(summary)


@pytest.mark.nightly
def test_another_future_changes_nothing_that_was_fitted(tmp_path: Path, shop: Transactions) -> None:
    lines = steady(CUSTOMERS, 1)
    past = [line for line in lines[1:] if line.split(",")[1] <= "2024-06-30"]
    other = table(tmp_path / "other.csv", [lines[0], *past, "C0,2024-08-01,9999.00", "C1,2024-12-01,1.00"])
    one, two = (fit_table(t, horizon=HORIZON, as_of=AT) for t in (shop, other))
    for key in ("customers", "repeat_customers"):
        assert one.report[key] == two.report[key]
    assert one.report["holdout"]["from"] == two.report["holdout"]["from"] == "2024-06-30T23:59:59.999999Z"
    assert one.report["holdout"]["purchases"]["BGNBD"]["expected"] == pytest.approx(
        two.report["holdout"]["purchases"]["BGNBD"]["expected"]
    )
    assert one.report["holdout"]["purchases"]["BGNBD"]["actual"] > two.report["holdout"]["purchases"]["BGNBD"]["actual"]


@pytest.mark.nightly
def test_what_is_expected_of_all_holds_what_comes(tmp_path: Path, shop: Transactions) -> None:
    until = table(
        tmp_path / "until.csv", [r for r in steady(CUSTOMERS, 1) if r.split(",")[1] <= "2024-06-30" or r[0] == "w"]
    )
    ids, scores = score_table(until, fit_table(until, horizon=HORIZON).model)
    assert len(ids) == len(scores.columns["purchases"]) == len(set(ids))
    assert shop.snapshot.hot is not None
    hot = shop.snapshot.hot
    later = (hot.column("ts").to_numpy() > AT) & (hot.column("ts").to_numpy() <= AT + 90 * DAY_US)
    known = np.isin(hot.column("customer").to_numpy(), [shop.ids.index(i) + 1 for i in ids])
    came = int((later & known).sum())
    assert scores.purchases.low * 0.9 < came < scores.purchases.high * 1.1
    assert scores.value is not None
    assert scores.value.low < scores.value.value < scores.value.high
    for name in ("purchases", "value"):
        assert (scores.columns[f"{name}_low"] <= scores.columns[f"{name}_high"]).all()


def test_where_rates_are_not_steady_the_learned_model_is_taken(tmp_path: Path) -> None:
    told = fit_table(table(tmp_path / "counted.csv", counted(450, 4)), horizon=HORIZON)
    assert told.report["chosen"] == "learned"
    choice = told.report["holdout"]["choice"]
    assert choice["learned"]["deviance"] < choice["model"]["deviance"]
    assert "it is taken" in told.report["reason"]
    assert told.model.learned is not None


def test_without_amounts_only_purchases_are_told(tmp_path: Path) -> None:
    plain = table(tmp_path / "plain.csv", steady(250, 5), amount=None)
    told = fit_table(plain, horizon=HORIZON)
    assert (told.report["goal"], told.report["spend"]) == ("purchases", None)
    _, scores = score_table(plain, told.model)
    assert scores.value is None
    assert set(scores.columns) == {"purchases", "purchases_low", "purchases_high"}


def test_too_little_is_an_answer_and_no_holdout_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotEnough, match="Not enough data"):
        fit_table(table(tmp_path / "few.csv", steady(60, 6)), horizon=HORIZON)
    lines = [r for r in steady(600, 7) if r.split(",")[1] <= "2023-03-20" or r[0] == "w"]
    short = table(tmp_path / "short.csv", lines)
    told = fit_table(short, horizon=parse_horizon("26 weeks"))
    assert told.report["holdout"] is None
    assert told.report["model"] == "BGNBD"
    assert "not_judged" in {c["code"] for c in told.report["cautions"]}
    with pytest.raises(WrongUsage, match="a week"):
        fit_table(short, horizon=parse_horizon("2 days"))
    with pytest.raises(RefusedDefinition, match="not always the same length"):
        parse_horizon("3 months")


# Keeping --------------------------------------------------------------------------------------------------------------


def test_a_kept_model_scores_alike_and_a_broken_one_is_refused(shop: Transactions, found: Found) -> None:
    whole = found.model.to_bytes()
    again = lifetime_from_bytes(whole)
    assert again.to_bytes() == whole
    one, two = (score_table(shop, m)[1] for m in (found.model, again))
    for name, values in one.columns.items():
        assert np.array_equal(values, two.columns[name])
    rng = random.Random(8)
    for _ in range(100):
        at = rng.randrange(len(whole))
        broken = whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
        with pytest.raises(Damaged):
            lifetime_from_bytes(broken)
    with pytest.raises(Damaged):
        lifetime_from_bytes(replace(found.model, weeks=-1.0).to_bytes())


@pytest.mark.nightly
def test_the_same_table_and_seed_give_the_same_bytes(shop: Transactions, found: Found) -> None:
    assert fit_table(shop, horizon=HORIZON).model.to_bytes() == found.model.to_bytes()
