"""Tables are written whole or not at all, and a spreadsheet runs nothing it finds in them."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.cli.files import check_ending, replacing, without_formulas, write_table
from kohort.cli.screen import bar
from kohort.errors import WrongUsage

RISKY = ["=1+1", "+A1", "-cmd|'/c calc'!A1", "@SUM(A1)", "\t=1", "\r=1", "=", "-", "+", "-1+1", "--1", "=-5"]
HARMLESS = ["-5", "+4.2e3", "-0,5", "-.5", "+1", "plain", "", "a=b", "12", "1-2", "é@b", "-7.", None]


def test_formulas_get_an_apostrophe_and_numbers_do_not():
    table = pa.table({"id": RISKY + HARMLESS, "n": list(range(len(RISKY + HARMLESS)))})
    safe, changed = without_formulas(table)
    assert safe["id"].to_pylist() == [f"'{x}" for x in RISKY] + HARMLESS
    assert changed == len(RISKY)
    assert safe["n"].equals(table["n"])


def test_csv_is_made_safe_and_parquet_is_left_alone(tmp_path):
    table = pa.table({"customer_id": ["=1+1", "007"], "spend": [1.5, None]})
    assert write_table(table, str(tmp_path / "a.csv")) == 1
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["customer_id", "spend"], ["'=1+1", "1.5"], ["007", ""]]
    assert write_table(table, str(tmp_path / "a.parquet")) == 0
    assert pq.read_table(tmp_path / "a.parquet").equals(table)


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.csv.gz", ".csv.", "missing/a.csv"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, name):
    with pytest.raises(WrongUsage):
        check_ending(str(tmp_path / name))


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(WrongUsage):
        check_ending(str(tmp_path / "a.csv"))


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    out = tmp_path / "a.csv"
    out.write_text("old")

    def interrupted():
        with replacing(out) as part:
            Path(part).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_bars_grow_with_the_share():
    lengths = [len(bar(i / 16)) for i in range(17)]
    assert lengths == sorted(lengths)
    assert (bar(0), bar(1.5, 4), bar(-1)) == ("", "████", "")
