"""When something last happened with each person: what identifiers, and people as a whole, are kept by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.model.event import IDENTIFY, SCORE, event_schema
from kohort.model.links import roots
from kohort.store.base import columns_of

if TYPE_CHECKING:
    from kohort.store.going import Aged
    from kohort.store.store import Store


@dataclass(frozen=True, slots=True)
class Signs:
    """Parallel arrays, one row per person of whom there is any event.

    Attributes:
        people: Pseudonyms (int64) that the others lead to, sorted; visitors are negative.
        last: When something last happened with her, microseconds UTC: of whom nothing but facts is known, when we learned the last one.
        left: Whether anything stays of hers once what is too old has gone (bool).
    """

    people: np.ndarray
    last: np.ndarray
    left: np.ndarray

    def silent(self, until: int) -> np.ndarray:
        """With whom nothing has happened since a moment, itself included: pseudonyms."""
        found: np.ndarray = self.people[self.last <= until]
        return found

    def bare(self) -> np.ndarray:
        """Of whom nothing would be left: pseudonyms."""
        found: np.ndarray = self.people[~self.left]
        return found


def signs(store: Store, going: Aged) -> Signs:
    """The last sign of everybody; reads some columns of the whole log.

    Args:
        going: What is too old now.
    """
    meant = roots(store.links.now())
    parts = [_summed(piece, meant.of(piece.column("customer").to_numpy()), going) for piece in _pieces(store, going)]
    if not parts:
        return Signs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))
    whole = (
        pa.concat_tables(parts).group_by("person").aggregate([("acted", "max"), ("learned", "max"), ("left", "max")])
    )
    order = np.argsort(whole.column("person").to_numpy())
    acted, learned = (whole.column(name).to_numpy()[order] for name in ("acted_max", "learned_max"))
    return Signs(
        whole.column("person").to_numpy()[order],
        np.where(acted > _NEVER, acted, learned),
        whole.column("left_max").to_numpy()[order] > 0,
    )


_NEVER = -(2**63) + 1


def _summed(piece: pa.Table, person: np.ndarray, going: Aged) -> pa.Table:
    """`person`, `acted`, `learned`, `left`: each person of a piece once."""
    ts = piece.column("ts").to_numpy()
    # What is known since ever has no moment of its own, and a fact is no sign of life. What we noted ourselves is nothing at all.
    noted = np.asarray(pc.equal(piece.column("event"), SCORE))
    acts = np.asarray(pc.not_equal(piece.column("event"), IDENTIFY)) & ~noted & (ts != 0)
    table = pa.table(
        {
            "person": pa.array(person),
            "acted": pa.array(np.where(acts, ts, _NEVER)),
            "learned": pa.array(np.where(noted, _NEVER, piece.column("received_at").to_numpy())),
            "left": pa.array((~np.asarray(going.mask(piece)) & ~noted).astype(np.int8)),
        }
    )
    found = table.group_by("person").aggregate([("acted", "max"), ("learned", "max"), ("left", "max")])
    names = {"person": "person", "acted_max": "acted", "learned_max": "learned", "left_max": "left"}
    return pa.table({new: found.column(old) for old, new in names.items()})


def _pieces(store: Store, going: Aged) -> Iterator[pa.Table]:
    """Rows of persons, one file in memory at a time."""
    shot = store.log.snapshot()
    schema = event_schema(shot.columns)
    names = tuple(dict.fromkeys(("customer", "event", "ts", "received_at", *going.columns)))
    for paths in shot.files.values():
        for path in paths:
            yield from _of_persons(columns_of(Path(path), names, schema))
    if shot.hot is not None:
        yield from _of_persons(shot.hot.select(names))


def _of_persons(table: pa.Table) -> Iterator[pa.Table]:
    found = table.filter(pc.is_valid(table.column("customer")))
    if found.num_rows:
        yield found.combine_chunks()
