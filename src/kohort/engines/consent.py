"""Consent that a merge withholds: rows beside the events, for every engine the same.

Engines see events under the customers they belong to, so the latest statement of all her ids is what they know. Which id said
it, and whether the ids were one customer by then, is looked up here, for those few customers of whom a led id said anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.engines.duck import stored
from kohort.model.arrival import Link
from kohort.model.consent import Said, flags, refusing
from kohort.model.limits import refusal_mark

if TYPE_CHECKING:
    import duckdb

    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.model.event import ColumnType
    from kohort.model.snapshot import Snapshot

SCHEMA = pa.schema([("customer", pa.int64()), ("name", pa.string()), ("segment", pa.string()), ("added", pa.bool_())])
"""As `kohort.engines.segments.BY_HAND_SCHEMA`; `name` is the `refusal_mark` of the purpose."""

NOBODY = SCHEMA.empty_table()
STATEMENT = ("customer", "ts", "event_id")

Read = Callable[[np.ndarray, Sequence[str]], pa.Table]
"""The rows of some ids, under these ids, with some columns; rows without any of the traits may be left out."""


def traits_asked(
    definitions: Iterable[SegmentDefinition], settings: SegmentSettings | None, columns: Mapping[str, ColumnType]
) -> dict[str, str]:
    """Purpose → trait, of the purposes that definitions have and the data can say anything about."""
    asked = {d.purpose for d in definitions if not d.paused}
    known = settings.consent if settings else ()
    return flags({purpose: trait for purpose, trait in known if purpose in asked}, columns)


def withheld(said: pa.Table, links: pa.Table, consent: Mapping[str, str]) -> pa.Table:
    """For whom a "no" binds, see `kohort.model.consent`.

    Args:
        said: `customer`, `ts`, `event_id` and the traits up to a moment, under the ids they came with.
        links: Of these ids, up to the same moment; `kohort.model.links.table_of` says how.
        consent: Purpose → trait.

    Returns:
        `SCHEMA`: a row per customer and purpose.
    """
    ties = [Link(**row) for row in links.select(["event_id", "customer", "root", "ts"]).to_pylist()]
    found = [NOBODY]
    for purpose, trait in consent.items():
        own = said.filter(said[trait].is_valid())
        columns = (own[name].to_pylist() for name in ("ts", "event_id", "customer", trait))
        whom = sorted(refusing(map(Said, *columns), ties))
        found.append(withheld_from(whom, purpose))
    return pa.concat_tables(found)


def withheld_from(whom: Sequence[int], purpose: str) -> pa.Table:
    """`SCHEMA` of some customers and one purpose."""
    n = len(whom)
    return pa.table(
        [pa.array(whom, pa.int64()), pa.array([refusal_mark(purpose)] * n, pa.string()), [""] * n, [False] * n],
        schema=SCHEMA,
    )


def of_log(snapshot: Snapshot, as_of: int, consent: Mapping[str, str], read: Read) -> pa.Table:
    """For whom a "no" binds at a moment, of all customers with several ids.

    Args:
        snapshot: `resolved` for the moment.
        consent: From `traits_asked`.
        read: Only asked where there are led ids, about their roots only where a led id said something.
    """
    led = snapshot.led
    if not consent or led is None or not len(led) or snapshot.links is None:
        return NOBODY
    columns = [*STATEMENT, *sorted(set(consent.values()))]
    spoke = said_by(read(led.led, columns), as_of, consent)
    if not spoke.num_rows:
        return NOBODY
    roots = np.unique(led.of(spoke["customer"].to_numpy()))
    said = pa.concat_tables([spoke, said_by(read(roots, columns), as_of, consent)])
    links = snapshot.links
    theirs = pc.is_in(links["customer"], value_set=pa.array(led.led[np.isin(led.root, roots)]))
    return withheld(said, links.filter(pc.and_(theirs, pc.less_equal(links["ts"], as_of))), consent)


def said_by(rows: pa.Table, as_of: int, consent: Mapping[str, str]) -> pa.Table:
    """The rows up to a moment in which anything is said about a purpose."""
    columns = [*STATEMENT, *sorted(set(consent.values()))]
    rows = rows.select(columns).filter(pc.less_equal(rows["ts"], as_of))
    return rows.filter(speaks(rows, consent))


def speaks(rows: pa.Table, consent: Mapping[str, str]) -> pa.ChunkedArray:
    """Whether a row says anything about a purpose."""
    first, *others = (rows[trait].is_valid() for trait in set(consent.values()))
    for other in others:
        first = pc.or_(first, other)
    return first


def duckdb_reader(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Read:
    """Reads the files of a snapshot, but only the columns of the statements, and the buckets of the ids."""
    return partial(_read, con, snapshot)


def _read(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, ids: np.ndarray, columns: Sequence[str]) -> pa.Table:
    buckets = set(np.unique(ids % snapshot.buckets).tolist())
    con.register("_speakers", pa.table({"speaker": ids}))
    names = ", ".join(f'"{name}"' for name in columns)
    said = " OR ".join(f'"{name}" IS NOT NULL' for name in columns if name not in STATEMENT)
    rows = f"SELECT {names} FROM ({stored(con, snapshot, buckets)}) SEMI JOIN _speakers ON customer = speaker"
    try:
        return con.execute(f"{rows} WHERE {said}").to_arrow_table()
    finally:
        con.unregister("_speakers")
