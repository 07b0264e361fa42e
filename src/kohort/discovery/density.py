"""Where customers are dense and where they are thin: modes of a nearest-neighbour density, valleys between groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 16
GRID = 96
BLOCK_ROWS = 500


@dataclass(frozen=True, slots=True)
class Landscape:
    """A density over sampled customers and the neighbours that connect them.

    Attributes:
        height: Logarithm of the density at each row, up to a constant.
        neighbours: int array (rows, NEIGHBOURS), nearest first, without the row itself.
    """

    height: np.ndarray
    neighbours: np.ndarray


def landscape(X: np.ndarray, neighbours: int = NEIGHBOURS) -> Landscape:
    """Log density from the mean distance to the nearest neighbours, of a matrix with at least 3 rows."""
    n, d = X.shape
    k = min(neighbours, n - 1)
    distance, near = nearest(X, k)
    radius = distance[:, k // 2 :].mean(axis=1)
    positive = radius[radius > 0]
    floor = 0.2 * float(np.median(positive)) if len(positive) else 1.0  # ties would be infinitely dense
    return Landscape(-d * np.log(np.maximum(radius, floor)), near)


def nearest(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and row numbers of the k nearest other rows, nearest first."""
    n, d = X.shape
    if d <= 6:
        from scipy.spatial import cKDTree

        distance, near = cKDTree(X).query(X, k + 1)
        own = near == np.arange(n)[:, None]
        own[~own.any(axis=1), -1] = True  # more than k ties: the row itself may be beyond the list
        return distance[~own].reshape(n, k), near[~own].reshape(n, k)
    X = np.asarray(X, dtype=np.float32)
    squares = np.einsum("ij,ij->i", X, X)
    distances, rows = np.empty((n, k), np.float32), np.empty((n, k), np.int64)
    for start in range(0, n, BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, n))
        D = X[block] @ X.T
        D *= -2.0
        D += squares
        D += squares[block, None]
        D[np.arange(len(D)), np.arange(block.start, block.stop)] = np.inf
        near = np.argpartition(D, k - 1, axis=1)[:, :k]
        distance = np.take_along_axis(D, near, axis=1)
        order = np.argsort(distance, axis=1, kind="stable")
        distances[block] = np.sqrt(np.maximum(np.take_along_axis(distance, order, axis=1), 0.0))
        rows[block] = np.take_along_axis(near, order, axis=1)
    return distances, rows


