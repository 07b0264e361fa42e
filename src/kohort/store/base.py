"""The base of the event log: Parquet files in `bucket=<n>/` folders, for DuckDB, Spark and every Delta reader."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kohort.store.files import flush_file, flush_folder

if TYPE_CHECKING:
    from kohort.store.going import Going

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
    edges = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(buckets)]
    plain = table.drop_columns(["bucket"]).combine_chunks().to_batches()[0]
    found: list[BaseFile] = []
    while len(found) < len(edges) - 1:
        # Rows of several buckets are put in order at once: half the cost of bucket by bucket, and memory stays flat.
        first = edges[len(found)]
        last = next((edge for edge in edges if edge >= first + _ROW_GROUP), edges[-1])
        some = pa.Table.from_batches([plain.take(order.slice(first, last - first))])
        for start, end in pairwise(edge for edge in edges if first <= edge <= last):
            found.append(write_sorted(events, int(buckets[start]), some.slice(start - first, end - start)))
    flush(events, found)
    return found


def flush(events: Path, files: Sequence[BaseFile]) -> None:
    """Makes new files and their names survive a power cut. All at once, after writing: a fraction of the time."""
    for file in files:
        flush_file(events / file.path)
    for folder in {(events / file.path).parent for file in files} | {events}:
        flush_folder(folder)


def write_sorted(events: Path, bucket: int, table: pa.Table) -> BaseFile:
    """Writes one file of events without `bucket`, sorted by SORTED_BY. The caller flushes it."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        row_group_size=_ROW_GROUP,
        use_dictionary=[n for n in table.column_names if n in _FEW_VALUES or n[:2] in {"p_", "t_"}],
        write_statistics=["customer", "ts"],
        store_schema=False,
        sorting_columns=[pq.SortingColumn(table.column_names.index(name)) for name, _ in SORTED_BY],
    )
    data = memoryview(sink.getvalue())
    folder = events / f"bucket={bucket}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{secrets.token_hex(12)}.parquet"
    path.write_bytes(data)
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
        column = table.column(name)
        nulls[name] = column.null_count
        if column.null_count < len(column):
            edge = pc.min_max(column).as_py()
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
    found = [
        write_sorted(events, files[0].bucket, table.slice(start, rows_per_file))
        for start in range(0, table.num_rows, rows_per_file)
    ]
    flush(events, found)
    return found


def without(events: Path, file: BaseFile, going: Going, schema: pa.Schema) -> list[BaseFile] | None:
    """Rewrites a file without the rows that go (no file, where nothing is left); None = it holds none of them."""
    gone = going.mask(columns_of(events / file.path, going.columns, schema))
    if not pc.any(gone).as_py():
        return None
    kept = as_schema(pq.ParquetFile(events / file.path).read().filter(pc.invert(gone)), schema)
    found = [write_sorted(events, file.bucket, kept)] if kept.num_rows else []
    flush(events, found)
    return found


def columns_of(path: Path, columns: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Some columns of a file; one that did not exist when it was written is null."""
    there = set(pq.read_schema(path).names)
    held = pq.read_table(path, columns=[name for name in columns if name in there], partitioning=None)
    return as_schema(held, pa.schema([schema.field(name) for name in columns]))


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

        try:
            table = self._open(schema)
            known = _adds(table)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            # Nothing but the history of versions is lost: the state knows every file.
            self.rebuild()
            table, known = self._open(schema), {}
        now = int(time.time() * 1000)
        live = {file.path: file for file in files}
        new, gone = [f for p, f in live.items() if p not in known], sorted(known.keys() - live.keys())
        # Rows that only move into other files are no news to a reader who follows changes.
        news = sum(f.rows for f in new) != sum(known[p]["num_records"] for p in gone)
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

    def differences(self, files: Sequence[BaseFile], schema: pa.Schema, version: int) -> list[str]:
        """What a reader of the Delta log would see differently, in plain sentences."""
        from deltalake import DeltaTable
        from deltalake import Schema as DeltaSchema

        if not files and not (self.events / "_delta_log").exists():
            return []
        try:
            table = DeltaTable(str(self.events))
            found, fields = _adds(table), {(f.name, str(f.type)) for f in table.schema().fields}
            published = table.transaction_version(self.APP)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            return [f"The Delta log cannot be read ({type(error).__name__})."]
        expected = {f.path: _expected(f) for f in files}
        wrong = sorted(p for p in expected.keys() | found.keys() if expected.get(p) != found.get(p))
        said = [f"The Delta log does not agree about {p}." for p in wrong]
        if fields != {(f.name, str(f.type)) for f in DeltaSchema.from_arrow(schema).fields}:
            said.append("The Delta log does not agree about the columns.")
        if files and (published is None or published > version):
            said.append("The Delta log does not agree about the version.")
        return said

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
            flush_file(path)
        flush_folder(log)


def _adds(table: Any) -> dict[str, dict[str, Any]]:
    """Path → what a Delta table says about each of its files; a figure it does not know is left out."""
    rows = pa.table(table.get_add_actions(flatten=True)).drop_columns(["modification_time"]).to_pylist()
    return {row["path"]: {name: value for name, value in row.items() if value is not None} for row in rows}


def _expected(file: BaseFile) -> dict[str, Any]:
    """What a Delta table must say about a file."""
    stats = json.loads(file.stats)
    found = {"path": file.path, "size_bytes": file.bytes, "partition.bucket": file.bucket, "num_records": file.rows}
    for kind, name in (("min", "minValues"), ("max", "maxValues"), ("null_count", "nullCount")):
        found |= {f"{kind}.{column}": value for column, value in stats[name].items()}
    return found
