"""Everything that is kept about one person, as plain values: what she may see (access) and take along (portability)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kohort.errors import NotFound
from kohort.model.clock import iso
from kohort.model.event import NUMBER_SCALE, QUANTITY_SCALE, ColumnType, list_items
from kohort.model.links import roots
from kohort.model.money import minor_digits
from kohort.store.vault import STATEMENT
from kohort.trust.mentions import Mentions

if TYPE_CHECKING:
    from kohort.store.store import Store

_OURS = frozenset({"bucket", "customer", "batch", "local_day", "local_hour", "fx_day", "line_kind", "duplicate_line"})
"""Columns that say nothing about her that the others do not say: our bookkeeping."""
_MONEY = {"amount": None, "amount_source": "currency"}
"""Amount → column of its currency; None = the workspace's."""


def ids_of(store: Store, customer: int) -> list[int]:
    """Every id of a person, her own first: those that lead to the same one now."""
    found = roots(store.links.now())
    root = int(found.root_of(customer))
    return [root, *sorted({int(id_) for id_ in found.members(root)} - {root})]


def identities(store: Store, ids: Sequence[int]) -> dict[str, list[str]]:
    """Kind → values: "customer_id", "anonymous_id", "email", "phone", "name", "address"."""
    found: dict[str, set[str]] = {}
    for id_ in ids:
        try:
            told = store.vault.open_person(id_)
        except NotFound:
            continue
        told.pop(STATEMENT, None)  # it is no identity; see `kohort.trust.statements`
        for kind, values in told.items():
            found.setdefault("customer_id" if kind == "ref" else kind, set()).update(values)
    return {kind: sorted(values) for kind, values in sorted(found.items())}


def events(store: Store, ids: Sequence[int], currency: str) -> list[dict[str, Any]]:
    """Her events in the order they happened: when, what, where it came from, and everything that was said.

    Args:
        ids: Pseudonyms of hers.
        currency: Of the workspace.
    """
    shot = store.log.snapshot()
    sources = {report.batch: (report.source, report.file) for report in store.state.batches()}
    rows = [row for table in _rows(shot.files, shot.hot, ids, shot.buckets) for row in table.to_pylist()]
    rows.sort(key=lambda row: (row["ts"], row["event_id"]))
    return [_event(row, shot.columns, currency, sources) for row in rows]


def history(store: Store, customer: int, names: Sequence[str]) -> list[dict[str, Any]]:
    """Every stay in every segment, also past ones: `segment`, `part`, `since`, `until` (None = still), `reason`."""
    return [
        {
            "segment": name,
            "part": stay["segment"],
            "since": iso(stay["since"]),
            "until": None if stay["until"] is None else iso(stay["until"]),
            "reason": stay["reason"],
        }
        for name in names
        for stay in store.members.history(name, customer)
    ]


def recipients(store: Store, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What was told about her to other systems, or is to be: `destination`, `segment`, `change`, `at`, `state`."""
    found = [one for id_ in ids for one in store.deliveries.some(customer=id_, limit=1_000_000)]
    return [
        {"destination": d.destination, "segment": d.name, "change": d.change, "at": iso(d.at), "state": d.state}
        for d in sorted(found, key=lambda d: d.number)
    ]


def by_hand(store: Store, ids: Sequence[int], names: Sequence[str]) -> list[dict[str, Any]]:
    """What people decided about her by hand and holds now: `segment`, `part`, `added`."""
    table = store.by_hand.table()
    mine = table.filter(pc.is_in(table["customer"], pa.array(list(ids), pa.int64()))).to_pylist()
    return [
        {"segment": row["name"], "part": row["segment"] or None, "added": row["added"]}
        for row in mine
        if row["name"] in names
    ]


def feedback(store: Store, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What people said about whether she belongs into segments: `segment`, `part`, `said`, `text`, `at`; by whom is not said."""
    return [
        {"segment": s.name, "part": s.part or None, "said": s.said, "text": s.text, "at": iso(s.at_us)}
        for s in store.feedback.all()
        if s.customer in ids
    ]


def merges(store: Store, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What was decided about which records are hers: `what`, `at`, `how`, `score`, `evidence`, `reason`, `stands`.

    Whom she was compared with is not said: after a split that is somebody else.
    """
    return [
        {
            "what": d.what,
            "at": iso(d.at),
            "how": d.pair.how,
            "score": d.pair.score,
            "evidence": [{"field": f.field, "says": f.says} for f in d.pair.evidence],
            "reason": d.reason,
            "stands": d.stands,
        }
        for d in store.merges.log(set(ids))
    ]


def rejected(store: Store, found: Mapping[str, list[str]], id_columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows about her that could not be used: `source`, `file`, `line`, `reason`, `row`."""
    mentions = Mentions(id_columns)
    mentions.add({"ref" if kind == "customer_id" else kind: values for kind, values in found.items()})
    return [
        {"source": row.source, "file": row.file, "line": row.line, "reason": row.reason, "row": row.raw}
        for row in store.state.every_rejected()
        if mentions.in_row(row)
    ]


def _rows(
    files: Mapping[int, Sequence[str]], hot: pa.Table | None, ids: Sequence[int], buckets: int
) -> Iterator[pa.Table]:
    """Files are sorted by customer, so few pieces of them are read."""
    wanted = pa.array(np.unique(np.asarray(ids, np.int64)))
    for bucket in sorted({int(id_) % buckets for id_ in ids}):
        for path in files.get(bucket, ()):
            yield pq.read_table(path, filters=pc.field("customer").isin(wanted), partitioning=None, use_threads=False)
    if hot is not None:
        yield hot.filter(pc.is_in(hot.column("customer"), wanted))


def _event(
    row: Mapping[str, Any],
    columns: Mapping[str, ColumnType],
    currency: str,
    sources: Mapping[int, tuple[str, str]],
) -> dict[str, Any]:
    source, file = sources.get(row["batch"], ("", ""))
    told: dict[str, Any] = {"at": iso(row["ts"]) if row["ts"] else None, "event": row["event"]}
    said: dict[str, dict[str, Any]] = {"properties": {}, "traits": {}}
    for name, value in row.items():
        if value is None or name in _OURS or name in ("ts", "event"):
            continue
        if name in columns:
            said["properties" if name[:2] == "p_" else "traits"][name[2:]] = _declared(value, columns[name])
        elif name in _MONEY:
            code = row.get(_MONEY[name] or "") or currency
            told[name] = str(Decimal(value).scaleb(-minor_digits(code)))
        elif name == "quantity":
            told[name] = _number(value, QUANTITY_SCALE)
        else:
            told[name] = iso(value) if name == "received_at" else value
    return told | {key: values for key, values in said.items() if values} | {"source": source, "file": file}


def _declared(value: Any, kind: ColumnType) -> Any:
    if kind == "number":
        return _number(value, NUMBER_SCALE)
    if kind == "time":
        return iso(value)
    return list_items(value) if kind == "list" else value


def _number(value: int, scale: int) -> int | float:
    return value // scale if value % scale == 0 else value / scale
