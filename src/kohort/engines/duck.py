"""The only place that opens DuckDB, and how a snapshot of the event log becomes the relation `events`."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from zlib import crc32

import duckdb
import pyarrow as pa

from kohort.engines import led
from kohort.errors import WrongUsage
from kohort.model.event import ANONYMOUS_BUCKET, event_schema
from kohort.model.snapshot import Snapshot

_DUCK_TYPE = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "bool": "BOOLEAN"}


def threads_setting(threads: int | None = None) -> int:
    """How many threads an engine may use: the argument, else KOHORT_THREADS, else 1.

    Raises:
        WrongUsage: KOHORT_THREADS is not a whole number of at least 1.
    """
    if threads is not None:
        return max(1, threads)
    text = os.environ.get("KOHORT_THREADS", "1")
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise WrongUsage("KOHORT_THREADS must be a whole number of at least 1.", hint="Leave it unset for one thread.")
    return int(text)


def connect(
    *,
    threads: int | None = None,
    memory_limit: str = "512MB",
    temp_dir: str | Path | None = None,
    folders: Iterable[str | Path] | None = None,
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that loads no extension, sees no Python variable and cannot be reconfigured.

    Args:
        threads: None = the setting KOHORT_THREADS, which is 1 when unset.
        memory_limit: Beyond it DuckDB writes to `temp_dir`.
        temp_dir: None = a private folder below the system's, made on first need and removed with the connection.
        folders: The only folders whose files SQL may read or write (with all below them). None leaves local files open:
            for callers that write their own SQL over a path they were given.

    Returns:
        A connection; close it, or use it in a `with` block.
    """
    spill = Path(temp_dir) if temp_dir is not None else _private_temp() / uuid.uuid4().hex
    con = duckdb.connect(
        ":memory:",
        config={
            "threads": threads_setting(threads),
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )
    # Instants are int64 inside; whatever still shows a time must not depend on the machine.
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    if folders is not None:
        places = ", ".join(_text(str(Path(f).resolve()).rstrip("/") + "/") for f in folders)
        con.execute(f"SET allowed_directories = [{places}]")
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
    return con


def _private_temp() -> Path:
    """This process's folder below the system's temporary one, for this user alone: what spills is customers' data."""
    folder = Path(_temp().name)
    folder.mkdir(mode=0o700, exist_ok=True)  # in a long life somebody may have tidied up
    return folder


@cache
def _temp() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kohort-")  # goes when the process ends


def folders_of(snapshot: Snapshot) -> list[str]:
    """The folders that hold the files of a snapshot, for `connect(folders=…)`."""
    return sorted({str(Path(file).parent) for files in snapshot.files.values() for file in files})


def register_events(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, buckets: Iterable[int] | None = None) -> None:
    """Create the relation `events` (replacing an earlier one): base files and hot rows in the full event schema.

    Events of an id that leads to somebody else are shown under that one, in its bucket.

    Args:
        con: From `connect`.
        snapshot: What is visible, `resolved` for the moment asked about; otherwise every link counts.
        buckets: Only these customer buckets; None = all, anonymous events included.
    """
    wanted = None if buckets is None else set(buckets)
    columns = ", ".join(_name(c) for c in event_schema(snapshot.columns).names)
    con.execute("DROP VIEW IF EXISTS events")
    snapshot = snapshot.resolved(None)
    if snapshot.led is None or not len(snapshot.led):
        con.execute(f"CREATE VIEW events AS {stored(con, snapshot, wanted)}")
        return
    if _gathered(con) != (key := _token(snapshot)):
        led.gather(con, snapshot.led, snapshot.buckets, columns, stored(con, snapshot, led.led_buckets(snapshot)))
        con.execute(f"CREATE OR REPLACE TABLE _led_token AS SELECT {_text(key)} AS token")
    con.execute(f"CREATE VIEW events AS {led.shown(columns, stored(con, snapshot, wanted), wanted)}")


def _token(snapshot: Snapshot) -> str:
    """What the gathered rows of led ids depend on."""
    assert snapshot.led is not None
    return f"{snapshot.version} {snapshot.led.as_of} {crc32(snapshot.led.led.tobytes())}"


def _gathered(con: duckdb.DuckDBPyConnection) -> str:
    """The token of the rows that this connection has gathered; empty where it has none."""
    if not con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = '_led_token'").fetchall()[0][0]:
        return ""
    return str(con.execute("SELECT token FROM _led_token").fetchall()[0][0])


def stored(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, wanted: set[int] | None) -> str:
    """SQL of the events in some buckets (None = all), under the ids they came with."""
    files = sorted(f for bucket, names in snapshot.files.items() if wanted is None or bucket in wanted for f in names)
    schema = event_schema(snapshot.columns)
    columns = ", ".join(_name(c) for c in schema.names)
    # The empty table goes first: it gives every part the names and types of the schema, so that a file written before a
    # property was declared reads as null there.
    definition = ", ".join(f"{_name(f.name)} {_DUCK_TYPE[str(f.type)]}" for f in schema)
    con.execute(f"CREATE OR REPLACE TABLE _events_shape ({definition})")
    parts = [f"SELECT {columns} FROM _events_shape"]
    if files:
        listed = ", ".join(_text(f) for f in files)
        by_name = "true" if snapshot.columns else "false"
        parts.append(
            f"SELECT * FROM read_parquet([{listed}], hive_partitioning = true, hive_types = {{'bucket': INTEGER}}, "
            f"union_by_name = {by_name})"
        )
    if snapshot.hot is not None and snapshot.hot.num_rows:
        con.register("_events_hot", _in_schema(snapshot.hot, schema))
        where = "" if wanted is None else f" WHERE bucket IN ({', '.join(map(str, sorted(wanted))) or 'NULL'})"
        parts.append(f"SELECT {columns} FROM _events_hot{where}")
    return f"SELECT {columns} FROM ({' UNION ALL BY NAME '.join(parts)})"


def customer_buckets(snapshot: Snapshot) -> list[int]:
    """Buckets that hold events of customers, in order; the anonymous one is not among them."""
    found = set(snapshot.files) - {ANONYMOUS_BUCKET}
    if snapshot.hot is not None and snapshot.hot.num_rows:
        found |= set(snapshot.hot.column("bucket").unique().to_pylist()) - {ANONYMOUS_BUCKET}
    return sorted(found | led.root_buckets(snapshot))


def _in_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Hot rows in the full schema; a column they do not carry is null."""
    have = set(table.column_names)
    columns = [
        table.column(f.name).cast(f.type) if f.name in have else pa.nulls(table.num_rows, f.type) for f in schema
    ]
    return pa.table(columns, names=schema.names)


def _text(value: str) -> str:
    """A SQL text literal."""
    return "'" + value.replace("'", "''") + "'"


def _name(column: str) -> str:
    """A quoted SQL name."""
    return '"' + column.replace('"', '""') + '"'
