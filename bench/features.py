"""15 features of many customers: the compiler's expression against hand-written DuckDB SQL for the same result.

    python bench/features.py           10 million events, 100,000 customers: both contestants, ratio and peak memory
    python bench/features.py --large   also 100 million events, 1 million customers: memory and cost per event
    python bench/features.py --dir D   keep the synthetic log in D (written once, bucketed Parquet like the store's)

Each contestant runs in a fresh process on the same files and the results are compared cell by cell. CPU seconds count
from the first query on: imports are the same for every answer and have their own budget.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AS_OF = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
DAY_US = 86_400_000_000
GOODS = "event = 'order_line' AND line_kind = 'goods' AND duplicate_line IS DISTINCT FROM true"
BUCKETS = {10_000_000: 16, 100_000_000: 64}
FEATURES = """
recency_days: {recency: days, event: order_line, where: "BOUGHT"}
tenure_days: {tenure: days, event: order_line, where: "BOUGHT"}
orders: {count_distinct: order_id, event: order_line, where: "BOUGHT"}
orders_365d: {count_distinct: order_id, event: order_line, where: "BOUGHT", within: 365 days}
orders_90d: {count_distinct: order_id, event: order_line, where: "BOUGHT", within: 90 days}
gap_days: {gap: mean, of: orders, event: order_line, where: "BOUGHT"}
revenue: {sum: amount, event: order_line, where: "GOODS"}
revenue_365d: {sum: amount, event: order_line, where: "GOODS", within: 365 days}
order_value: {ratio: [gross, orders]}
gross: {sum: amount, event: order_line, where: "BOUGHT"}
returned_share: {ratio: [{sum: refund, event: order_line, where: "GOODS"}, gross]}
items_per_order: {ratio: [{sum: quantity, event: order_line, where: "BOUGHT"}, orders]}
products: {count_distinct: product, event: order_line, where: "BOUGHT"}
evening_share: {share: "hour >= 18", event: order_line, where: "BOUGHT"}
largest_line: {max: amount, event: order_line, where: "BOUGHT"}
""".replace("BOUGHT", "GOODS and amount > 0").replace("GOODS", "line_kind = 'goods' and duplicate_line != true")

# The best of the ways tried: one pass by (customer, order) for everything but products, one pass for products, no view,
# no join beyond that. Dates and conditions are constants, every condition is written once.
BY_HAND = f"""
WITH lines AS (
  SELECT customer, ts, order_id, product, quantity, amount, local_hour, g, g AND amount > 0 AS b
  FROM (SELECT *, coalesce({GOODS}, false) AS g FROM read_parquet(FILES) WHERE customer IS NOT NULL AND ts <= {AS_OF})
), by_order AS (
  SELECT customer, order_id,
    count(*) FILTER (b) AS n, count(*) FILTER (b AND ts > {AS_OF - 365 * DAY_US}) AS n365,
    count(*) FILTER (b AND ts > {AS_OF - 90 * DAY_US}) AS n90,
    min(ts) FILTER (b) AS first_ts, max(ts) FILTER (b) AS last_ts,
    sum(amount) FILTER (g) AS net, sum(amount) FILTER (g AND ts > {AS_OF - 365 * DAY_US}) AS net365,
    sum(amount) FILTER (b) AS gross, sum(-amount) FILTER (g AND amount < 0) AS refund,
    sum(quantity) FILTER (b) AS items, count(*) FILTER (b AND local_hour >= 18) AS evening,
    max(amount) FILTER (b) AS largest
  FROM lines GROUP BY customer, order_id
), whole AS (
  SELECT customer, max(last_ts) AS last_ts, min(first_ts) AS first_ts,
    min(first_ts) FILTER (order_id IS NOT NULL) AS first_order,
    max(first_ts) FILTER (order_id IS NOT NULL) AS last_order,
    count(*) FILTER (n > 0 AND order_id IS NOT NULL) AS orders,
    count(*) FILTER (n365 > 0 AND order_id IS NOT NULL) AS orders365,
    count(*) FILTER (n90 > 0 AND order_id IS NOT NULL) AS orders90, sum(n) AS n, sum(evening) AS evening,
    sum(net) AS net, sum(net365) AS net365, sum(gross) AS gross, sum(refund) AS refund,
    sum(items) AS items, max(largest) AS largest
  FROM by_order GROUP BY customer
), breadth AS (
  SELECT customer, count(*) AS products
  FROM (SELECT DISTINCT customer, product FROM lines WHERE b AND product IS NOT NULL) GROUP BY customer
)
SELECT customer AS _customer, ({AS_OF} - last_ts) / {DAY_US}.0::DOUBLE AS recency_days,
  ({AS_OF} - first_ts) / {DAY_US}.0::DOUBLE AS tenure_days, orders::DOUBLE AS orders, orders365::DOUBLE AS orders_365d,
  orders90::DOUBLE AS orders_90d,
  (last_order - first_order)::DOUBLE / nullif((orders - 1) * {DAY_US}, 0)::DOUBLE AS gap_days,
  coalesce(net, 0)::DOUBLE / 100.0::DOUBLE AS revenue, coalesce(net365, 0)::DOUBLE / 100.0::DOUBLE AS revenue_365d,
  coalesce(gross, 0)::DOUBLE / 100.0::DOUBLE AS gross,
  coalesce(gross, 0)::DOUBLE / 100.0::DOUBLE / nullif(orders, 0)::DOUBLE AS order_value,
  coalesce(refund, 0)::DOUBLE / 100.0::DOUBLE / nullif(gross::DOUBLE / 100.0::DOUBLE, 0) AS returned_share,
  coalesce(items, 0)::DOUBLE / 1000.0::DOUBLE / nullif(orders, 0)::DOUBLE AS items_per_order,
  coalesce(products, 0)::DOUBLE AS products, evening::DOUBLE / nullif(n, 0)::DOUBLE AS evening_share,
  largest::DOUBLE / 100.0::DOUBLE AS largest_line
