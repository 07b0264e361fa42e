"""Groups of records that follow from links between two, unless most of the other pairs speak against it.

One wrong link between two families of records would make one of both. So a link joins two groups only where the pairs
between them, taken together, do not contradict it: the mean of their log odds may not be below a limit.
"""

from __future__ import annotations

import numpy as np

_LEAST_MEAN = -4.0
"""log2 odds. Pairs of one person are often silent (nothing given on both sides), which the prior makes look like a no; a
mean of -4 lets that pass and stops groups that contradict each other. The same for all data."""
_CAP = 16.0


def agreeing(count: int, left: np.ndarray, right: np.ndarray, probability: np.ndarray, cut: float) -> np.ndarray:
    """For each of `count` records the smallest record of its group (int64).

    Args:
        count: How many records there are.
        left, right: Scored pairs, the smaller record left; pairs that are absent speak against as much as any can.
        probability: Of being one customer, parallel.
        cut: Pairs at or above it are links; they are taken from the likeliest down.

    Example:
        >>> pair = np.array([[0, 1], [1, 2], [0, 2]])
        >>> agreeing(3, *pair.T, np.array([0.99, 0.6, 0.5]), 0.55).tolist()
        [0, 0, 0]
        >>> agreeing(3, *pair.T, np.array([0.99, 0.6, 1e-5]), 0.55).tolist()
        [0, 0, 2]
    """
    links = np.flatnonzero(probability >= cut)
    involved = np.zeros(count, dtype=bool)
    involved[left[links]] = involved[right[links]] = True
    near = np.flatnonzero(involved[left] & involved[right])
    safe = np.clip(probability[near], 2.0**-_CAP, 1 - 2.0**-_CAP)
    odds = dict(
        zip(
            zip(left[near].tolist(), right[near].tolist(), strict=True),
            np.log2(safe / (1 - safe)).tolist(),
            strict=True,
        )
    )
    group = list(range(count))
    members: dict[int, list[int]] = {}
    order = links[np.lexsort((right[links], left[links], -probability[links]))]
    for a, b in zip(left[order].tolist(), right[order].tolist(), strict=True):
        one, other = sorted((group[a], group[b]))
        if one == other:
            continue
        mine, theirs = members.get(one, [one]), members.get(other, [other])
        between = sum(odds.get((i, j) if i < j else (j, i), -_CAP) for i in mine for j in theirs)
        if between < _LEAST_MEAN * len(mine) * len(theirs):
            continue
        for record in theirs:
            group[record] = one
        members[one] = mine + theirs
        members.pop(other, None)
    return np.array(group, dtype=np.int64)


def connected(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """For each of `count` records the smallest record it is connected with, over however many links (int64).

    Example:
        >>> connected(4, np.array([2]), np.array([0])).tolist()
        [0, 1, 0, 3]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return np.asarray(first[label], dtype=np.int64)


def at_most_one_each(left: np.ndarray, right: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Which links remain when each record is linked once only: the likeliest first, of equal ones the first given.

    Example:
        >>> at_most_one_each(np.array([0, 0]), np.array([7, 8]), np.array([0.9, 0.99])).tolist()
        [1]
    """
    used: set[int] = set()
    kept: list[int] = []
    for place in np.argsort(-probability, kind="stable").tolist():
        ends = {int(left[place]), int(right[place])}
        if not ends & used:
            used |= ends
            kept.append(place)
    return np.array(sorted(kept), dtype=np.int64)
