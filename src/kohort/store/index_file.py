"""One file of the customer-major index: rows of a base file as memory-mapped columns, and where instants lie in it.

    Arrow stream of the rows (one batch, sorted by customer, uncompressed; texts of few values as a dictionary)
    Arrow streams `@<column>`: the values of a time column sorted, and the row each belongs to
    what lies where, and a sum of every block (JSON) · its length and checksum

The file is derived from a base file and never the truth. `open_part` compares all of it with its sums before anything is
answered from it, so a torn or changed file is noticed and made anew. The sums find accidents, not forgers.
"""

from __future__ import annotations

import base64
import json
import secrets
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.store.checks import WORD

ALWAYS = ("customer", "ts", "event", "event_id")
"""Columns every index file has."""

FORMAT = 1
_TAIL = struct.Struct("<QI8s")  # length of the footer, its CRC, magic
_MAGIC = b"KOHINDX1"
_BLOCK_WORDS = 1 << 17
_SAMPLE = 4_096
_FEW = 512  # distinct texts among _SAMPLE of them; more are not worth a dictionary
_MOST = 32_767


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one index file, all of it memory-mapped.

    Attributes:
        rows: Sorted by customer. A column whose rows are all null is left out; texts may be dictionary-encoded.
        customers: Its customers, int64, one per row.
        sorted: Time column → (values in order, the row of each); rows without a value are left out.
    """

    rows: pa.RecordBatch
    customers: np.ndarray
    sorted: dict[str, tuple[np.ndarray, np.ndarray]]

    def of(self, customers: np.ndarray) -> pa.RecordBatch | None:
        """The rows of these customers (sorted, each once); None where there are none."""
        first = np.searchsorted(self.customers, customers, side="left")
        count = np.searchsorted(self.customers, customers, side="right") - first
        there = np.flatnonzero(count)
        if not len(there):
            return None
        if len(there) == 1:  # a slice copies nothing
            return self.rows.slice(int(first[there[0]]), int(count[there[0]]))
        first, count = first[there], count[there]
        before = np.cumsum(count) - count
        places = np.repeat(first - before, count) + np.arange(int(count.sum()))
        return self.rows.take(pa.array(places))

    def crossing(
        self, column: str, after: int, until: int, events: frozenset[str] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(customers, values) of the rows whose value lies in (after, until]."""
        values, rows = self.sorted[column]
        start, end = np.searchsorted(values, (after, until), side="right").tolist()
        places, found = rows[start:end], values[start:end]
        if events is not None and len(places):
            names = self.rows.column("event").take(pa.array(places))
            names = names.dictionary_decode() if pa.types.is_dictionary(names.type) else names
            kept = np.asarray(pc.is_in(names, value_set=pa.array(sorted(events), pa.string())))
            places, found = places[kept], found[kept]
        return self.customers[places], np.array(found)


def write_part(path: Path, table: pa.Table, times: Iterable[str]) -> None:
    """Writes rows sorted by customer under a temporary name, then gives the file its own. Replaces what is there.

    It is not flushed: what a power cut leaves of it is noticed by `open_part` and made anew.
    """
    whole = {name: _one(table.column(name)) for name in table.column_names}
    kept = {name: _few(name, column) for name, column in whole.items() if column.null_count < len(column)}
    sections = {"": pa.record_batch(list(kept.values()), names=list(kept))}
    sections |= {f"@{name}": _in_order(whole[name]) for name in times}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        places = {}
        with pa.OSFile(str(temporary), "wb") as sink:
            for name, batch in sections.items():
                start = sink.tell()
                with pa.ipc.new_stream(sink, batch.schema) as writer:
                    writer.write_batch(batch)
                places[name] = (start, sink.tell() - start)
                sink.write(bytes(-sink.tell() % 64))
            body = sink.tell()
        said = {"format": FORMAT, "rows": table.num_rows, "bytes": body, "sections": places}
        said["sums"] = base64.b64encode(_sums(temporary, body).tobytes()).decode()
        footer = json.dumps(said).encode()
        with temporary.open("ab") as file:
            file.write(footer + _TAIL.pack(len(footer), zlib.crc32(footer), _MAGIC))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_part(path: Path) -> Part | None:
    """The part in a file; None where the file is missing or does not check out. Reads the whole file once."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(size - _TAIL.size, 0))
            length, crc, magic = _TAIL.unpack(file.read())
            file.seek(max(size - _TAIL.size - length, 0))
            footer = file.read(length)
        if magic != _MAGIC or zlib.crc32(footer) != crc:
            return None
        said = json.loads(footer)
        body = said["bytes"]
        if said["format"] != FORMAT or size != body + length + _TAIL.size:
            return None
        if base64.b64decode(said["sums"]) != _sums(path, body).tobytes():
            return None
        return _mapped(path, said["sections"], said["rows"])
    except (OSError, struct.error, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _mapped(path: Path, sections: dict[str, Sequence[int]], rows: int) -> Part | None:
    with pa.memory_map(str(path)) as file:
        whole = file.read_buffer()
    batches = {}
    for name, (start, length) in sections.items():
        with pa.ipc.open_stream(whole.slice(start, length)) as reader:
            batches[name] = reader.read_next_batch()
    main = batches.pop("")
    if main.num_rows != rows:
        return None
    in_order = {name[1:]: (np.asarray(batch.column(0)), np.asarray(batch.column(1))) for name, batch in batches.items()}
    return Part(main, np.asarray(main.column("customer")), in_order)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _few(name: str, column: pa.Array) -> pa.Array:
    """A text column of few values as a dictionary: a fraction of the disk, and no slower to read."""
    if not pa.types.is_string(column.type) or name == "event_id":
        return column
    if len(pc.unique(column.drop_null().slice(0, _SAMPLE))) > _FEW:
        return column
    found = column.dictionary_encode()
    if len(found.dictionary) > _MOST:
        return column
    small = pa.int8() if len(found.dictionary) < 128 else pa.int16()
    return pa.DictionaryArray.from_arrays(found.indices.cast(small), found.dictionary)


def _in_order(column: pa.Array) -> pa.RecordBatch:
    """The values of a time column in order, each with its row."""
    rows = np.flatnonzero(np.asarray(column.is_valid())) if column.null_count else np.arange(len(column))
    values = np.asarray(column.drop_null() if column.null_count else column)
    order = np.argsort(values)
    return pa.record_batch(
        [pa.array(values[order], pa.int64()), pa.array(rows[order].astype(np.int32))], names=["value", "row"]
    )


def _sums(path: Path, size: int) -> np.ndarray:
    """One sum of words per block: any flipped bit, hole or cut shows, at the speed of reading memory."""
    if not size:
        return np.zeros(0, WORD)
    words = np.memmap(path, dtype=WORD, mode="r", shape=(size // 8,))
    even = len(words) // _BLOCK_WORDS * _BLOCK_WORDS
    blocks = words[:even].reshape(-1, _BLOCK_WORDS).sum(axis=1, dtype=WORD)
    return np.append(blocks, words[even:].sum(dtype=WORD))
