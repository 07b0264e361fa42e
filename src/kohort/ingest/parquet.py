"""Reading Parquet: the footer first, then only the columns that are wanted, in batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kohort.errors import BadInput, TooLarge, UnreadableFile
from kohort.ingest.chunk import Chunk, Column
from kohort.ingest.limits import CHUNK_ROWS, FREE_UNPACKED_BYTES, MAX_COLUMNS, MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Brotli decoders have had out-of-bounds writes (CVE-2026-111497) and LZ4's old framing is ambiguous: a file that needs
# either is refused from its footer, before a byte is decompressed.
CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", "ZSTD", "GZIP"})


class ParquetReader:
    """Rows of one Parquet file. `columns` are its flat columns; nested ones cannot be used."""

    flexible = False
    decimal = "."

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path
        file = self._open()
        self.rows: int | None = file.metadata.num_rows
        self._check_footer(file)
        self.columns = tuple(Column(f.name, kind) for f in file.schema_arrow if (kind := _kind(f.type)) is not None)
        self.skipped = tuple(f.name for f in file.schema_arrow if _kind(f.type) is None)

    def verify(self) -> None:
        """Decode everything once, so that a broken page is found before the first row is stored.

        Raises:
            UnreadableFile: Some page cannot be decoded.
        """
        for _ in self.chunks():
            pass

    def chunks(self, wanted: Sequence[str] | None = None, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """All rows, in order; `lines` are record numbers from 1."""
        import pyarrow as pa

        names = [c.name for c in self.columns if wanted is None or c.name in wanted]
        kinds = {c.name: c.kind for c in self.columns}
        done = 0
        with self._open() as file:
            batches = file.iter_batches(batch_size=rows, columns=names, use_threads=False)
            while True:
                try:
                    batch = next(batches, None)
                    if batch is None:
                        break
                    table = pa.table({n: _plain(batch.column(n), kinds[n]) for n in names})
                except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
                    raise self._unreadable() from error
                lines = np.arange(done + 1, done + 1 + batch.num_rows, dtype=np.int64)
                done += batch.num_rows
                yield Chunk(table, lines)
        if done != self.rows:
            raise self._unreadable()

    def _open(self) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self._path, memory_map=False)
        except (pa.ArrowException, OSError, ValueError, MemoryError, NotImplementedError) as error:
            raise self._unreadable() from error

    def _check_footer(self, file: pq.ParquetFile) -> None:
        meta = file.metadata
        if meta.num_columns > MAX_COLUMNS:
            raise TooLarge(
                f"The file has {meta.num_columns:,} columns; at most {MAX_COLUMNS:,} are read.", place=self.name
            )
        names = file.schema_arrow.names
        if len(set(names)) != len(names):
            raise BadInput("Two columns have the same name.", place=self.name, code="duplicate_column")
        size = self._path.stat().st_size
        for group in range(meta.num_row_groups):
            unpacked = 0
            for column in range(meta.num_columns):
                chunk = meta.row_group(group).column(column)
                if chunk.compression not in CODECS:
                    raise BadInput(
                        f"The file is compressed with {chunk.compression}, which is not read for safety.",
                        place=self.name,
                        code="codec_not_allowed",
                        hint="Write it again with snappy, zstd, gzip or without compression.",
                    )
                unpacked += max(chunk.total_uncompressed_size, 0)
            if unpacked > MAX_UNPACKED_BYTES or unpacked > max(FREE_UNPACKED_BYTES, size * MAX_UNPACKED_RATIO):
                raise TooLarge("The file unpacks to far more than its size.", place=self.name)

    def _unreadable(self) -> UnreadableFile:
        return UnreadableFile(
            "The Parquet file is damaged, incomplete or encrypted.",
            place=self.name,
            hint="Export it again, or check that the copy is complete.",
        )


def _kind(kind: pa.DataType) -> str | None:
    """How normalising treats a column of this Arrow type; None for nested and binary columns."""
    import pyarrow.types as t

    if t.is_dictionary(kind):
        return _kind(kind.value_type)
    if (t.is_list(kind) or t.is_large_list(kind)) and _kind(kind.value_type) in ("text", "int"):
        return "text"  # as a JSON array, like lists of other files
    if t.is_timestamp(kind):
        return "instant" if kind.tz else "time"
    checks = (
        (t.is_string, "text"),
        (t.is_large_string, "text"),
        (t.is_integer, "int"),
        (t.is_floating, "float"),
        (t.is_decimal, "decimal"),
        (t.is_boolean, "bool"),
        (t.is_date, "time"),
        (t.is_null, "text"),
    )
    return next((name for check, name in checks if check(kind)), None)


def _plain(array: pa.Array, kind: str) -> pa.Array:
    """A column in the one Arrow type that normalising expects of its kind."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_dictionary(array.type):
        array = array.dictionary_decode()
    if t.is_list(array.type) or t.is_large_list(array.type):
        array = _as_json(array)
    match kind:
        case "text":
            text = array.cast(pa.string())
            # Parquet does not check that its texts are UTF-8; whoever reads them later would stumble.
            text.validate(full=True)
            return text
        case "int" if not t.is_uint64(array.type):
            return array.cast(pa.int64())
        case "int":
            return array.cast(pa.decimal128(20, 0))
        case "float":
            return array.cast(pa.float64())
        case "time" | "instant":
            # Nanoseconds are cut, never rounded up into the next moment.
            return array.cast(pa.timestamp("us"), safe=False)
        case _:
            return array


def _as_json(lists: pa.Array) -> pa.Array:
    """Lists as JSON arrays, the way files without types write them."""
    import pyarrow as pa

    return pa.array([None if x is None else json.dumps(x, ensure_ascii=False) for x in lists.to_pylist()], pa.string())
