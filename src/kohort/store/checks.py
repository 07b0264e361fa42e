"""Fast 64-bit digests of columns, for finding equal rows and for noticing flipped bits. Not a defence against forgers.

Everything works on whole columns: a loop over rows in Python would cost more than writing them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

WORD = np.dtype("<u8")
_FIRST = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xD6E8FEB86659FD93)
_NULL = np.uint64(0xA5A5_5A5A_C3C3_3C3C)
_SHIFT = np.uint64(32)
# Bytes of the last word of a text that belong to it: keep[3] keeps three.
_KEEP = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=WORD)


def mix(state: np.ndarray, word: np.ndarray) -> np.ndarray:
    """Folds one 64-bit word per row into one 64-bit state per row; every input bit reaches every output bit."""
    mixed: np.ndarray = (state ^ word) * _FIRST
    mixed ^= mixed >> _SHIFT
    mixed *= _SECOND
    mixed ^= mixed >> _SHIFT
    mixed *= _FIRST
    mixed ^= mixed >> _SHIFT
    return mixed


def text_digest(column: pa.Array, seed: int) -> np.ndarray:
    """uint64 digest of every text of a `string` column; null has a digest of its own."""
    import pyarrow.compute as pc

    n = len(column)
    if n == 0:
        return np.empty(0, dtype=WORD)
    _, offsets, data = column.buffers()
    edges = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + n + 1].astype(np.int64)
    start, length = edges[:-1], np.diff(edges)
    raw = np.frombuffer(data, dtype=np.uint8)[: edges[-1]] if data is not None else np.empty(0, np.uint8)
    padded = np.concatenate([raw, np.zeros(8, np.uint8)])
    # One 8-byte word may begin at any byte: an overlapping view, read at the places we need.
    words = np.ndarray((len(padded) - 7,), dtype=WORD, buffer=padded.data, strides=(1,))
    state = mix(np.full(n, seed, dtype=WORD), length.astype(WORD))
    for at in range(0, int(length.max()), 8):
        here = np.flatnonzero(length > at)
        left = np.minimum(length[here] - at, 8)
        state[here] = mix(state[here], words[start[here] + at] & _KEEP[left])
    if column.null_count:
        state[np.asarray(pc.is_null(column))] = _NULL
    return state


def number_words(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """An int64 column as uint64 words (null = 0) and its validity as 0/1 words."""
    import pyarrow.compute as pc

    valid = np.asarray(pc.is_valid(column)).astype(WORD)
    return np.asarray(pc.fill_null(column, 0)).astype(np.int64).view(WORD), valid


def row_digest(columns: list[pa.Array], seed: int) -> np.ndarray:
    """uint64 digest of every row over `string` and integer columns, in the order given."""
    import pyarrow as pa

    state = np.full(len(columns[0]), seed, dtype=WORD)
    for column in columns:
        if pa.types.is_string(column.type):
            state = mix(state, text_digest(column, seed))
        else:
            word, valid = number_words(column)
            state = mix(mix(state, word), valid)
    return state