def modes(land: Landscape, least_rows: int, bar: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Peaks of the landscape with how far each stands out (Chazal et al. 2013, ToMATo).

    Rows are visited from the densest down; a row joins the basin of its densest visited neighbour, and where two
    basins meet the lower peak ends with a prominence of its height above the meeting point. Basins of fewer than
    `least_rows` rows are chance. Basins of peaks with a prominence of `bar` or more are kept apart.

    Returns:
        (prominences, highest first, without the main peak; basin of each row from 0, −1 for those of chance).
    """
    n = len(land.height)
    order = np.argsort(-land.height, kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    height = land.height[order].tolist()
    higher = rank[land.neighbours[order]].tolist()
    parent = list(range(n))
    rows = [1] * n
    prominences: list[float] = []
    ended: set[int] = set()

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i in range(n):
        roots = {parent[j] for j in higher[i] if j < i}
        above = {r if parent[r] == r else find(r) for r in roots}
        if not above:
            continue
        top = min(above)
        parent[i] = top
        rows[top] += 1
        for other in sorted(above - {top}):
            real = rows[other] >= least_rows and rows[top] >= least_rows
            if real and other not in ended:
                prominences.append(height[other] - height[i])
                ended.add(other)
            if real and height[other] - height[i] >= bar:
                continue
            parent[other] = top
            rows[top] += rows[other]
    root = np.array([find(i) for i in range(n)])
    islands = [r for r in np.unique(root).tolist() if rows[r] >= least_rows]
    prominences += [np.inf for r in islands[1:] if r not in ended]  # no bridge at all
    number = np.full(n, -1)
    number[islands] = np.arange(len(islands))
    return np.array(sorted(prominences, reverse=True)), number[root][rank]


def valley(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """How deep the density falls between two groups along one line.

    Args:
        a, b: Positions of the members of either group on the line joining them.

    Returns:
        (depth, evidence): depth is 1 − lowest density between ÷ the lower of the two peaks, 0 to 1; evidence is the
        difference of the square roots of expected counts in one bandwidth, whose noise is the same at any density.
    """
    n = len(a) + len(b)
    both = np.concatenate([a, b])
    low, high = both.min(), both.max()
    within = min(a.std(), b.std()) if min(len(a), len(b)) > 1 else 0.0
    if high - low <= 0:
        return 0.0, 0.0
    if within <= 1e-9 * (high - low):
        within = (high - low) / GRID
    # A bandwidth from the narrower group: the pooled one would smooth a narrow valley away.
    bandwidth = max(1.06 * within * min(len(a), len(b)) ** -0.2, 1.5 * (high - low) / GRID / 2)
    f = _smoothed(both, low, high, bandwidth)
    left, right = sorted((np.median(a), np.median(b)))
    step = (high - low) / GRID
    i, j = int((left - low) / step), int((right - low) / step)
    i, j = min(i, GRID - 1), min(j, GRID - 1)
    if j - i < 2:
        return 0.0, 0.0
    bottom = i + int(np.argmin(f[i : j + 1]))
    peak = min(f[i : bottom + 1].max(), f[bottom : j + 1].max())
    if peak <= 0:
        return 0.0, 0.0
    counts = n * bandwidth * np.array([peak, f[bottom]])
    return float(1.0 - f[bottom] / peak), float(np.sqrt(counts[0]) - np.sqrt(counts[1]))


def _smoothed(x: np.ndarray, low: float, high: float, bandwidth: float) -> np.ndarray:
    counts, _ = np.histogram(x, bins=GRID, range=(low, high))
    step = (high - low) / GRID
    reach = max(1, min(GRID - 1, int(np.ceil(3 * bandwidth / step))))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / bandwidth) ** 2)
    kernel /= kernel.sum() * step * len(x)
    return np.convolve(counts, kernel, mode="full")[reach : reach + GRID]


def joining_line(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Direction that tells two groups apart best, from their means and the shrunken covariance within them."""
    gap = B.mean(axis=0) - A.mean(axis=0)
    n, d = len(A) + len(B), len(gap)
    W = ((A - A.mean(axis=0)).T @ (A - A.mean(axis=0)) + (B - B.mean(axis=0)).T @ (B - B.mean(axis=0))) / max(n - 2, 1)
    # Half-way to the plain difference of means: a direction in which all are nearly equal, such as revenue less orders
    # times basket, would otherwise be blown up until its ties look like gaps.
    shrink = min(0.95, 0.5 + 2.0 * d / n)
    W = (1 - shrink) * W + shrink * np.eye(d) * max(float(np.trace(W)) / d, 1e-9)
    return np.linalg.solve(W, gap)


def valleys_between(
    X: np.ndarray, labels: np.ndarray, *, least_rows: int = 8
) -> dict[tuple[int, int], tuple[float, float]]:
    """Valley (depth, evidence) between neighbouring groups. Keys are (lower, higher) group numbers.

    Two groups are neighbours where no third centre is nearer to the middle between theirs (Gabriel 1969): what lies
    between groups that are no neighbours belongs to others, and leaving it out would fake a gap.
    """
    groups = [g for g in np.unique(labels[labels >= 0]).tolist() if np.sum(labels == g) >= least_rows]
    parts = {g: X[labels == g] for g in groups}
    centres = np.array([parts[g].mean(axis=0) for g in groups])
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for i, j in gabriel_pairs(centres):
        a, b = parts[groups[i]], parts[groups[j]]
        line = joining_line(a, b)
        found[groups[i], groups[j]] = valley(a @ line, b @ line)
    return found


def gabriel_pairs(centres: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (i < j) of centres with no third one inside the ball that has them at its ends."""
    D = ((centres[:, None] - centres[None]) ** 2).sum(axis=2)
    k = len(centres)
    free = [np.delete(D[i] + D[j], [i, j]) >= D[i, j] for i in range(k) for j in range(i + 1, k)]
    return [pair for pair, f in zip(((i, j) for i in range(k) for j in range(i + 1, k)), free, strict=True) if f.all()]


def saddles(land: Landscape, labels: np.ndarray) -> dict[tuple[int, int], float]:
    """How deep the landscape falls between touching groups, 0 to 1 (1 − saddle ÷ lower peak, as densities).

    The saddle is the highest of the crossings, taken a little below the very best one against noise. Pairs that no
    neighbours connect are absent: nothing lies between them.
    """
    i = np.repeat(np.arange(len(labels)), land.neighbours.shape[1])
    j = land.neighbours.ravel()
    a, b = labels[i], labels[j]
    across = (a != b) & (a >= 0) & (b >= 0)
    if not across.any():
        return {}
    low = np.minimum(land.height[i[across]], land.height[j[across]])
    k = int(labels.max()) + 1
    code = np.minimum(a, b)[across] * k + np.maximum(a, b)[across]
    peak = np.full(k, -np.inf)
    for g in range(k):
        inside = land.height[labels == g]
        if len(inside):
            peak[g] = np.quantile(inside, 0.95)
    found = {}
    for c in np.unique(code).tolist():
        crossing = np.sort(low[code == c])
        saddle = crossing[-max(1, min(4, len(crossing) // 4))]
        found[(c // k, c % k)] = float(np.clip(1 - np.exp(saddle - min(peak[c // k], peak[c % k])), 0, 1))
    return found
