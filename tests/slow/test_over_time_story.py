"""A small shop whose groups are followed for half a year, adopted, and carried on a month later."""

from __future__ import annotations

import csv
import json
import random
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.defaults import last_month
from kohort.errors import NotEnough, WrongUsage
from kohort.workspace.over_time import ACTS, SPEND

pytestmark = pytest.mark.slow

HEADER = ["order number", "customer number", "date", "product", "quantity", "unit price"]
START = datetime(2023, 1, 16, 9, 30)  # noqa: DTZ001 - the file holds local times
MONTHS = 14
BEFORE_LAST = "2024-02-10"


def write_orders(path: Path, customers: int = 360) -> None:
    """Regulars (monthly, big), occasionals (rare, small), and those who come late and stay."""
    chance = random.Random(2)
    lines = []
    for customer in range(customers):
        kind = customer % 3
        days = {
            0: [30 * n for n in range(MONTHS)],
            1: sorted(chance.randrange(MONTHS * 30) for _ in range(3)),
            2: [30 * n for n in range(chance.randrange(MONTHS - 2), MONTHS, 2)],
        }[kind]
        for visit, day in enumerate(days):
            when = START + timedelta(days=day + chance.randrange(5), minutes=chance.randrange(400))
            price = (40, 9, 20)[kind] * (0.8 + 0.4 * chance.random())
            stamp = when.strftime("%Y-%m-%d %H:%M")
            lines.append([f"{customer}-{visit}", f"K{customer}", stamp, f"P{visit % 5}", 1, f"{price:.2f}"])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("over-time")
    write_orders(base / "orders.csv")
    with kohort.create(base / "shop", name="Corner shop") as ws:
        ws.ingest(base / "orders.csv")
    return base / "shop"


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_groups_are_followed_adopted_and_carried_on_under_their_names(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "courses.csv"
    asked = ["over-time", "-w", str(folder), "--months", "6", "--k", "3", "--as-of", BEFORE_LAST]
    told = call(*asked, "--adopt", "Main", "--out", str(out), "--json")
    assert told.exit_code == 0, told.output
    data = json.loads(told.stdout)
    assert len(data["moments"]) == len(data["sizes"]) == 7
    assert [w["name"] for w in data["ways"]] == ["refit", "warm", "evolving", "frozen"]
    assert {s["id"] for s in data["segmentation"]["segments"]} == set(data["segments"])
    courses = list(csv.DictReader(out.open()))
    last = [row for row in courses if row["moment"] == data["moments"][-1]]
    assert len(last) == data["customers"] == sum(data["sizes"][-1])

    with kohort.open(folder) as ws:
        before = {s.id: s.name for s in ws.segmentation("Main").segments}
        ws.rename("Main", "s1", "Our best")
        moved = json.loads(call("segments", "refit", "Main", "-w", str(folder), "--json").stdout)
        after = {s.id: s.name for s in ws.segmentation("Main").segments}
        assert (moved["new"], moved["gone"]) == ([], [])
        assert after == before | {"s1": "Our best"}
        members = ws.members("Main")
        assert members.num_rows == ws.segmentation("Main").customers == 360
        assert set(members.column("segment").to_pylist()) == set(after.values())
        with pytest.raises(WrongUsage, match="already"):  # the same moment once more would be another step
            ws.refit("Main")
        placed = ws.run("Main")
        assert placed.moved == 0  # the borders that are kept are those that placed everybody


def test_people_read_the_price_of_staying(folder: Path) -> None:
    told = call("over-time", "-w", str(folder), "--months", "4", "--by", "shape", "--k", "3", "--weight", "0.5")
    assert told.exit_code == 0, told.output
    assert "3 groups followed from" in told.stdout
    assert "the past counts 0.5 (given)" in told.stdout
    for word in ("anew ", "free ", "evolving ", "frozen ", "taken", "trivial"):
        assert word in told.stdout
    with kohort.open(folder) as ws, pytest.raises(WrongUsage, match="report"):
        ws.discover_over_time(months=4, by="shape", k=3).adopt("Shapes")


def test_of_a_large_population_a_sample_is_followed_and_everybody_is_placed(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("kohort.workspace.over_time.MOST_FOLLOWED", 200)
    with kohort.open(folder) as ws:
        found = ws.discover_over_time(months=4, k=3, weight=0.5)
        assert found.over_time.customers == 200
        assert found.segmentation.customers == sum(s.size for s in found.segmentation.segments) == 360
        assert not any(s.trend for s in found.segmentation.segments)  # sizes of a sample are not those of segments
        assert ws.adopt("Sampled")["customers"] == 360


def test_a_month_is_what_the_file_says(folder: Path) -> None:
    rows = list(csv.DictReader((folder.parent / "orders.csv").open()))
    with kohort.open(folder) as ws:
        definitions = last_month(ws.contents())
        until = datetime(2023, 9, 20, 12)  # noqa: DTZ001 - compared with local times of the file; the shop is in UTC
        table = ws.pseudonymous_features("2023-09-20T12:00:00Z", definitions=definitions)
        numbers = ws.features("2023-09-20T12:00:00Z").ids.to_pylist()
    orders: dict[str, set[str]] = {}
    spend: dict[str, float] = {}
    for row in rows:
        if datetime(2023, 8, 20, 12) < datetime.strptime(row["date"], "%Y-%m-%d %H:%M") <= until:  # noqa: DTZ001, DTZ007
            who = row["customer number"]
            orders.setdefault(who, set()).add(row["order number"])
            spend[who] = spend.get(who, 0) + float(row["unit price"])
    assert len(orders) > 100
    assert table.data[ACTS].to_pylist() == [len(orders.get(n, ())) for n in numbers]
    assert np.nan_to_num(table.data[SPEND].to_numpy()) == pytest.approx([spend.get(n, 0) for n in numbers])


def test_too_short_a_history_says_how_much_is_needed(folder: Path) -> None:
    told = call("over-time", "-w", str(folder), "--months", "20", "--json")
    assert told.exit_code == 3
    error = json.loads(told.stdout)["error"]
    assert error["message"] == "The history covers 13 whole months; this needs 23."
    with kohort.open(folder) as ws, pytest.raises(NotEnough, match="covers 5 whole months; this needs 7"):
        ws.discover_over_time(as_of="2023-06-20")


@pytest.mark.parametrize(
    "arguments",
    [["--weight", "2"], ["--months", "2"], ["--months", "99"], ["--by", "shape", "--adopt", "X"], ["--weight", "nan"]],
    ids=" ".join,
)
def test_what_cannot_be_is_wrong_usage(folder: Path, arguments: list[str]) -> None:
    assert call("over-time", "-w", str(folder), *arguments).exit_code == 2


def test_groups_found_at_one_moment_need_a_weight_to_be_carried_on(folder: Path) -> None:
    with kohort.open(folder) as ws:
        ws.discover(algorithm="kmeans", k=3, as_of=BEFORE_LAST).adopt("Once")
        with pytest.raises(WrongUsage, match="not found over time"):
            ws.refit("Once")
        assert ws.refit("Once", weight=0.5).version == 2
        ws.discover(algorithm="mixture", k=3, as_of=BEFORE_LAST).adopt("Mixed")
        with pytest.raises(WrongUsage, match="centres"):
            ws.refit("Mixed", weight=0.5)
