"""Small worlds whose truth is known: planted groups of many kinds, and populations without any. For tests and docs.

Every world is made from its seed alone. In planted worlds `truth` gives the group of each customer, −1 for planted
outliers that belong nowhere; `separate` says whether the groups were made with gaps between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kohort.model.feature import FeatureInfo, FeatureTable


@dataclass(frozen=True, slots=True)
class World:
    """A table and the truth about it. `truth` is None where there are no groups."""

    name: str
    kind: str
    table: FeatureTable
    truth: np.ndarray | None
    separate: bool


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a world; `make()` takes moments, so many recipes cost nothing."""

    name: str
    kind: str
    build: Callable[[np.random.Generator], tuple[list[np.ndarray], np.ndarray | None]]
    seed: int
    separate: bool = True

    def make(self) -> World:
        columns, truth = self.build(np.random.default_rng(self.seed))
        return World(self.name, self.kind, table_of(columns), truth, self.separate and truth is not None)


def table_of(columns: Sequence[np.ndarray]) -> FeatureTable:
    """A plain table of number, flag (bool) and text (object) columns; NaN is missing."""
    import pyarrow as pa

    infos, arrays = [], []
    for i, column in enumerate(columns):
        kind = "flag" if column.dtype == bool else "text" if column.dtype == object else "number"
        infos.append(FeatureInfo(f"f{i}", f"Feature {i}", kind))  # type: ignore[arg-type]
        arrays.append(pa.array(column, from_pandas=True))
    data = pa.table(dict(zip((f.name for f in infos), arrays, strict=True)))
    return FeatureTable(pa.array(np.arange(len(columns[0]))), data, tuple(infos))


def _split(matrix: np.ndarray) -> list[np.ndarray]:
    return [matrix[:, i].astype(float) for i in range(matrix.shape[1])]


def _sizes(n: int, shares: Sequence[float]) -> list[int]:
    counts = [max(4, round(n * s / sum(shares))) for s in shares]
    counts[0] += n - sum(counts)
    return counts


def _centres(rng: np.random.Generator, k: int, d: int, apart: float) -> np.ndarray:
    """k points at least `apart` from each other and not much farther from the nearest."""
    side = apart * max(1.0, k ** (1 / d)) * 0.9
    points = [np.zeros(d)]
    while len(points) < k:
        side *= 1.002
        p = rng.uniform(-side, side, d)
        if min(np.linalg.norm(p - q) for q in points) >= apart:
            points.append(p)
    return np.array(points)


