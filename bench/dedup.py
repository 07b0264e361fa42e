"""T13: does the log keep every event once, and how much memory does knowing them take?

    python bench/dedup.py                 50 million events (about an hour, 4 GB of disk)
    python bench/dedup.py --events 5e6    fewer
    python bench/dedup.py --dir D         keep the workspace in D

One in ten events is sent again, up to 30 days of sending later, in mixed order; a few come again with another amount. The
store is opened anew ten times. Goals: 0 stored twice, 0 false drops, every conflict told, 64 MB for knowing all ids.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPLAYED = 0.1
CONFLICTING = 0.001
RESTARTS = 10


@dataclass(frozen=True, slots=True)
class Found:
    """What came out.

    Attributes:
        doubled: Rows stored beyond one per event. dropped: Events that were sent and are not stored.
        replayed: Events sent again. conflicts: Of these, with another content. conflicts_missed: Not told as conflicts.
        memory_mb: What looking up a batch among all ids adds to the process, files mapped from disk not counted.
        mapped_mb: Size of these files.
        look_up_ms: Looking up 1,000 ids among all, median.
    """

    events: int
    doubled: int
    dropped: int
    replayed: int
    conflicts: int
    conflicts_missed: int
    memory_mb: float
    mapped_mb: float
    look_up_ms: float
    seconds: float


def events(numbers, conflicting):  # type: ignore[no-untyped-def]
    """The events of these numbers: the same number is always the same event, unless it is marked as conflicting."""
    import numpy as np
    import pyarrow as pa

    n = len(numbers)
    zero = pa.array(np.zeros(n, np.int32))
    return pa.table(
        {
            "event_id": pa.array(numbers).cast(pa.string()),
            "customer": pa.array(numbers % 100_003 + 1),
            "event": pa.DictionaryArray.from_arrays(zero, ["page"]).cast(pa.string()),
            "ts": pa.array(numbers * 1_000),
            "received_at": pa.array(numbers * 1_000),
            "local_day": zero,
            "local_hour": zero,
            "amount": pa.array(numbers % 977 + np.where(conflicting, 1_000, 0)),
        }
    )


def run(folder: Path, count: int, *, batch: int) -> Found:
    import numpy as np

    from kohort.store import create_store, open_store

    draw = np.random.default_rng(13)
    started = time.perf_counter()
    store = create_store(folder / "ws", buckets=16)
    replayed = conflicts = told = stored = duplicates = 0
    batches = -(-count // batch)
    for number in range(batches):
        new = np.arange(number * batch, min(count, (number + 1) * batch))
        again = draw.integers(0, new[0], int(len(new) * REPLAYED)) if number else np.empty(0, np.int64)
        both = np.concatenate([new, again])
        marked = np.concatenate([np.zeros(len(new), bool), draw.random(len(again)) < CONFLICTING / REPLAYED])
        order = draw.permutation(len(both))
        done = store.log.append(events(both[order], marked[order]), batch=1)
        stored, duplicates, told = stored + done.stored, duplicates + done.duplicate, told + done.conflicts.num_rows
        replayed, conflicts = replayed + len(again), conflicts + int(marked.sum())
        if number % max(1, batches // RESTARTS) == 0:
            store.close()
            store = open_store(folder / "ws")
    kept = store.log.count()
    wrongly = abs(duplicates - (replayed - conflicts))
    memory, mapped, look_up = _weigh(store, count, draw)
    store.close()
    return Found(
        events=count,
        doubled=max(0, kept - count) + max(0, stored - count),
        dropped=max(0, count - kept) + wrongly,
        replayed=replayed,
        conflicts=conflicts,
        conflicts_missed=abs(conflicts - told),
        memory_mb=memory,
        mapped_mb=mapped,
        look_up_ms=look_up,
        seconds=time.perf_counter() - started,
    )


def _weigh(store, count: int, draw) -> tuple[float, float, float]:  # type: ignore[no-untyped-def]
    """(MB of own memory for knowing all ids and asking, MB of mapped files, ms for 1,000 ids)."""
    import numpy as np

    store.log.compact()
    gc.collect()
    before = _own_mb()
    appender = store.log.appender()
    took = []
    for _ in range(50):
        asked = events(draw.integers(0, count, 1_000), np.zeros(1_000, bool))
        start = time.perf_counter()
        assert not appender.prepare(asked).fresh.any()
        took.append((time.perf_counter() - start) * 1_000)
    mapped = sum(path.stat().st_size for path in store.log.ids.iterdir()) / 1e6
    return max(0.0, _own_mb() - before), mapped, float(np.median(took))


def _own_mb() -> float:
    """Resident memory that is not mapped from files, in MB: the system takes mapped pages back whenever it likes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1_024
    sys.exit("This system does not tell resident memory.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=float, default=50e6)
    parser.add_argument("--batch", type=int, default=200_000)
    parser.add_argument("--dir", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = run(options.dir or Path(temporary), int(options.events), batch=options.batch)
    for name in Found.__slots__:
        value = getattr(found, name)
        print(f"{name:18} {value:,.1f}" if isinstance(value, float) else f"{name:18} {value:,}")
    if found.doubled or found.dropped or found.conflicts_missed or found.memory_mb > 64:
        sys.exit("The goals are missed.")


if __name__ == "__main__":
    main()
