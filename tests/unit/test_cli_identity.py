"""`kohort identity dedupe`: the interface that programs rely on."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pyarrow import csv

from kohort.cli.app import app
from kohort.testing.people import people


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["identity", "dedupe", *map(str, arguments)])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dedupe") / "customers.csv"
    csv.write_csv(people(200, 60, seed=3), path)
    return path


def test_doubles_of_a_plain_table_are_found_measured_and_written(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    out = tmp_path / "groups.csv"
    done = call(table, "--id", "id", "--truth", "person", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said.keys() >= {
        "records",
        "clusters",
        "doubles",
        "threshold",
        "expected",
        "to_review",
        "pairs",
        "seconds",
        "left_out",
    }
    assert said["records"] == 260
    assert said["clusters"] + said["doubles"] == 260
    assert said["pairs"]["f1"] > 0.8
    written = csv.read_csv(out)
    assert written.column_names == ["id", "cluster", "confidence"]
    assert written.num_rows == 260
    assert len(written.column("cluster").unique()) == said["clusters"]
    assert all(0 <= value <= 1 for value in written.column("confidence").to_pylist())


def test_what_is_wrong_with_the_call_is_said(table: Path, tmp_path: Path) -> None:
    assert call(tmp_path / "none.csv").exit_code == 1
    assert "No column is called 'nr'" in call(table, "--id", "nr").output
    assert call(table, "--column", "surname").exit_code == 2
    assert call(table, "--out", "groups.txt").exit_code == 2
    assert call(table, "--column", "shoe=surname").exit_code == 2
