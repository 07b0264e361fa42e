"""Fetching: slice by slice, each stored with how far it reaches, so that an interruption costs a slice and nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from kohort.errors import BadInput, KohortError
from kohort.ingest.connect.marks import furthest
from kohort.ingest.connect.records import RecordsReader
from kohort.ingest.normalise import Normaliser
from kohort.ingest.run import Session
from kohort.ingest.zones import known_zone
from kohort.model.connection import Connection, Mark, Position
from kohort.model.progress import Progress, silent
from kohort.model.source import BatchReport, IngestReport, SourceMapping

if TYPE_CHECKING:
    from kohort.ingest.sink import StateSink, StoreSink

SLICE_ROWS = 60_000
"""Rows that are stored together: as dictionaries they weigh about 2 KB each. Twice as many took 670 MB in all."""

SLICE_SECONDS = 60.0
"""Rows that came are stored after so long, however few they are: slow APIs are interrupted often."""

Fetch = Callable[[Mark | None], Iterator[list[Any]]]
"""Pages of rows from a mark on; None = all there are."""

Propose = Callable[[RecordsReader], SourceMapping]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one run of a connection brought.

    Attributes:
        error: Why it ended early; what came before is stored. None = it came to its end.
        position: Where the next run begins.
    """

    connection: Connection
    report: IngestReport
    position: Position
    error: KohortError | None = None

    def as_dict(self) -> dict[str, Any]:
        counts = {k: v for k, v in self.report.as_dict().items() if k != "batches"}
        failed = None if self.error is None else self.error.as_dict()
        return {"name": self.connection.name, "source": self.connection.source, **counts, "error": failed}


def read_position(state: StateSink, connection: Connection) -> Position:
    """Where the next run of a connection begins; at the beginning where it was never run, or says something else now."""
    kept = state.bookmark(_bookmark(connection))
    if not isinstance(kept, dict) or kept.get("digest") != connection.digest:
        return Position(connection.digest)
    mark = None if kept["mark"] is None else Mark(**kept["mark"])
    return Position(**{**kept, "mark": mark, "seen": tuple(tuple(pair) for pair in kept["seen"])})


def keep_position(state: StateSink, connection: Connection, position: Position) -> None:
    """Keeps where the next run begins."""
    state.set_bookmark(_bookmark(connection), asdict(position))


def _bookmark(connection: Connection) -> str:
    return f"connection {connection.name}"


def pull(
    connection: Connection,
    fetch: Fetch,
    *,
    mapping: SourceMapping | None,
    propose: Propose,
    store: StoreSink,
    zone: str,
    currency: str,
    now: int,
    controls: Mapping[str, str] | None = None,
    progress: Progress = silent,
    again: bool = False,
    slice_rows: int = SLICE_ROWS,
    clock: Callable[[], float] = time.monotonic,
) -> Pulled:
    """Fetch what a connection has that is new, and store it as events.

    Rows that are known already count as duplicates, so that any run may be interrupted and any row may come again. The write
    lock is held while a slice is stored, never while we wait for others.

    Args:
        fetch: Gives the rows.
        mapping: How they become events; None = `propose` says, given the first rows.
        store, zone, currency, now, controls, progress: As for `ingest_files`.
        again: Begin at the beginning.
        slice_rows: Rows that are stored together.
        clock: Seconds, from any beginning.
    """
    position = Position(connection.digest) if again else read_position(store.state, connection)
    begun = position
    series: _Series | None = None
    batches: list[BatchReport] = []
    furthest_yet = position.mark
    failed: KohortError | None = None
    try:
        known_zone((mapping.zone if mapping else "") or zone)
        with closing(_slices(fetch(position.mark), slice_rows, clock)) as slices:
            for records in slices:
                reader = RecordsReader(connection.name, records, first=1 + sum(b.read for b in batches))
                if series is None:
                    chosen = mapping or propose(reader)
                    session = Session(
                        chosen,
                        store=store,
                        zone=zone,
                        currency=currency,
                        now=now,
                        controls=controls,
                        progress=progress,
                        numbered=False,
                    )
                    series = _Series(session, connection.name)
                if connection.since is not None:
                    furthest_yet = furthest(records, connection.since.column, furthest_yet, now=now)
                reaches = furthest_yet if _in_order(connection) else begun.mark
                position = replace(position, mark=reaches, complete=False, ran_us=now)
                with store.write_lock():
                    batches.append(series.store(reader))
                    keep_position(store.state, connection, position)
        _check_since(connection, batches, furthest_yet)
    except KohortError as error:
        failed = error
    finally:
        if series is not None:
            series.close()
    if failed is None:
        position = replace(position, mark=furthest_yet, complete=True, ran_us=now)
        keep_position(store.state, connection, position)
    return Pulled(connection, IngestReport(tuple(batches)), position, failed)


def _in_order(connection: Connection) -> bool:
    """Whether what was not given yet is newer than all that was: databases are asked for that, APIs may promise it."""
    return connection.kind == "table" or (connection.since is not None and connection.since.ascending)


def _check_since(connection: Connection, batches: Sequence[BatchReport], mark: Mark | None) -> None:
    if connection.since is not None and mark is None and any(b.read for b in batches):
        raise BadInput(
            f"No row has a time or a whole number at {connection.since.column!r}.",
            place=f"connection {connection.name}",
            code="bad_since",
            hint="Its rows are stored, but the next run would read all of them again. Check since: column.",
        )


class _Series:
    """The slices of one run: repeated lines are counted through all of them, as through one file."""

    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session.__enter__(), name
        self._maker = session.maker()
        self._normaliser: Normaliser | None = None

    def store(self, reader: RecordsReader) -> BatchReport:
        if self._normaliser is None:
            self._normaliser = Normaliser.of(self._session.mapping, reader, self._session.currency)
        report = self._session.rows(reader, self._normaliser, self._name, maker=self._maker)
        self._maker.notes.clear()
        return report

    def close(self) -> None:
        self._session.__exit__()


def _slices(pages: Iterator[list[Any]], rows: int, clock: Callable[[], float]) -> Generator[list[Any], None, None]:
    """Pages gathered to slices. Where fetching fails, what came before is given first."""
    held: list[Any] = []
    since = clock()
    try:
        for page in pages:
            held += page
            if held and (len(held) >= rows or clock() - since >= SLICE_SECONDS):
                yield held
                held, since = [], clock()
    except KohortError:
        if held:
            yield held
        raise
    if held:
        yield held
