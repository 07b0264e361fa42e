"""Which household and which account customers belong to: what is said of it in the log, and saying it.

It is said like what a table of customers says: an event `identify` that holds since ever and counts as no activity. So rules,
features, segments of accounts, live and Spark know one mechanism, and nobody becomes part of anybody. What was said last counts.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.model.event import GROUP_HOW, GROUPS, IDENTIFY, GroupLevel, event_schema
from kohort.model.links import roots
from kohort.model.source import BatchReport
from kohort.store.base import BaseFile, columns_of
from kohort.store.told import told

if TYPE_CHECKING:
    from kohort.store.store import Store

BY_HAND = "by hand"
"""How somebody belongs to a group where a person said so: no run changes it."""
ALONE = "nobody by now"
"""How somebody has a group of her own whom a run found in none any more."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is said of a customer.

    Attributes:
        group: The household's code, or the account's name.
        how: What it follows from, in words; never a value.
    """

    group: str
    how: str


def held(store: Store, level: GroupLevel) -> dict[int, Held]:
    """Customer → what was said last about any id of hers. Who belongs to none is missing."""
    trait, how = GROUPS[level], GROUP_HOW[level]
    if trait not in store.log.columns():
        return {}
    return {
        customer: Held(row[0] or "", row[1] or "") for customer, row in latest(store, (trait, how)).items() if row[0]
    }


def latest(store: Store, columns: Sequence[str]) -> dict[int, tuple[str | None, ...]]:
    """Customer → the values of some declared text columns in the latest of her events that fills the first of them."""
    shot = store.log.snapshot()
    schema = event_schema(shot.columns)
    names = ("customer", "ts", "event_id", *columns)
    tables = [columns_of(Path(path), names, schema) for path in _paths(shot.files)]
    if shot.hot is not None:
        tables.append(shot.hot.select(names))
    found: dict[int, tuple[int, str, tuple[str | None, ...]]] = {}
    meant = roots(store.links.now())
    for table in tables:
        known = table.filter(pc.and_(pc.is_valid(table.column(columns[0])), pc.is_valid(table.column("customer"))))
        if not known.num_rows:
            continue
        customers = meant.of(known.column("customer").to_numpy()).tolist()
        rest = (known.column(name).to_pylist() for name in names[1:])
        for customer, ts, event_id, *values in zip(customers, *rest, strict=True):
            had = found.get(customer)
            if values[0] and (had is None or (ts, event_id) > had[:2]):
                found[customer] = ts, event_id, tuple(values)
    return {customer: values for customer, (_, _, values) in found.items()}


def say(store: Store, level: GroupLevel, said: Mapping[int, Held], *, now: int, zone: str) -> int:
    """Writes down who belongs to what, from now on and for every moment; says about how many.

    Args:
        said: By pseudonym.
        now: Microseconds UTC.
        zone: The workspace's.
    """
    if not said:
        return 0
    trait, how = GROUPS[level], GROUP_HOW[level]
    store.log.declare({trait: "text", how: "text"})
    with store.write_lock():
        there = dict(zip(said, store.vault.there(list(said)), strict=True))  # somebody may have been erased meanwhile
        kept = {customer: one for customer, one in said.items() if there[customer]}
        batch = store.state.begin_batch(level, "")
        # Of one instant the greater event id is the later one, so what is said later counts.
        ids = [f"{level}-{batch:012d}-{n:08d}" for n in range(len(kept))]
        values = {
            trait: pa.array([one.group for one in kept.values()], pa.string()),
            how: pa.array([one.how for one in kept.values()], pa.string()),
        }
        rows = told(IDENTIFY, ids, list(kept), values, at=0, now=now, zone=zone)
        done = store.log.append(rows, batch=batch)
        store.state.finish_batch(BatchReport(level, "", batch, len(kept), done.stored, len(kept) - done.stored, 0))
    return done.stored


def forget(store: Store, level: GroupLevel) -> int:
    """Takes all of it out of the log, what people said too; says how many rows that were."""
    return store.log.drop(_Said(GROUP_HOW[level])) if GROUP_HOW[level] in store.log.columns() else 0


def fresh(level: GroupLevel) -> str:
    """A name for a group that has none: random, so that nobody can be told from it."""
    return f"{level[0]}-{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class _Said:
    """Rows that `say` wrote about one level (`kohort.store.going.Going`)."""

    how: str

    @property
    def columns(self) -> tuple[str, ...]:
        return ("event", self.how)

    def may_hold(self, file: BaseFile) -> bool:
        return True

    def mask(self, rows: pa.Table) -> pa.Array:
        ours = pc.and_(pc.equal(rows.column("event"), IDENTIFY), pc.is_valid(rows.column(self.how)))
        return pa.array(np.asarray(pc.fill_null(ours, False), dtype=bool))


def _paths(files: Mapping[int, Sequence[str]]) -> Iterator[str]:
    for paths in files.values():
        yield from paths
