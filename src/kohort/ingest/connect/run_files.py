"""Fetching files of a store: one after the other, each remembered when its rows are stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import KohortError
from kohort.ingest.chunk import Reader
from kohort.ingest.connect.run import Pulled, keep_position, read_position
from kohort.ingest.normalise import Normaliser
from kohort.ingest.readers import open_reader
from kohort.ingest.run import Session
from kohort.model.connection import Connection, Position
from kohort.model.source import BatchReport, IngestReport, SourceMapping

if TYPE_CHECKING:
    from kohort.ingest.sink import StoreSink


def pull_files(
    connection: Connection,
    *,
    mapping: SourceMapping | None,
    propose: Callable[[Reader], SourceMapping],
    begin: Callable[[SourceMapping], Session],
    store: StoreSink,
    folder: Path,
    now: int,
    again: bool = False,
) -> Pulled:
    """Store the rows of files that are new, or have changed since they were read.

    Args:
        mapping: How they become events; None = `propose` says, given the first.
        begin: Makes the session that reads with a mapping.
        folder: A private one, with room for the largest file.
        now: Our clock, µs UTC.
        again: Files that were read are read again; known rows count as duplicates.
    """
    from kohort.ingest.connect.objects import copied, listed

    position = Position(connection.digest) if again else read_position(store.state, connection)
    position = replace(position, complete=False)
    seen = dict(position.seen)
    batches: list[BatchReport] = []
    session: Session | None = None
    failed: KohortError | None = None
    try:
        with ExitStack() as stack:
            for one in listed(connection):
                if seen.get(one.name) == one.state:
                    continue
                with copied(connection, one, folder) as file:
                    csv, sheet = (mapping.csv, mapping.sheet) if mapping else (None, "")
                    reader = open_reader(file, csv=csv, sheet=sheet)
                    if session is None:
                        mapping = mapping or propose(reader)
                        session = stack.enter_context(begin(mapping))
                    assert mapping is not None
                    with store.write_lock():
                        batches.append(
                            session.rows(reader, Normaliser.of(mapping, reader, session.currency), file.name)
                        )
                        seen[one.name] = one.state
                        position = replace(position, seen=tuple(seen.items()), ran_us=now)
                        keep_position(store.state, connection, position)
    except KohortError as error:
        failed = error
    if failed is None:
        position = replace(position, complete=True, ran_us=now)
        keep_position(store.state, connection, position)
    return Pulled(connection, IngestReport(tuple(batches)), position, failed)
