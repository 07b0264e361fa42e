"""A plain table of purchases as an event log in memory: the same reading as for a workspace, and nothing is kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kohort.errors import BadInput, NeedsAnswer, WrongUsage
from kohort.ingest.files import expand
from kohort.ingest.look import look
from kohort.ingest.normalise import Normaliser
from kohort.ingest.notation import Notation
from kohort.ingest.readers import open_reader
from kohort.model.event import ORDER_LINE
from kohort.model.progress import Progress, silent
from kohort.model.snapshot import Snapshot
from kohort.model.source import CsvFormat, SourceMapping

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.ingest.chunk import Reader
    from kohort.ingest.files import SourceFile

BUCKETS = 16


@dataclass(frozen=True, slots=True)
class Transactions:
    """What was read.

    Attributes:
        snapshot: The purchases as order lines of goods; customers are numbered from 1 in order of appearance.
        ids: What the table calls them: that of customer n stands at n − 1.
        first, last: Instants of the first and the last purchase, microseconds UTC.
        read: Rows of the table.
        left_out: Why rows could not be used → how many.
    """

    snapshot: Snapshot
    ids: tuple[str, ...]
    first: int
    last: int
    read: int
    left_out: dict[str, int]


def read_transactions(
    path: str | Path,
    *,
    id: str,  # noqa: A002
    date: str,
    amount: str | None = None,
    answers: Mapping[str, Any] | None = None,
    currency: str = "EUR",
    progress: Progress = silent,
) -> Transactions:
    """Reads a table with one row per purchase.

    Args:
        path: CSV, Excel, JSON lines or Parquet.
        id: Column that says who bought.
        date: Column that says when.
        amount: Column of the money; None = it is not known.
        answers: What the table cannot say itself: "day_first", "decimal", "time_format".
        currency: Of the amounts.
        progress: Told the rows.

    Raises:
        BadInput: A column is missing, or no row can be used.
        NeedsAnswer: Dates or numbers can be read in more than one way.
    """
    files = expand([path])
    if len(files) != 1:
        raise WrongUsage("Transactions come from one file.", hint="Put several files into a workspace: kohort ingest")
    mapping = _mapping(
        files[0], {"customer": id, "time": date, **({"amount": amount} if amount else {})}, answers or {}
    )
    reader = open_reader(files[0], csv=mapping.csv)
    reader.verify()
    numbers, left_out, read = _Numbers(), Counter[str](), 0
    parts: list[pa.Table] = []
    for table, refused, rows in _events(reader, mapping, numbers, currency):
        if table is not None and table.num_rows:
            parts.append(table)
        left_out.update(refused)
        read += rows
        progress(f"Reading {files[0].name}", read, reader.rows)
    return _as_log(parts, numbers, read, {code: n for code, n in sorted(left_out.items()) if n}, files[0].name)


def _mapping(file: SourceFile, columns: dict[str, str], answers: Mapping[str, Any]) -> SourceMapping:
    """How the columns are written; asks where that cannot be told from them."""
    reader = open_reader(file)
    looks = look(reader)
    names = [c.name for c in looks]
    if not looks:
        raise BadInput("The file has a header but no rows.", place=file.name, code="no_rows")
    for name in columns.values():
        if name not in names:
            hint = f"Its columns are: {', '.join(names[:12])}."
            raise BadInput(f"The file has no column {name!r}.", place=file.name, code="mapping_does_not_fit", hint=hint)
    wanted = [c for c in looks if c.name in columns.values()]
    written: CsvFormat | None = getattr(getattr(reader, "layout", None), "format", None)
    questions: list[str] = []
    notation = Notation([reader], wanted, answers, written, questions)
    time_format, day_first = notation.time_format(columns["time"])
    decimal = notation.decimal(columns)
    if questions:
        raise NeedsAnswer(
            f"{file.name} can be read in more than one way.",
            questions,
            hint="Answer with --day-first, --month-first, --decimal or --time-format.",
        )
    plain = written is None or (decimal == "." and written.has_header)
    return SourceMapping(
        "transactions",
        "orders" if "amount" in columns else "events",
        columns,
        time_format=time_format,
        day_first=day_first,
        event="" if "amount" in columns else ORDER_LINE,
        csv=None if plain or written is None else replace(written, decimal=cast("Any", decimal)),
    )


def _events(
    reader: Reader, mapping: SourceMapping, numbers: _Numbers, currency: str
) -> Iterator[tuple[pa.Table | None, Counter[str], int]]:
    """(events, why rows were refused, rows) of each chunk."""
    import pyarrow.compute as pc

    from kohort.engines.duck import connect
    from kohort.ingest.events import EventMaker
    from kohort.ingest.rates import Rates

    normaliser = Normaliser.of(mapping, reader, currency)
    with connect(folders=()) as con:
        maker = EventMaker(
            mapping,
            con=con,
            vault=numbers,
            zone="UTC",
            currency=currency,
            overrides={},
            now=time.time_ns() // 1_000,
            rates=Rates(),
            judged={},
        )
        for chunk in reader.chunks(normaliser.wanted):
            typed, codes = maker.instants(normaliser.typed(con, chunk))
            refused = Counter(code for code in codes.to_pylist() if code is not None)
            refused.update(r.code for r in chunk.refused)
            good = typed.filter(codes.is_null())
            events = None
            if good.num_rows:
                made = maker.events(good)
                events = made.filter(pc.is_valid(made.column("customer")))
                refused["no_customer"] += len(made) - len(events)
            yield events, refused, len(codes) + len(chunk.refused)


def _as_log(
    parts: Sequence[pa.Table], numbers: _Numbers, read: int, left_out: dict[str, int], name: str
) -> Transactions:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not parts:
        raise BadInput(
            "None of the rows can be used.", place=name, code="no_rows", hint="Check which columns were named."
        )
    events = pa.concat_tables(parts, promote_options="default")
    customer = events.column("customer").to_numpy()
    ours = {
        "event": pa.array([ORDER_LINE]).take(pa.array(np.zeros(len(events), np.int8))),
        "line_kind": pa.array(["goods"]).take(pa.array(np.zeros(len(events), np.int8))),
        "bucket": pa.array((customer % BUCKETS).astype(np.int32)),
    }
    kept = events.drop_columns([n for n in ours if n in events.column_names])
    for column, values in ours.items():
        kept = kept.append_column(column, values)
    span = pc.min_max(kept.column("ts")).as_py()
    log = Snapshot({}, hot=kept, version=name, buckets=BUCKETS)
    return Transactions(log, tuple(numbers.known), int(span["min"]), int(span["max"]), read, left_out)


@dataclass(slots=True)
class _Numbers:
    """Stands where a workspace has its vault: numbers customers as they come, and keeps nothing else."""

    known: dict[str, int] = field(default_factory=dict)

    def customers(self, refs: Sequence[str]) -> np.ndarray:
        return np.array([self.known.setdefault(ref, len(self.known) + 1) for ref in refs], np.int64)

    def erased_refs(self, refs: Sequence[str]) -> np.ndarray:
        return np.zeros(len(refs), bool)

    def seal(self, keys: np.ndarray, kind: str, values: Sequence[str]) -> None:
        del keys, kind, values

    def bot_ids(self, keys: Sequence[int]) -> list[str]:
        return [str(key) for key in keys]
