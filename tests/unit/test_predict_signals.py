"""Early signals: planted ones are found at their time, noise is called noise, and figures are those of a plain loop."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.predictions import parse_target
from kohort.errors import WrongUsage
from kohort.predict.signals import PERMUTATIONS, SURE, Seen, in_words, lead, once_each, signals


def world(seed: int, customers: int = 1_200) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes at three moments, more often at the later ones."""
    rng = np.random.default_rng(seed)
    moments = rng.integers(0, 3, customers)
    return (rng.random(customers) < 0.15 + 0.1 * moments).astype(float), moments


def test_a_planted_signal_is_found_where_it_was_planted() -> None:
    y, moments = world(1)
    rng = np.random.default_rng(2)
    noise = [Seen(f"noise {n}", 30, 14, rng.random(len(y)) < 0.3) for n in range(8)]
    manual = Seen("manual", 60, 30, rng.random(len(y)) < np.where(y > 0, 0.35, 0.15))
    found = signals([*noise, manual, Seen("manual", 7, 0, rng.random(len(y)) < 0.2)], y, moments)
    assert [(f.behaviour, f.since, f.until) for f in found if f.p <= SURE] == [("manual", 60, 30)]
    first = found[0]
    assert first.p == 1 / (PERMUTATIONS + 1)
    assert (first.with_it, first.without) == (pytest.approx(0.35, abs=0.06), pytest.approx(0.15, abs=0.03))
    assert first.as_dict()["days_before"] == {"from": 60, "to": 30}
    assert "30 to 60 days before" in in_words(first, "it happens")


def test_what_is_done_less_before_is_a_signal_too() -> None:
    y, moments = world(3)
    rng = np.random.default_rng(4)
    found = signals([Seen("visit", 7, 0, rng.random(len(y)) < np.where(y > 0, 0.2, 0.5))], y, moments)
    assert found[0].z < -5
    assert found[0].as_dict()["signal"]


def test_in_data_without_signals_there_is_one_in_a_case_of_twenty_at_most() -> None:
    wrong = 0
    for seed in range(20):
        y, moments = world(100 + seed, 400)
        rng = np.random.default_rng(200 + seed)
        seen = [Seen(f"b{n}", 30, 14, rng.random(400) < rng.uniform(0.05, 0.6)) for n in range(20)]
        wrong += min(f.p for f in signals(seen, y, moments)) <= SURE
    assert wrong <= 4  # more than 4 of 20 at 5 %: 1 in 390


def test_a_behaviour_that_only_follows_the_moments_is_no_signal() -> None:
    """At the later moments everybody does it more, and the outcome is more frequent: within a moment they have nothing to do
    with each other."""
    y, moments = world(5, 3_000)
    rng = np.random.default_rng(6)
    seasonal = rng.random(3_000) < 0.1 + 0.3 * moments
    pooled = seasonal[y > 0].mean() - seasonal[y == 0].mean()
    assert pooled > 0.05, "pooled, it looks like one"
    assert signals([Seen("seasonal", 30, 14, seasonal)], y, moments)[0].p > SURE


def test_the_score_is_mantel_and_haenszel_by_hand() -> None:
    """Two moments: 10 customers with 4 outcomes of whom 3 did it (5 of 10 did), 6 with 2 outcomes of whom 1 did it (2 of 6 did)."""
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0], float)
    did = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0], bool)
    moments = np.array([0] * 10 + [1] * 6)
    found = signals([Seen("a", 7, 0, did)], y, moments)[0]
    expected = 4 * 0.5 + 2 * 2 / 6
    variance = 4 * 6 / 9 * 0.5 * 0.5 + 2 * 4 / 5 * (1 / 3) * (2 / 3)
    assert found.z == pytest.approx((4 - expected) / variance**0.5)
    assert found.with_it == pytest.approx(4 / 6)
    assert found.without == pytest.approx((4 * 2 / 6 + 2 * 1 / 4) / 6)


