"""How many customers agree to each purpose, how many said no, and how many were never asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kohort.engines.consent import duckdb_reader, of_log
from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT, bucket_groups
from kohort.model.consent import flags
from kohort.model.limits import refusal_mark
from kohort.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Agreed:
    """Customers by what they said about one purpose; together everybody of whom there is an event.

    Attributes:
        yes: They agree.
        no: They refused, or took their consent back, with any id that counts.
        silent: They never said anything.
    """

    yes: int
    no: int
    silent: int


def agreed(
    snapshot: Snapshot, consent: Mapping[str, str], *, as_of: int, threads: int | None = None
) -> dict[str, Agreed]:
    """Purpose → customers by what holds for them at a moment; visitors are not counted.

    Args:
        snapshot: The event log.
        consent: Purpose → trait.
        as_of: Nothing later is visible, microseconds UTC.
        threads: None = the setting KOHORT_THREADS.
    """
    snapshot = snapshot.resolved(as_of)
    known = flags(consent, snapshot.columns)
    traits = sorted(set(known.values()))
    people, found = (
        0,
        [pa.table({"customer": pa.array([], pa.int64()), **{t: pa.array([], pa.bool_()) for t in traits}})],
    )
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT, threads=threads) as con:
        withheld = of_log(snapshot, as_of, known, duckdb_reader(con, snapshot))
        latest = "".join(
            f', last("{t}" ORDER BY ts, event_id) FILTER (WHERE "{t}" IS NOT NULL) AS "{t}"' for t in traits
        )
        for buckets, _ in bucket_groups(snapshot):
            register_events(con, snapshot, buckets)
            asked = f"SELECT customer{latest} FROM events WHERE customer > 0 AND ts <= {int(as_of)} GROUP BY customer"
            rows = con.execute(asked).to_arrow_table()
            people += rows.num_rows
            found.append(rows)
    said = pa.concat_tables(found)
    return {purpose: _of(purpose, said, known.get(purpose), withheld, people) for purpose in consent}


def _of(purpose: str, said: pa.Table, trait: str | None, withheld: pa.Table, people: int) -> Agreed:
    if trait is None:
        return Agreed(0, 0, people)
    bound = withheld.filter(pc.equal(withheld["name"], refusal_mark(purpose)))["customer"]
    spoke = said.filter(pc.is_valid(said[trait]))
    free = pc.invert(pc.is_in(spoke["customer"], value_set=bound.combine_chunks()))
    yes = int(pc.sum(pc.and_(spoke[trait], free)).as_py() or 0)
    return Agreed(yes, spoke.num_rows - yes, people - spoke.num_rows)
