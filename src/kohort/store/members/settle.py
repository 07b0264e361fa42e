"""Parts of many ticks as few: a tick adds one however little happened, and every reader opens them all."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.ids import crowded
from kohort.store.lock import WriteLock
from kohort.store.members.parts import EVERY_NAME, Part, Parts

MOST_ROWS = 131_072
"""A part that has grown to so many rows is left alone."""

_AT_ONCE = 256
"""Parts that are joined at once, at most: the newest first."""


def settle(parts: Parts, lock: WriteLock) -> int:
    """Joins parts of ticks that follow each other, the newest first and geometrically; says how many went.

    Nothing that anybody reads changes: moves keep their numbers and their order.
    """
    with parts.database.read() as con:
        crowds = list(_crowds(con, parts))
        joined = [(crowd, parts.write(_whole(con, parts, crowd))) for crowd in crowds]
    if not joined:
        return 0
    if any(written.path for _, written in joined):
        parts.flush()
    with lock(), parts.database.write() as con:
        for crowd, written in joined:
            parts.replace(con, crowd, written)
    return sum(len(crowd) - 1 for crowd in crowds)


def _crowds(con: Connection, parts: Parts) -> Iterator[list[Part]]:
    """Parts to be joined: neighbours of one kind with no part of a definition's own between them."""
    table = schema.member_part
    own = sorted(con.execute(sa.select(table.c.id).where(table.c.name != EVERY_NAME)).scalars())
    where = [(bisect(own, part.id), part.kind, part.id, part) for part in parts.own(con, EVERY_NAME)]
    left = _AT_ONCE
    for _, some in groupby(sorted(where, key=itemgetter(0, 1, 2), reverse=True), key=itemgetter(0, 1)):
        small = _behind_the_large([part for *_, part in some][::-1])
        crowd = _newest_crowd(small)[-left:] if left else []
        if len(crowd) > 1:
            left -= len(crowd)
            yield crowd


def _newest_crowd(listed: list[Part]) -> list[Part]:
    """The newest parts that belong into one. Where many were left for later they lie behind a larger one by then."""
    rows = [part.rows for part in listed]
    for end in range(len(rows), 1, -1):
        if n := crowded(rows[:end]):
            return listed[end - n : end]
    return []


def _behind_the_large(listed: list[Part]) -> list[Part]:
    found: list[Part] = []
    for part in listed:
        found = [] if part.rows >= MOST_ROWS else [*found, part]
    return found


def _whole(con: Connection, parts: Parts, crowd: Sequence[Part]) -> pa.Table:
    return pa.concat_tables(parts.slice(con, part, 0, part.rows) for part in crowd).unify_dictionaries()
