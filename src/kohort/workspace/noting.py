"""What is known of the world where customers are, noted for each of them, so that rules can ask for it in every engine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import WrongUsage
from kohort.model.clock import iso
from kohort.model.event import CONTEXT_OF, CONTEXT_VALUE, NUMBER_SCALE, SCORE, SCORE_OF, event_schema
from kohort.model.source import BatchReport

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.context import ContextSeries
    from kohort.store.store import Store
    from kohort.workspace.workspace import Workspace

Last = dict[int, tuple[int, int]]
"""Customer → the moment of her last figure, and the figure in millionths."""


def note(ws: Workspace, as_of: int) -> dict[str, Any]:
    """Notes for every customer what is known at a moment where she is, of the series that rules may name. What was noted already, and is
    new enough, is not noted again, so that it may run as often as you like.

    Returns:
        `{"as_of", "noted", "features": {name: customers}}`.

    Raises:
        WrongUsage: Rules may name no series.
    """
    series = [one for one in ws.config.context if one.rules_s]
    if not series:
        raise WrongUsage("Rules may name no series.", hint="Write under context: for example rules: 2 days")
    store = ws.store
    store.log.declare({SCORE_OF: "text", CONTEXT_VALUE: "number"})
    ids, columns = ws.context.values(series, as_of)
    last = _last(store, as_of)
    found: dict[str, dict[int, int]] = {}
    for one in series:
        for feature in one.features:
            found[feature.name] = _new(ids, columns[feature.name], last.get(feature.name, {}), as_of, one)
    noted = _write(store, found, as_of, ws.zone)
    return {"as_of": iso(as_of), "noted": noted, "features": {name: len(new) for name, new in found.items()}}


def _new(
    ids: Sequence[int], values: Sequence[float | None], last: Last, as_of: int, series: ContextSeries
) -> dict[int, int]:
    """Customer → figure in millionths, where it is another one than was noted, or that will soon be stale."""
    fresh_from = as_of - series.rules_s * 500_000  # half of the time for which a figure counts
    found = {}
    for customer, value in zip(ids, values, strict=True):
        if value is None:
            continue  # what is no longer known counts until it is stale
        figure = round(value * NUMBER_SCALE)
        had = last.get(customer)
        if had is None or had[1] != figure or had[0] <= fresh_from:
            found[customer] = figure
    return found


def _last(store: Store, as_of: int) -> dict[str, Last]:
    """Feature → the last figure noted for each customer up to a moment."""
    found: dict[str, Last] = {}
    for table in _pieces(store):
        mine = table.filter(_asked(table, as_of))
        rows = (mine.column(name).to_pylist() for name in (SCORE_OF, "customer", "ts", CONTEXT_VALUE))
        for of, customer, ts, figure in zip(*rows, strict=True):
            hers = found.setdefault(of.removeprefix(CONTEXT_OF), {})
            if customer not in hers or ts >= hers[customer][0]:
                hers[customer] = ts, figure
    return found


def _asked(table: pa.Table, as_of: int) -> Any:
    import pyarrow.compute as pc

    named = pc.starts_with(table.column(SCORE_OF), CONTEXT_OF)
    dated = pc.and_(pc.less_equal(table.column("ts"), as_of), pc.is_valid(table.column(CONTEXT_VALUE)))
    return pc.and_(pc.fill_null(named, False), dated)


def _pieces(store: Store) -> Iterator[pa.Table]:
    from kohort.store.base import columns_of

    shot = store.log.snapshot()
    schema, names = event_schema(shot.columns), ("customer", "ts", SCORE_OF, CONTEXT_VALUE)
    for paths in shot.files.values():
        for path in paths:
            yield columns_of(Path(path), names, schema)
    if shot.hot is not None:
        yield shot.hot.select(names)


def _write(store: Store, found: Mapping[str, Mapping[int, int]], as_of: int, zone: str) -> int:
    import pyarrow as pa

    from kohort.store.told import told

    rows = [(name, customer, figure) for name, new in found.items() for customer, figure in new.items()]
    if not rows:
        return 0
    with store.write_lock():
        there = store.vault.there([customer for _, customer, _ in rows])  # somebody may have been erased meanwhile
        kept = [row for row, is_there in zip(rows, there, strict=True) if is_there]
        batch = store.state.begin_batch(SCORE, "context")
        ids = [f"context-{batch:012d}-{n:08d}" for n in range(len(kept))]
        said = {
            SCORE_OF: pa.array([CONTEXT_OF + name for name, _, _ in kept], pa.string()),
            CONTEXT_VALUE: pa.array([figure for _, _, figure in kept], pa.int64()),
        }
        customers = [customer for _, customer, _ in kept]
        now = time.time_ns() // 1_000
        done = store.log.append(told(SCORE, ids, customers, said, at=as_of, now=now, zone=zone), batch=batch)
        store.state.finish_batch(
            BatchReport(SCORE, "context", batch, len(kept), done.stored, len(kept) - done.stored, 0)
        )
    return done.stored
