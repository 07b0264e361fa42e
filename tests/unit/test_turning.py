"""Turning points: the statistic against brute force, false alarms as often as said, and too few weeks as an answer."""

from datetime import date, timedelta

import numpy as np
import pytest
from scipy.stats import binom, poisson

import kohort
from kohort.errors import UnknownCustomer, WrongUsage
from kohort.predict.turning import LEAST_SIDE, observed, ratios, season, turning_points


def test_the_ratio_is_that_of_the_probabilities_of_both_stories() -> None:
    rng = np.random.default_rng(0)
    counts, busy = rng.poisson(0.8, 30), rng.uniform(0.5, 2, 30)
    found = ratios(counts[None].astype(float), busy[None])[0]

    def best(rows: slice) -> float:
        rate = counts[rows].sum() / busy[rows].sum()
        return float(poisson.logpmf(counts[rows], rate * busy[rows]).sum())

    for place in range(30):
        if LEAST_SIDE <= place <= 30 - LEAST_SIDE:
            assert found[place] == pytest.approx(best(slice(0, place)) + best(slice(place, 30)) - best(slice(0, 30)))
        else:
            assert found[place] == -np.inf


def test_weeks_that_are_not_looked_at_count_for_nothing() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(1.0, (1, 25)).astype(float)
    padded, seen = np.hstack([np.zeros((1, 7)), counts]), np.hstack([np.zeros((1, 7)), np.ones((1, 25))])
    np.testing.assert_allclose(ratios(padded, seen)[0, 7:], ratios(counts, np.ones((1, 25)))[0])


def test_the_best_place_is_that_of_ruptures() -> None:
    rpt = pytest.importorskip("ruptures", reason="ruptures is not installed: the place is checked by brute force only")

    class PoissonCost(rpt.base.BaseCost):
        model, min_size = "poisson", 1

        def fit(self, signal: np.ndarray) -> "PoissonCost":
            self.signal = signal.reshape(-1)
            return self

        def error(self, start: int, end: int) -> float:
            n, rows = self.signal[start:end].sum(), end - start
            return -float(n * np.log(n / rows)) if n else 0.0

    rng = np.random.default_rng(2)
    for _ in range(20):
        counts = rng.poisson(np.where(np.arange(40) < rng.integers(8, 32), 1.5, 0.5)).astype(float)
        algorithm = rpt.Dynp(custom_cost=PoissonCost(), min_size=LEAST_SIDE, jump=1).fit(counts)
        assert ratios(counts[None], np.ones((1, 40)))[0].argmax() == algorithm.predict(n_bkps=1)[0]


WORLDS = {
    "steady": lambda rng, base: rng.poisson(base * np.ones(80)),
    "bursts": lambda rng, base: rng.poisson(base * np.ones(80)) * rng.integers(1, 6, (len(base), 80)),
    "a season": lambda rng, base: rng.poisson(base * np.where((np.arange(80) >= 40) & (np.arange(80) < 47), 3.0, 1.0)),
}


@pytest.mark.parametrize("name", WORLDS)
def test_false_alarms_are_as_rare_as_said(name: str) -> None:
    rng = np.random.default_rng(3)
    counts = WORLDS[name](rng, rng.gamma(2, 0.25, (1_200, 1)))
    begins = rng.integers(0, 40, (1_200, 1))
    counts[np.arange(80) < begins] = 0
    found = turning_points(counts)
    tested = int(found.tested.sum())
    assert tested > 900
    for level in (0.01, 0.05):
        alarms = int((found.p[found.tested] <= level).sum())
        # Half as many again are allowed for: weeks drawn in turn are not quite those of a season, see docs/sequences.md.
        assert binom.sf(alarms - 1, tested, 1.5 * level) > 0.001


def test_who_changes_is_found_where_and_others_are_not() -> None:
    rng = np.random.default_rng(4)
    turns = np.arange(400) < 100
    place = rng.integers(30, 60, 400)
    rate = np.where(turns[:, None] & (np.arange(90) >= place[:, None]), 0.1, 1.0)
    found = turning_points(rng.poisson(rate))
    hit = found.p <= 0.01
    assert hit[turns].mean() > 0.95
    assert hit[~turns].mean() < 0.04
    inside = (found.first <= place) & (place <= found.last)
    assert inside[turns].mean() > 0.9
    assert (found.after[turns & hit] < found.before[turns & hit]).all()
    assert np.median(np.abs(found.place - place)[turns]) <= 2


