"""Features of everybody, customer buckets at a time, so that memory stays flat however long the log is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kohort.compile import Compiled, compile_features, to_sql
from kohort.compile.features import CUSTOMER
from kohort.definitions.defaults import DataProfile
from kohort.definitions.features import FeatureDefinition
from kohort.engines.duck import connect, customer_buckets, folders_of, register_events
from kohort.errors import BadInput
from kohort.model.event import IDENTIFY, SCORE
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.model.snapshot import Snapshot

# Events per group of buckets. One million was the fastest (hash tables stay near the processor's cache) and took 290 MB
# where four million took 890 MB; a query costs 6 ms beside its rows. See bench/features.py.
EVENTS_PER_GROUP = 1_000_000
MEMORY_LIMIT = "1GB"
_VALUE = "_value"


def count_events(snapshot: Snapshot, *, event: str | None = None, since: int | None = None) -> dict[str, int]:
    """`events`, and `customers` who have any; those of nobody count as events, visitors as customers.

    Args:
        event: Of this name only.
        since: That happened at this instant (microseconds UTC) or later.
    """
    asked = "($event IS NULL OR event = $event) AND ($since IS NULL OR ts >= $since)"
    resolved = snapshot.resolved(None)
    with connect(folders=folders_of(resolved), memory_limit=MEMORY_LIMIT) as con:
        register_events(con, resolved)
        query = f"SELECT count(*), count(DISTINCT customer) FROM events WHERE {asked}"
        found = con.execute(query, {"event": event, "since": since}).fetchall()[0]
    return {"events": int(found[0]), "customers": int(found[1])}


def profile(snapshot: Snapshot) -> DataProfile:
    """What the log contains of customers' events, as far as the choice of default features depends on it."""
    declared = sorted(snapshot.columns)
    goods = "line_kind = 'goods' AND coalesce(duplicate_line, false) = false"
    active = f"event <> '{IDENTIFY}'"
    behaviour = f"customer > 0 AND event <> '{SCORE}'"
    filled = ("order_id", "product", "category", "quantity", "amount")
    counts = {
        "events": "count(*)",
        "first": f"min(ts) FILTER (WHERE {active})",
        "last": f"max(ts) FILTER (WHERE {active})",
        "goods": f"count(*) FILTER (WHERE {goods})",
        "returned": f"count(*) FILTER (WHERE {goods} AND amount < 0)",
        "weekend": f"count(*) FILTER (WHERE {active} AND (local_day + 7000003) % 7 >= 5)",
        "evening": f"count(*) FILTER (WHERE {active} AND local_hour >= 18)",
        **{f"filled_{c}": f"count(*) FILTER (WHERE {goods} AND {_present(c)})" for c in filled},
        **{f"present_{c}": f'count("{c}")' for c in declared},
        **{f"distinct_{c}": f'count(DISTINCT "{c}")' for c in declared if snapshot.columns[c] == "text"},
    }
    selected = ", ".join(f'{sql} AS "{name}"' for name, sql in counts.items())
    snapshot = snapshot.resolved(None)
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT) as con:
        register_events(con, snapshot, customer_buckets(snapshot))
        names = con.execute(f"SELECT event, {selected} FROM events WHERE {behaviour} GROUP BY event")
        rows = [dict(zip([d[0] for d in names.description], row, strict=True)) for row in names.fetchall()]
        customers = con.execute(f"SELECT count(DISTINCT customer) FROM events WHERE {behaviour}").fetchall()[0][0]
    firsts = [r["first"] for r in rows if r["first"] is not None]
    lasts = [r["last"] for r in rows if r["last"] is not None]

    def total(name: str) -> int:
        return sum(int(r[name]) for r in rows)

    return DataProfile(
        customers=customers,
        events={r["event"]: r["events"] for r in rows},
        first_ts=min(firsts, default=None),
        last_ts=max(lasts, default=None),
        goods=total("goods"),
        filled={c: total(f"filled_{c}") for c in filled},
        returned=total("returned"),
        weekend=total("weekend"),
        evening=total("evening"),
        columns=dict(snapshot.columns),
        present={c: total(f"present_{c}") for c in declared},
        distinct={
            c: max((r[f"distinct_{c}"] for r in rows), default=0) for c in declared if snapshot.columns[c] == "text"
        },
    )


