"""Excel, JSON lines, Parquet and paths: the same rows from each, and a plain sentence for everything that is damaged."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.errors import BadInput, KohortError, NeedsAnswer, NotFound, TooLarge, UnreadableFile, UnsafePath
from kohort.ingest.files import expand
from kohort.ingest.readers import open_reader


def rows(path: Path, **options: str) -> list[tuple[int, dict[str, object]]]:
    reader = open_reader(expand(path)[0], **options)
    reader.verify()
    return [(n, row) for c in reader.chunks() for n, row in zip(c.lines.tolist(), c.table.to_pylist(), strict=True)]


def refused(path: Path) -> list[tuple[int, str]]:
    return [(r.line, r.code) for c in open_reader(expand(path)[0]).chunks() for r in c.refused]


# -- Excel -------------------------------------------------------------------------------------------------------------


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, cells in sheets.items():
        sheet = book.create_sheet(name)
        for row in cells:
            sheet.append(row)
    book.save(path)
    return path


def test_excel_types_titles_and_true_rows(tmp_path: Path) -> None:
    when = dt.datetime(2024, 3, 31, 12, 29, 59)  # noqa: DTZ001 - a workbook knows no zones
    cells = [
        ["Sales of March"],
        [],
        ["id", "when", "price", "vip"],
        [17850.0, when, 2.55, True],
        [],
        [7, None, "1,5", False],
    ]
    assert rows(workbook(tmp_path / "a.xlsx", Data=cells)) == [
        (4, {"id": "17850", "when": "2024-03-31 12:29:59", "price": "2.55", "vip": "true"}),
        (6, {"id": "7", "when": None, "price": "1,5", "vip": "false"}),
    ]


def test_excel_asks_which_sheet_and_ignores_empty_ones(tmp_path: Path) -> None:
    table = [["id", "n"], [1, 2]]
    path = workbook(tmp_path / "a.xlsx", One=table, Two=[["id", "n"], [3, 4]], Empty=[])
    with pytest.raises(NeedsAnswer) as asked:
        rows(path)
    assert "'One', 'Two'" in asked.value.questions[0]
    assert "`sheet:`" in asked.value.questions[0]
    assert rows(path, sheet="Two") == [(2, {"id": "3", "n": "4"})]
    with pytest.raises(NotFound):
        rows(path, sheet="Tow")
    assert rows(workbook(tmp_path / "b.xlsx", One=table, Empty=[])) == [(2, {"id": "1", "n": "2"})]


def test_excel_formulas_without_a_calculated_value_are_blank(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", Data=[["id", "total"], [1, "=1+1"], ["x", 3]])
    assert rows(path) == [(2, {"id": "1", "total": None}), (3, {"id": "x", "total": "3"})]


@pytest.mark.parametrize("data", [b"PK\x03\x04 no zip", b"id,n\n1,2\n", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100])
@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.ods", "a.xlsb"])
def test_damaged_workbooks(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableFile):
        rows(tmp_path / name)


# -- JSON lines --------------------------------------------------------------------------------------------------------


def test_json_lines_are_flattened_and_numbers_keep_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"id": 9007199254740993, "amount": 0.10, "device": {"os": "x", "v": {"a": 1}}}\n'
        '\n{"id": "b", "tags": [1, 2], "vip": true, "gone": null}\n',
        encoding="utf-8",
    )
    reader = open_reader(expand(path)[0])
    assert [c.name for c in reader.columns] == ["id", "amount", "device.os", "device.v", "tags", "vip"]
    found = rows(path)
    assert found[0][1]["id"] == "9007199254740993"
    assert found[0][1]["amount"] == "0.10"
    assert json.loads(str(found[0][1]["device.v"])) == {"a": "1"}
    assert found[1] == (
        3,
        {"id": "b", "amount": None, "device.os": None, "device.v": None, "tags": '["1","2"]', "vip": "true"},
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{broken", "bad_json"),
        ("[1, 2]", "not_an_object"),
        ("7", "not_an_object"),
        ('{"a": NaN}', "bad_json"),
        ('{"a": Infinity}', "bad_json"),
        ('{"a": "\\ud800"}', "bad_encoding"),
        ('{"a": "x\\u0000y"}', "nul_byte"),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "json_too_deep"),
        ('{"a": "' + "x" * 1_500_000 + '"}', "cell_too_large"),
    ],
)
def test_bad_json_lines_cost_their_line(tmp_path: Path, line: str, code: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"a": "1"}}\n{line}\n{{"a": "2"}}\n', encoding="utf-8")
    assert refused(path) == [(2, code)]
    assert [n for n, _ in rows(path)] == [1, 3]


def test_a_json_array_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1},\n{"a": 2}]', encoding="utf-8")
    with pytest.raises(UnreadableFile, match="without the brackets"):
        rows(path)


# -- Parquet -----------------------------------------------------------------------------------------------------------

TABLE = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "text": ["a", None, "c"], "price": [1.5, 2.5, 3.5]})


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "gzip"])
def test_parquet_codecs(tmp_path: Path, codec: str) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", compression=codec, row_group_size=2)
    assert rows(tmp_path / "a.parquet") == list(enumerate(TABLE.to_pylist(), 1))


@pytest.mark.parametrize("codec", ["brotli", "lz4"])
def test_other_codecs_are_refused_from_the_footer(tmp_path: Path, codec: str) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", compression=codec)
    with pytest.raises(BadInput) as refusal:
        rows(tmp_path / "a.parquet")
    assert refusal.value.code == "codec_not_allowed"


def test_parquet_types(tmp_path: Path) -> None:
    day, noon = dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
    table = pa.table(
        {
            "dict": pa.array(["x", "y"]).dictionary_encode(),
            "large": pa.array(["x", "y"], pa.large_string()),
            "u64": pa.array([2**64 - 1, 1], pa.uint64()),
            "day": pa.array([day, None]),
            "ns": pa.array([noon, noon], pa.timestamp("ns", "UTC")),
            "list": pa.array([[1], [2]]),
            "struct": pa.array([{"a": 1}, {"a": 2}]),
            "null": pa.nulls(2),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    reader = open_reader(expand(tmp_path / "a.parquet")[0])
    assert [(c.name, c.kind) for c in reader.columns] == [
        ("dict", "text"), ("large", "text"), ("u64", "int"), ("day", "time"), ("ns", "instant"), ("list", "text"),
        ("null", "text"),
    ]  # fmt: skip
    assert reader.skipped == ("struct",)
    assert [row["list"] for _, row in rows(tmp_path / "a.parquet")] == ["[1]", "[2]"]
    assert int(rows(tmp_path / "a.parquet")[0][1]["u64"]) == 2**64 - 1


@pytest.mark.parametrize("cut", [1, 8, 100, 400])
def test_truncated_parquet_is_refused_before_the_first_row(tmp_path: Path, cut: int) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[:-cut])
    with pytest.raises(UnreadableFile):
        rows(tmp_path / "a.parquet")


def test_too_many_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({f"c{i}": [1] for i in range(1_001)}), tmp_path / "a.parquet")
    with pytest.raises(TooLarge):
        rows(tmp_path / "a.parquet")


# -- paths -------------------------------------------------------------------------------------------------------------


def test_folders_patterns_and_their_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "sub/c.csv", ".hidden.csv", "notes.pdf", "~$open.xlsx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("id,n\n1,2\n")
    assert [f.name for f in expand(tmp_path)] == ["a.csv", "b.csv", "c.csv"]
    assert [f.name for f in expand(str(tmp_path / "*.csv"))] == [".hidden.csv", "a.csv", "b.csv"]
    assert [f.name for f in expand([tmp_path / "b.csv", tmp_path])] == ["b.csv", "a.csv", "c.csv"]


def test_missing_files_name_their_neighbour(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("a,b\n1,2\n")
    with pytest.raises(NotFound, match=r"orders\.csv"):
        expand(tmp_path / "order.csv")
    for wanted in (str(tmp_path / "*.xlsx"), tmp_path / "nowhere" / "x.csv"):
        with pytest.raises(NotFound):
            expand(wanted)


def test_paths_that_lead_out_are_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.csv").write_text("a,b\n1,2\n")
    (inside / "link.csv").symlink_to(outside / "secret.csv")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(UnsafePath):
        expand(inside)
    with pytest.raises(UnsafePath):
        expand(str(inside / "*.csv"))
    with pytest.raises(UnsafePath):
        expand(str(inside / "*" / ".." / ".." / "out" / "*.csv"))
    with pytest.raises(UnsafePath):
        expand(inside / ".." / "out" / "secret.csv", within=inside)
    # A person may name any file that she may read.
    assert [f.name for f in expand(outside / "secret.csv")] == ["secret.csv"]


@pytest.mark.parametrize(
    "path", ["/dev/zero", "/proc/self/environ", "/dev/null", "/proc/self/mem", "/dev/stdin", "a\0b"]
)
def test_devices_and_system_folders_are_refused(path: str) -> None:
    with pytest.raises((UnsafePath, NotFound)):
        expand(path)


def test_pipes_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(UnsafePath):
        expand(tmp_path / "a.csv")


def test_archives_cannot_lead_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../evil.csv", "a,b\n1,2\n")
    with pytest.raises(UnsafePath):
        expand(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.xlsx.gz", "a.csv"])
def test_unknown_and_empty_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"" if name == "a.csv" else b"%PDF-1.7")
    with pytest.raises(KohortError):
        expand(tmp_path / name)


@pytest.mark.parametrize("seed", range(10))
def test_random_bytes_are_no_text_file_whatever_their_ending(tmp_path: Path, seed: int) -> None:
    (tmp_path / "photo.csv").write_bytes(random.Random(seed).randbytes(20_000))
    with pytest.raises(UnreadableFile, match="not a text file"):
        open_reader(expand(tmp_path / "photo.csv")[0])


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user who is not root: root may read everything")
def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("order,customer\n1,2\n")
    path.chmod(0)
    with pytest.raises(UnreadableFile, match="may not read"):
        open_reader(expand(path)[0])
