"""Everybody of a segmentation as of its last run, in one file: group by group, the surest first, with the features of each.

A page of fifty is read from it without reading the others, however many they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from kohort.model.feature import FeatureInfo

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from kohort.store.store import Store

KIND, FILE = "found", "people.parquet"
CUSTOMER, GROUP, SURE, SINCE = "_customer", "_group", "_confidence", "_since"
NAMED = "segment_of"
"""In the manifest: the segment of each group number."""

_GROUP_ROWS = 16_384
_OPEN = 2


def in_order(whole: pa.Table) -> pa.Table:
    """The rows of a roll in the order in which pages show them."""
    import pyarrow.compute as pc

    keys = [(GROUP, "ascending"), (SURE, "descending"), (CUSTOMER, "ascending")]
    return whole.take(pc.sort_indices(whole.select([GROUP, SURE, CUSTOMER]), sort_keys=keys))


def write(whole: pa.Table, sink: Any) -> None:
    """Rows as a file that is read piece by piece."""
    import pyarrow.parquet as pq

    pq.write_table(whole, sink, compression="zstd", row_group_size=_GROUP_ROWS)


class Roll:
    """One such file.

    Attributes:
        infos: The features.
        placed: How many are in a group.
    """

    def __init__(self, file: pq.ParquetFile, manifest: dict[str, Any]) -> None:
        import numpy as np

        self._file = file
        self.infos = tuple(FeatureInfo(**f) for f in manifest["features"])
        groups = file.read(columns=[GROUP]).column(GROUP).to_numpy()
        names = list(manifest[NAMED])
        edges = np.searchsorted(groups, np.arange(len(names) + 1))
        self._places = {name: (int(edges[i]), int(edges[i + 1])) for i, name in enumerate(names)}
        self.placed = int(edges[-1] - edges[0])
        rows = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        self._starts = np.cumsum([0, *rows])
        self._reading = threading.Lock()

    def page(self, segment: str, cursor: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Some of a segment, the surest first, and how many there are: `_customer`, `_confidence`, `_since` where it is
        known, and the features of each."""
        start, end = self._places.get(segment, (0, 0))
        first, last = min(start + cursor, end), min(start + cursor + limit, end)
        if first >= last:
            return [], end - start
        pieces = [g for g in range(len(self._starts) - 1) if self._starts[g] < last and self._starts[g + 1] > first]
        with self._reading:  # one file, one reader
            table = self._file.read_row_groups(pieces, use_threads=False)
        rows: list[dict[str, Any]] = table.slice(first - int(self._starts[pieces[0]]), last - first).to_pylist()
        return rows, end - start


class Rolls:
    """The rolls of a workspace that were looked at last; a file never changes once it is saved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: OrderedDict[str, Roll | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Roll | None:
        """The roll of an adopted segmentation; "" = of what was found last. None where there is none to be trusted: it was
        written by an earlier version, or members are others by now."""
        state = self._store.state
        kept = state.get("found") or {} if not name else {"artefact": state.get(f"people.{name}")}
        if (artefact := kept.get("artefact")) is None:
            return None
        with self._lock:
            if artefact not in self._open:
                self._open[artefact] = self._read(artefact)
            self._open.move_to_end(artefact)
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
            roll = self._open[artefact]
        if roll is None or not name:
            return roll
        head = self._store.members.heads().get(name)
        return roll if head is not None and head["size"] == roll.placed else None

    def _read(self, artefact: str) -> Roll | None:
        import pyarrow.parquet as pq

        path, manifest = self._store.artefacts.file(KIND, artefact, FILE)
        file = pq.ParquetFile(path, memory_map=True)
        ordered = NAMED in manifest and SURE in file.schema_arrow.names and manifest.get("ordered")
        return Roll(file, manifest) if ordered else None
