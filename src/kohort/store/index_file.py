"""One file of the customer-major index: rows of a base file as records, and where instants lie in it; memory-mapped.

    arrays, one behind the other: of `Records`, and per time column `@<column>` its values in order and `#<column>` the
    row of each · what lies where, the words of codes, and a sum of every block (JSON) · its length and checksum

The file is derived from a base file and never the truth. `open_part` compares all of it with its sums before anything is
answered from it, so a torn or changed file is noticed and made anew. The sums find accidents, not forgers.
"""

from __future__ import annotations

import base64
import json
import secrets
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kohort.store.checks import WORD
from kohort.store.records import Layout, Records, as_records, one_array, worth_a_code

FORMAT = 1
_TAIL = struct.Struct("<QI8s")  # length of the footer, its CRC, magic
_MAGIC = b"KOHINDX1"
_ALIGNED = 64
_BLOCK_WORDS = 1 << 17
_ARRAYS = ("cells", "customers", "rows", "places", "texts")


@dataclass(frozen=True, slots=True)
class Part:
    """What one index file holds.

    Attributes:
        records: The rows.
        instants: Time column → (its values in order, int64; the row of each, int32); rows without a value are left out.
    """

    records: Records
    instants: dict[str, tuple[np.ndarray, np.ndarray]]

    def crossing(
        self, column: str, after: int, until: int, events: frozenset[str] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(customers, values) of the rows whose value lies in (after, until]."""
        values, rows = self.instants[column]
        start, end = np.searchsorted(values, (after, until), side="right").tolist()
        rows, found = rows[start:end], values[start:end]
        if events is not None and len(rows):
            names = self.records.words["event"].to_pylist()
            codes = [code for code, name in enumerate(names) if name in events]
            kept = np.isin(self.records.cells["event"][rows], codes)
            rows, found = rows[kept], found[kept]
        return self.records.owners(rows), np.array(found)


def write_part(path: Path, table: pa.Table, times: Iterable[str]) -> None:
    """Writes rows sorted by customer under a temporary name, then gives the file its own. Replaces what is there.

    It is not flushed: what a power cut leaves of it is noticed by `open_part` and made anew.
    """
    records = as_records(table, worth_a_code(table))
    arrays = {name: getattr(records, name) for name in _ARRAYS}
    for name in times:
        arrays[f"@{name}"], arrays[f"#{name}"] = _in_order(one_array(table.column(name)))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            places = {}
            for name, array in arrays.items():
                places[name] = (file.tell(), array.nbytes)
                array.tofile(file)
                file.write(bytes(-file.tell() % _ALIGNED))
            body = file.tell()
            file.flush()
            said = {
                "format": FORMAT,
                "name": path.name,
                "rows": table.num_rows,
                "bytes": body,
                "arrays": places,
                "words": {name: words.to_pylist() for name, words in records.words.items()},
                "sums": base64.b64encode(_sums(temporary, body).tobytes()).decode(),
            }
            footer = json.dumps(said).encode()
            file.write(footer + _TAIL.pack(len(footer), zlib.crc32(footer), _MAGIC))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_part(path: Path, schema: pa.Schema) -> Part | None:
    """The part in a file; None where the file is missing or does not check out. Reads the whole file once.

    Args:
        schema: Columns it was written with.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(size - _TAIL.size, 0))
            length, crc, magic = _TAIL.unpack(file.read())
            begin = size - _TAIL.size - length
            if magic != _MAGIC or begin < 0:  # a length that is damage may be more than any memory holds
                return None
            file.seek(begin)
            footer = file.read(length)
        if zlib.crc32(footer) != crc:
            return None
        said = json.loads(footer)
        if said["format"] != FORMAT or said["name"] != path.name or size != said["bytes"] + length + _TAIL.size:
            return None
        if base64.b64decode(said["sums"]) != _sums(path, said["bytes"]).tobytes():
            return None
        return _mapped(path, said, schema)
    except (OSError, struct.error, ValueError, KeyError, TypeError):
        return None


def _mapped(path: Path, said: dict, schema: pa.Schema) -> Part | None:  # type: ignore[type-arg]
    whole = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))  # plain: its own class makes every cut slow
    cut = {name: whole[start : start + length] for name, (start, length) in said["arrays"].items()}
    words = {name: pa.array(texts, pa.string()) for name, texts in said["words"].items()}
    layout = Layout(schema, frozenset(words))
    cells = cut["cells"].view(layout.dtype)
    customers, rows, places = (cut[name].view(np.int64) for name in ("customers", "rows", "places"))
    if len(cells) != said["rows"]:
        return None
    times = [name[1:] for name in cut if name.startswith("@")]
    instants = {name: (cut[f"@{name}"].view(np.int64), cut[f"#{name}"].view(np.int32)) for name in times}
    return Part(Records(layout, cells, customers, rows, places, cut["texts"], words), instants)


def _in_order(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The values of a time column in order, and the row of each."""
    rows = np.flatnonzero(np.asarray(column.is_valid()))
    values = np.asarray(column.drop_null())
    order = np.argsort(values)
    return values[order], rows[order].astype(np.int32)


def _sums(path: Path, size: int) -> np.ndarray:
    """One sum of words per block: any flipped bit, hole or cut shows, at the speed of reading memory."""
    if not size:
        return np.zeros(1, WORD)
    words = np.memmap(path, dtype=WORD, mode="r", shape=(size // 8,))
    even = len(words) // _BLOCK_WORDS * _BLOCK_WORDS
    blocks = words[:even].reshape(-1, _BLOCK_WORDS).sum(axis=1, dtype=WORD)
    return np.append(blocks, words[even:].sum(dtype=WORD))
