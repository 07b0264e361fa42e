"""T7 for files: malformed CSV, JSON lines, Excel and Parquet give a coded error or rejected rows; nothing crashes, hangs,
is lost or half stored.

Every case is made from its number, so a failing one can be repeated alone. 150 of each kind run with the slow tests, 2,000
in continuous integration.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kohort.errors import KohortError
from kohort.ingest import ingest_files, propose
from kohort.ingest.memory import MemoryAppended, MemoryLog, MemoryStore
from kohort.ingest.refusal import REASONS
from kohort.model.source import SourceMapping

NOW = 1_717_200_000_000_000
SECONDS = 5.0
MAPPING = SourceMapping(
    "orders",
    "orders",
    {
        "order_id": "order",
        "customer": "customer",
        "time": "time",
        "product": "code",
        "quantity": "qty",
        "price": "price",
    },
    properties={"note": "text", "size": "number", "gift": "flag"},
    identities={"mail": "email"},
    time_format="iso",
)
COLUMNS = ("order", "customer", "time", "code", "qty", "price", "note", "size", "gift", "mail")
ODD_TEXTS = (
    "", " ", "\0", '"', '""', '"""', ",", ";", "\n", "\r", "\r\n", "\t", "'", "\\", "=1+1", "NaN", "inf", "-inf", "1e999", "1e-999",
    "--1", "0x1F", "1_000", "٣", "½", "1,5", "1.234,56", "(12)", "12-", "€ 5", "9" * 40, "-" + "9" * 25, "0." + "3" * 60,
    "2999-01-01", "1900-01-01", "0000-00-00", "2024-02-30", "2024-13-01", "infinity", "290309-12-22", "-1", "2024-01-01T25:61",
    "99999999999999999999", "2024-01-01T00:00:00+99:99", "\ud800", "\ufeff", "\u202e", "é" * 30, "x" * 20_000, "maybe", "ja", "null",
    "2024-01-01 10:00:00 (BC)", "epoch", "now", "today",
)  # fmt: skip


def row(rng: random.Random) -> list[str]:
    return [
        str(rng.randrange(5)), str(rng.randrange(9)), f"2024-0{rng.randint(1, 5)}-1{rng.randrange(9)} 0{rng.randrange(9)}:15",
        f"P{rng.randrange(4)}", str(rng.randint(-3, 9)), f"{rng.randrange(900) / 100}", rng.choice(["", "a, b", "x"]),
        str(rng.randrange(50)), rng.choice(["yes", "no", ""]), f"a{rng.randrange(5)}@b.dk",
    ]  # fmt: skip


def rows(rng: random.Random, odd: float) -> list[list[str]]:
    table = [row(rng) for _ in range(rng.randrange(1, 25))]
    return [[rng.choice(ODD_TEXTS) if rng.random() < odd else cell for cell in line] for line in table]


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a few wounds: cut, flipped, doubled, swapped, poked."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if not out:
            break
        at, size = rng.randrange(len(out)), rng.randrange(1, 200)
        match rng.randrange(7):
            case 0:
                del out[at:]
            case 1:
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                out[at:at] = out[at : at + size]
            case 3:
                del out[at : at + size]
            case 4:
                out[at : at + 4] = rng.randbytes(4)
            case 5:
                out[at:at] = rng.choice(['"', "\0", "\r", "\n", ",", "é", "\ud800"]).encode("utf-8", "surrogatepass")
            case _:
                out[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"])
    return bytes(out)


def quoted(cell: str, rng: random.Random) -> str:
    return rng.choice([cell, f'"{cell}"', '"' + cell.replace('"', '""') + '"'])


def csv_case(rng: random.Random) -> bytes:
    mark = rng.choice([",", ",", ";", "\t", "|"])
    end = rng.choice(["\n", "\n", "\r\n", "\r"])
    head = list(COLUMNS)
    if rng.random() < 0.1:
        head[rng.randrange(len(head))] = rng.choice(["", "order", "x" * 500, '"'])
    lines = [
        mark.join(head),
        *(mark.join(quoted(c, rng) for c in line) for line in rows(rng, rng.choice([0, 0.02, 0.2]))),
    ]
    for _ in range(rng.randrange(3)):
        odd = ["", mark * 20, "Report; of; today", '"', "x" * rng.choice([10, 200_000])]
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(odd))
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
    data = (end.join(lines) + rng.choice(["", end])).encode(
        encoding, "replace" if encoding != "utf-8" else "surrogatepass"
    )
    return spoiled(data, rng) if rng.random() < 0.6 else data