def blobs(
    rng: np.random.Generator,
    n: int,
    k: int,
    d: int,
    apart: float = 6.0,
    *,
    shares: Sequence[float] | None = None,
    spreads: Sequence[float] | None = None,
    stretch: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian groups; `apart` in standard deviations, `stretch` > 1 makes each long in a direction of its own."""
    counts = _sizes(n, shares or [1.0] * k)
    centres = _centres(rng, k, d, apart)
    parts = []
    for g, count in enumerate(counts):
        Z = rng.standard_normal((count, d)) * (spreads[g] if spreads else 1.0)
        if stretch > 1:
            Q, _ = np.linalg.qr(rng.standard_normal((d, d)))
            Z = (Z * np.r_[stretch, np.ones(d - 1)]) @ Q
        parts.append(Z + centres[g])
    truth = np.repeat(np.arange(k), counts)
    order = rng.permutation(n)
    return np.vstack(parts)[order], truth[order]


def _gaussian(n: int, k: int, d: int, apart: float = 6.0, *, noise: int = 0, outliers: float = 0.0, **more: object):  # type: ignore[no-untyped-def]
    def build(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        X, truth = blobs(rng, n, k, d, apart, **more)  # type: ignore[arg-type]
        if noise:
            X = np.hstack([X, rng.standard_normal((n, noise)) * rng.uniform(0.5, 3, noise)])
        if outliers:
            out = rng.choice(n, round(n * outliers), replace=False)
            X[out] = rng.uniform(-6, 6, (len(out), X.shape[1])) * X.std(axis=0)
            truth = truth.copy()
            truth[out] = -1
        return _split(X), truth

    return build


def _skewed(n: int, k: int, d: int, apart: float = 6.0):  # type: ignore[no-untyped-def]
    def build(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        X, truth = blobs(rng, n, k, d, apart)
        return _split(np.exp(0.45 * X + rng.uniform(0, 3, d))), truth

    return build


def _mixed(n: int, k: int, d: int, apart: float = 5.0, missing: float = 0.0):  # type: ignore[no-untyped-def]
    def build(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        X, truth = blobs(rng, n, k, d, apart)
        columns = _split(X)
        columns[0] = np.round(np.exp(0.3 * columns[0] + 2))  # counts
        if missing:
            for column in columns[1:]:
                column[rng.random(n) < missing] = np.nan
        columns.append(rng.random(n) < rng.uniform(0.1, 0.9, k)[truth])
        columns.append(rng.random(n) < 0.3)
        levels = np.array(["web", "shop", "app", "phone"], dtype=object)
        columns.append(levels[np.where(rng.random(n) < 0.7, truth % 4, rng.integers(0, 4, n))])
        return columns, truth

    return build


def _moons(n: int, noise: float, extra: int = 0):  # type: ignore[no-untyped-def]
    def build(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        truth = rng.integers(0, 2, n)
        angle = rng.uniform(0, np.pi, n)
        x = np.where(truth == 0, np.cos(angle), 1 - np.cos(angle))
        y = np.where(truth == 0, np.sin(angle), 0.5 - np.sin(angle))
        X = np.column_stack([x, y]) + noise * rng.standard_normal((n, 2))
        return _split(np.hstack([X, 0.4 * rng.standard_normal((n, extra))])), np.asarray(truth)

    return build


def _rings(n: int, radii: Sequence[float], noise: float):  # type: ignore[no-untyped-def]
    def build(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        truth = rng.choice(len(radii), n, p=np.array(radii) / sum(radii))
        angle = rng.uniform(0, 2 * np.pi, n)
        r = np.array(radii)[truth] + noise * rng.standard_normal(n)
        return _split(np.column_stack([r * np.cos(angle), r * np.sin(angle)])), truth

    return build


def planted() -> list[Recipe]:
    """Worlds with groups: shapes, sizes, noise, outliers, skew, mixed types, 2 to 8 groups, 600 to 20,000 rows."""
    made = [
        ("round", "2 round groups, 600 × 2", _gaussian(600, 2, 2)),
        ("round", "3 round groups, 1,000 × 4", _gaussian(1_000, 3, 4)),
        ("round", "4 round groups, 2,000 × 6", _gaussian(2_000, 4, 6)),
        ("round", "5 round groups, 3,000 × 5", _gaussian(3_000, 5, 5)),
        ("round", "6 round groups, 5,000 × 8", _gaussian(5_000, 6, 8)),
        ("round", "7 round groups, 4,000 × 3", _gaussian(4_000, 7, 3)),
        ("round", "8 round groups, 8,000 × 6", _gaussian(8_000, 8, 6)),
        ("round", "8 round groups, 20,000 × 10", _gaussian(20_000, 8, 10)),
        ("close", "3 close groups, 2,000 × 3", _gaussian(2_000, 3, 3, 4.0)),
        ("close", "5 close groups, 5,000 × 8", _gaussian(5_000, 5, 8, 4.0)),
        ("long", "2 long groups, 1,000 × 2", _gaussian(1_000, 2, 2, 7.0, stretch=4)),
        ("long", "3 long groups, 2,000 × 3", _gaussian(2_000, 3, 3, 7.0, stretch=3)),
        ("long", "4 long groups, 4,000 × 4", _gaussian(4_000, 4, 4, 8.0, stretch=4)),
        ("long", "3 long groups, 3,000 × 6", _gaussian(3_000, 3, 6, 8.0, stretch=5)),
        ("spread", "3 groups of unequal spread, 1,500 × 2", _gaussian(1_500, 3, 2, 7.0, spreads=[0.4, 1, 1.8])),
        ("spread", "4 groups of unequal spread, 3,000 × 4", _gaussian(3_000, 4, 4, 7.0, spreads=[0.3, 0.7, 1, 1.8])),
        ("spread", "5 groups of unequal spread, 6,000 × 6", _gaussian(6_000, 5, 6, 7.0, spreads=[0.4, 0.6, 1, 1.4, 2])),
        ("shape", "2 moons, 1,000", _moons(1_000, 0.07)),
        ("shape", "2 moons, 4,000", _moons(4_000, 0.09)),
        ("shape", "2 moons and a noise feature, 3,000", _moons(3_000, 0.06, 1)),
        ("shape", "2 rings, 2,000", _rings(2_000, [1, 3], 0.15)),
        ("shape", "3 rings, 4,000", _rings(4_000, [1, 3, 5], 0.15)),
        ("size", "100 : 1, 5,000 × 4", _gaussian(5_000, 2, 4, 9.0, shares=[100, 1])),
        ("size", "100 : 100 : 1, 10,000 × 5", _gaussian(10_000, 3, 5, 8.0, shares=[100, 100, 1])),
        ("size", "20 : 10 : 5 : 1, 4,000 × 4", _gaussian(4_000, 4, 4, 7.0, shares=[20, 10, 5, 1])),
        ("noise", "3 groups, 3 features and 6 of noise, 2,000", _gaussian(2_000, 3, 3, 6.0, noise=6)),
        ("noise", "4 groups, 4 features and 12 of noise, 4,000", _gaussian(4_000, 4, 4, 6.0, noise=12)),
        ("noise", "5 groups, 6 features and 6 of noise, 6,000", _gaussian(6_000, 5, 6, 6.0, noise=6)),
        ("outliers", "3 groups, 2 % outliers, 2,000 × 4", _gaussian(2_000, 3, 4, 7.0, outliers=0.02)),
        ("outliers", "5 groups, 1 % outliers, 8,000 × 6", _gaussian(8_000, 5, 6, 6.0, outliers=0.01)),
        ("skew", "3 groups, log-normal, 1,500 × 4", _skewed(1_500, 3, 4)),
        ("skew", "4 groups, log-normal, 4,000 × 6", _skewed(4_000, 4, 6)),
        ("skew", "6 groups, log-normal, 10,000 × 6", _skewed(10_000, 6, 6)),
        ("mixed", "3 groups, numbers, flags and text, 2,000", _mixed(2_000, 3, 4)),
        ("mixed", "4 groups, numbers, flags and text, 5,000", _mixed(5_000, 4, 6)),
        ("mixed", "3 groups, mixed, 15 % missing, 3,000", _mixed(3_000, 3, 5, 6.0, 0.15)),
    ]
    return [Recipe(name, kind, build, 100 + i) for i, (kind, name, build) in enumerate(made)]


Draw = Callable[[np.random.Generator], np.ndarray]


def _plain(draw: Draw):  # type: ignore[no-untyped-def]
    return lambda rng: (_split(draw(rng)), None)


def _correlated(rng: np.random.Generator, n: int, d: int, rho: float) -> np.ndarray:
    own, shared = rng.standard_normal((n, d)), rng.standard_normal((n, 1))
    return np.asarray(np.sqrt(1 - rho) * own + np.sqrt(rho) * shared)


def _factors(rng: np.random.Generator, n: int, d: int, f: int) -> np.ndarray:
    return rng.standard_normal((n, f)) @ rng.standard_normal((f, d)) + 0.5 * rng.standard_normal((n, d))


def _student(rng: np.random.Generator, n: int, d: int, df: float) -> np.ndarray:
    return rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(df, (n, 1)) / df)


def _shop(rng: np.random.Generator, n: int) -> np.ndarray:
    """Customers of one kind who buy at their own rate until they leave (gamma rates and lifetimes), over two years."""
    rate, life = rng.gamma(0.8, 1 / 40, n), rng.exponential(500, n)
    start = rng.uniform(0, 700, n)
    active = np.minimum(life, 730 - start)
    orders = 1 + rng.poisson(rate * active)
    last = start + np.where(orders > 1, active * rng.beta(np.maximum(orders - 1, 1), 1), 0)
    basket = np.exp(rng.normal(3.5, 0.7, n))
    return np.column_stack([730 - last, orders, orders * basket, 730 - start, basket])


def _zeros(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return np.where(rng.random((n, d)) < 0.4, 0.0, rng.gamma(1.5, 1, (n, d)))


def _banana(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    X = rng.standard_normal((n, d))
    X[:, 1] += 0.6 * X[:, 0] ** 2
    return X


def _funnel(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((4_000, 3)) * np.exp(0.7 * rng.standard_normal((4_000, 1)))


def structureless() -> list[Recipe]:
    """One population each: single blobs, uniform, heavy tails, correlated, discrete ties and some nastier continua."""

    def disk(rng: np.random.Generator) -> np.ndarray:
        angle, r = rng.uniform(0, 2 * np.pi, 3_000), np.sqrt(rng.random(3_000))
        return np.column_stack([r * np.cos(angle), r * np.sin(angle)])

    made: list[tuple[str, str, Draw]] = [
        ("blob", "one blob, 600 × 2", lambda r: r.standard_normal((600, 2))),
        ("blob", "one blob, 1,000 × 5", lambda r: r.standard_normal((1_000, 5))),
        ("blob", "one blob, 3,000 × 10", lambda r: r.standard_normal((3_000, 10))),
        ("blob", "one blob, 10,000 × 4", lambda r: r.standard_normal((10_000, 4))),
        ("blob", "one blob, 2,000 × 20", lambda r: r.standard_normal((2_000, 20))),
        ("uniform", "uniform, 1,000 × 2", lambda r: r.random((1_000, 2))),
        ("uniform", "uniform, 3,000 × 4", lambda r: r.random((3_000, 4))),
        ("uniform", "uniform, 5,000 × 8", lambda r: r.random((5_000, 8))),
        ("uniform", "uniform disk, 3,000", disk),
        ("uniform", "uniform, 2,000 × 1", lambda r: r.random((2_000, 1))),
        ("tails", "Student 3, 2,000 × 4", lambda r: _student(r, 2_000, 4, 3)),
        ("tails", "Student 2, 4,000 × 3", lambda r: _student(r, 4_000, 3, 2)),
        ("tails", "log-normal, 3,000 × 5", lambda r: np.exp(1.2 * r.standard_normal((3_000, 5)))),
        ("tails", "Pareto, 5,000 × 3", lambda r: 1 + r.pareto(1.5, (5_000, 3))),
        ("tails", "independent Student 3, 3,000 × 6", lambda r: r.standard_t(3, (3_000, 6))),
        ("correlated", "correlation .5, 2,000 × 5", lambda r: _correlated(r, 2_000, 5, 0.5)),
        ("correlated", "correlation .9, 3,000 × 4", lambda r: _correlated(r, 3_000, 4, 0.9)),
        ("correlated", "one factor, 4,000 × 8", lambda r: _factors(r, 4_000, 8, 1)),
        ("correlated", "three factors, 6,000 × 12", lambda r: _factors(r, 6_000, 12, 3)),
        ("correlated", "log-normal, correlation .6, 3,000 × 5", lambda r: np.exp(_correlated(r, 3_000, 5, 0.6))),
        ("ties", "counts around 2, 2,000 × 5", lambda r: r.poisson(2, (2_000, 5)).astype(float)),
        ("ties", "answers 1 to 5, 3,000 × 6", lambda r: r.integers(1, 6, (3_000, 6)).astype(float)),
        ("ties", "geometric counts, 5,000 × 4", lambda r: r.geometric(0.4, (5_000, 4)).astype(float)),
        ("ties", "many zeros, 4,000 × 4", lambda r: _zeros(r, 4_000, 4)),
        ("ties", "rounded, correlated, 3,000 × 5", lambda r: np.round(_correlated(r, 3_000, 5, 0.5))),
        ("ties", "yes or no, 2,000 × 8", lambda r: (r.random((2_000, 8)) < 0.4).astype(float)),
        ("continuum", "one kind of shop customers, 3,000", lambda r: _shop(r, 3_000)),
        ("continuum", "one kind of shop customers, 10,000", lambda r: _shop(r, 10_000)),
        ("continuum", "bent continuum, 3,000 × 4", lambda r: _banana(r, 3_000, 4)),
        ("continuum", "funnel, 4,000 × 3", _funnel),
    ]  # fmt: skip
    return [Recipe(name, kind, _plain(draw), 500 + i, separate=False) for i, (kind, name, draw) in enumerate(made)]
