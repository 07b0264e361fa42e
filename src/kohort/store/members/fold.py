"""From moves to stays: the one place that says what a sequence of entries and exits means.

Moves of one moment replace what that moment said before: an exit and a re-entry at the same instant are one stay that
went on, and an entry and an exit at the same instant are a stay of no length, which nobody lived.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from kohort.store.members.tables import (
    DATED,
    ENTERED,
    LEFT,
    RESTATED,
    STAYS,
    numbers,
    text_codes,
    together,
)

OPEN = np.iinfo(np.int64).max
"""`until` of a stay that goes on, in arrays of numbers."""


def fold(moves: list[pa.Table], earlier: pa.Table | None = None) -> pa.Table:
    """All stays, of every customer and segment oldest first; the last may have no length.

    Args:
        moves: DATED tables, older first.
        earlier: Stays before them, the last of each customer and segment (`latest`).
    """
    if earlier is not None and not any(table.num_rows for table in moves):
        return earlier
    parts = ([] if earlier is None else as_moves(earlier)) + moves
    table = together(parts, DATED)
    if not table.num_rows:
        return STAYS.empty_table()
    table = table.take(pa.array(order)) if (order := _order(table)) is not None else table
    return _stays(table)


def latest(stays: pa.Table) -> pa.Table:
    """The last stay of each customer and segment."""
    last = np.append(~_same_pair(stays), True)
    return stays if last.all() else stays.filter(pa.array(last[: stays.num_rows]))


def as_moves(stays: pa.Table) -> list[pa.Table]:
    """Moves that say the same as stays: all entries, then the exits."""
    until = untils(stays)
    closed = until < OPEN
    exits = stays.filter(pa.array(closed))
    return [
        _moves(stays, ENTERED, numbers(stays, "number") - closed, numbers(stays, "since")),
        _moves(exits, LEFT, numbers(exits, "number"), until[closed]),
    ]


def untils(stays: pa.Table) -> np.ndarray:
    """`until` as numbers, OPEN where a stay goes on."""
    return np.asarray(stays.column("until").fill_null(OPEN).to_numpy())


def _moves(stays: pa.Table, change: int, number: np.ndarray, at: np.ndarray) -> pa.Table:
    columns = {
        "change": pa.array(np.full(stays.num_rows, change, np.int8)),
        "number": pa.array(number.astype(np.int32)),
        "at": pa.array(at),
    }
    return pa.table([columns[n] if n in columns else stays.column(n) for n in DATED.names], schema=DATED)


def _order(table: pa.Table) -> np.ndarray | None:
    """By customer, segment, number (a restatement after its entry), then as they came; None where they are in order."""
    customer = numbers(table, "customer")
    if (customer[1:] > customer[:-1]).all():
        return None
    # Parts are sorted by customer: joining sorted pieces is linear. Only who has several rows is looked at again.
    order = np.argsort(customer, kind="stable")
    again = np.diff(customer[order]) == 0
    rows = np.flatnonzero(np.append(again, False) | np.insert(again, 0, False))
    some = order[rows]
    segment, number = text_codes(table.column("segment"))[some], numbers(table, "number")[some]
    restated = numbers(table, "change")[some] == RESTATED
    order[rows] = some[np.lexsort((restated, number, segment, customer[some]))]
    return order


def _same_pair(table: pa.Table) -> np.ndarray:
    """For each row but the first: the same customer and segment as the row before?"""
    segment = text_codes(table.column("segment"))
    same: np.ndarray = (np.diff(numbers(table, "customer")) == 0) & (np.diff(segment) == 0)
    return same


def _stays(table: pa.Table) -> pa.Table:
    """Stays of ordered moves: per customer and segment an entry, its restatements, its exit, the next entry, …"""
    change, at, number = (numbers(table, name) for name in ("change", "at", "number"))
    turns = np.append(np.flatnonzero(change != RESTATED), table.num_rows)
    is_entry = change[turns[:-1]] == ENTERED
    entry, after = turns[:-1][is_entry], turns[1:][is_entry]
    said = after - 1  # the last restatement before the next turn, or the entry itself
    exits = np.append(change, ENTERED)[after] == LEFT
    until, last = np.full(len(entry), OPEN), number[entry].copy()
    until[exits], last[exits] = at[after[exits]], number[after[exits]]
    # An exit and an entry at the same instant: the stay went on.
    same = _same_pair(table.select(["customer", "segment"]).take(pa.array(entry)))
    goes_on = same & (until[:-1] == at[entry][1:])
    begins = np.flatnonzero(np.insert(~goes_on, 0, True))
    ends = np.append(begins[1:], len(entry)) - 1
    first, told = table.take(pa.array(entry[begins])), table.take(pa.array(said[ends]))
    return pa.table(
        {
            "customer": first.column("customer"),
            "segment": first.column("segment"),
            "number": pa.array(last[ends]),
            "since": first.column("at"),
            "until": pa.array(until[ends], mask=until[ends] == OPEN),
            "version": first.column("version"),
            "confidence": told.column("confidence"),
            "reason": told.column("reason"),
        },
        schema=STAYS,
    )
