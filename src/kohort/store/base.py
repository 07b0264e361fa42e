"""The base of the event log: Parquet files in `bucket=<n>/` folders, for DuckDB, Spark and every Delta reader."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kohort.store.files import flush_folder, write_whole

SORTED_BY = (("customer", "ascending"), ("ts", "ascending"), ("event_id", "ascending"))
_ROW_GROUP = 131_072
_FEW_VALUES = ("event", "product", "product_name", "category", "line_kind", "currency", "order_id")
"""Columns worth a dictionary; ids are not, and looking for one would only cost time."""


@dataclass(frozen=True, slots=True)
class BaseFile:
    """One file as the state's `base_file` table knows it."""

    path: str
    bucket: int
    rows: int
    bytes: int
    sha256: str
    stats: str
    removed_us: int | None = None


def write_files(events: Path, table: pa.Table) -> list[BaseFile]:
    """Writes events (full schema, any order) as one new sorted file per bucket, flushed to disk.

    Nobody reads them before the state names them: an interrupted call leaves files that `EventLog.vacuum` removes.
    """
    order = pc.sort_indices(table, sort_keys=[("bucket", "ascending"), *SORTED_BY])
    buckets = np.asarray(table.column("bucket").combine_chunks().take(order))
    edges = np.flatnonzero(np.diff(buckets)) + 1
    plain = table.drop_columns(["bucket"])
    found = []
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(buckets)], strict=True):
        if end > start:
            found.append(write_sorted(events, int(buckets[start]), plain.take(order.slice(start, end - start))))
    return found


def write_sorted(events: Path, bucket: int, table: pa.Table) -> BaseFile:
    """Writes one file of events without `bucket`, sorted by SORTED_BY."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        row_group_size=_ROW_GROUP,
        use_dictionary=[n for n in table.column_names if n in _FEW_VALUES or n[:2] in {"p_", "t_"}],
        write_statistics=True,
        write_page_checksum=True,
        store_schema=False,
        sorting_columns=[pq.SortingColumn(table.column_names.index(name)) for name, _ in SORTED_BY],
    )
    data = memoryview(sink.getvalue())
    folder = events / f"bucket={bucket}"
    if not folder.exists():
        folder.mkdir(parents=True)
        flush_folder(events)
    path = folder / f"part-{secrets.token_hex(12)}.parquet"
    write_whole(path, data)
    flush_folder(folder)
    return BaseFile(
        path=f"{folder.name}/{path.name}",
        bucket=bucket,
        rows=table.num_rows,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        stats=_stats(table),
    )


def _stats(table: pa.Table) -> str:
    """Delta statistics: other engines skip files by them."""
    low, high, nulls = {}, {}, {}
    for name in ("customer", "ts"):
        nulls[name] = table.column(name).null_count
        edge = pc.min_max(table.column(name)).as_py()
        if edge["min"] is not None:
            low[name], high[name] = edge["min"], edge["max"]
    return json.dumps(
        {"numRecords": table.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}, sort_keys=True
    )


def read_columns(events: Path, files: Sequence[BaseFile], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of some files, one row group at a time."""
    for file in files:
        parquet = pq.ParquetFile(events / file.path)
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns=list(columns))


def merge_files(events: Path, files: Sequence[BaseFile], schema: pa.Schema, *, rows_per_file: int) -> list[BaseFile]:
    """Rewrites the files of one bucket as sorted files of at most `rows_per_file` rows. The old ones stay."""
    tables = [as_schema(pq.ParquetFile(events / file.path).read(), schema) for file in files]
    table = pa.concat_tables(tables)
    table = table.take(pc.sort_indices(table, sort_keys=list(SORTED_BY)))
    return [
        write_sorted(events, files[0].bucket, table.slice(start, rows_per_file).combine_chunks())
        for start in range(0, table.num_rows, rows_per_file)
    ]


def as_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns; a column that did not exist when it was written is null."""
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


class DeltaMirror:
    """The Delta log of the events folder: a published copy of what the state says the base consists of.

    The state decides (one transaction moves hot rows into the base); the Delta log follows, for every other reader.
    It is made equal by comparing both lists of files, so publishing twice or after a crash ends the same way.
    """

    APP = "kohort"

    def __init__(self, events: Path) -> None:
        self.events = events

    def publish(self, files: Sequence[BaseFile], schema: pa.Schema, version: int) -> None:
        """Makes the table consist of exactly these files. `version` becomes its application transaction version."""
        from deltalake import CommitProperties
        from deltalake.transaction import AddAction, RemoveAction, Transaction

        table = self._open(schema)
        known = _adds(table)
        now = int(time.time() * 1000)
        live = {file.path: file for file in files}
        new, gone = [f for p, f in live.items() if p not in known], sorted(known.keys() - live.keys())
        # Rows that only move into other files are no news to a reader who follows changes.
        news = sum(f.rows for f in new) != sum(known[p][1] for p in gone)
        adds = [AddAction(f.path, f.bytes, {"bucket": str(f.bucket)}, now, news, f.stats) for f in new]
        removes = [RemoveAction(p, news, now) for p in gone]
        if adds or removes:
            table.create_write_transaction(
                [*adds, *removes],
                "append",
                table.schema(),
                partition_by=["bucket"],
                commit_properties=CommitProperties(app_transactions=[Transaction(self.APP, version)]),
            )
            self._flush()

    def differences(self, files: Sequence[BaseFile]) -> list[str]:
        """What a reader of the Delta log would see differently, in plain sentences."""
        from deltalake import DeltaTable

        if not files and not (self.events / "_delta_log").exists():
            return []
        try:
            found = _adds(DeltaTable(str(self.events)))
        except Exception as error:  # the reader's own errors have no common base
            return [f"The Delta log cannot be read ({type(error).__name__})."]
        expected = {f.path: (f.bytes, f.rows) for f in files}
        wrong = sorted(p for p in expected.keys() | found.keys() if expected.get(p) != found.get(p))
        return [f"The Delta log does not agree about {p}." for p in wrong]

    def rebuild(self) -> None:
        """Forgets the Delta log; the next `publish` writes it anew. History of versions is lost, rows are not."""
        log = self.events / "_delta_log"
        if log.exists():
            log.rename(self.events / f"_delta_log.damaged-{secrets.token_hex(4)}")

    def _open(self, schema: pa.Schema) -> Any:
        from deltalake import DeltaTable, Field
        from deltalake import Schema as DeltaSchema

        if not (self.events / "_delta_log").exists():
            return DeltaTable.create(str(self.events), schema, partition_by=["bucket"], name="events")
        table = DeltaTable(str(self.events))
        have = {field.name for field in table.schema().fields}
        wanted = DeltaSchema.from_arrow(schema)
        if missing := [f for f in wanted.fields if f.name not in have]:
            table.alter.add_columns([Field(f.name, f.type, nullable=True) for f in missing])
            table = DeltaTable(str(self.events))
        return table

    def _flush(self) -> None:
        """The library does not flush its log to disk; we do, so that a power cut does not undo a publication."""
        log = self.events / "_delta_log"
        for path in sorted(log.glob("*.json"))[-2:]:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        flush_folder(log)


def _adds(table: Any) -> dict[str, tuple[int, int]]:
    """Path → (bytes, rows) of the files of a Delta table."""
    actions: Mapping[str, Any] = pa.table(table.get_add_actions(flatten=True))
    return {
        path: (size, rows)
        for path, size, rows in zip(
            actions["path"].to_pylist(),
            actions["size_bytes"].to_pylist(),
            actions["num_records"].to_pylist(),
            strict=True,
        )
    }
