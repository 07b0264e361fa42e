"""Groups that a company already has stand beside the segments found, on any plain table."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from kohort.cli.app import app


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    chance = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("labels") / "clients.csv"
    with path.open("w", newline="") as opened:
        out = csv.writer(opened)
        out.writerow(["Our Group", "orders", "spend"])
        for i in range(240):
            x, y = chance.normal(size=2) + (0, 9)[i % 2]
            out.writerow([("bronze", "gold")[i % 2] if i else "", round(x, 3), round(y, 3)])
    return path


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_own_groups_are_compared_and_take_no_part(table):
    told = call("discover", "--table", table, "--k", 2, "--labels", "Our Group", "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["labels"]["agreement"]["value"] == 1.0
    assert found["labels"]["unlabelled"] == 1
    assert "Our Group" not in {d["label"] for s in found["segments"] for d in s["different"]}


def test_the_comparison_is_told_in_plain_words(table):
    told = call("discover", "--table", table, "--k", 2, "--labels", "Our Group").stdout
    assert "Your labels and the segments found are nearly the same." in told
    assert "Agreement 100 of 100" in told
    assert "1 customer without a group of yours." in told
    assert "rows are numbered from 1" in told


def test_rows_that_were_numbered_are_written_with_their_number(table, tmp_path):
    assert call("discover", "--table", table, "--k", 2, "--out", tmp_path / "o.csv").exit_code == 0
    written = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert [r["row"] for r in written] == [str(i) for i in range(1, 241)]


def test_a_column_that_is_not_there_is_named(table):
    told = call("discover", "--table", table, "--labels", "Nope", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["error"]["code"] == "not_found"


def test_who_is_in_no_segment_has_no_confidence(tmp_path):
    chance = np.random.default_rng(7)
    rows = "".join(f"c{i},{x:.4f},{y:.4f},{z:.4f}\n" for i, (x, y, z) in enumerate(chance.normal(size=(400, 3))))
    (tmp_path / "noise.csv").write_text(f"id,x,y,z\n{rows}")
    told = call("discover", "--table", tmp_path / "noise.csv", "--out", tmp_path / "o.csv")
    assert told.exit_code == 3
    assert "no tiers can be given: add a column with their spend" in " ".join(told.stdout.split())
    written = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert {(r["segment"], r["confidence"]) for r in written} == {("", "")}


def test_a_number_of_groups_that_a_way_does_not_find_is_an_answer_not_one_group(tmp_path):
    chance = np.random.default_rng(7)
    middle = np.array([[0, 0], [9, 0], [0, 9], [9, 9]])[np.arange(800) % 4]
    rows = "".join(f"c{i},{x:.4f},{y:.4f}\n" for i, (x, y) in enumerate(middle + chance.normal(size=(800, 2))))
    (tmp_path / "four.csv").write_text(f"id,x,y\n{rows}")
    told = call("discover", "--table", tmp_path / "four.csv", "--algorithm", "hdbscan", "--k", 3)
    assert told.exit_code == 3
    assert "does not find 3 groups" in told.stderr
    assert call("discover", "--table", tmp_path / "four.csv", "--algorithm", "hdbscan", "--k", 4).exit_code == 0


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_map_is_drawn_as_asked(table, method):
    pytest.importorskip("openTSNE", reason="the extra `map` is not installed") if method == "tsne" else None
    told = call("discover", "--table", table, "--k", 2, "--map", method, "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["map_method"] == method
    assert len(found["map"]) == 240