FROM whole LEFT JOIN breadth USING (customer)
"""


def write_log(folder: Path, events: int) -> None:
    """A synthetic log like the store's: one sorted Parquet file per customer bucket, zstd, the full event schema.

    100 events per customer on average, about ten lines per order, three years, 2 % returns, 5 % other kinds of lines.
    """
    import duckdb

    buckets, customers = BUCKETS[events], events // 100
    con = duckdb.connect(config={"threads": 2, "memory_limit": "2GB", "temp_directory": str(folder / "spill")})
    for bucket in range(buckets):
        target = folder / f"bucket={bucket}"
        target.mkdir(parents=True, exist_ok=True)
        lines = f"""
            SELECT customer, i, {AS_OF} - (hash(customer, i // 10) % {3 * 365 * 86_400})::BIGINT * 1000000 AS ts
            FROM (SELECT (hash(r, {bucket}) >> 8)::BIGINT // {buckets} * {buckets} + {bucket} AS customer
                  FROM range({customers // buckets}) t(r)), range(181) x(i)
            WHERE i < 20 + hash(customer) % 161"""
        con.execute(f"""
            COPY (
              SELECT customer, customer || '-' || i AS event_id, 'order_line' AS event, ts, ts AS received_at,
                (ts // {DAY_US})::INTEGER AS local_day, (ts // 3600000000 % 24)::INTEGER AS local_hour,
                customer || '/' || (i // 10) AS order_id, 'P' || p AS product, 'Product ' || p AS product_name,
                NULL::VARCHAR AS category,
                CASE WHEN hash(i, customer, 2) % 20 = 0 THEN 'postage' ELSE 'goods' END AS line_kind,
                hash(i, customer, 3) % 100 = 0 AS duplicate_line, q AS quantity,
                q * (100 + hash(customer, i, 4) % 5000)::BIGINT // 1000 AS amount, NULL::BIGINT AS amount_source,
                'GBP' AS currency, NULL::INTEGER AS fx_day, 1::BIGINT AS batch
              FROM (SELECT *, hash(customer, i, 1) % 4000 AS p,
                (CASE WHEN hash(customer, i, 5) % 50 = 0 THEN -1 ELSE 1 END)
                  * (1 + hash(customer, i, 6) % 12)::BIGINT * 1000 AS q
                FROM ({lines}))
              ORDER BY customer, ts, event_id)
            TO '{target / "part-0.parquet"}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)""")
    con.close()


def compiled(folder: Path, buckets: int) -> object:
    """Our way, as `Workspace.features` does it."""
    from kohort.definitions.features import parse_features
    from kohort.engines.evaluate import features
    from kohort.model.snapshot import Snapshot

    files = {b: (str(folder / f"bucket={b}" / "part-0.parquet"),) for b in range(buckets)}
    definitions = parse_features(FEATURES, {})
    started = time.process_time()
    table = features(Snapshot(files, buckets=buckets), definitions, as_of=AS_OF, currency="GBP")
    return table.data.append_column("_customer", table.ids), time.process_time() - started


def by_hand(folder: Path, buckets: int) -> object:
    """The other way: one statement, bucket by bucket, which took a fifth less CPU than one over all files."""
    import duckdb
    import pyarrow as pa

    con = duckdb.connect(config={"threads": int(os.environ.get("KOHORT_THREADS", "1")), "memory_limit": "4GB"})
    started = time.process_time()
    files = (folder / f"bucket={b}" / "part-0.parquet" for b in range(buckets))
    parts = [con.execute(BY_HAND.replace("FILES", f"'{file}'")).to_arrow_table() for file in files]
    return pa.concat_tables(parts).sort_by("_customer"), time.process_time() - started


def contest(name: str, folder: Path, buckets: int, out: Path) -> dict[str, float]:
    """One contestant in a fresh process."""
    command = [
        sys.executable,
        __file__,
        "--run",
        name,
        "--dir",
        str(folder),
        "--buckets",
        str(buckets),
        "--out",
        str(out),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run(name: str, folder: Path, buckets: int, out: Path) -> None:
    import pyarrow.parquet as pq

    started = time.perf_counter()
    table, cpu = {"compiled": compiled, "by_hand": by_hand}[name](folder, buckets)
    wall, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pq.write_table(table, out)
    print(json.dumps({"cpu": cpu, "wall": wall, "peak_mb": peak, "customers": table.num_rows}))


def differences(a: Path, b: Path) -> int:
    """Cells that differ between two results."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    left, right = pq.read_table(a), pq.read_table(b)
    assert set(left.column_names) == set(right.column_names)
    found = 0
    for name in left.column_names:
        x, y = left[name].combine_chunks(), right[name].combine_chunks()
        found += (
            len(x)
            - pc.sum(pc.fill_null(pc.equal(x, y), False)).as_py()
            - pc.sum(pc.and_(x.is_null(), y.is_null())).as_py()
        )
    return found


def compare(folder: Path, events: int, rounds: int, *, hand: bool = True) -> float:
    """Run both `rounds` times in turn, print the medians, return our CPU seconds per million events."""
    from statistics import median

    if not (folder / "bucket=0").exists():
        print(f"writing {events:,} events …", file=sys.stderr)
        write_log(folder, events)
    names = ["compiled", "by_hand"] if hand else ["compiled"]
    runs = {n: [] for n in names}
    for _ in range(rounds):
        for n in names:
            runs[n].append(contest(n, folder, BUCKETS[events], folder / f"{n}.parquet"))
    cpu = {n: median(r["cpu"] for r in runs[n]) for n in names}
    for n in names:
        peak, wall = max(r["peak_mb"] for r in runs[n]), median(r["wall"] for r in runs[n])
        print(f"{events:>12,} events  {n:<9} {cpu[n]:7.2f} CPU s  {wall:7.2f} s  peak {peak:6.0f} MB")
    if hand:
        differ = differences(folder / "compiled.parquet", folder / "by_hand.parquet")
        print(f"{'':>12} ratio {cpu['compiled'] / cpu['by_hand']:.2f} (goal 1.15), differing cells {differ}")
    return cpu["compiled"] / events * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also 100 million events")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench")
    parser.add_argument("--run", choices=["compiled", "by_hand"], help=argparse.SUPPRESS)
    parser.add_argument("--buckets", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run, options.dir, options.buckets, options.out)
        return
    small = compare(options.dir / "10m", 10_000_000, options.rounds)
    if options.large:
        large = compare(options.dir / "100m", 100_000_000, 1, hand=False)
        print(f"cost per event: {small:.3f} → {large:.3f} CPU s per million ({large / small - 1:+.0%}, goal +15 %)")


if __name__ == "__main__":
    main()
