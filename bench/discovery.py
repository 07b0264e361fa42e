"""Discovery on many customers against scikit-learn's KMeans(n_init=10) for each k of the same range, on all rows.

    python bench/discovery.py                 1,000,000 customers × 20 features
    python bench/discovery.py --rows 100000

The customers: 8 latent Gaussian segments in 6 dimensions, turned into 20 correlated, skewed, noisy features with 0.5 %
outliers. `group()` compares four families with k in 2 to 12 and bootstrap stability; the peer has none of that. Either
runs in a process of its own; CPU seconds and the peak above what the process held before are printed, and the inertia
that `group(algorithm="kmeans", k=8)` ends with against the best of the peer's ten fits, in the same prepared space.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

FEATURES, SEGMENTS, LATENT = 20, 8, 6


def customers(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, FEATURES) float64."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 2.2, (SEGMENTS, LATENT))
    truth = rng.choice(SEGMENTS, rows, p=rng.dirichlet(np.full(SEGMENTS, 4.0)))
    latent = centres[truth] + rng.standard_normal((rows, LATENT))
    X = latent @ rng.normal(0, 0.6, (LATENT, FEATURES))
    X += 0.5 * rng.standard_normal((rows, FEATURES))
    X[:, ::2] = np.exp(0.5 * X[:, ::2])
    out = rng.choice(rows, rows // 200, replace=False)
    X[out] *= rng.uniform(5, 20, (len(out), 1))
    return X


def table(rows: int):  # type: ignore[no-untyped-def]
    import pyarrow as pa

    from kohort.model.feature import FeatureInfo, FeatureTable

    X = customers(rows)
    names = [f"f{i}" for i in range(FEATURES)]
    data = pa.table({n: pa.array(np.ascontiguousarray(X[:, i])) for i, n in enumerate(names)})
    return FeatureTable(pa.array(np.arange(rows)), data, tuple(FeatureInfo(n, n) for n in names))


def peak_mb() -> float:
    return memory_mb("VmHWM")


def current_mb() -> float:
    """What the process holds now; the peak is counted afresh from here, since making the data takes more (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_mb("VmRSS")


def memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def loaded() -> None:
    import scipy.cluster.hierarchy
    import scipy.optimize
    import scipy.spatial  # noqa: F401
    import sklearn.cluster
    import sklearn.tree  # noqa: F401


def ours(rows: int) -> dict[str, object]:
    from kohort.discovery.group import group

    loaded()
    t = table(rows)
    size, before, cpu = t.data.nbytes / 2**20, current_mb(), time.process_time()
    found = group(t)
    return {
        "cpu": time.process_time() - cpu,
        "above_table": peak_mb() - before,
        "table": size,
        "verdict": found.structure.verdict,
        "algorithm": found.algorithm,
        "k": found.k,
    }


def inertia(rows: int) -> dict[str, object]:
    """Ours at k = 8 against the peer's best of ten, both in our prepared space."""
    from sklearn.cluster import KMeans

    from kohort.discovery.algorithms import squared_distances
    from kohort.discovery.group import group

    t = table(rows)
    assigner = group(t, algorithm="kmeans", k=8).assigner
    X = assigner.preparation.matrix(t.data)  # type: ignore[attr-defined]
    mine = float(squared_distances(X, assigner.model.arrays["centres"]).min(axis=1).sum())  # type: ignore[attr-defined]
    return {"inertia_ratio": mine / KMeans(8, n_init=10, random_state=0).fit(X).inertia_}


def peer(rows: int) -> dict[str, object]:
    from sklearn.cluster import KMeans

    X = customers(rows)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    before, cpu = current_mb(), time.process_time()
    for k in range(2, 13):
        KMeans(k, n_init=10, random_state=0).fit(X)
    return {"cpu": time.process_time() - cpu, "above_table": peak_mb() - before}


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--rows", type=int, default=1_000_000)
    ask.add_argument("--part", choices=["ours", "peer", "inertia"])
    options = ask.parse_args()
    warnings.simplefilter("ignore")
    if options.part:
        print(json.dumps({"ours": ours, "peer": peer, "inertia": inertia}[options.part](options.rows)))
        return
    told = {}
    for part in ("ours", "peer", "inertia"):
        command = [sys.executable, __file__, "--rows", str(options.rows), "--part", part]
        told[part] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(part, {n: round(v, 4) if isinstance(v, float) else v for n, v in told[part].items()}, flush=True)
    mine, theirs = told["ours"], told["peer"]
    peak = (mine["table"] + mine["above_table"]) / mine["table"]
    print(f"CPU ratio {mine['cpu'] / theirs['cpu']:.2f} (goal 1, aim 0.5)")
    print(f"peak memory {peak:.2f} times the table (goal 1.5)")
    print(f"inertia at k = 8: {told['inertia']['inertia_ratio']:.4f} of the best full fit (goal 1.01)")


if __name__ == "__main__":
    main()
