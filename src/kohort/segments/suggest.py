"""The nearest name that was observed, for one that never was: a typo looks like an empty crowd."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kohort.model.snapshot import Snapshot

MOST_ROWS = 2_000_000
"""Rows looked at: a suggestion is a courtesy and may miss what is rare."""

_MOST_VALUES = 20_000


def nearest(snapshot: Snapshot, kind: Literal["event", "column", "value"], name: str, value: str = "") -> str:
    """The observed event, column or value of a column that is spelt most alike; empty where nothing is near.

    Letters may be large or small.
    """
    if kind == "column":
        return _closest(name, [c for c in snapshot.columns if c != name])
    if kind == "event":
        return _closest(name, observed(snapshot, "event"))
    return _closest(value, observed(snapshot, name))


def observed(snapshot: Snapshot, column: str) -> list[str]:
    """Different texts of a column, items of lists one by one, sorted; of the first rows in large logs."""
    from kohort.model.event import LIST_MARK, list_items

    found: set[str] = set()
    for values in _texts(snapshot, column):
        found.update(item for v in values if v for item in (list_items(v) if v.startswith(LIST_MARK) else [v]))
        if len(found) > _MOST_VALUES:
            break
    return sorted(found)


def _closest(wanted: str, names: list[str]) -> str:
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(name.lower(), name)
    found = difflib.get_close_matches(wanted.lower(), list(folded), n=1)
    return folded[found[0]] if found else ""


def _texts(snapshot: Snapshot, column: str) -> Iterator[list[Any]]:
    """Different values of a column, file by file."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if snapshot.hot is not None and column in snapshot.hot.column_names:
        yield pc.unique(snapshot.hot.column(column)).to_pylist()
    rows = 0
    for path in (p for files in snapshot.files.values() for p in files):
        with pq.ParquetFile(path, read_dictionary=[column]) as file:
            if column in file.schema_arrow.names and pa.types.is_dictionary(file.schema_arrow.field(column).type):
                yield pc.unique(file.read(columns=[column]).column(0)).cast(pa.string()).to_pylist()
                rows += file.metadata.num_rows
        if rows > MOST_ROWS:
            return
