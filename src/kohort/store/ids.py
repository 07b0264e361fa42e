"""The id index: which events are stored already, answered without reading events.

An entry is two 64-bit digests: of the event id, and of what the event says (ts, event, customer, amount, quantity).
Same id and same content = the same event again; same id, other content = a conflict. Entries lie in sorted runs: one
small run per append to the hot log, and memory-mapped files for the base, merged as they grow, so that looking
up n ids costs about n·log(N) and memory stays flat. The index is derived: it can be rebuilt from the events.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kohort.store.checks import WORD, row_digest, text_digest

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT = ("ts", "event", "customer", "amount", "quantity")
"""The columns that make two rows with one event id the same event."""

_MERGE_ROWS = 1 << 20
_GROWTH = 4  # a run is merged into the one before it once that is less than so many times larger


@dataclass(frozen=True, slots=True)
class Run:
    """Entries sorted by id digest, parallel arrays of uint64."""

    ids: np.ndarray
    contents: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def to_bytes(self) -> bytes:
        return self.ids.astype(WORD).tobytes() + self.contents.astype(WORD).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Run:
        words = np.frombuffer(data, dtype=WORD)
        return cls(words[: len(words) // 2], words[len(words) // 2 :])

    @classmethod
    def from_file(cls, path: Path) -> Run:
        words = np.asarray(np.memmap(path, dtype=WORD, mode="r"))  # plain: its own class makes every look slow
        return cls(words[: len(words) // 2], words[len(words) // 2 :])


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of a table's rows, in the table's order."""

    ids: np.ndarray
    contents: np.ndarray

    @classmethod
    def of(cls, table: pa.Table, seed: int) -> Entries:
        """From the columns `event_id` and CONTENT, each one chunk; `seed` is the workspace's own."""
        ids, *contents = (table.column(name).chunk(0) for name in ("event_id", *CONTENT))
        return cls(text_digest(ids, seed), row_digest(contents, seed ^ 0x5EED))

    def take(self, rows: np.ndarray) -> Entries:
        return Entries(self.ids[rows], self.contents[rows])

    def run(self) -> Run:
        order = np.argsort(self.ids, kind="stable")
        return Run(self.ids[order], self.contents[order])


def look_up(entries: Entries, runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are known.

    Returns:
        Two boolean arrays: the same event is stored (id and content digests equal); only the id digest is stored.
    """
    order = np.argsort(entries.ids, kind="stable")
    ids, contents = entries.ids[order], entries.contents[order]
    same = np.zeros(len(ids), dtype=bool)
    seen = np.zeros(len(ids), dtype=bool)
    for run in runs:
        at = np.searchsorted(run.ids, ids, side="left")
        live = np.flatnonzero(at < len(run))
        # Almost always one step: a second entry of one id digest is a collision of two ids.
        while len(live := live[run.ids[at[live]] == ids[live]]):
            seen[live] = True
            same[live] |= run.contents[at[live]] == contents[live]
            at[live] += 1
            live = live[at[live] < len(run)]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return same[back], (seen & ~same)[back]


def merged(runs: Sequence[Run]) -> Iterator[Run]:
    """One sorted run out of several, in pieces of about `_MERGE_ROWS` entries."""
    starts = [0] * len(runs)
    while any(start < len(run) for start, run in zip(starts, runs, strict=True)):
        fences = [
            run.ids[s + _MERGE_ROWS - 1] for s, run in zip(starts, runs, strict=True) if s + _MERGE_ROWS < len(run)
        ]
        ends = [int(np.searchsorted(run.ids, min(fences), side="right")) if fences else len(run) for run in runs]
        pieces = list(zip(runs, starts, ends, strict=True))
        ids = np.concatenate([r.ids[s:e] for r, s, e in pieces])
        contents = np.concatenate([r.contents[s:e] for r, s, e in pieces])
        order = np.argsort(ids, kind="stable")  # timsort: joining sorted pieces is linear
        yield Run(ids[order], contents[order])
        starts = ends


def crowded(sizes: Sequence[int]) -> int:
    """How many of the newest runs (sizes oldest first) belong into one, so that runs stay few; 0 or 1 = none."""
    n, rows = 1, sizes[-1] if sizes else 0
    while n < len(sizes) and sizes[-1 - n] < _GROWTH * rows:
        rows += sizes[-1 - n]
        n += 1
    return n if n > 1 else 0


def new_name() -> str:
    return f"run-{secrets.token_hex(8)}.ids"
