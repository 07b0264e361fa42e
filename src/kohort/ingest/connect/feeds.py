"""Which part fetches which kind of connection. Loaded when it is used: dlt is heavy, and an extra."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kohort.ingest.connect.run import Fetch
from kohort.model.connection import Connection


def open_feed(connection: Connection, spend: Callable[[], None] = lambda: None) -> Fetch:
    """What gives the rows of an API or a table.

    Args:
        spend: Called before each request to an API.

    Raises:
        MissingExtra: The extra `sources` is not installed.
    """
    if connection.kind == "rest":
        from kohort.ingest.connect import rest

        return partial(rest.pages, connection, spend=spend)
    from kohort.ingest.connect import sql

    return partial(sql.pages, connection)
