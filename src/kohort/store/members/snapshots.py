"""Stays of one name: the fold of its moves, with a snapshot of the fold so that reading does not grow with history.

The snapshot is never the truth: it can be made again from the moves at any time, and `check` compares both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from sqlalchemy.engine import Connection

from kohort.errors import Damaged
from kohort.store.members.fold import OPEN, fold, latest, untils
from kohort.store.members.parts import EVERY_NAME, Part, Parts, Span
from kohort.store.members.tables import DATED, MOVES, STAYS, numbers, text_codes, together

GROWN = 0.2
"""With more rows since the last snapshot than this share of it there is a new one."""


def stays(
    parts: Parts,
    con: Connection,
    name: str,
    *,
    since: int | None = None,
    span: Span | None = None,
    before: int | None = None,
) -> pa.Table:
    """Stays (STAYS), the last of each customer and segment.

    Args:
        since: Also all stays that lasted at this moment or later, though a later one followed.
        span: Of these customers only.
        before: What parts with a lower number say.
    """
    listed = [part for part in parts.of(con, name) if before is None or part.id < before]
    base = _base(listed)
    if base is not None and since is not None and since < base.as_of:
        base = None
    later = [part for part in listed if part.kind != "stays" and (base is None or part.id > base.id)]
    earlier = None if base is None else parts.table(con, base, name, span=span)
    found = fold([parts.table(con, part, name, span=span) for part in later], earlier)
    return latest(found) if since is None else found


def stays_of(parts: Parts, con: Connection, names: Sequence[str]) -> dict[str, pa.Table]:
    """As `stays` for several names. What ticks tell of them all is opened once, and not once for each."""
    own = {name: parts.own(con, name) for name in names}
    bases = {name: _base(own[name]) for name in names}
    since = min((0 if base is None else base.id for base in bases.values()), default=0)
    of_ticks = parts.of_ticks(con, since)
    found = {}
    for name, base in bases.items():
        start = 0 if base is None else base.id
        later = [part for part in own[name] if part.kind != "stays" and part.id > start]
        told, at = of_ticks.get(name, (DATED.empty_table(), np.empty(0, np.int64)))
        edges = [*np.searchsorted(at, [start, *(part.id for part in later)], "right").tolist(), len(at)]
        tables = [told.slice(edges[0], edges[1] - edges[0])]
        for part, begin, end in zip(later, edges[1:-1], edges[2:], strict=True):
            tables += [parts.table(con, part, name), told.slice(begin, end - begin)]
        found[name] = latest(fold(tables, None if base is None else parts.table(con, base, name)))
    return found


def due(parts: Parts, con: Connection, names: Sequence[str]) -> list[str]:
    """Those names whose snapshot is worth being made anew, for what was added since."""
    of_ticks = parts.own(con, EVERY_NAME)
    return [name for name in names if _is_due(parts, con, name, of_ticks)]


def _is_due(parts: Parts, con: Connection, name: str, of_ticks: Sequence[Part]) -> bool:
    listed = sorted([*parts.own(con, name), *of_ticks], key=lambda part: part.id)
    base = _base(listed)
    # Without a snapshot the first part is as good as one: everybody enters.
    start, size = (base.id, base.rows) if base else (listed[0].id, listed[0].rows) if listed else (0, 0)
    # Restatements outlive snapshots that came with their run; a new one keeps the last of each entry only.
    added = [part for part in listed if part.id > start or part.kind == "restated"]
    enough = max(parts.few_rows, GROWN * size)
    if len(added) <= parts.most_parts and sum(part.rows for part in added if part.id > start) <= enough:
        return False
    # Parts of ticks tell of all definitions: what counts is what they tell of this one.
    own = {part.id: rows for part in added if (rows := parts.rows_of(con, part, name))}
    return len(own) > parts.most_parts or sum(rows for id_, rows in own.items() if id_ > start) > enough


def refresh(parts: Parts, name: str, *, in_file: bool = False) -> None:
    """Makes a new snapshot of a name, while others may go on adding parts: its number is taken first, theirs are higher."""
    with parts.database.write() as con:
        number = parts.take_numbers(con, 2)

    def ask(con: Connection) -> tuple[list[Part], pa.Table, pa.Table]:
        listed = [part for part in parts.of(con, name) if part.id < number]
        now = stays(parts, con, name, before=number)
        said = [parts.table(con, part, name) for part in listed if part.kind == "restated"]
        return listed, now, _last_said(said)

    listed, now, said = parts.read(ask)
    if not listed:
        return
    facts = {"name": name, "run": listed[-1].run, "version": listed[-1].version, "backfill": False}
    facts["as_of"] = max(part.as_of for part in listed)
    restated = parts.write(said) if said.num_rows else None
    snapshot = parts.write(now, in_file=in_file)
    parts.flush()
    with parts.database.write() as con:
        # What the live loop said of other definitions stays; of this one it is in both, which says the same twice.
        parts.remove(con, [part for part in listed if part.kind != "moves" and part.name == name])
        if restated is not None:
            parts.add(con, restated, "restated", facts, number=number)
        parts.add(con, snapshot, "stays", facts, number=number + 1)


def check(parts: Parts, con: Connection, name: str, size: int) -> None:
    """Compares the moves of a name with its snapshot, and with the size that its head tells.

    Raises:
        Damaged: They disagree, or transitions of one customer and segment are not 1, 2, 3 …
    """
    listed = parts.of(con, name)
    whole = latest(fold([parts.table(con, part, name) for part in listed if part.kind != "stays"]))
    quick = stays(parts, con, name)
    sound = whole.num_rows == quick.num_rows and int((untils(quick) == OPEN).sum()) == size
    sound = sound and _plain(whole).equals(_plain(quick))
    moves = together([parts.table(con, p, name).select(MOVES.names) for p in listed if p.kind == "moves"], MOVES)
    if not (sound and _counted(moves)):
        raise Damaged(f"The memberships of {name!r} do not check out.", hint="Restore the workspace from a backup.")


def _base(listed: Sequence[Part]) -> Part | None:
    return next((part for part in reversed(listed) if part.kind == "stays"), None)


def _last_said(restated: list[pa.Table]) -> pa.Table:
    """Of restatements, older first, the last of each entry as one table of MOVES: past stays keep their reasons, too."""
    rows = together([table.select(MOVES.names) for table in restated], MOVES)
    customer, segment, number = numbers(rows, "customer"), text_codes(rows.column("segment")), numbers(rows, "number")
    order = np.lexsort((number, segment, customer))
    entry = np.stack([customer[order], segment[order], number[order]])
    last = np.append((np.diff(entry) != 0).any(axis=0), True)[: len(order)]
    return rows.take(pa.array(order[last]))


def _plain(found: pa.Table) -> pa.Table:
    """Stays in one order, texts without a dictionary."""
    texts = {"segment", "reason"}
    plain = pa.schema([(field.name, pa.string() if field.name in texts else field.type) for field in STAYS])
    return found.cast(plain).sort_by([("customer", "ascending"), ("segment", "ascending")]).combine_chunks()


def _counted(moves: pa.Table) -> bool:
    """Whether the transitions of each customer and segment are numbered 1, 2, 3 …, entries odd and exits even."""
    number = numbers(moves, "number")
    customer, segment = numbers(moves, "customer"), text_codes(moves.column("segment"))
    order = np.lexsort((number, segment, customer))
    pair = np.stack([customer[order], segment[order]])
    fresh = np.insert((np.diff(pair) != 0).any(axis=0), 0, True)[: len(order)]
    step = np.diff(number[order], prepend=0)
    counted = np.where(fresh, number[order] == 1, step == 1)
    return bool(counted.all() and (number % 2 == (numbers(moves, "change") == 1)).all())