def json_case(rng: random.Random) -> bytes:
    lines = []
    for cells in rows(rng, rng.choice([0, 0.05, 0.3])):
        value: dict[str, object] = dict(zip(COLUMNS, cells, strict=True))
        for name in rng.sample(COLUMNS, 2):
            odd = [None, True, 10**30, -1.5, [], [1], {"a": {"b": 1}}, float("nan"), float("inf"), 1e308, {"": ""}]
            value[name] = rng.choice([*odd, value[name], value[name], value[name]])
        lines.append(json.dumps(value, ensure_ascii=rng.random() < 0.5))
    for _ in range(rng.randrange(3)):
        odd = [
            "",
            "{}",
            "[]",
            "null",
            "{" * 600,
            '{"a":' * 900,
            '{"order": 1, "order": 2}',
            '{"order": "\\ud83d"}',
            "NaN",
        ]
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(odd))
    data = rng.choice(["\n", "\r\n"]).join(lines).encode("utf-8", "surrogatepass")
    return spoiled(data, rng) if rng.random() < 0.6 else data


@lru_cache(maxsize=16)
def workbook(seed: int) -> bytes:
    rng = random.Random(seed)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(COLUMNS))
    for cells in rows(rng, 0.05):
        clean = [openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", c)[:30_000].replace("\ud800", "") for c in cells]
        sheet.append(
            [
                float(c) if i in (4, 5) and c.replace(".", "", 1).isdigit() and len(c) < 9 else c
                for i, c in enumerate(clean)
            ]
        )
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def excel_case(rng: random.Random) -> bytes:
    data = workbook(rng.randrange(12))
    if rng.random() < 0.4:
        return spoiled(data, rng)
    # Damage inside the parts: the archive stays whole, so that the reader of sheets meets it.
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        hurt = set(rng.sample(names, rng.randrange(1, 3)))
        for name in names:
            part = old.read(name)
            if name in hurt and rng.random() < 0.2:
                continue
            new.writestr(name, spoiled(part, rng) if name in hurt else part)
    return out.getvalue()


@lru_cache(maxsize=16)
def parquet_file(seed: int) -> bytes:
    rng = random.Random(seed)
    table = rows(rng, 0.1)
    columns = {
        n: [c.replace("\ud800", "") or None for c in col]
        for n, col in zip(COLUMNS, zip(*table, strict=True), strict=True)
    }
    arrays: dict[str, object] = dict(columns)
    if seed % 2:
        n = len(table)
        arrays["price"] = pa.array(
            [rng.choice([1.5, float("nan"), float("inf"), -1e300, None, 5e-324]) for _ in range(n)], pa.float64()
        )
        arrays["time"] = pa.array([rng.choice([NOW, -(2**62), 2**62, 0, None]) for _ in range(n)], pa.timestamp("us"))
        arrays["qty"] = pa.array([rng.choice([1, -5, 2**63 - 1, -(2**63), None]) for _ in range(n)], pa.int64())
        arrays["order"] = pa.array([str(i) for i in range(n)]).dictionary_encode()
    out = io.BytesIO()
    codec = ("none", "snappy", "zstd", "gzip", "brotli")[seed % 5]
    pq.write_table(
        pa.table(arrays), out, compression=codec, row_group_size=7, data_page_version=("1.0", "2.0")[seed % 2]
    )
    return out.getvalue()


def parquet_case(rng: random.Random) -> bytes:
    data = parquet_file(rng.randrange(14))
    match rng.randrange(5):
        case 0:
            return data
        case 1:
            # The footer alone: lengths, counts and offsets that lie.
            size = int.from_bytes(data[-8:-4], "little")
            return data[: -8 - size] + spoiled(data[-8 - size : -8], rng)[:size].ljust(size, b"\0") + data[-8:]
        case 2:
            at = rng.randrange(4, max(5, len(data) - 2_000))
            return data[:at] + rng.randbytes(3) + data[at + 3 :]
        case _:
            return spoiled(data, rng)


CASES: dict[str, Callable[[random.Random], bytes]] = {
    "csv": csv_case,
    "jsonl": json_case,
    "xlsx": excel_case,
    "parquet": parquet_case,
}


@dataclass
class Result:
    errors: dict[str, int] = field(default_factory=dict)
    stored: int = 0
    rejected: int = 0


def check(path: Path, store: MemoryStore, result: Result) -> None:
    """Ingest one file and hold it to the promises."""
    started = time.perf_counter()
    report, refusal = None, None
    try:
        report = ingest_files(path, MAPPING, store=store, zone="Europe/London", currency="GBP", now=NOW)
    except KohortError as error:
        refusal = error
    if refusal is not None:
        assert refusal.code
        assert refusal.message
        assert store.log.tables == [], "a refused file left rows behind"
        assert store.state.reports == []
        assert store.state.rejected() == []
        result.errors[refusal.code] = result.errors.get(refusal.code, 0) + 1
    else:
        assert report is not None
        (batch,) = report.batches
        events = store.log.events()
        assert batch.read == batch.stored + batch.duplicate + batch.rejected
        assert batch.stored == len(events) == len({e["event_id"] for e in events})
        kept = store.state.rejected(limit=10**9)
        # Two broken lines never share a place, so every rejected row is on the list.
        assert batch.rejected == len(kept) == sum(batch.reasons.values())
        assert all(r.code in REASONS and r.line >= 1 for r in kept)
        assert all(isinstance(e["ts"], int) and e["event_id"] for e in events)
        result.stored += batch.stored
        result.rejected += batch.rejected
    assert time.perf_counter() - started < SECONDS


def run(kind: str, numbers: range, folder: Path) -> Result:
    result = Result()
    for number in numbers:
        path = folder / f"case.{kind}"
        path.write_bytes(CASES[kind](random.Random(number)) or b"\n")
        try:
            check(path, MemoryStore(), result)
        except Exception as error:
            raise AssertionError(f"case {number} of {kind}") from error
    return result


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CASES))
def test_malformed_files(kind: str, tmp_path: Path) -> None:
    result = run(kind, range(150), tmp_path)
    # The cases reach all outcomes: a whole file refused, rows rejected, rows stored.
    assert sum(result.errors.values()) > 5
    assert result.stored > 50
    assert result.rejected > 5


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", list(CASES))
def test_two_thousand_malformed_files(kind: str, tmp_path: Path) -> None:
    run(kind, range(10_000, 12_000), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CASES))
