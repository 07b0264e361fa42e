"""What it costs to ask about few customers: 30 rule segments for 1 to 3,000 (customer, moment) pairs, on both engines.

    python bench/pairs.py            a log of 2 million events is written once, or taken from --dir
    python bench/pairs.py --rounds 50

Milliseconds per call of `Pairs.evaluate`, by the clock and of the processor (which a busy machine disturbs less), events
given as a table. Goals: 4 ms for up to 10
customers, 30 ms for 1,000. The number of events at which DuckDB becomes faster is `FEW_ROWS` of `kohort.engines.pairs`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import segments as log  # type: ignore[import-not-found]

from kohort.compile.pairs import CompiledPairs, compile_pairs
from kohort.definitions.features import parse_features
from kohort.engines.pairs import Engine, Pairs

RULES = 30
SIZES = (1, 10, 100, 1_000, 3_000)
ENGINES: tuple[Engine, ...] = ("small", "duckdb")


def program() -> CompiledPairs:
    chosen = log.definitions()[:: 100 // RULES][:RULES]
    features = parse_features(log.FEATURES, log.COLUMNS)
    return compile_pairs(chosen, features=features, columns=log.COLUMNS, key=log.KEY, by_hand=(), standing=())


class Bucket:
    """One customer bucket of the log, sorted by customer."""

    def __init__(self, folder: Path, reads: frozenset[str]) -> None:
        self.table = pq.read_table(folder / "bucket=3" / "part-0.parquet", columns=sorted(reads)).combine_chunks()
        self.customers = self.table["customer"].to_numpy()
        self.people = np.unique(self.customers)

    def of(self, people: np.ndarray) -> pa.Table:
        first, last = (np.searchsorted(self.customers, people, side) for side in ("left", "right"))
        return self.table.take(np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-segments")
    options = parser.parse_args()
    folder = options.dir / "2m"
    if not (folder / f"bucket={log.BUCKETS - 1}").exists():
        log.write_log(folder, 100_000)
    compiled = program()
    bucket, rng = Bucket(folder, compiled.reads), np.random.default_rng(1)
    for engine in ENGINES:
        with Pairs(compiled, threads=1, engine=engine) as asked:
            for size in SIZES:
                took, events = [], 0
                for _ in range(options.rounds):
                    people = np.sort(rng.choice(bucket.people, size, replace=False))
                    rows, pairs = bucket.of(people), pa.table({"person": people, "as_of": np.full(size, log.AS_OF)})
                    started, used = time.perf_counter(), time.process_time()
                    asked.evaluate(pairs, rows)
                    took.append((1_000 * (time.perf_counter() - started), 1_000 * (time.process_time() - used)))
                    events = rows.num_rows
                (clock, cpu), (_, least) = np.median(took, 0), np.min(took, 0)
                told = f"{clock:7.1f} ms, processor {cpu:7.1f} ms, at least {least:7.1f} ms"
                print(f"{engine:<7} {size:>6,} pairs {events:>7,} events  {told}")


if __name__ == "__main__":
    main()
