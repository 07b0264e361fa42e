"""Saved models: rows of persons in them go at once; what was learned from many stays until it is made again."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from kohort.store.store import Store

_COLUMNS = ("_customer", "customer")


def forget_rows(store: Store, customers: Iterable[int]) -> int:
    """Leaves persons out of the tables in saved models, and says how many rows those were.

    A version never changes, so a new one takes its place, and settings that name the old one name the new one. Interrupted,
    it is simply done again.
    """
    ids = np.unique(np.fromiter(customers, np.int64))
    gone = 0
    for kind in store.artefacts.kinds():
        for id_ in store.artefacts.ids(kind):
            files, manifest = store.artefacts.load(kind, id_)
            rows, kept = _without(files, ids)
            if not rows:
                continue
            # A random name, not a digest of what is in it: two erasures must not make the same version.
            new = secrets.token_hex(12)
            with store.write_lock():
                store.artefacts.save(kind, new, kept, manifest)
                _rename(store, id_, new)
                store.artefacts.delete(kind, id_)
            gone += rows
    return gone


def to_make_again(store: Store) -> list[str]:
    """Names of saved models that were learned from people's data, the erased ones' too: `kind/id`."""
    return [f"{kind}/{id_}" for kind in store.artefacts.kinds() for id_ in store.artefacts.ids(kind)]


def _without(files: dict[str, bytes], ids: np.ndarray) -> tuple[int, dict[str, bytes]]:
    gone, kept = 0, dict(files)
    for name, data in files.items():
        if data[:4] != b"PAR1":
            continue
        file = pq.ParquetFile(io.BytesIO(data))
        table = file.read()
        column = next(
            (c for c in _COLUMNS if c in table.column_names and pa.types.is_int64(table.schema.field(c).type)), None
        )
        if column is None:
            continue
        mine = np.isin(table.column(column).to_numpy(), ids)
        if mine.any():
            sink = io.BytesIO()
            # Files that are read piece by piece stay so.
            rows = file.metadata.row_group(0).num_rows
            pq.write_table(table.filter(pa.array(~mine)), sink, compression="zstd", row_group_size=max(rows, 1))
            kept[name] = sink.getvalue()
            gone += int(mine.sum())
    return gone, kept


def _rename(store: Store, old: str, new: str) -> None:
    """Puts another artefact's id wherever a setting names the old one."""
    for name in store.state.names():
        value = store.state.get(name)
        renamed = _replaced(value, old, new)
        if renamed != value:
            store.state.set(name, renamed)


def _replaced(value: Any, old: str, new: str) -> Any:
    return json.loads(json.dumps(value).replace(json.dumps(old), json.dumps(new)))
