"""From who was in and who is in now to moves: entries, exits and restatements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kohort.model.membership import Difference
from kohort.store.members.fold import OPEN, untils
from kohort.store.members.tables import ENTERED, LEFT, MOVES, RESTATED, common, figures, numbers, together


@dataclass(frozen=True, slots=True)
class Compared:
    """What changes when an evaluation replaces the members.

    Attributes:
        moves: Exits and entries (MOVES), sorted by customer.
        restated: Who stays but with another confidence or reason (MOVES).
        difference: Counts of customers.
    """

    moves: pa.Table
    restated: pa.Table
    difference: Difference


def compare(stays: pa.Table, placed: pa.Table, at: int) -> Compared:
    """Moves that lead from the latest stays to the rows of an evaluation (`tables.placed`), all at one moment."""
    here = np.flatnonzero(untils(stays) == OPEN)
    now = stays.take(pa.array(here)) if len(here) < stays.num_rows else stays
    before, after = numbers(now, "customer"), numbers(placed, "customer")
    place = _find(before, after)
    kept_new = np.flatnonzero(place >= 0)
    kept_old = place[kept_new]
    was, becomes, _ = common(now.column("segment"), placed.column("segment"))
    same = was[kept_old] == becomes[kept_new]
    stayed = np.zeros(len(before), bool)
    stayed[kept_old] = same
    begun = np.ones(len(after), bool)
    begun[kept_new] = ~same
    exits = now.filter(pa.array(~stayed))
    entries = placed.filter(pa.array(begun))
    number = _next_numbers(stays, entries.select(["customer", "segment"]))
    moves = _rows(exits, LEFT, numbers(exits, "number") + 1, at, silent=True)
    moves = together([moves, _rows(entries, ENTERED, number, at)], MOVES)
    moves = moves.take(pa.array(np.argsort(numbers(moves, "customer"), kind="stable")))
    old, new = kept_old[same], kept_new[same]
    changed = _said_otherwise(now, placed, old, new)
    restated = _rows(placed.take(pa.array(new[changed])), RESTATED, numbers(now, "number")[old[changed]], at)
    moved = int((~same).sum())
    left, entered = int((~stayed).sum()) - moved, int(begun.sum()) - moved
    return Compared(moves, restated, Difference(entered, left, moved, int(same.sum())))


def _find(sorted_: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted number stands in unique sorted numbers; −1 = nowhere."""
    if not len(sorted_):
        return np.full(len(wanted), -1)
    place = np.searchsorted(sorted_, wanted)
    place[place == len(sorted_)] = 0
    return np.where(sorted_[place] == wanted, place, -1)


def _next_numbers(stays: pa.Table, entries: pa.Table) -> np.ndarray:
    """Number of each entry: 1 for the first, else one more than the exit before it."""
    found = np.ones(entries.num_rows, np.int32)
    past = stays.filter(pa.array(untils(stays) < OPEN)).select(["customer", "segment", "number"])
    if not (past.num_rows and entries.num_rows):
        return found
    segment, wanted, _ = common(past.column("segment"), entries.column("segment"))
    customer, number = numbers(past, "customer"), numbers(past, "number")
    row = np.searchsorted(customer, numbers(entries, "customer"), side="left")
    end = np.searchsorted(customer, numbers(entries, "customer"), side="right")
    while len(live := np.flatnonzero(row < end)):  # as often as somebody has stays in several segments
        hit = live[segment[row[live]] == wanted[live]]
        found[hit] = number[row[hit]] + 1
        row[live] += 1
    return found


def _said_otherwise(now: pa.Table, placed: pa.Table, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    a, b = figures(now, "confidence")[old], figures(placed, "confidence")[new]
    reason, other, _ = common(now.column("reason"), placed.column("reason"))
    otherwise: np.ndarray = ~((a == b) | (np.isnan(a) & np.isnan(b))) | (reason[old] != other[new])
    return otherwise


def _rows(table: pa.Table, change: int, number: np.ndarray, at: int, *, silent: bool = False) -> pa.Table:
    n = table.num_rows
    nothing = {"confidence": pa.nulls(n, pa.float64()), "reason": pa.nulls(n, MOVES.field("reason").type)}
    columns = {
        "change": pa.array(np.full(n, change, np.int8)),
        "number": pa.array(number.astype(np.int32)),
        "at": pa.array(np.full(n, at, np.int64)),
        **(nothing if silent else {}),
    }
    return pa.table([columns[f.name] if f.name in columns else table.column(f.name) for f in MOVES], schema=MOVES)