def test_proposing_for_malformed_files(kind: str, tmp_path: Path) -> None:
    """Looking at a file is as safe as reading it."""
    for number in range(40):
        path = tmp_path / f"case.{kind}"
        path.write_bytes(CASES[kind](random.Random(number)) or b"\n")
        with contextlib.suppress(KohortError):
            assert propose(path, currency="GBP").mapping.columns


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(min_size=1, max_size=600)
    | st.text(min_size=1, max_size=300).map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_after_a_header(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "a.csv"
    path.write_bytes(",".join(COLUMNS).encode() + b"\n" + data)
    check(path, MemoryStore(), Result())


def test_the_conservation_check_can_fail(tmp_path: Path) -> None:
    """Sabotage: a store that loses a row in silence is caught."""

    class Lossy(MemoryLog):
        def append(self, table: pa.Table, *, batch: int) -> MemoryAppended:
            return MemoryLog.append(self, table.slice(1), batch=batch)

    path = tmp_path / "a.csv"
    path.write_text(
        ",".join(COLUMNS) + "\n" + "\n".join(",".join(row(random.Random(i))).replace("a, b", "") for i in range(5))
    )
    check(path, MemoryStore(), Result())
    with pytest.raises(AssertionError):
        check(path, MemoryStore(log=Lossy()), Result())
