"""How a model does in each segment: on the rows it was judged on, by where each customer was at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.definitions.triggers import is_hidden

if TYPE_CHECKING:
    from kohort.predict.dataset import Dataset
    from kohort.workspace.workspace import Workspace

MOST_SEGMENTS = 12
"""Definitions that are looked at, in the order written."""


def by_segment(ws: Workspace, data: Dataset, judged: tuple[np.ndarray, np.ndarray]) -> list[dict[str, Any]]:
    """Figures of the judged rows of every part of every segment.

    Who is in a segment now may be there because of what happened since, so only memberships of the moment itself count; a
    moment before the first run of a segment tells nothing of it.

    Args:
        data: The rows.
        judged: Places of those that were judged, and the probabilities they got unseen: `Trained.judged`.

    Returns:
        `[{"segment", "part", "rows", "positives", "metrics"}]`; a segment that was not run back then is left out.
    """
    from kohort.predict.report import part_figures

    rows, p = judged
    ids = np.asarray(data.table.ids.to_numpy(zero_copy_only=False))[rows]
    y, moments = data.y[rows], data.moments[rows]
    found = []
    for name in _names(ws):
        where = _where(ws, name, ids, moments)
        for part in sorted(set(where.tolist()) - {""}):
            mine = where == part
            figures = part_figures(p[mine], y[mine], ids[mine], seed=0)
            found.append({"segment": name, "part": part, **figures})
    return found


def _names(ws: Workspace) -> list[str]:
    stored = set(ws.store.members.names())
    own = [d.name for d in ws.config.segments if d.kind != "accounts" and not is_hidden(d.name) and d.name in stored]
    return own[:MOST_SEGMENTS]


def _where(ws: Workspace, name: str, ids: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The part that each row's customer was in at its moment; empty = in none, or nobody knows."""
    where: Any = np.full(len(ids), "", object)
    for moment, customers, parts in _known(ws, name, moments):
        mine = np.flatnonzero(moments == moment)
        place = np.minimum(np.searchsorted(customers, ids[mine]), max(len(customers) - 1, 0))
        there = customers[place] == ids[mine] if len(customers) else np.zeros(len(mine), bool)
        where[mine[there]] = parts[place[there]]
    return np.asarray(where)


def _known(ws: Workspace, name: str, moments: np.ndarray) -> Iterator[tuple[int, np.ndarray, Any]]:
    """Each moment from the first run on, with the members of then, by customer, and their parts."""
    first = min((int(run["as_of"]) for run in ws.store.members.runs(name)), default=None)
    for moment in np.unique(moments).tolist():
        if first is not None and moment >= first:
            inside = ws.store.members.at(name, moment).sort_by("customer")
            parts: Any = np.array(inside.column("segment").to_pylist(), object)
            yield moment, inside.column("customer").to_numpy(), parts
