"""Text tables as they come: encodings, separators, quotes, titles, blank and broken lines; every line number is true."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from kohort.errors import KohortError, TooLarge, UnreadableFile
from kohort.ingest.chunk import Reader
from kohort.ingest.files import expand
from kohort.ingest.readers import open_reader
from kohort.model.source import CsvFormat


def open_text(tmp_path: Path, data: bytes | str, name: str = "a.csv", told: CsvFormat | None = None) -> Reader:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return open_reader(expand(path)[0], csv=told)


def rows(reader: Reader) -> list[tuple[int, tuple[str, ...]]]:
    """(line, cells) of the rows that could be split."""
    return [
        (line, tuple(row.values()))
        for chunk in reader.chunks()
        for line, row in zip(chunk.lines.tolist(), chunk.table.to_pylist(), strict=True)
    ]


def refused(reader: Reader) -> list[tuple[int, str]]:
    return [(r.line, r.code) for chunk in reader.chunks() for r in chunk.refused]


def names(reader: Reader) -> list[str]:
    return [c.name for c in reader.columns]


TABLE = "id;name;amount\n1;Zoë;1,50\n2;Bjørn;2,00\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_encodings_give_the_same_rows(tmp_path: Path, encoding: str) -> None:
    reader = open_text(tmp_path, TABLE.encode(encoding))
    assert names(reader) == ["id", "name", "amount"]
    assert rows(reader) == [(2, ("1", "Zoë", "1,50")), (3, ("2", "Bjørn", "2,00"))]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(tmp_path: Path, mark: str, end: str) -> None:
    lines = [["id", "when", "what"], ["1", "2024-01-02", "x"], ["2", "2024-01-03", "y"]]
    reader = open_text(tmp_path, end.join(mark.join(line) for line in lines) + end)
    assert rows(reader) == [(2, ("1", "2024-01-02", "x")), (3, ("2", "2024-01-03", "y"))]


def test_decimal_commas_do_not_look_like_separators(tmp_path: Path) -> None:
    reader = open_text(tmp_path, "name;price\na;1,5\nb;2,75\nc;10,00\n")
    assert names(reader) == ["name", "price"]


def test_title_lines_before_the_header(tmp_path: Path) -> None:
    reader = open_text(tmp_path, "Sales report 2024\n\nprinted by: shop;;\nid;name;amount\n1;x;3\n2;y;4\n")
    assert names(reader) == ["id", "name", "amount"]
    assert rows(reader) == [(5, ("1", "x", "3")), (6, ("2", "y", "4"))]
    assert refused(reader) == []


def test_duplicate_and_empty_headers(tmp_path: Path) -> None:
    reader = open_text(tmp_path, "id,price,price,\n1,2,3,4\n")
    assert names(reader) == ["id", "price", "price (2)", "column_4"]


def test_trailing_commas(tmp_path: Path) -> None:
    reader = open_text(tmp_path, "id,name\n1,x,,\n2,y\n3,z,,more\n")
    assert rows(reader) == [(2, ("1", "x")), (3, ("2", "y"))]
    assert refused(reader) == [(4, "too_many_columns")]


def test_quotes_embedded_newlines_and_line_numbers(tmp_path: Path) -> None:
    reader = open_text(tmp_path, 'id,text\n1,"a ""b"" c"\n2,"two\nlines"\n\n3,"x,y"\n')
    assert rows(reader) == [(2, ("1", 'a "b" c')), (3, ("2", "two\nlines")), (6, ("3", "x,y"))]


def test_an_unclosed_quote_costs_one_line_not_the_rest_of_the_file(tmp_path: Path) -> None:
    reader = open_text(tmp_path, 'id,text\n1,ok\n2,"never closed\n3,ok\n4,ok\n')
    assert rows(reader) == [(2, ("1", "ok")), (4, ("3", "ok")), (5, ("4", "ok"))]
    assert refused(reader) == [(3, "unclosed_quote")]


def test_an_unclosed_quote_is_not_closed_by_a_later_one(tmp_path: Path) -> None:
    reader = open_text(tmp_path, 'id,text,n\n1,"open,7\n2,b,8\n3,c" d,9\n4,d,10\n')
    assert (3, ("2", "b", "8")) in rows(reader)
    assert (5, ("4", "d", "10")) in rows(reader)
    assert refused(reader) == [(2, "unclosed_quote")]
    assert (4, ("3", 'c" d', "9")) in rows(reader)


def test_truncated_last_line(tmp_path: Path) -> None:
    reader = open_text(tmp_path, "id,name,amount\n1,x,2\n2,y")
    assert rows(reader) == [(2, ("1", "x", "2"))]
    assert refused(reader) == [(3, "too_few_columns")]


def test_zero_bytes_and_wrong_bytes_cost_their_line(tmp_path: Path) -> None:
    reader = open_text(tmp_path, b"id,name\n1,Zo\xc3\xab\n2,a\0b\n3,Zo\xeb\n4,Zo\xc3\xab\n")
    assert rows(reader) == [(2, ("1", "Zoë")), (5, ("4", "Zoë"))]
    assert refused(reader) == [(3, "nul_byte"), (4, "bad_encoding")]


def test_ten_megabyte_cells_cost_their_line(tmp_path: Path) -> None:
    big = "x" * 10_000_000
    reader = open_text(tmp_path, f'id,text\n1,a\n2,{big}\n3,"{big[:2_000_000]}"\n4,b\n')
    assert [r[0] for r in rows(reader)] == [2, 5]
    assert refused(reader) == [(3, "line_too_long"), (4, "cell_too_large")]
    kept = [r.raw for chunk in reader.chunks() for r in chunk.refused]
    assert max(len(v) for raw in kept for v in raw.values()) <= 10_000


def test_blank_separated_without_header(tmp_path: Path) -> None:
    reader = open_text(tmp_path, " 00001 19970101  1   11.77\r\n 00002 19970112  1   12.00\r\n")
    assert names(reader) == ["column_1", "column_2", "column_3", "column_4"]
    assert rows(reader)[1] == (2, ("00002", "19970112", "1", "12.00"))


def test_gzip_and_zip_are_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("folder/one.csv", TABLE)
        archive.writestr("__MACOSX/one.csv", "junk")
        archive.writestr("readme.pdf", "junk")
    found = expand([tmp_path / "a.csv.gz", tmp_path / "b.zip"])
    assert [f.name for f in found] == ["a.csv.gz", "b.zip/one.csv"]
    assert [rows(open_reader(f)) for f in found] == [rows(open_reader(found[0]))] * 2


def test_a_cut_off_gzip_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(("id,n\n" + "1,2\n" * 9_000).encode())[:-20])
    with pytest.raises(UnreadableFile):
        open_reader(expand(tmp_path / "a.csv.gz")[0])


@pytest.mark.slow
def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wb", compresslevel=1) as out:
        out.write(b"id,n\n")
        for _ in range(280):
            out.write(bytes(1024 * 1024))
    with pytest.raises(TooLarge):
        open_reader(expand(tmp_path / "a.csv.gz")[0])


@pytest.mark.parametrize(
    "data", [b"   \n\n", b"\xef\xbb\xbf", b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x01\x02\x03\x04" * 40]
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KohortError):
        rows(open_text(tmp_path, data))


def test_too_many_columns_in_the_header(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="5,000 columns"):
        open_text(tmp_path, ",".join(f"c{i}" for i in range(5_000)) + "\n" + ",".join("1" * 5_000) + "\n")


def test_a_told_format_is_taken_literally(tmp_path: Path) -> None:
    told = CsvFormat(delimiter=";", header_row=1, quote="'")
    reader = open_text(tmp_path, "x;y\na;b\n'1;2';3\n", told=told)
    assert names(reader) == ["a", "b"]
    assert rows(reader) == [(3, ("1;2", "3"))]
