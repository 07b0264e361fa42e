"""Looking for people in every file of a workspace, whatever it is packed in or sealed with.

Bytes alone prove nothing: compressed and sealed files never show what is in them. So each file is searched as it lies there,
and everything that can be unpacked is unpacked: Parquet and Arrow, the tables of SQLite, archives, requests in the journal,
rejected rows and the vault, which are opened with the workspace's own key. People who are still there are looked for along
with the others: a search that does not find them proves nothing.
"""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kohort.errors import KohortError
from kohort.trust.needles import Needles

if TYPE_CHECKING:
    from kohort.store.store import Store

_CONTROLS = 5
_VALUES = 50_000
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found.

    Attributes:
        file: Below the workspace.
        packed: What it was unpacked from: "" = as it lies there, "parquet", "sqlite", "journal", "vault", …
        needle: Which text or number, counted from 0, texts first.
    """

    file: str
    packed: str
    needle: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search found.

    Attributes:
        files, bytes: What was searched.
        unpacked: Kind → how many pieces of it were unpacked.
        hits: Each text or number once per file and kind of packing.
        controls: How many people who are still there were looked for …
        controls_found: … and how many of them were found.
        short: Texts that were too short to be looked for.
    """

    files: int
    bytes: int
    unpacked: dict[str, int]
    hits: tuple[Hit, ...]
    controls: int
    controls_found: int
    short: int

    @property
    def proves(self) -> bool:
        """Whether finding nothing means something: whoever is there was found."""
        return self.controls == self.controls_found

    def as_dict(self) -> dict[str, Any]:
        """The result as the command line prints it; a text that was looked for is told by its number only."""
        found = [{"file": h.file, "in": h.packed or "file", "value": h.needle + 1} for h in self.hits]
        control = {"wanted": self.controls, "found": self.controls_found}
        facts = {"files": self.files, "hits": len(self.hits), "found": found, "bytes": self.bytes}
        return {**facts, "unpacked": self.unpacked, "control": control, "too_short": self.short}


def scan(store: Store, texts: Sequence[str] = (), numbers: Sequence[int] = ()) -> Scan:
    """Looks for identifiers and pseudonyms in every file of a workspace.

    Args:
        texts: Identifiers as people write them. Those of fewer than six bytes stand everywhere and are not looked for.
        numbers: Pseudonyms.
    """
    controls = [number for number in _somebody(store) if number not in set(numbers)]
    return _Scanner(store, Needles(texts, [*numbers, *controls]), len(texts) + len(numbers)).run()


def _somebody(store: Store) -> list[int]:
    """Some people who are there: of events, where there are any."""
    shot = store.log.snapshot()
    tables = [] if shot.hot is None else [shot.hot]
    for paths in shot.files.values():
        tables += [pq.ParquetFile(path).read_row_group(0, columns=["customer"]) for path in paths[:1]]
    people = {number for table in tables for number in table.column("customer").drop_null().unique().to_pylist()}
    return sorted(people)[:_CONTROLS]


