"""Lists of texts (tags, interests) are recognised, stored item by item, and the same from every kind of file."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.ingest import ingest_files, propose
from kohort.ingest.memory import MemoryStore
from kohort.model.event import list_items, list_text

ROWS = [
    {"customer": f"c{i}", "time": f"2024-01-0{i + 1}T10:00:00Z", "event": "page", "tags": tags}
    for i, tags in enumerate([["a", "B c"], [], None, ["x|y", "z, w"], ["a\x1fb"], [1, 2], [" ", "a"]])
]
EXPECTED = ["\x1fa\x1fB c\x1f", None, None, "\x1fx|y\x1fz, w\x1f", "\x1fa b\x1f", "\x1f1\x1f2\x1f", "\x1fa\x1f"]


def stored(path: Path) -> list[str | None]:
    store = MemoryStore()
    mapping = propose([path], kind="events").mapping
    assert mapping.properties["tags"] == "list"
    ingest_files([path], mapping, store=store, zone="UTC", currency="EUR", controls={}, now=1_800_000_000_000_000)
    return [row["p_tags"] for row in sorted(store.log.events(), key=lambda row: row["ts"])]


def test_lists_of_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    assert stored(path) == EXPECTED


def test_lists_of_parquet_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    rows = [{**row, "tags": None if row["tags"] is None else [str(t) for t in row["tags"]]} for row in ROWS]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert stored(path) == EXPECTED


def test_lists_of_csv_are_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    lines = [
        f'{r["customer"]},{r["time"]},page,"{json.dumps(r["tags"]).replace(chr(34), chr(34) * 2)}"'
        for r in ROWS
        if r["tags"] is not None
    ]
    path.write_text("customer,time,event,tags\n" + "\n".join(lines) + "\n", encoding="utf-8")
    assert stored(path) == [e for e, r in zip(EXPECTED, ROWS, strict=True) if r["tags"] is not None]


def test_lists_with_addresses_in_them_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    rows = [{**row, "tags": ["anna@example.org"]} for row in ROWS]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    mapping = propose([path], kind="events").mapping
    assert "tags" not in mapping.properties
    assert "direct identifiers" in mapping.ignored["tags"]


@pytest.mark.parametrize("items", [[], ["a"], ["a", "b", "a"], ["with space", "ÆØÅ"]])
def test_a_stored_list_reads_back(items: list[str]) -> None:
    assert list_items(list_text(items)) == items
