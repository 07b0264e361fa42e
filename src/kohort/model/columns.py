"""Columns of an Arrow table as plain arrays, and a sample of rows that does not depend on their order."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

FARTHEST = 1e100
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def values(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Numbers or flags as float64; null and ±infinity become NaN. The input is never changed.

    Numbers are cut at ±FARTHEST and set to 0 nearer than 1 / FARTHEST, so that their squares stay numbers.
    """
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    x: np.ndarray = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    size = np.abs(x)
    wild = (size > FARTHEST) | ((size < 1 / FARTHEST) & (size > 0))
    if not wild.any():
        return x
    tame = np.where(np.isinf(x), np.nan, np.clip(x, -FARTHEST, FARTHEST))
    return np.where(size < 1 / FARTHEST, 0.0, tame)


def absent(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """bool per row: null, or a number that is none."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.asarray(column.is_null())
    return np.asarray(np.isnan(values(column)))


def text_levels(column: pa.ChunkedArray | pa.Array, levels: Sequence[str]) -> list[np.ndarray]:
    """For each level a float64 array: 1 where the text is that level, else 0 (also where it is missing)."""
    import pyarrow.compute as pc

    return [pc.fill_null(pc.equal(column, level), False).cast("int8").to_numpy().astype(float) for level in levels]


def row_hashes(data: pa.Table, *, seed: int = 0) -> np.ndarray:
    """uint64 per row from its content alone: equal rows have equal hashes, in any order of rows."""
    h = np.full(data.num_rows, (seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name in sorted(data.column_names):
            h ^= _bits(data[name])
            h *= _MIX[0]
            h ^= h >> np.uint64(29)
            h *= _MIX[1]
            h ^= h >> np.uint64(32)
    return h


def row_sample(data: pa.Table, size: int, *, seed: int = 0) -> np.ndarray:
    """Row numbers of a systematic sample in a pseudo-random order that depends on the rows' content and the seed only.

    Equal rows stand together in that order and are taken in proportion, so many ties cannot bias the sample.
    """
    order = np.argsort(row_hashes(data, seed=seed), kind="stable")
    if len(order) <= size:
        return order
    return order[(np.arange(size) * len(order)) // size]


def _bits(column: Any) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        codes = column.combine_chunks().dictionary_encode()
        if isinstance(codes, pa.ChunkedArray):
            codes = codes.combine_chunks()
        words = np.array([zlib.crc32((v or "").encode()) for v in codes.dictionary.to_pylist()] + [7], dtype=np.uint64)
        places = codes.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
        return np.asarray(words[places])
    x = np.ascontiguousarray(values(column)) + 0.0  # −0.0 and 0.0 are one number
    return np.asarray(np.where(np.isnan(x), np.nan, x)).view(np.uint64)
