"""Density on a flat picture: how many stand in each cell of one fixed honeycomb over the unit square.

The honeycomb is the same for whoever counts and whoever draws: cells that were counted once are found again as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ACROSS = 48
"""Cells side by side; more cannot be told apart on a page."""

ASPECT = 0.67
"""Height of the picture the cells are regular on, for a width of 1."""

WIDTH = 1 / ACROSS
STEP = WIDTH * 3**0.5 / 2 / ASPECT
"""Centres of neighbours in a row are WIDTH apart, rows are STEP apart; every other row is set off by half a WIDTH."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells in which somebody stands, one entry for each cell and kind.

    Attributes:
        x, y: float64, the centre of the cell; 0 to 1, at the edges a little beyond.
        kind: int64.
        count: int64, above 0.
    """

    x: np.ndarray
    y: np.ndarray
    kind: np.ndarray
    count: np.ndarray


def binned(x: np.ndarray, y: np.ndarray, kind: np.ndarray, count: np.ndarray | None = None) -> Cells:
    """Counts points of the unit square by cell and kind.

    Args:
        x, y: float64 of one length, 0 to 1.
        kind: int64, 0 or more: what each point is.
        count: int64, how many stand at each point; None = one each.

    Example:
        >>> cells = binned(np.array([0.5, 0.5, 0.9]), np.array([0.5, 0.5, 0.1]), np.array([0, 0, 1]))
        >>> cells.count.tolist()
        [1, 2]
    """
    across, down = x / WIDTH, y / STEP
    row = np.rint(down)
    across = across - (row % 2) / 2
    column = np.rint(across)
    # Near a corner the next row's cell can be nearer than the one of the nearest row.
    beside_row = row + np.where(down < row, -1.0, 1.0)
    beside = column + np.where(across < column, -0.5, 0.5)
    far = (across - column) ** 2 * _SQUEEZE + (down - row) ** 2
    near = (across - beside) ** 2 * _SQUEEZE + (down - beside_row) ** 2
    other = near < far
    column = np.where(other, beside + np.where(row % 2 == 1, 0.5, -0.5), column)
    row = np.where(other, beside_row, row)
    kinds = int(kind.max(initial=0)) + 1
    place = ((row + 1) * (ACROSS + 3) + column + 1).astype(np.int64) * kinds + kind
    found, where = np.unique(place, return_inverse=True)
    total = np.bincount(where, weights=count, minlength=len(found)).astype(np.int64)
    cell = found // kinds
    row, column = cell // (ACROSS + 3) - 1, cell % (ACROSS + 3) - 1
    return Cells((column + (row % 2) / 2) * WIDTH, row * STEP, found % kinds, total)


_SQUEEZE = 4 / 3
"""(WIDTH / STEP)² on the picture that the cells are regular on: distances are compared there."""


def edges(values: np.ndarray, cut: float = 0.005) -> tuple[float, float]:
    """Where a picture begins and ends. A few far-out ones would squeeze all others into a corner, so the outermost half per
    cent on each side is drawn at the edge."""
    low, high = (float(v) for v in np.quantile(values, (cut, 1 - cut), method="nearest"))
    return low, high if high > low else low + 1.0