def test_each_customer_is_looked_at_once_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(7)
    customers, moments = np.repeat(np.arange(200), 3), np.tile([10, 20, 30], 200)
    rows = once_each(customers, moments, seed=1)
    assert sorted(customers[rows].tolist()) == list(range(200))
    assert np.bincount(moments[rows] // 10)[1:].min() > 40, "moments are drawn alike"
    order = rng.permutation(600)
    again = once_each(customers[order], moments[order], seed=1)
    picked = {(int(c), int(m)) for c, m in zip(customers[rows], moments[rows], strict=True)}
    assert picked == {(int(customers[order][r]), int(moments[order][r])) for r in again}


def test_how_long_before_is_the_middle_half() -> None:
    assert lead(np.array([10.0, 20.0, 30.0, 40.0, 50.0, np.nan])) == {
        "median": 30.0,
        "from": 20.0,
        "to": 40.0,
        "customers": 5,
    }
    assert lead(np.array([np.nan])) is None
    assert signals([], np.array([]), np.array([])) == []


# From the event log -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kohort.Workspace]:
    """Four of ten customers upgrade; before that most of them read the manual, 35 to 45 days earlier. Others read it some time."""
    rng = np.random.default_rng(9)
    start = np.datetime64("2023-01-01T12:00:00")
    lines = ["customer,event,time"]

    def add(who: int, event: str, day: float) -> None:
        lines.append(f"K{who},{event},{start + np.timedelta64(int(day * 86_400), 's')}Z")

    for who in range(30):
        add(who, "party", rng.uniform(0, 720))
    for who in range(1_000):
        for day in np.cumsum(rng.exponential(20, 60)):
            if day < 720:
                add(who, "page", day)
        add(who, "help", rng.uniform(0, 720))
        if rng.random() < 0.4:
            upgraded = rng.uniform(300, 719)
            add(who, "upgrade", upgraded)
            if rng.random() < 0.7:
                add(who, "manual", upgraded - rng.uniform(35, 45))
        elif rng.random() < 0.5:
            add(who, "manual", rng.uniform(0, 720))
    folder = tmp_path_factory.mktemp("signals")
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    with kohort.create(folder / "shop") as made:
        made.ingest(folder / "events.csv", kind="events")
        targets = (
            parse_target("upgrade", {"event": "upgrade", "horizon": "30 days", "once": True}),
            parse_target("rare", {"event": "party", "horizon": "200 days"}),
        )
        made.change(lambda config: replace(config, predictions=targets))
        yield made


def test_the_manual_is_read_before_an_upgrade_and_how_long(ws: kohort.Workspace) -> None:
    found = ws.predict.signals("upgrade")
    assert found["code"] == "ok"
    assert found["behaviours"] == ["page", "help", "manual", "party"]
    assert {s["behaviour"] for s in found["signals"]} == {"manual"}
    first = found["signals"][0]
    assert first["days_before"]["to"] < 45
    assert first["with_outcome"] > 2 * first["without"]
    assert first["lead"]["median"] == pytest.approx(40, abs=2)
    assert 35 <= first["lead"]["from"] <= first["lead"]["to"] <= 45
    assert len(found["figures"]) == 4 * 6
    assert found["positives"] >= 50


def test_what_has_no_time_has_no_signals(ws: kohort.Workspace) -> None:
    with pytest.raises(WrongUsage, match="without a time"):
        ws.predict.signals(parse_target("label", {"trait": "plan", "is": "gold"}))


def test_the_command_says_the_same(ws: kohort.Workspace) -> None:
    shown = CliRunner().invoke(app, ["predict", "signals", "upgrade", "-w", str(ws.root)])
    assert shown.exit_code == 0, shown.output
    assert "“manual”" in shown.output
    few = CliRunner().invoke(app, ["predict", "signals", "rare", "-w", str(ws.root), "--json"])
    assert few.exit_code == 3, few.output
    assert json.loads(few.stdout)["code"] == "too_few"
