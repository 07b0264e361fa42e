"""Whom time alone may change: how many are asked about, how many of them change, and what finding them costs.

    python bench/moments.py [--dir FOLDER]

The log of bench/segments.py (2 million events, 100,000 customers) and 30 of its rules. Looks ahead minute by minute
through the customer-major index, then evaluates everybody at the beginning and at the end of hours, to see who changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

from segments import AS_OF, BUCKETS, COLUMNS, FEATURES, KEY, definitions, snapshot, write_log

HOUR_US = 3_600_000_000


def index(folder: Path, columns):  # type: ignore[no-untyped-def]
    """The customer-major index over the bench's log."""
    import pyarrow.parquet as pq

    from kohort.store.base import BaseFile
    from kohort.store.files import sha256_of
    from kohort.store.major import Major, Standing

    files = []
    for bucket in range(BUCKETS):
        path = f"bucket={bucket}/part-0.parquet"
        whole = folder / path
        rows = pq.ParquetFile(whole).metadata.num_rows
        files.append(BaseFile(path, bucket, rows, whole.stat().st_size, sha256_of(whole), ""))
    major = Major(folder / "index", BUCKETS)
    major.bring(Standing(folder, tuple(files), columns=dict(COLUMNS)), columns)
    return major


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-segments")
    parser.add_argument("--hours", type=int, default=3)
    options = parser.parse_args()
    folder = options.dir / "2m"
    if not (folder / f"bucket={BUCKETS - 1}").exists():
        write_log(folder, 100_000)

    from kohort.definitions.features import parse_features
    from kohort.engines.segments import evaluate
    from kohort.live.moments import TimePlan

    chosen, known = definitions()[::3][:30], parse_features(FEATURES, COLUMNS)
    started = time.perf_counter()
    plan = TimePlan.of(chosen, features={f.name: f for f in known}, columns=COLUMNS, zone="UTC")
    print(
        f"plan: {1_000 * (time.perf_counter() - started):.1f} ms, {len(plan.sources)} sources, {len(plan.drifting)} drifting"
    )
    major = index(folder, ["event", *plan.columns])

    took, pairs, people = [], 0, set()
    start = AS_OF - 30 * 24 * HOUR_US
    for minute in range(60 * options.hours):
        after = start + minute * HOUR_US // 60
        started = time.perf_counter()
        due = plan.reached(major.crossing, after, after + HOUR_US // 60)
        took.append(1_000 * (time.perf_counter() - started))
        pairs += len(due)
        people |= set(due.customers.tolist())
    print(f"look-ahead of a minute: median {median(took):.2f} ms, slowest {max(took):.2f} ms")

    def members(at: int) -> set[tuple[str, int]]:
        found = evaluate(snapshot(folder), chosen, features=known, as_of=at, key=KEY)
        return {(d.name, c) for d in chosen for c in found.placed[d.name].column("customer").to_pylist()}

    changed: set[tuple[str, int]] = set()
    before = members(start)
    for hour in range(options.hours):
        after = members(start + (hour + 1) * HOUR_US)
        changed |= before ^ after
        before = after
    arrived = set(major.crossing(start, start + options.hours * HOUR_US)[0].tolist())
    by_time = {(name, c) for name, c in changed if c not in arrived}
    late = {c for _, c in by_time} - people
    print(
        f"per hour: {pairs / options.hours:,.0f} (customer, instant) asked about, {len(people) / options.hours:,.0f} customers; "
        f"{len(by_time) / options.hours:,.0f} memberships changed by time alone, of {len({c for _, c in by_time}) / options.hours:,.0f} "
        f"customers; not named: {len(late)}"
    )


if __name__ == "__main__":
    main()
