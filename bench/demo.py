"""The whole demo job, raw files to explained segments without serving, against a pandas + scikit-learn script.

    python bench/demo.py [--runs 3]

The peer (bench/peer_pandas.py) does the same cleaning, features and k-means for the same range of k with silhouette. Ours
also stores, seals and indexes everything, compares four families with bootstrap stability and explains the result.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from measure import Usage, compare, run, table

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", default="1", help="threads for both (OMP_NUM_THREADS, KOHORT_THREADS)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kohort-bench-"))
    ours = [
        *(
            sys.executable,
            "-c",
            f"import shutil; shutil.rmtree({str(folder / 'shop')!r}, ignore_errors=True); "
            "from kohort.cli import main; main()",
        ),
        *("demo", "--no-serve", "--json", "--dir", str(folder / "shop")),
    ]
    peer = [sys.executable, str(HERE / "peer_pandas.py")]
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "KOHORT_THREADS"), options.threads)
    try:
        mine, theirs = compare(ours, peer, runs=options.runs, **environment)
        again = run([*ours[:2], "from kohort.cli import main; main()", "health", "--json", "-w", str(folder / "shop")])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(mine, theirs, again)


def report(mine: Usage, theirs: Usage, again: Usage) -> None:
    found, peer = json.loads(mine.output), json.loads(theirs.output)
    segmentation = found["segmentation"]
    print(table({"Kohort demo (raw → explained segments)": mine, "pandas + scikit-learn": theirs}))
    print(
        f"\nKohort: {segmentation['k']} groups ({segmentation['structure']['verdict']}), "
        f"{len(segmentation['candidates'])} candidates compared; peer: k = {peer['k']}, sizes {peer['sizes']}."
    )
    print(
        f"CPU: {theirs.cpu_seconds / mine.cpu_seconds:.2f} times less than the peer; "
        f"peak memory: {mine.peak_mb / theirs.peak_mb:.2f} of the peer's."
    )
    print(
        f"A second command on the finished workspace (health): {again.cpu_seconds:.1f} CPU s, {again.peak_mb:.0f} MB."
    )


if __name__ == "__main__":
    main()
