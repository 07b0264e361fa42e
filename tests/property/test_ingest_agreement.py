"""Two ways, one answer: fast and exact reading of text, SQL and decimal arithmetic, binary search and zoneinfo."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.engines.duck import connect
from kohort.ingest import sqltext, zones
from kohort.ingest.csvfile import CsvReader, FastBlocks, Records
from kohort.ingest.events import Occurrences
from kohort.ingest.files import SourceFile
from kohort.ingest.rates import convert
from kohort.model.source import CsvFormat, stored_name

# -- text tables -------------------------------------------------------------------------------------------------------

cells = st.text(st.sampled_from("ab1 é,;\"\n\t'\\"), max_size=8)
tables = st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=12)


def reader(tmp: Path, data: bytes) -> CsvReader:
    path = tmp / "a.csv"
    path.write_bytes(data)
    return CsvReader(SourceFile(path, "a.csv", ".csv"), CsvFormat())


def found(chunks) -> tuple[list, list]:
    rows, refused = [], []
    for chunk in chunks:
        rows += [(n, tuple(r.values())) for n, r in zip(chunk.lines.tolist(), chunk.table.to_pylist(), strict=True)]
        refused += [(r.line, r.code) for r in chunk.refused]
    return rows, refused


def exact(reader_: CsvReader, data: bytes) -> tuple[list, list]:
    return found(reader_._exact(io.BufferedReader(io.BytesIO(data)), 0, 5))


@settings(max_examples=250, deadline=None)
@given(body=st.text(st.sampled_from('ab1 é,"\n\r'), max_size=60), end=st.sampled_from(["", "\n"]))
def test_the_fast_way_takes_nothing_that_the_exact_way_reads_differently(tmp_path_factory, body: str, end: str) -> None:
    data = ("x,y,z\n" + body + end).encode()
    one = reader(tmp_path_factory.mktemp("t"), data)
    assert found(one.chunks()) == exact(one, data)


@settings(max_examples=150, deadline=None)
@given(table=tables, quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), crlf=st.booleans())
def test_what_a_csv_writer_wrote_comes_back(tmp_path_factory, table, quoting: int, crlf: bool) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=quoting, lineterminator="\r\n" if crlf else "\n")
    writer.writerow(["x", "y", "z"])
    writer.writerows(table)
    one = reader(tmp_path_factory.mktemp("t"), out.getvalue().encode())
    rows, refused = found(one.chunks())
    assert refused == []
    assert [list(r) for _, r in rows] == [r for r in table if any(c.strip() for c in r)]


def test_the_fast_way_is_really_taken(tmp_path: Path) -> None:
    data = b"x,y,z\n" + b'1,"a, b",3\n2,"say ""hi""",4\n' * 50
    one = reader(tmp_path, data)
    fast = FastBlocks(one.layout, "utf-8")
    rest, line = fast.skip_head(data)
    assert fast.chunk(rest, line).table.num_rows == 100
    assert fast.chunk(b'1,"open,3\n2,b",4,5\n', 1) is None


