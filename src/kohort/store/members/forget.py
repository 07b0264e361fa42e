"""Erased persons in the log of memberships: their rows go, and the numbers of all other transitions stay.

Transitions are numbered without gaps, and consumers remember numbers. So a transition of somebody erased becomes an *empty
place*: a row that says nothing about anybody. Readers pass over it. Restatements and snapshots have no numbers; there the
rows are left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.members.fold import OPEN, fold, latest, untils
from kohort.store.members.heads import heads, put_head
from kohort.store.members.parts import Part, Parts, Written, parts
from kohort.store.members.position import put_position, read_position
from kohort.store.members.tables import DATED, EMPTY_PLACE, TICK, together


@dataclass(frozen=True, slots=True)
class ForgottenMoves:
    """What was there of erased persons.

    Attributes:
        transitions: Entries and exits; their places are empty now.
        memberships: Stays that went on until now.
    """

    transitions: int
    memberships: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A part that holds rows of theirs: those rows (moves as TICK), and what comes in its place (None = nothing)."""

    hers: pa.Table
    instead: Written | None


class Forgetting:
    """Takes persons out of all memberships, past and present. Parts are looked through and written anew before the
    transaction, for reading thousands of them takes a while; inside it only those are that came since.

    Args:
        customers: Pseudonyms, int64, sorted.
    """

    def __init__(self, place: Parts, customers: np.ndarray) -> None:
        self._place, self._customers = place, customers
        self._seen: dict[tuple[int, str], _Found | None] = {}

    def look(self, con: Connection) -> list[Part]:
        """All parts there are now, older first; what is new is looked through."""
        listed = [_part(row) for row in parts.all(con, schema.member_part.c.id)]
        for part in listed:
            key = (part.id, part.sha256)
            found = self._seen.get(key)
            if key not in self._seen or (found is not None and self._gone(found)):
                self._seen[key] = self._found(con, part)
        return listed

    def make_true(self, con: Connection) -> ForgottenMoves:
        """Puts everything in its place inside the caller's transaction, who holds the write lock and afterwards deletes the
        files that no part names any more (`Parts.clean`).

        Sizes of definitions, also those that the live loop keeps, shrink; what runs counted in the past stays.
        """
        place, hers, transitions = self._place, [], 0
        for part in self.look(con):
            found = self._seen[part.id, part.sha256]
            if found is None:
                continue
            if part.kind == "moves":
                hers.append(found.hers)
                transitions += found.hers.num_rows
            if found.instead is None:
                place.remove(con, [part])
            else:
                place.replace(con, [part], found.instead)
        place.flush()
        inside = _inside(hers)
        _shrink(con, inside, frozenset(self._customers.tolist()))
        return ForgottenMoves(transitions, sum(inside.values()))

    def _gone(self, found: _Found) -> bool:
        """Whether somebody cleaned a file away that no part named yet."""
        path = None if found.instead is None else found.instead.path
        return path is not None and not (self._place.folder / path).exists()

    def _found(self, con: Connection, part: Part) -> _Found | None:
        place = self._place
        held = place.whole(con, part, ["customer"]).column("customer").to_numpy()
        mine = np.isin(held, self._customers)
        if not mine.any():
            return None
        table, in_file = place.whole(con, part), part.path is not None
        if part.kind == "moves":
            hers = place.slice(con, part, 0, part.rows).filter(pa.array(mine))
            return _Found(hers, place.write(_emptied(table, mine, part.as_of), in_file=in_file))
        kept = table.filter(pa.array(~mine))
        # A snapshot of nobody says nothing that the moves do not say.
        return _Found(TICK.empty_table(), place.write(kept, in_file=in_file) if kept.num_rows else None)


def _part(row: sa.RowMapping) -> Part:
    return Part(**{key: value for key, value in row.items() if key != "digest"})


def _inside(hers: list[pa.Table]) -> Counter[str]:
    """Name → how many of these persons are in it now, from all their moves, older first."""
    found: Counter[str] = Counter()
    if hers:
        table = together(hers, TICK)
        for name in pc.unique(table.column("name").cast(pa.string())).to_pylist():
            moves = table.filter(pc.equal(table.column("name").cast(pa.string()), name)).select(DATED.names)
            found[name] = int((untils(latest(fold([moves.cast(DATED)]))) == OPEN).sum())
    return found


def _emptied(table: pa.Table, mine: np.ndarray, as_of: int) -> pa.Table:
    """The table with empty places where a mask says so. What belongs to the part as a whole (name, version) stays."""
    mask = pa.array(mine)
    blank = {
        "customer": EMPTY_PLACE,
        "change": 0,
        "number": 0,
        "at": as_of,
        "segment": "",
        "confidence": None,
        "reason": None,
    }
    for position, field in enumerate(table.schema):
        if field.name not in blank:
            continue
        column = table.column(position)
        plain = column.cast(pa.string()) if pa.types.is_dictionary(field.type) else column
        value = pa.scalar(blank[field.name], plain.type)
        chunks = plain.combine_chunks()
        emptied = pc.if_else(mask, value, chunks)
        if pa.types.is_dictionary(field.type):
            emptied = emptied.dictionary_encode().cast(field.type)
        table = table.set_column(position, field, emptied)
    return table


def _shrink(con: Connection, inside: Counter[str], gone: frozenset[int]) -> None:
    """Sizes without them, in the heads and where the live loop is."""
    live = read_position(con)
    kept = {row["name"]: dict(row) for row in heads.all(con)}
    for name, head in kept.items():
        mine = name in live.heads and live.heads[name].run == head["run"] and not head["dropped"]
        if inside[name] and not mine:  # where the loop keeps it current its own figure counts
            head.pop("digest")
            put_head(con, {**head, "size": head["size"] - inside[name]})
    sizes = {name: replace(head, size=head.size - inside[name]) for name, head in live.heads.items()}
    late = tuple(customer for customer in live.late if customer not in gone)
    if sizes != dict(live.heads) or late != live.late:
        put_position(con, replace(live, heads=sizes, late=late))
