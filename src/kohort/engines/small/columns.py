"""Columns: a numpy array with the places that are valid, or one scalar for all rows; texts as numbers of words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array = Any
"""A numpy array, or a numpy scalar that stands for every row."""


_MANY_WORDS = 500


class Unsupported(Exception):
    """An operation of a program that this engine does not know; never seen outside the engines."""


class HandOver(Exception):
    """Rows for which DuckDB has to answer; never seen outside the engines."""


class Column:
    """Whole numbers (int64), numbers (float64) or flags. `valid` None = everywhere; a flag that is not valid is False."""

    __slots__ = ("valid", "values")

    def __init__(self, values: Array, valid: Array | None = None) -> None:
        self.values, self.valid = values, valid

    def like(self, values: Array, valid: Array | None) -> Column:
        """Other rows of the same kind."""
        return Column(values, valid)


class Text(Column):
    """Texts: `values` are places in `words`. `distinct`: no word is there twice."""

    __slots__ = ("_words", "distinct")

    def __init__(self, values: Array, valid: Array | None, words: Any, *, distinct: bool = False) -> None:
        super().__init__(values, valid)
        self._words, self.distinct = words, distinct

    @property
    def words(self) -> np.ndarray:
        """As Python objects: made when somebody looks at them, since many texts are only counted."""
        if isinstance(self._words, pa.Array):
            self._words = as_objects(self._words.to_pylist())
        found: np.ndarray = self._words
        return found

    def compared(self, ufunc: Any, text: str) -> np.ndarray:
        """The words compared with one; many of them without making objects of them."""
        if isinstance(self._words, pa.Array) and len(self._words) > _MANY_WORDS and ufunc in (np.equal, np.not_equal):
            at = pc.index(self._words, pa.scalar(text, pa.string())).as_py()
            found = np.full(self.word_count, ufunc is np.not_equal)
            if at >= 0:
                found[at] = ufunc is np.equal
            return found
        return np.asarray(ufunc(self.words, text)).astype(bool, copy=False)

    @property
    def word_count(self) -> int:
        return len(self._words)

    def like(self, values: Array, valid: Array | None) -> Text:
        return Text(values, valid, self._words, distinct=self.distinct)


def as_objects(items: list[Any]) -> np.ndarray:
    """A one-dimensional array of Python objects, also of lists."""
    found = np.empty(len(items), object)
    found[:] = items
    return found


def both(a: Array | None, b: Array | None) -> Array | None:
    """Where two columns are valid."""
    if a is None:
        return b
    return a if b is None else a & b


def flag(values: Array, valid: Array | None) -> Column:
    """A column of flags."""
    return Column(values if valid is None else values & valid, valid)


def take(column: Column, index: np.ndarray | None, *, nullable: bool) -> Column:
    """Rows by place (None = all of them); with `nullable`, place -1 is a row of nothing."""
    if index is None:
        return column
    values, valid = column.values, column.valid
    if values.ndim == 0:
        values = np.broadcast_to(values, len(index))
        valid = None if valid is None else np.broadcast_to(valid, len(index))
        return column.like(values, valid) if not nullable else _without(column, values, valid, index >= 0)
    if not nullable:
        return column.like(values.take(index), None if valid is None else valid.take(index))
    there = index >= 0
    if not len(values):
        return column.like(np.zeros(len(index), values.dtype), there)
    return _without(column, values.take(index), None if valid is None else valid.take(index), there)


def _without(column: Column, values: Array, valid: Array | None, there: np.ndarray) -> Column:
    if valid is None and there.all():
        return column.like(values, None)
    valid = there if valid is None else there & valid
    return column.like(values & valid if values.dtype == np.bool_ else values, valid)


def rows_of(column: Column, rows: int) -> Column:
    """A column with a value per row."""
    if column.values.ndim and (column.valid is None or column.valid.ndim):
        return column
    valid = None if column.valid is None else np.broadcast_to(column.valid, rows)
    return column.like(np.broadcast_to(column.values, rows), valid)


def map_words(text: Text, change: Callable[[Any], Any]) -> Text:
    """Every text changed: each word once. A word that becomes None is nothing from then on."""
    words = as_objects([change(word) for word in text.words])
    lost = np.array([word is None for word in words], bool)
    valid = text.valid
    if lost.any():
        words[lost] = ""
        valid = both(valid, ~lost[text.values])
    return Text(text.values, valid, words)


def test_words(text: Text, test: Callable[[Any], bool]) -> Column:
    """Whether each text meets a test: each word once."""
    found = np.fromiter((test(word) for word in text.words), bool, text.word_count)
    return flag(found[text.values], text.valid)


def ranks(text: Text) -> np.ndarray:
    """The place of each row's text in order; equal texts have one place."""
    distinct, place = np.unique(text.words, return_inverse=True) if text.word_count else (None, np.zeros(0, np.int64))
    del distinct
    found: np.ndarray = place[text.values]
    return found


# Arrow ----------------------------------------------------------------------------------------------------------------


def array_of(column: pa.ChunkedArray) -> pa.Array:
    """The rows of a column in one piece."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def from_arrow(column: pa.ChunkedArray | np.ndarray) -> Column:
    """A column of a table: text, flags or whole numbers (also ready as numpy).

    Buffers are read as they lie: a kernel of Arrow per column would take longer than all the rest for few rows.

    Raises:
        HandOver: It is of another type.
    """
    if isinstance(column, np.ndarray):
        return Column(column)
    array = array_of(column)
    kind = array.type
    if pa.types.is_string(kind):
        coded = array.dictionary_encode()
        places = from_arrow_whole(coded.indices)
        words = coded.dictionary if len(coded.dictionary) else as_objects([""])
        return Text(places.values, places.valid, words, distinct=True)
    if pa.types.is_boolean(kind):
        valid = _valid(array)
        return flag(_bits(array.buffers()[1], array), valid)
    if pa.types.is_signed_integer(kind):
        return from_arrow_whole(array)
    raise HandOver


def from_arrow_whole(array: pa.Array) -> Column:
    """Whole numbers; 0 where there is none, so that nothing looks too large to add."""
    kind = np.dtype(array.type.to_pandas_dtype())
    values = np.frombuffer(array.buffers()[1], kind, array.offset + len(array)) if len(array) else np.zeros(0, kind)
    values = values[array.offset :].astype(np.int64, copy=False)
    valid = _valid(array)
    return Column(values if valid is None else np.where(valid, values, 0), valid)


def _valid(array: pa.Array) -> np.ndarray | None:
    return _bits(array.buffers()[0], array) if array.null_count else None


def _bits(buffer: pa.Buffer | None, array: pa.Array) -> np.ndarray:
    """Bits of a buffer as flags."""
    if buffer is None or not len(array):
        return np.zeros(len(array), bool)
    end = array.offset + len(array)
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8, (end + 7) // 8), count=end, bitorder="little")
    return bits[array.offset :].view(np.bool_)


def to_arrow(column: Column, rows: int, kind: pa.DataType) -> pa.Array:
    """A column of `rows` rows as Arrow."""
    column = rows_of(column, rows)
    absent = None if column.valid is None else ~column.valid
    if isinstance(column, Text):
        places = pa.array(column.values.astype(np.int64, copy=False), mask=absent)
        return pa.array(list(column.words), pa.string()).take(places)
    values = column.values.astype(kind.to_pandas_dtype(), copy=False)
    return pa.array(values, kind, mask=absent)
