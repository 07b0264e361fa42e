"""The workspace of bench/live.py: a history of 20 events per customer on average, 50 features, 30 rule segments and one
that every `bench_go` makes its customer enter. Made once per folder and size."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from segments import AS_OF, BUCKETS, COLUMNS, DAY_US, rules, union, write_log

PEOPLE = 50_000
"""Customers whom events come in about; the others of the history are only there."""
KEYS = 4
_ROWS = 1_000_000

MORE = """
n_any: {count: events, event: page}
n_carts: {count: events, event: cart}
n_lines: {count: events, event: order_line}
seconds_7: {sum: p_seconds, event: page, within: 7 days}
seconds_90: {sum: p_seconds, event: page, within: 90 days}
amount_30d: {sum: amount, event: order_line, within: 30 days}
orders_90d: {count_distinct: order_id, event: order_line, within: 90 days}
pages_seen: {count_distinct: p_page, event: page}
"""


def features() -> list[str]:
    """50 features, one line each."""
    found = [line for line in (union() + MORE).splitlines() if line.strip()]
    assert len(found) == 50, len(found)
    return found


def yaml() -> str:
    """What is added to `kohort.yaml`."""
    chosen = [rule for rule in rules()[::3] if "random_bucket" not in rule][:30]
    assert len(chosen) == 30, len(chosen)
    lines = ["features:", *(f"  {line}" for line in features()), "segments:"]
    lines += [f"  s{i}: {json.dumps(rule)}" for i, rule in enumerate(chosen)]
    lines += ["  go: \"did('bench_go', within => '1 minute')\""]
    return "\n".join(lines) + "\n"


def world(folder: Path, customers: int) -> Path:
    """The workspace for so many customers; its keys stand in `keys.json` beside it."""
    made = folder / f"{customers}"
    if not (made / "keys.json").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        _make(made, customers)
    return made / "shop"


def _make(folder: Path, customers: int) -> None:
    import kohort
    from kohort.model.source import SourceMapping

    began = time.perf_counter()
    print(f"writing {20 * customers:,} events …", file=sys.stderr)
    write_log(folder / "log", customers)
    with kohort.create(folder / "shop", name="Bench") as shop:
        people = min(PEOPLE, customers // 2)
        pseudonyms = shop.store.vault.customers([f"u{n}" for n in range(people)])
        shop.store.log.declare(COLUMNS)
        batch = shop.store.state.begin_batch("history", "history")
        for bucket in range(BUCKETS):
            _bring(shop.store, folder / "log" / f"bucket={bucket}" / "part-0.parquet", bucket, pseudonyms, batch)
        # Features may name what the sources of the workspace declare.
        time_of = {"customer": "customer", "time": "time"}
        pages = {n.removeprefix("p_"): kind for n, kind in COLUMNS.items() if n.startswith("p_")}
        traits = {n.removeprefix("t_"): kind for n, kind in COLUMNS.items() if n.startswith("t_")}
        shop.confirm(SourceMapping("pages", "events", time_of, pages, event="page"))
        shop.confirm(SourceMapping("people", "customers", {"customer": "customer"}, traits))
        keys = [shop.keys.add(f"load {n}", "ingest") for n in range(KEYS)]
    with (folder / "shop" / "kohort.yaml").open("a") as file:
        file.write(yaml())
    shutil.rmtree(folder / "log")
    (folder / "keys.json").write_text(json.dumps(keys))
    print(f"made in {time.perf_counter() - began:.0f} s", file=sys.stderr)


def _bring(store, path: Path, bucket: int, pseudonyms, batch: int) -> None:  # type: ignore[no-untyped-def]
    """One file of the synthetic log: its last instant is today, and some of its customers are those of the vault."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    days = int(time.time() * 1e6 - AS_OF) // DAY_US
    table = pq.ParquetFile(path).read()
    people = np.unique(table["customer"].to_numpy())
    mine = pseudonyms[bucket::BUCKETS]
    new = people.copy()
    new[np.random.default_rng(bucket).permutation(len(people))[: len(mine)]] = mine[: len(people)]
    moved = {"customer": pa.array(new[np.searchsorted(people, table["customer"].to_numpy())])}
    moved |= {name: pc.add(table[name], days * DAY_US) for name in ("ts", "received_at", "t_joined")}
    moved["local_day"] = pc.add(table["local_day"], pa.scalar(days, pa.int32()))
    moved["event_id"] = pc.binary_join_element_wise(f"history-{bucket}", table["event_id"].cast(pa.string()), "-")
    for name, column in moved.items():
        table = table.set_column(table.column_names.index(name), name, column)
    for start in range(0, table.num_rows, _ROWS):
        store.log.append(table.slice(start, _ROWS), batch=batch)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, required=True)
    args = parser.parse_args()
    print(world(args.dir, args.customers))
