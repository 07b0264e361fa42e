"""The whole data-health report beside one full scan that finds the smallest, largest, missing and different values of each column.

    python bench/health.py                    10 million events (pages, order lines, customers' data) in one source
    python bench/health.py --events 1000000   fewer
    python bench/health.py --dir D            keep the synthetic log in D (written once, bucketed Parquet like the store's)

Each runs in a fresh process over the same files with the settings of the store, in turn, and CPU seconds count from the
first query on. `exact` counts different values exactly; `estimated` asks DuckDB for its estimate (HyperLogLog), the cheaper
and so the harder one to be compared with.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

AS_OF = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
DAY_US = 86_400_000_000
BUCKETS = 16
PER_CUSTOMER = 100
COLUMNS = {"p_page": "text", "p_device": "text", "p_duration": "number", "t_country": "text", "t_newsletter": "flag"}
NAMES = ("report", "exact", "estimated")


def write_log(folder: Path, events: int) -> None:
    """Half the events are pages in visits of eight, nine in twenty are order lines, the rest is learned about customers."""
    from kohort.engines.duck import connect

    customers = events // PER_CUSTOMER
    for bucket in range(BUCKETS):
        target = folder / f"bucket={bucket}"
        target.mkdir(parents=True, exist_ok=True)
        rows = f"""
            SELECT (hash(r, {bucket}) >> 8)::BIGINT // {BUCKETS} * {BUCKETS} + {bucket} AS customer, i,
                   CASE WHEN i % 20 = 19 THEN 'identify' WHEN i % 20 < 10 THEN 'page' ELSE 'order_line' END AS event
            FROM range({customers // BUCKETS}) t(r), range({PER_CUSTOMER}) x(i)"""
        timed = f"""
            SELECT *, event = 'page' AS page, event = 'order_line' AS line,
                   {AS_OF} - (hash(customer, i // 10) % {3 * 365 * 86_400})::BIGINT * 1000000
                     + i % 10 * (hash(customer, i) % 90)::BIGINT * 1000000 AS ts,
                   hash(customer, i, 1) % 4000 AS p,
                   (CASE WHEN hash(customer, i, 5) % 50 = 0 THEN -1 ELSE 1 END)
                     * (1 + hash(customer, i, 6) % 12)::BIGINT * 1000 AS q
            FROM ({rows})"""
        with connect(threads=2, memory_limit="2GB") as con:
            con.execute(f"""
                COPY (
                  SELECT customer, md5(customer || '-' || i) AS event_id, event, ts, ts + 60000000 AS received_at,
                    (ts // {DAY_US})::INTEGER AS local_day, (ts // 3600000000 % 24)::INTEGER AS local_hour,
                    CASE WHEN line THEN customer || '/' || (i // 10) END AS order_id,
                    CASE WHEN line THEN 'P' || p END AS product, CASE WHEN line THEN 'Product ' || p END AS product_name,
                    CASE WHEN line THEN 'Category ' || p % 40 END AS category,
                    CASE WHEN line THEN CASE WHEN hash(i, customer, 2) % 20 = 0 THEN 'postage' ELSE 'goods' END END
                      AS line_kind,
                    CASE WHEN line THEN hash(i, customer, 3) % 100 = 0 END AS duplicate_line,
                    CASE WHEN line THEN q END AS quantity,
                    CASE WHEN line THEN q * (100 + p % 97 * 50 + hash(customer, i, 4) % 9)::BIGINT // 1000 END AS amount,
                    NULL::BIGINT AS amount_source, CASE WHEN line THEN 'GBP' END AS currency,
                    NULL::INTEGER AS fx_day, (1 + i % 3)::BIGINT AS batch,
                    CASE WHEN page THEN '/page/' || hash(customer, i, 7) % 500 END AS p_page,
                    CASE WHEN page THEN ['phone', 'tablet', 'desktop'][(1 + hash(customer) % 3)::BIGINT] END AS p_device,
                    CASE WHEN page THEN (hash(customer, i, 8) % 300)::BIGINT * 1000000 END AS p_duration,
                    CASE WHEN event = 'identify' THEN ['Denmark', 'Germany', 'NL'][(1 + hash(customer) % 3)::BIGINT] END AS t_country,
                    CASE WHEN event = 'identify' THEN hash(customer) % 2 = 0 END AS t_newsletter
                  FROM ({timed}) ORDER BY customer, ts, event_id)
                TO '{target / "part-0.parquet"}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)""")


def run(name: str, folder: Path) -> dict[str, float]:
    """One contestant's cost in CPU seconds, wall seconds and megabytes."""
    from kohort.engines.duck import connect, folders_of, register_events
    from kohort.health.data_health import report_on
    from kohort.model.snapshot import Snapshot

    files = {b: (str(folder / f"bucket={b}" / "part-0.parquet"),) for b in range(BUCKETS)}
    snapshot = Snapshot(files, columns=COLUMNS, buckets=BUCKETS)
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        names = [row[0] for row in con.execute("DESCRIBE events").fetchall()]
        wall, cpu = time.perf_counter(), time.process_time()
        if name == "report":
            report_on(con, columns=sorted(COLUMNS), zone="UTC", batches=(), currency="GBP", controls={})
        else:
            distinct = "count(DISTINCT {c})" if name == "exact" else "approx_count_distinct({c})"
            each = ", ".join(f"min({c}), max({c}), count({c}), {distinct.format(c=c)}" for c in names)
            con.execute(f"SELECT count(*), {each} FROM events").fetchall()
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def compare(folder: Path, events: int, rounds: int) -> None:
    """Run all in turn and print the medians."""
    if not (folder / f"bucket={BUCKETS - 1}").exists():
        print(f"writing {events:,} events …", file=sys.stderr)
        write_log(folder, events)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    for _ in range(rounds):
        for name in NAMES:
            command = [sys.executable, __file__, "--run", name, "--dir", str(folder)]
            runs[name].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    cpu = {name: median(r["cpu"] for r in runs[name]) for name in NAMES}
    for name in NAMES:
        wall, peak = median(r["wall"] for r in runs[name]), max(r["peak_mb"] for r in runs[name])
        ratio = (
            "" if name == "report" else f"   the report costs {cpu['report'] / cpu[name]:.2f} times as much (goal 3)"
        )
        print(f"{events:>12,} events  {name:<9} {cpu[name]:7.2f} CPU s  {wall:7.2f} s  peak {peak:6.0f} MB{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-health")
    parser.add_argument("--run", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run, options.dir)))
        return
    compare(options.dir / str(options.events), options.events, options.rounds)


if __name__ == "__main__":
    main()
