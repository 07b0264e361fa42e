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
from kohort.store.members.fold import OPEN, untils
from kohort.store.members.heads import heads, put_head
from kohort.store.members.parts import EVERY_NAME, Part, Parts, parts
from kohort.store.members.position import put_position, read_position
from kohort.store.members.snapshots import stays
from kohort.store.members.tables import EMPTY_PLACE, numbers


@dataclass(frozen=True, slots=True)
class ForgottenMoves:
    """What was there of erased persons.

    Attributes:
        transitions: Entries and exits; their places are empty now.
        memberships: Stays that went on until now.
    """

    transitions: int
    memberships: int


def forget(place: Parts, con: Connection, customers: np.ndarray) -> ForgottenMoves:
    """Takes persons out of all memberships, past and present, inside the caller's transaction.

    Sizes of definitions, also those that the live loop keeps, shrink with them; what runs counted in the past stays. The
    caller holds the write lock, and afterwards deletes the files that no part names any more (`Parts.clean`).

    Args:
        customers: Pseudonyms, int64, sorted.
    """
    touched = [
        part for part in map(_part, parts.all(con, schema.member_part.c.id)) if _holds(place, con, part, customers)
    ]
    inside = _inside(place, con, touched, customers)
    transitions = sum(_rewrite(place, con, part, customers) for part in touched)
    place.flush()
    _shrink(con, inside, frozenset(customers.tolist()))
    return ForgottenMoves(transitions, sum(inside.values()))


def _part(row: sa.RowMapping) -> Part:
    return Part(**{key: value for key, value in row.items() if key != "digest"})


def _holds(place: Parts, con: Connection, part: Part, customers: np.ndarray) -> bool:
    held = place.whole(con, part, ["customer"]).column("customer").to_numpy()
    return bool(np.isin(held, customers).any())


def _inside(place: Parts, con: Connection, touched: list[Part], customers: np.ndarray) -> Counter[str]:
    """Name → how many of these persons are in it now."""
    names = {part.name for part in touched} - {EVERY_NAME}
    if any(part.name == EVERY_NAME for part in touched):
        names |= {str(row["name"]) for row in heads.all(con)}
    found: Counter[str] = Counter()
    for name in sorted(names):
        table = stays(place, con, name)
        mine = np.isin(numbers(table, "customer"), customers) & (untils(table) == OPEN)
        found[name] = int(mine.sum())
    return found


def _rewrite(place: Parts, con: Connection, part: Part, customers: np.ndarray) -> int:
    """Puts a part without these persons in the place of a part; says how many transitions of theirs it held."""
    table = place.whole(con, part)
    mine = np.isin(table.column("customer").to_numpy(), customers)
    if part.kind == "moves":
        place.replace(con, [part], place.write(_emptied(table, mine, part.as_of), in_file=part.path is not None))
        return int(mine.sum())
    kept = table.filter(pa.array(~mine))
    if kept.num_rows:
        place.replace(con, [part], place.write(kept, in_file=part.path is not None))
    else:  # a snapshot of nobody says nothing that the moves do not say
        place.remove(con, [part])
    return 0


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