def features(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    *,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    value: FeatureDefinition | None = None,
    customers: Sequence[int] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> FeatureTable:
    """Features of all identified customers with at least one event up to `as_of`.

    Args:
        snapshot: The event log.
        definitions: Names are unique.
        as_of: Nothing later is visible, microseconds UTC.
        zone: Time zone of calendar windows.
        currency: Currency of the log's amounts; money features come in major units.
        value: Money per customer, for value shares; not a column of the table.
        customers: Only these pseudonyms; None = everybody.
        threads: None = the setting KOHORT_THREADS.
        progress: Told the events done and in all.

    Returns:
        One row per customer, sorted by pseudonym. Missing numbers are null.

    Raises:
        RefusedDefinition: A definition does not fit the columns of the log.
        BadInput: A sum leaves 64 bits.
    """
    wanted = [*definitions, *([named_value(value)] if value else [])]
    compiled = compile_features(
        wanted, as_of=as_of, zone=zone, currency=currency, columns=snapshot.columns, customers=customers
    )
    sql = to_sql(compiled)
    snapshot = snapshot.resolved(as_of, customers)
    groups = list(bucket_groups(snapshot, customers))
    total = sum(n for _, n in groups)
    tables, done = [], 0
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT, threads=threads) as con:
        for buckets, events in groups:
            progress("Computing features", done, total)
            register_events(con, snapshot, buckets)
            tables.append(run(con, sql))
            done += events
    progress("Computing features", total, total)
    return as_table(tables, compiled, as_of=as_of, currency=currency, with_value=value is not None)


def run(con: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """The rows of a compiled expression, as Arrow."""
    try:
        return con.execute(sql).to_arrow_table()
    except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
        raise too_large() from error


def too_large() -> BadInput:
    """The error for sums that no engine can hold exactly."""
    return BadInput("A sum is too large to be exact.", code="too_large", hint="Look for absurd amounts: kohort health")


def as_table(
    tables: Sequence[pa.Table], compiled: Compiled, *, as_of: int, currency: str, with_value: bool = False
) -> FeatureTable:
    """The feature table of the rows of all groups; the last feature is the value where `with_value`."""
    infos = compiled.features[:-1] if with_value else compiled.features
    types = {"number": pa.float64(), "text": pa.string(), "flag": pa.bool_()}
    schema = pa.schema([(CUSTOMER, pa.int64()), *((f.name, types[f.type]) for f in compiled.features)])
    whole = pa.concat_tables([t.cast(schema) for t in tables]) if tables else schema.empty_table()
    whole = whole.sort_by(CUSTOMER).combine_chunks()
    return FeatureTable(
        ids=whole.column(CUSTOMER).combine_chunks() if whole.num_rows else pa.array([], pa.int64()),
        data=whole.select([f.name for f in infos]),
        features=infos,
        as_of=as_of,
        value=whole.column(_VALUE).to_numpy() if with_value else None,
        currency=currency,
    )


def bucket_groups(snapshot: Snapshot, customers: Sequence[int] | None = None) -> Iterator[tuple[list[int], int]]:
    """Customer buckets in groups of about EVENTS_PER_GROUP events, with their events."""
    asked = None if customers is None else {c % snapshot.buckets for c in customers}
    counts = _events_per_bucket(snapshot)
    group: list[int] = []
    size = 0
    for bucket in customer_buckets(snapshot):
        if asked is not None and bucket not in asked:
            continue
        events = counts.get(bucket, 0)  # none of its own, where only led ids have events for it
        if group and size + events > EVENTS_PER_GROUP:
            yield group, size
            group, size = [], 0
        group.append(bucket)
        size += events
    if group:
        yield group, size


def _events_per_bucket(snapshot: Snapshot) -> dict[int, int]:
    """Rows per bucket, from the file footers and the hot rows."""
    counts = {b: sum(pq.read_metadata(Path(f)).num_rows for f in files) for b, files in snapshot.files.items()}
    if snapshot.hot is not None:
        for item in snapshot.hot.column("bucket").value_counts().to_pylist():
            counts[item["values"]] = counts.get(item["values"], 0) + item["counts"]
    return counts


def named_value(value: FeatureDefinition) -> FeatureDefinition:
    """The value's definition under a name that no feature can have."""
    return replace(value, name=_VALUE)


def _present(column: str) -> str:
    text: Any = {"order_id", "product", "category"}
    return f"{column} <> ''" if column in text else f"{column} IS NOT NULL"
