"""Moves that were compared and written by other processes (Spark executors), checked before they count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kohort.errors import WrongUsage
from kohort.model.membership import Difference
from kohort.store.members.parts import Parts, Written
from kohort.store.members.tables import MOVES, STAYS

BLOCK_ROWS = 65_536
"""Files are checked in blocks, so that memory does not grow with them."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Moves of one definition as files.

    Files lie in a folder of `Members.staging`; texts may be plain.

    Attributes:
        name: The definition.
        version: Of its text.
        files: Parquet files with the columns of `tables.MOVES`; all rows of a customer are in one file, exits first.
        difference: What they say in counts of customers.
        after_run: `Members.latest_run` of the members that the moves begin with.
        backfill: See `kohort.model.membership.Transition`.
        restated: Files of who stays with another confidence or reason: also MOVES, the change 0.
        stays: File of the last stay of each customer and segment after these moves (`tables.STAYS`), sorted by customer:
            the next comparison begins with it. None = it is made when it is needed.
    """

    name: str
    version: int
    files: Sequence[Path]
    difference: Difference
    after_run: int
    backfill: bool = False
    restated: Sequence[Path] = ()
    stays: Path | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Files that check out, as parts to be added; empty ones are passed over."""

    moves: Sequence[Written]
    restated: Sequence[Written]
    stays: Written | None


def accepted(parts: Parts, one: Registered, as_of: int) -> Accepted:
    """What was written, read once.

    Raises:
        WrongUsage: A file is elsewhere, or holds something else than moves of this moment; counts disagree.
    """
    d = one.difference
    moves, balance = _moves(parts, one.files, as_of)
    restated, silent = _moves(parts, one.restated, as_of, restated=True)
    sound = (sum(w.rows for w in moves), balance, silent) == (d.entered + d.left + 2 * d.moved, d.entered - d.left, 0)
    stays = None
    if one.stays is not None:
        inside = sum(block.column("until").null_count for block in _in_order(_blocks(parts, one.stays, STAYS)))
        sound = sound and inside == d.entered + d.moved + d.stayed
        stays = parts.adopt(one.stays)
    if not sound:
        raise WrongUsage(f"The files of {one.name!r} hold other moves than the counts say.")
    return Accepted(moves, restated, stays)


def _moves(parts: Parts, files: Sequence[Path], as_of: int, *, restated: bool = False) -> tuple[list[Written], int]:
    """The files, and how many more entries than exits they hold."""
    balance, found = 0, []
    for path in files:
        for block in _blocks(parts, path, MOVES):
            if not _sound(block, as_of, restated=restated):
                raise _strange(path)
            balance += pc.sum(block.column("change")).as_py() or 0
        written = parts.adopt(path)
        found += [written] if written.rows else []
    return found, balance


def _blocks(parts: Parts, path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of a file."""
    if not path.resolve().is_relative_to(parts.folder.resolve()):
        raise WrongUsage("A file of moves lies outside the folder that was handed out for it.")
    texts, may_miss = {"segment", "reason"}, {"until", "confidence", "reason"}
    plain = pa.schema([(field.name, pa.string() if field.name in texts else field.type) for field in schema])
    try:
        for batch in pq.ParquetFile(path).iter_batches(BLOCK_ROWS):
            block = pa.table(batch).select(schema.names).cast(plain)
            if any(block.column(name).null_count for name in plain.names if name not in may_miss):
                raise _strange(path)
            yield block
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _strange(path) from error


def _in_order(blocks: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same, sorted by customer as everybody who reads stays expects."""
    last = np.empty(0, np.int64)
    for block in blocks:
        customer = np.append(last, block.column("customer").to_numpy())
        if (customer[1:] < customer[:-1]).any():
            raise WrongUsage("Stays that were written elsewhere are not sorted by customer.")
        last = customer[-1:]
        yield block


def _sound(rows: pa.Table, as_of: int, *, restated: bool) -> bool:
    """All at this moment, and odd numbers enter while even ones leave; a restatement carries the number of an entry."""
    odd = pc.equal(pc.bit_wise_and(rows.column("number"), 1), 1)
    expected = (0, None) if restated else (1, -1)
    change = pc.if_else(odd, *(pa.scalar(n, pa.int8()) for n in expected))
    fits = pc.and_(pc.equal(rows.column("at"), as_of), pc.equal(rows.column("change"), change))
    return not fits.null_count and pc.all(fits).as_py() is not False


def _strange(path: Path) -> WrongUsage:
    return WrongUsage(f"{path.name} does not hold moves of this moment.")
