"""How quick and how large a map of many customers is: density against a dot each."""

from __future__ import annotations

import gzip
import time
from statistics import median

import numpy as np

from kohort.model.segmentation import MapPoint, Segment
from kohort.views import maps

SIZES = (2_000, 5_000, 20_000, 100_000, 1_000_000)
KINDS = 5


def points(size: int) -> list[MapPoint]:
    """Five groups that overlap."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, KINDS, size)
    centres = rng.normal(0, 2, (KINDS, 2))
    places = centres[kind] + rng.normal(0, 1, (size, 2))
    return [MapPoint(float(x), float(y), f"s{k}") for (x, y), k in zip(places, kind, strict=True)]


def segments() -> list[Segment]:
    return [Segment(f"s{k}", f"Group {k}", "", 0, 1 / KINDS, None, None, None, None, None, ()) for k in range(KINDS)]


def main() -> None:
    groups = segments()
    print("| points | drawn as | seconds | kB on the page | kB compressed | kB as a file |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        some, taken = points(size), []
        for _ in range(3):
            start = time.perf_counter()
            chart = maps.customer_map(some, groups, axes=("more orders", "more spend"))
            taken.append(time.perf_counter() - start)
        text = str(chart).encode()
        kind = "density" if maps.is_dense(some) else "dots"
        kb = (len(text) / 1e3, len(gzip.compress(text, 6)) / 1e3, len(chart.svg().encode()) / 1e3)
        print(f"| {size:,} | {kind} | {median(taken):.3f} | {kb[0]:.0f} | {kb[1]:.0f} | {kb[2]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