def test_blocks_that_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks meet every place at which a block can end."""
    data = b"x,y,z\n" + b"".join(b"%d,some,thing\n" % i for i in range(40)) + b'41,"odd\nline",1\n42,a,b\n43,a\n44,a,b'
    one = reader(tmp_path, data)
    whole = exact(one, data)
    for size in range(7, 60):
        monkeypatch.setattr("kohort.ingest.csvfile._BLOCK", size)
        assert found(one.chunks()) == whole


@given(lines=st.lists(st.text(st.sampled_from('ab",\n'), max_size=20), max_size=15))
def test_every_line_is_read_refused_or_blank(tmp_path_factory, lines: list[str]) -> None:
    text = "".join(line + "\n" for line in lines)
    physical = text.splitlines(keepends=True)
    layout = reader(tmp_path_factory.mktemp("t"), b"x,y\n1,2\n").layout
    numbers = [n for n, _, _ in Records(physical, layout)]
    assert numbers == sorted(set(numbers))
    assert all(1 <= n <= len(physical) for n in numbers)


# -- numbers and money -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def con():
    with connect() as connection:
        yield connection


@settings(max_examples=150, deadline=None)
@given(
    value=st.decimals(-(10**9), 10**9, places=6),
    spelling=st.sampled_from(["plain", "thousands", "comma", "signs", "spaces"]),
)
def test_numbers_in_every_spelling(con, value: Decimal, spelling: str) -> None:
    text, decimal = f"{value:f}", "."
    match spelling:
        case "thousands":
            text = f"{value:,f}"
        case "comma":
            text, decimal = f"{value:,f}".translate(str.maketrans(".,", ",.")), ","
        case "signs":
            text = f"({-value:f})" if value < 0 else f"€ {value:f}"
        case "spaces":
            text = f"{value:,f}".replace(",", "\u202f")
    sql = sqltext.number("c0", "text", decimal=decimal)
    assert con.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS c0)", [text]).fetchone()[0] == value


@settings(max_examples=150, deadline=None)
@given(value=st.floats(-1e9, 1e9))
def test_floats_mean_their_shortest_text(con, value: float) -> None:
    sql = sqltext.number("c0", "float")
    expected = Decimal(repr(value)).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    assert con.execute(f"SELECT {sql} FROM (SELECT ?::DOUBLE AS c0)", [value]).fetchone()[0] == expected


@given(amount=st.integers(-(10**12), 10**12), rate=st.fractions(min_value="1/1000", max_value=1000))
def test_conversion_rounds_half_away_from_zero(amount: int, rate) -> None:
    exact_value = amount * rate
    assert convert(amount, rate) == int(math.copysign(math.floor(abs(exact_value) + type(rate)(1, 2)), exact_value))
    assert convert(-amount, rate) == -convert(amount, rate)


# -- zones -------------------------------------------------------------------------------------------------------------

ZONES = ("UTC", "Europe/London", "Europe/Copenhagen", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
         "Africa/Casablanca", "America/St_Johns", "Pacific/Apia", "Africa/Monrovia")  # fmt: skip
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the wall clock's own epoch
US = timedelta(microseconds=1)


@settings(max_examples=300, deadline=None)
@given(wall=st.datetimes(datetime(1971, 1, 1), datetime(2069, 1, 1)), zone=st.sampled_from(ZONES))  # noqa: DTZ001
def test_wall_times_are_read_as_python_reads_them(wall: datetime, zone: str) -> None:
    local_us = (wall - EPOCH) // US
    expected = (wall.replace(tzinfo=ZoneInfo(zone)) - EPOCH.replace(tzinfo=UTC)) // US
    assert zones.to_utc(np.array([local_us]), zone).tolist() == [expected]


@settings(max_examples=60, deadline=None)
@given(around=st.integers(0, 98), shift=st.integers(-3 * 3600, 3 * 3600), zone=st.sampled_from(ZONES[1:]))
def test_wall_times_around_a_change(around: int, shift: int, zone: str) -> None:
    changes, offsets = zones._changes(zone)
    if not len(changes):
        return
    at = around % len(changes)
    wall = EPOCH + timedelta(microseconds=int(changes[at] + offsets[at])) + timedelta(seconds=shift)
    test_wall_times_are_read_as_python_reads_them.hypothesis.inner_test(wall, zone)


@settings(max_examples=200, deadline=None)
@given(seconds=st.integers(31_536_000, 3_000_000_000), zone=st.sampled_from(ZONES))
def test_local_days_and_hours(seconds: int, zone: str) -> None:
    there = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    day, hour = zones.local(np.array([seconds * 1_000_000]), zone)
    assert (int(day[0]), int(hour[0])) == ((there.date() - EPOCH.date()).days, there.hour)


# -- identical lines, names --------------------------------------------------------------------------------------------


@given(lines=st.lists(st.integers(0, 6), max_size=60), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_identical_lines_are_numbered_over_chunks(lines: list[int], cuts: list[int]) -> None:
    seen = Occurrences.none()
    edges = [0, *sorted(c for c in cuts if c < len(lines)), len(lines)]
    numbered: list[int] = []
    for start, end in pairwise(edges):
        numbered += seen.number(np.array(lines[start:end], dtype=np.uint64)).tolist()
    count: Counter[int] = Counter()
    for line, nth in zip(lines, numbered, strict=True):
        count[line] += 1
        assert nth == count[line]


@given(st.text(max_size=90))
def test_stored_names_are_names(text: str) -> None:
    name = stored_name(text)
    assert name.isidentifier()
    assert name == stored_name(name)
    assert len(name) <= 60
