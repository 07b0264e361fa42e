"""The head of each definition: its latest run, how many members there are now, and which moment they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from kohort.errors import NotFound
from kohort.store import schema
from kohort.store.members.position import read_position
from kohort.store.sealed import SealedTable

heads = SealedTable(schema.member_head)

HeadRow = Mapping[str, Any]
"""name, run, version, as_of, size, dropped."""


def heads_now(con: Connection) -> dict[str, HeadRow]:
    """The head of every name. Where the live loop keeps members current, its moment and its size count."""
    stored: dict[str, HeadRow] = {row["name"]: dict(row) for row in heads.all(con)}
    live = read_position(con)
    for name, head in live.heads.items():
        if name in stored and stored[name]["run"] == head.run and not stored[name]["dropped"]:
            as_of = max(stored[name]["as_of"], live.as_of)
            stored[name] = {**stored[name], "as_of": as_of, "size": head.size, "version": head.version}
    return stored


def known_head(known: Mapping[str, HeadRow], name: str) -> HeadRow:
    """The head of a name; NotFound where nothing was ever published under it."""
    if name not in known:
        raise NotFound("segmentation", name, [n for n, head in known.items() if not head["dropped"]])
    return known[name]


def put_head(con: Connection, head: Mapping[str, Any]) -> None:
    """Replaces the head of a name, inside the caller's transaction."""
    heads.delete(con, schema.member_head.c.name == head["name"])
    heads.insert(con, [head])
