"""The whole way by commands: discover, adopt, run, members, report, pages; and the honest 3 where nothing holds."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from kohort.cli.app import app

pytestmark = pytest.mark.slow


def machine(*arguments, code=0):
    told = CliRunner().invoke(app, [*(str(a) for a in arguments), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Four hundred regulars with small baskets and eight hundred who came once or twice and spent a lot."""
    folder = tmp_path_factory.mktemp("pipeline")
    rng = random.Random(7)
    lines, order = [], 0
    for customer in range(1_200):
        regular = customer % 3 == 0
        for _ in range(rng.randint(12, 20) if regular else rng.randint(1, 2)):
            order += 1
            day = rng.randint(300, 363) if regular else rng.randint(0, 200)
            price = rng.uniform(4, 8) if regular else rng.uniform(150, 300)
            month, rest = divmod(day, 31)
            lines.append(
                (order, f"C{customer}", f"2023-{month + 1:02d}-{min(rest, 27) + 1:02d}", "mug", 1, f"{price:.2f}")
            )
    with (folder / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order", "customer", "date", "product", "quantity", "price"])
        writer.writerows(lines)
    machine("init", folder / "shop", "--currency", "EUR")
    assert machine("ingest", "-w", folder / "shop", folder / "orders.csv")["stored"] == len(lines)
    found = machine("discover", "-w", folder / "shop", "--adopt", "Main", "--out", folder / "found.csv")
    (folder / "found.json").write_text(json.dumps(found))
    return folder / "shop"


def test_discover_gives_a_segmentation(shop):
    found = json.loads((shop.parent / "found.json").read_text())
    assert found["customers"] == 1_200
    assert found["structure"]["verdict"] in {"separate", "spectrum"}
    assert sum(s["size"] for s in found["segments"]) + found["outliers"] == 1_200
    assert {"name", "size", "share", "stability", "rule", "different"} <= set(found["segments"][0])
    with (shop.parent / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sizes = {s["name"]: s["size"] for s in found["segments"]}
    assert {name: sum(r["segment"] == name for r in rows) for name in sizes} == sizes


def test_segments_are_listed_shown_renamed_and_run(shop):
    assert [s["name"] for s in machine("segments", "list", "-w", shop)["segmentations"] if s["adopted"]] == ["Main"]
    shown = machine("segments", "show", "Main", "-w", shop)
    assert shown["name"] == "Main"
    first = shown["segments"][0]
    machine("segments", "rename", "Main", first["id"], "My favourites", "-w", shop)
    assert machine("segments", "show", "-w", shop)["segments"][0]["name"] == "My favourites"
    text = CliRunner().invoke(app, ["segments", "show", "-w", str(shop)]).stdout
    assert "My favourites" in text
    assert "█" in text
    moved = machine("segments", "run", "Main", "-w", shop, "--as-of", "2023-12-31")
    assert moved["as_of"] == "2023-12-31T23:59:59.999999Z"
    assert moved["before"].endswith("Z")
    assert moved["entered"] + moved["moved"] + moved["stayed"] <= 1_200
    again = machine("segments", "adopt", "Second", "-w", shop)
    assert again["version"] >= 1


def test_members_have_the_promised_columns(shop, tmp_path):
    told = machine("members", "Main", "-w", shop, "--out", tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["customer_id", "segment", "since", "confidence", "reason"]
    assert len(rows) == told["customers"]
    assert {r["customer_id"] for r in rows} <= {f"C{i}" for i in range(1_200)}
    assert CliRunner().invoke(app, ["members", "Nobody", "-w", str(shop)]).exit_code == 1


def test_the_report_is_one_file(shop, tmp_path):
    machine("report", "-w", shop, "--out", tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_a_plain_table_needs_no_workspace(tmp_path):
    rng = random.Random(3)
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "a", "b"])
        for i in range(600):
            centre = 0 if i % 2 else 20
            writer.writerow([i, rng.gauss(centre, 1), rng.gauss(centre, 1)])
    found = machine("discover", "--table", tmp_path / "t.csv", "--out", tmp_path / "o.csv")
    assert (found["structure"]["verdict"], found["k"]) == ("separate", 2)
    with (tmp_path / "o.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["who", "segment", "confidence"]
    assert len({(int(r["who"]) % 2, r["segment"]) for r in rows}) == 2


def test_nothing_worth_cutting_is_three_unless_asked_for(tmp_path):
    rng = random.Random(5)
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", *(f"f{j}" for j in range(8))])
        writer.writerows([i, *(f"{rng.gauss(0, 1):.6f}" for _ in range(8))] for i in range(1_000))
    found = machine("discover", "--table", tmp_path / "t.csv", code=3)
    assert (found["structure"]["verdict"], found["segments"]) == ("none", [])
    asked = machine("discover", "--table", tmp_path / "t.csv", "--k", 3)
    assert asked["structure"]["verdict"] == "none"
    assert len(asked["segments"]) == 3


def test_serve_says_when_it_is_ready_and_stops_when_told(shop):
    command = [sys.executable, "-m", "kohort", "serve", "-w", str(shop), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as pages:
        try:
            ready = pages.stderr.readline()
            assert ready.startswith("Kohort is ready: http://127.0.0.1:")
            address = ready.split()[3]
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.status == 200
                assert "text/html" in answer.headers["content-type"]
        finally:
            pages.send_signal(signal.SIGINT)
        assert pages.wait(timeout=30) == 0


def test_the_demo_does_everything_once(tmp_path):
    told = machine("demo", "--dir", tmp_path / "demo", "--no-serve")
    assert (told["rows"], told["customers"]) == (1_067_370, 5_942)
    assert set(told) == {"rows", "customers", "seconds", "workspace", "segmentation"}
    assert told["segmentation"]["name"] == "Main"
    assert len(told["segmentation"]["segments"]) >= 2
    doctor = machine("doctor", "-w", tmp_path / "demo")
    assert doctor["ok"]
