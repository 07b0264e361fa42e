"""The same segments on DuckDB and on Spark, on one machine in one run: what a cluster's machinery costs before it pays.

    uv run --extra spark python bench/spark.py              # 1 million events, 20 definitions
    uv run --extra spark python bench/spark.py --definitions 100

Each contestant is a process of its own on two cores. Seconds are wall time; starting Spark is counted apart. Memory is the
peak of all its processes (for Spark: Python and the Java machine, in which local executors live too).
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

import segments

CUSTOMERS = 50_000


def run_duckdb(folder: Path, definitions: int) -> dict[str, float]:
    from kohort.engines.segments import evaluate

    started = time.perf_counter()
    asked = segments.definitions()[:definitions]
    found = evaluate(segments.snapshot(folder), asked, **given())
    rows = sum(found.placed[d.name].num_rows for d in asked)
    return {"start": 0.0, "seconds": time.perf_counter() - started, "members": rows, "java_mb": 0.0}


def run_spark(folder: Path, definitions: int) -> dict[str, float]:
    from kohort.engines.spark import session
    from kohort.engines.spark_members import Now, compare
    from kohort.engines.spark_segments import evaluate

    began = time.perf_counter()
    spark = session(memory="2g")
    started = time.perf_counter()
    asked = segments.definitions()[:definitions]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = evaluate(segments.snapshot(folder), asked, spark=spark, scratch=Path(scratch), **given())
        with found as there:
            now = [Now(there.rows(d.name), 1, None) for d in asked]
            rows = sum(moved.difference.entered for moved in compare(spark, now, segments.AS_OF, Path(scratch)))
    seconds = time.perf_counter() - started
    pid = spark.sparkContext._gateway.proc.pid
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    spark.stop()
    return {"start": started - began, "seconds": seconds, "members": rows, "java_mb": int(peak.split()[1]) / 1024}


def given():  # type: ignore[no-untyped-def]
    from kohort.definitions.features import parse_features

    features = parse_features(segments.FEATURES, segments.COLUMNS)
    return {"features": features, "as_of": segments.AS_OF, "key": segments.KEY}


CONTESTANTS = {"duckdb": run_duckdb, "spark": run_spark}


def contest(name: str, folder: Path, definitions: int) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", __file__, "--run", name, "--dir", str(folder)]
    command += ["--definitions", str(definitions)]
    environment = {**os.environ, "KOHORT_THREADS": "2"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--definitions", type=int, default=20)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-spark")
    parser.add_argument("--run", choices=list(CONTESTANTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        found = CONTESTANTS[options.run](options.dir, options.definitions)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"python_mb": own}))
        return
    if not (options.dir / f"bucket={segments.BUCKETS - 1}").exists():
        print(f"writing about {20 * CUSTOMERS:,} events …", file=sys.stderr)
        segments.write_log(options.dir, CUSTOMERS)
    results = {name: contest(name, options.dir, options.definitions) for name in CONTESTANTS}
    assert len({r["members"] for r in results.values()}) == 1, "both engines place alike"
    for name, r in results.items():
        print(
            f"{name:<7} start {r['start']:5.1f} s   {options.definitions} definitions {r['seconds']:6.1f} s   "
            f"peak Python {r['python_mb']:5.0f} MB, Java {r['java_mb']:5.0f} MB   {r['members']:,.0f} members"
        )


if __name__ == "__main__":
    main()
