"""Moves that were compared and written by other processes (Spark executors), checked before they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kohort.errors import WrongUsage
from kohort.model.membership import Difference
from kohort.store.members.parts import Parts, Written
from kohort.store.members.tables import MOVES


@dataclass(frozen=True, slots=True)
class Registered:
    """Moves of one definition as files.

    Attributes:
        name: The definition.
        version: Of its text.
        files: Parquet files in a folder of `Members.staging`, with the columns of `tables.MOVES` (texts may be plain);
            all rows of a customer are in one file.
        difference: What they say in counts of customers.
        after_run: `Members.latest_run` of the members that the moves begin with.
        backfill: See `kohort.model.membership.Transition`.
    """

    name: str
    version: int
    files: Sequence[Path]
    difference: Difference
    after_run: int
    backfill: bool = False


def accepted(parts: Parts, one: Registered, as_of: int) -> list[Written]:
    """The files as parts to be added; empty ones are passed over.

    Raises:
        WrongUsage: A file is elsewhere, or holds something else than moves of this moment; counts disagree.
    """
    rows = balance = 0
    found = []
    for path in one.files:
        if not path.resolve().is_relative_to(parts.folder.resolve()):
            raise WrongUsage("A file of moves lies outside the folder that was handed out for it.")
        balance += _balance(path, as_of)
        written = parts.adopt(path)
        rows += written.rows
        found += [written] if written.rows else []
    d = one.difference
    if (rows, balance) != (d.entered + d.left + 2 * d.moved, d.entered - d.left):
        raise WrongUsage(f"The files of {one.name!r} hold other moves than the counts say.")
    return found


def _balance(path: Path, as_of: int) -> int:
    """Entries minus exits of a file, read row group by row group."""
    total = 0
    wrong = WrongUsage(f"{path.name} does not hold moves of this moment.")
    try:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group).select(MOVES.names)
            plain = {"segment", "reason"}
            rows = rows.cast(pa.schema([(f.name, pa.string() if f.name in plain else f.type) for f in MOVES]))
            must = rows.select(["customer", "segment", "change", "number", "at"])
            if any(column.null_count for column in must.columns) or not _sound(rows, as_of):
                raise wrong
            total += pc.sum(rows.column("change")).as_py() or 0
    except (OSError, KeyError, pa.ArrowException) as error:
        raise wrong from error
    return total


def _sound(rows: pa.Table, as_of: int) -> bool:
    """All at this moment, and odd numbers enter while even ones leave."""
    odd = pc.equal(pc.bit_wise_and(rows.column("number"), 1), 1)
    change = pc.if_else(odd, pa.scalar(1, pa.int8()), pa.scalar(-1, pa.int8()))
    fits = pc.and_(pc.equal(rows.column("at"), as_of), pc.equal(rows.column("change"), change))
    return bool(pc.all(fits).as_py())