def test_a_fall_of_everybody_is_no_season_of_one_who_stays() -> None:
    rng = np.random.default_rng(5)
    falling = rng.poisson(np.exp(-np.arange(80) / 30) * np.ones((4_000, 1)))
    busy = season(falling, observed(falling))
    assert busy[13:-13].min() > 0.7
    assert busy[13:-13].max() < 1.4
    steady = rng.poisson(0.6, (300, 80))
    found = turning_points(steady, busy=busy)
    assert (found.p <= 0.01).mean() < 0.05


def test_too_few_weeks_are_not_tested() -> None:
    counts = np.zeros((3, 40), int)
    counts[0, [0, 8, 20, 30, 31]] = 1
    counts[1, 28:] = 2
    counts[2, ::4] = 1
    found = turning_points(counts)
    assert found.tested.tolist() == [False, False, True]
    assert found.p[:2].tolist() == [1.0, 1.0]
    assert found.place[:2].tolist() == [-1, -1]
    assert not turning_points(np.zeros((0, 40))).tested.size


def test_the_first_event_is_no_change() -> None:
    assert observed(np.array([[0, 0, 3, 0]])).tolist() == [[False, False, False, True]]


def test_the_same_weeks_and_seed_give_the_same_answer() -> None:
    counts = np.random.default_rng(6).poisson(0.7, (50, 60))
    one, other = turning_points(counts, seed=3), turning_points(counts, seed=3)
    np.testing.assert_array_equal(one.p, other.p)


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory):
    """120 customers order about every other week; the first thirty stop, or nearly, after sixty weeks of a hundred."""
    rng = np.random.default_rng(7)
    lines = ["order,customer,date,product,quantity,price"]
    for customer in range(120):
        for week in range(100):
            rate = 0.05 if customer < 30 and week >= 60 else 0.5
            if customer == 119 and week < 95:
                continue
            for n in range(rng.poisson(rate)):
                day = date(2022, 1, 3) + timedelta(7 * week + int(rng.integers(0, 7)))
                lines.append(f"o{customer}-{week}-{n},K{customer},{day},mug,1,5.00")
    folder = tmp_path_factory.mktemp("turning")
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    with kohort.create(folder / "shop", currency="GBP") as made:
        made.ingest(folder / "orders.csv")
        yield made


def test_a_shop_says_who_turned_and_since_when(ws: kohort.Workspace) -> None:
    found = ws.predict.turning_points()
    assert found["code"] == "ok"
    assert found["tested"] >= 110
    turned = {t["customer"]: t for t in found["turned"]}
    known = {f"K{n}" for n in range(30)}
    assert len(known & set(turned)) > 22
    assert len(set(turned) - known) <= 5
    less = [turned[k] for k in known & set(turned)]
    assert all(t["direction"] == "less" and t["p"] <= 0.01 for t in less)
    middle = sorted(t["since"] for t in less)[len(less) // 2]
    assert "2023-02-10" < middle < "2023-04-10", "sixty weeks after 3 January 2022 is 27 February 2023"
    assert found["together"]


def test_a_shop_before_anybody_turned_names_nobody(ws: kohort.Workspace) -> None:
    found = ws.predict.turning_points(as_of="2023-02-20")
    assert (found["code"], found["turned"]) == ("none", [])
    assert "by chance alone" in found["text"]


def test_one_customer_turned_steady_or_with_too_few_weeks(ws: kohort.Workspace) -> None:
    turned = ws.predict.turning_points()["turned"]
    first = next(t for t in turned if int(t["customer"][1:]) < 30)
    told = ws.predict.turning_points(first["customer"])
    assert (told["code"], told["since"]) == ("turned", first["since"])
    steady = next(f"K{n}" for n in range(30, 119) if f"K{n}" not in {t["customer"] for t in turned})
    assert ws.predict.turning_points(steady)["code"] == "steady"
    late = ws.predict.turning_points("K119")
    assert late["code"] == "too_few"
    assert "Not enough weeks" in late["text"]
    with pytest.raises(UnknownCustomer):
        ws.predict.turning_points("K999")
    with pytest.raises(WrongUsage, match="a share from"):
        ws.predict.turning_points(false_alarms=0.0)


def test_who_objects_to_profiling_is_not_looked_at(ws: kohort.Workspace) -> None:
    before = ws.predict.turning_points()
    name = before["turned"][0]["customer"]
    ws.privacy.forbid("objection", [name], source="letter")
    after = ws.predict.turning_points()
    assert name not in {t["customer"] for t in after["turned"]}
    assert after["customers"] == before["customers"] - 1
