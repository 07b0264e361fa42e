"""How well, and how fast, records of one customer are found: pairwise against the truth, without labels and without tuning.

    python bench/identity.py [NAME …]

Names: febrl4, febrl3, fake_1000, german_names, generated_20k, generated_200k. Each runs in a process of its own.
The public sets are read from the shared folder (KOHORT_SHARED); without it they are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

SHARED = Path(os.environ.get("KOHORT_SHARED", Path(__file__).parents[2] / "shared" / "data"))
NAMES = ("febrl4", "febrl3", "fake_1000", "german_names", "generated_20k", "generated_200k")


def read(path: str) -> pa.Table:
    """A CSV file as texts; blanks around names and values are the files' own."""
    table = csv.read_csv(SHARED / path, convert_options=csv.ConvertOptions(strings_can_be_null=True, null_values=[""]))
    table = table.rename_columns([name.strip() for name in table.column_names])
    return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))


def load(name: str) -> tuple[pa.Table, pa.Array | None, list[str]]:
    """Records without their truth, where they come from, and the truth."""
    if name == "febrl4":
        first, second = read("febrl/dataset4a.csv"), read("febrl/dataset4b.csv")
        source = pa.array(["a"] * first.num_rows + ["b"] * second.num_rows)
        return febrl(pa.concat_tables([first, second]), source)
    if name == "febrl3":
        return febrl(read("febrl/dataset3.csv"), None)
    if name == "fake_1000":
        table = read("splink-fake-1000/fake_1000.csv")
        return table.drop_columns(["cluster", "unique_id"]), None, table.column("cluster").to_pylist()
    if name == "german_names":
        table = read("rldata-german-names/RLdata10000.csv")
        return table.drop_columns(["entity_id", "rec_id"]), None, table.column("entity_id").to_pylist()
    from kohort.testing.people import people

    table = people(150_000, 50_000, seed=1) if name == "generated_200k" else people(15_000, 5_000, seed=2)
    return table.drop_columns(["person", "id"]), None, [str(n) for n in table.column("person").to_pylist()]


def febrl(table: pa.Table, source: pa.Array | None) -> tuple[pa.Table, pa.Array | None, list[str]]:
    truth = [text.strip().split("-")[1] for text in table.column("rec_id").to_pylist()]
    return table.drop_columns(["rec_id", "soc_sec_id"]), source, truth


def pairs_in(values: np.ndarray) -> int:
    """How many pairs have equal values."""
    return int(sum(n * (n - 1) // 2 for n in np.unique(values, return_counts=True)[1].tolist()))


def measure(name: str) -> dict[str, float | str]:
    from kohort.identity.likely import likely

    table, source, truth = load(name)
    entity = np.unique(np.array(truth), return_inverse=True)[1].astype(np.int64)
    wall, cpu = time.perf_counter(), time.process_time()
    found = likely(table, region="NL", source=source, one_each=source is not None)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = table.num_rows
    if source is None:
        right = pairs_in(entity)
    else:
        part = np.array(source.to_pylist())
        right = pairs_in(entity) - sum(pairs_in(entity[part == name]) for name in np.unique(part))
    left, other = (found.pairs.column(side).to_numpy() for side in ("left", "right"))
    probability = found.pairs.column("probability").to_numpy()
    same = entity[left] == entity[other]
    above = probability >= found.threshold
    both, grouped = pairs_in(found.customer * count + entity), pairs_in(found.customer)
    best = np.cumsum(same[np.argsort(-probability, kind="stable")])
    order = np.arange(1, len(best) + 1)
    expected = found.curve.at(found.threshold)
    return {
        "set": name,
        "records": count,
        "true pairs": right,
        "precision": both / max(1, grouped),
        "recall": both / right,
        "F1": 2 * both / (grouped + right),
        "pairs alone F1": 2 * int(same[above].sum()) / (int(above.sum()) + right),
        "best threshold F1": float((2 * best / (order + right)).max()),
        "threshold": found.threshold,
        "expected precision": expected[0],
        "expected recall": expected[1],
        "compared recall": int(same.sum()) / right,
        "to review": found.review().num_rows,
        "seconds": wall,
        "CPU seconds": cpu,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def table_of(rows: list[dict[str, float | str]]) -> str:
    """A Markdown table, one line a set."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    lines += ["| " + " | ".join(shown(row[name], name) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def shown(value: float | str, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if "seconds" in name else f"{value:.0f}" if name == "peak MB" else f"{value:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    rows = []
    for name in chosen.names:
        if not name.startswith("generated") and not SHARED.is_dir():
            print(f"{name}: the shared datasets are not there", file=sys.stderr)
            continue
        done = subprocess.run([sys.executable, __file__, "--one", name], check=True, stdout=subprocess.PIPE)
        rows.append(json.loads(done.stdout))
        print(table_of(rows[-1:]), file=sys.stderr)
    print(table_of(rows))
    print(f"load while measuring: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)


if __name__ == "__main__":
    main()
