"""The assignment problem: the pairing of rows and columns with the largest sum."""

from __future__ import annotations

import numpy as np


def best_pairs(worth: np.ndarray) -> list[tuple[int, int]]:
    """The one-to-one pairing with the largest total worth; every row or every column, whichever are fewer, is paired.

    Args:
        worth: Finite numbers (rows, columns).

    Returns:
        (row, column) pairs, ascending by row.

    Source:
        Hungarian method with potentials (Kuhn 1955; Jonker and Volgenant 1987), cubic in the smaller side. Segments
        are few; a solver library would be the only reason for this room to load one.

    Example:
        >>> best_pairs(np.array([[5.0, 4.0], [4.0, 0.0]]))
        [(0, 1), (1, 0)]
    """
    rows, columns = worth.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return sorted((r, c) for c, r in best_pairs(worth.T))
    cost = -worth
    row_of = np.zeros(columns + 1, dtype=int)  # 1-based row paired with each column; 0 = free
    of_row, of_column = np.zeros(rows + 1), np.zeros(columns + 1)  # potentials
    for row in range(1, rows + 1):
        _augment(cost, row, row_of, of_row, of_column)
    return sorted((int(row_of[c]) - 1, c - 1) for c in range(1, columns + 1) if row_of[c])


def _augment(cost: np.ndarray, row: int, row_of: np.ndarray, of_row: np.ndarray, of_column: np.ndarray) -> None:
    """Pairs one more row, moving others along the cheapest alternating path."""
    columns = cost.shape[1]
    came_from = np.zeros(columns + 1, dtype=int)
    cheapest = np.full(columns + 1, np.inf)
    visited = np.zeros(columns + 1, dtype=bool)
    row_of[0], column = row, 0
    while row_of[column]:
        visited[column] = True
        here = row_of[column]
        reduced = cost[here - 1] - of_row[here] - of_column[1:]
        better = ~visited[1:] & (reduced < cheapest[1:])
        cheapest[1:][better] = reduced[better]
        came_from[1:][better] = column
        following = int(np.where(visited[1:], np.inf, cheapest[1:]).argmin()) + 1
        step = cheapest[following]
        of_row[row_of[visited]] += step
        of_column[visited] -= step
        cheapest[~visited] -= step
        column = following
    while column:
        row_of[column] = row_of[came_from[column]]
        column = int(came_from[column])
