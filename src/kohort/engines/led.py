"""Events of ids that lead to somebody else, shown under the id that is meant.

Nothing is rewritten on disk: rows of led ids are left out where they lie, gathered once per connection, and handed to the
bucket of their root. Without links nothing of this happens.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kohort.model.limits import MARKS
from kohort.model.links import Roots

if TYPE_CHECKING:
    import duckdb

    from kohort.model.snapshot import Snapshot

_MAP = "_led"
_ROWS = "_led_events"
_FORBIDDING = frozenset(MARKS.values())


def led_map(roots: Roots, buckets: int) -> pa.Table:
    """`led`, `root` and the bucket of the root, of everybody who is led."""
    return pa.table(
        {
            "led": pa.array(roots.led),
            "root": pa.array(roots.root),
            "root_bucket": pa.array((roots.root % buckets).astype(np.int32)),
        }
    )


def root_buckets(snapshot: Snapshot) -> set[int]:
    """Buckets in which events of led ids are shown."""
    return set() if snapshot.led is None else set((snapshot.led.root % snapshot.buckets).tolist())


def led_buckets(snapshot: Snapshot) -> set[int]:
    """Buckets in which events of led ids lie."""
    return set() if snapshot.led is None else set((snapshot.led.led % snapshot.buckets).tolist())


def gather(con: duckdb.DuckDBPyConnection, roots: Roots, buckets: int, columns: str, source: str) -> None:
    """Makes the rows of led ids a table of this connection, under their roots; it is spilled to disk where it is large.

    Args:
        columns: Of the relation `events`, as a SQL list.
        source: SQL of all events as they are stored.
    """
    con.register(_MAP, led_map(roots, buckets))
    shown = columns.replace('"bucket"', 'root_bucket AS "bucket"').replace('"customer"', 'root AS "customer"')
    con.execute(f"CREATE OR REPLACE TABLE {_ROWS} AS SELECT {shown} FROM ({source}) JOIN {_MAP} ON customer = led")


def shown(columns: str, stored: str, wanted: Collection[int] | None) -> str:
    """SQL of the events of some buckets (None = all) as they are meant, from what is stored in these buckets."""
    where = "" if wanted is None else f" WHERE bucket IN ({', '.join(map(str, sorted(wanted))) or 'NULL'})"
    own = f"SELECT {columns} FROM ({stored}) ANTI JOIN {_MAP} ON customer = led"
    return f"{own} UNION ALL SELECT {columns} FROM {_ROWS}{where}"


def carried(by_hand: pa.Table, roots: Roots | None) -> pa.Table:
    """What people decided about ids that are led, as decisions about their roots.

    What they decided about the root herself goes first; of several led ids the one that has been hers for longest. What any of
    her ids forbids (`kohort.model.limits`) she forbids.

    Args:
        by_hand: `customer`, `name` and others; see `kohort.engines.segments.BY_HAND_SCHEMA`.
    """
    if roots is None or not len(roots):
        return by_hand
    customers = by_hand["customer"].to_numpy()
    meant = roots.of(customers)
    if np.array_equal(meant, customers):
        return by_hand
    since = dict(zip(roots.led.tolist(), roots.since.tolist(), strict=True))
    rows = list(zip(customers.tolist(), meant.tolist(), by_hand["name"].to_pylist(), strict=True))
    first: dict[tuple[int, str], tuple[bool, int, int]] = {}
    for own, root, name in rows:
        place = (own != root, since.get(own, 0), own)
        first[root, name] = min(first.get((root, name), place), place)
    kept = [name in _FORBIDDING or first[root, name][2] == own for own, root, name in rows]
    moved = by_hand.set_column(by_hand.column_names.index("customer"), "customer", pa.array(meant))
    return moved.filter(pa.array(kept))