class _Scanner:
    def __init__(self, store: Store, needles: Needles, wanted: int) -> None:
        self._store, self._needles, self._wanted = store, needles, wanted
        self._hits: set[Hit] = set()
        self._unpacked: dict[str, int] = {}

    def run(self) -> Scan:
        files = [path for path in sorted(self._store.root.rglob("*")) if path.is_file()]
        size = 0
        for path in files:
            try:
                size += self._file(path)
            except FileNotFoundError:
                continue  # replaced meanwhile
        self._sealed()
        controls = len(self._needles.texts) + len(self._needles.numbers) - self._wanted
        seen = {hit.needle for hit in self._hits if hit.needle >= self._wanted}
        hits = sorted((h for h in self._hits if h.needle < self._wanted), key=lambda h: (h.file, h.packed, h.needle))
        return Scan(len(files), size, self._unpacked, tuple(hits), controls, len(seen), self._needles.short)

    def _file(self, path: Path) -> int:
        name = path.relative_to(self._store.root).as_posix()
        self._look(name, "", name.encode())
        size = path.stat().st_size
        if not size:
            return 0
        data = memoryview(path.read_bytes())
        self._look(name, "", data)
        if bytes(data[:16]) == b"SQLite format 3\0":
            self._database(name, path)
        else:
            self._unpack(name, data, 0)
        return size

    def _look(self, name: str, packed: str, data: bytes | memoryview) -> None:
        self._hits |= {Hit(name, packed, needle) for needle in self._needles.found_in(data)}

    # -- packed ----------------------------------------------------------------------------------------------------

    def _unpack(self, name: str, data: memoryview, depth: int) -> None:
        """Searches what is inside some bytes, if they are a format that packs."""
        head = bytes(data[:8])
        if depth > _DEEPEST:
            return
        try:
            if head[:4] == b"PAR1":
                self._tables(name, "parquet", _row_groups(data))
            elif head[:4] == b"\xff\xff\xff\xff" or head[:6] == b"ARROW1":
                opened = pa.ipc.open_file if head[:6] == b"ARROW1" else pa.ipc.open_stream
                with opened(pa.py_buffer(data)) as reader:
                    self._tables(name, "arrow", iter([reader.read_all()]))
            elif head[:2] == b"\x1f\x8b":
                self._inner(name, "gzip", gzip.decompress(data), depth)
            elif head[:4] == b"\x28\xb5\x2f\xfd":
                with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
                    self._inner(name, "zstd", stream.read(), depth)
            elif head[:4] == b"PK\x03\x04":
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    for inside in archive.namelist():
                        self._inner(name, "zip", archive.read(inside), depth)
        except (pa.ArrowException, OSError, zipfile.BadZipFile, EOFError):
            return  # only its beginning looks like it

    def _inner(self, name: str, kind: str, data: bytes, depth: int) -> None:
        self._count(kind)
        self._look(name, kind, data)
        self._unpack(name, memoryview(data), depth + 1)

    def _tables(self, name: str, kind: str, tables: Iterator[pa.Table]) -> None:
        for table in tables:
            self._count(kind)
            for column in table.columns:
                for chunk in column.chunks:
                    for buffer in _buffers(chunk):
                        self._look(name, kind, buffer)

    def _database(self, name: str, path: Path) -> None:
        """Every value of every table: in the file long ones lie in pieces, and blobs are packed."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
            tables = [row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                cursor = con.execute(f'SELECT * FROM "{table}"')
                while rows := cursor.fetchmany(_VALUES):
                    self._count("sqlite")
                    values = [value for row in rows for value in row if value is not None]
                    self._look(name, "sqlite", b"\0".join(map(_bytes, values)))
                    for blob in (value for value in values if isinstance(value, bytes) and len(value) > 64):
                        self._unpack(name, memoryview(blob), 1)

    # -- sealed ----------------------------------------------------------------------------------------------------

    def _sealed(self) -> None:
        """What only the workspace's key opens."""
        store = self._store
        for row in store.state.every_rejected():
            self._count("rejected row")
            self._look("state.db", "rejected row", json.dumps(row.raw, ensure_ascii=False).encode())
        self._vault()
        try:
            self._journal()
        except KohortError:
            return  # none, or its file went meanwhile; `verify` is for damage

    def _vault(self) -> None:
        store = self._store
        with closing(sqlite3.connect(f"file:{store.root / 'vault.db'}?mode=ro", uri=True)) as con:
            people = [row[0] for row in con.execute("SELECT customer FROM person")]
            known = [row[0] for row in con.execute("SELECT DISTINCT customer FROM identity")]
        for start in range(0, len(people), _VALUES):
            refs = store.vault.refs(people[start : start + _VALUES])
            self._count("vault")
            self._look("vault.db", "vault", "\0".join(ref for ref in refs if ref).encode(errors="surrogatepass"))
        for customer in [*known, *(person for person in people if person < 0)]:
            try:
                told = store.vault.open_person(customer)
            except KohortError:
                continue  # erased meanwhile
            texts = [text for values in told.values() for text in values]
            self._look("vault.db", "vault", "\0".join(texts).encode(errors="surrogatepass"))

    def _journal(self) -> None:
        if not (self._store.root / "journal").exists():
            return
        journal = self._store.journal_to_read()
        after = journal.first - 1
        while frames := journal.read(after, 1 << 22):
            for frame in frames:
                self._count("journal")
                self._look("journal", "journal", json.dumps(frame.meta).encode() + b"\0" + frame.body)
                self._unpack("journal", memoryview(frame.body), 1)
            after = frames[-1].number

    def _count(self, kind: str) -> None:
        self._unpacked[kind] = self._unpacked.get(kind, 0) + 1


def _row_groups(data: memoryview) -> Iterator[pa.Table]:
    file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data)))
    return (file.read_row_group(group, use_threads=False) for group in range(file.num_row_groups))


def _buffers(array: pa.Array) -> Iterator[memoryview]:
    yield from (memoryview(buffer) for buffer in array.buffers() if buffer is not None and buffer.size)
    if pa.types.is_dictionary(array.type):
        yield from _buffers(array.dictionary)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return value.to_bytes(8, "big", signed=True) if -(1 << 63) <= value < 1 << 63 else b""
    return str(value).encode(errors="surrogatepass")
