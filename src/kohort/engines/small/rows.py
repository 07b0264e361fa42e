"""Operations on rows: which are in a group, in what order, and which belong to those of another table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from kohort.engines.small.columns import Column, HandOver, Text, as_objects, ranks, rows_of
from kohort.engines.small.values import largest

_EXACT = 2**53
"""Sums of whole numbers below it are exact in float64, which is the fastest way to add up groups."""

_LIMIT = 2**63
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


class Groups:
    """Rows in groups: the group of each row, how many groups there are, and a row of each."""

    __slots__ = ("count", "first", "ids")

    def __init__(self, ids: np.ndarray, count: int, first: np.ndarray) -> None:
        self.ids, self.count, self.first = ids, count, first


class Kept:
    """The rows that an aggregate looks at: their places (None = all) and their groups."""

    __slots__ = ("ids", "index")

    def __init__(self, index: np.ndarray | None, ids: np.ndarray) -> None:
        self.index, self.ids = index, ids


# Grouping -------------------------------------------------------------------------------------------------------------


def grouped(rows: int, *keys: Column) -> Groups:
    """The groups of equal keys; nothing is a key as well."""
    codes, size = _codes(rows_of(keys[0], rows))
    for key in keys[1:]:
        more, span = _codes(rows_of(key, rows))
        if size * span >= _LIMIT:
            codes, size = _dense(codes)
        codes, size = codes * span + more, size * span
    if size > 4 * rows + 1024:
        codes, size = _dense(codes)
    backwards = codes[::-1]
    first = np.full(size, -1)
    first[backwards] = np.arange(rows - 1, -1, -1)
    there = first >= 0
    if there.all():
        return Groups(codes, size, first)
    ids = (np.cumsum(there) - 1).take(codes) if rows else codes
    return Groups(ids, int(there.sum()), first[there])


def _codes(key: Column) -> tuple[np.ndarray, int]:
    """Whole numbers from 0 that are equal where keys are, and what they lie below."""
    if isinstance(key, Text):
        codes, size = (key.values, key.word_count) if key.distinct else (ranks(key), key.word_count)
    elif key.values.dtype == np.bool_:
        codes, size = key.values.astype(np.int64), 2
    elif key.values.dtype == np.int64:
        codes, size = _near(key.values)
    else:
        raise HandOver
    codes = codes.astype(np.int64, copy=False)
    return (codes, size) if key.valid is None else (np.where(key.valid, codes + 1, 0), size + 1)


def _near(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers that lie near each other are their own codes."""
    if not len(values):
        return values, 1
    low, high = int(values.min()), int(values.max())
    if high - low <= 4 * len(values) + 1024:
        return values - low, high - low + 1
    return _dense(values)


def _dense(values: np.ndarray) -> tuple[np.ndarray, int]:
    coded = pa.array(values).dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), max(len(coded.dictionary), 1)


# Aggregates -----------------------------------------------------------------------------------------------------------


def kept(groups: Groups, where: Column) -> Kept:
    """The rows where a condition is true."""
    index = rows_of(where, len(groups.ids)).values.nonzero()[0]
    return Kept(index, groups.ids.take(index))


def everything(groups: Groups) -> Kept:
    return Kept(None, groups.ids)


def _present(groups: Groups, rows: Kept, column: Column) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The groups and the values of the rows that have one, and where they lie (None = all rows)."""
    column = rows_of(column, len(groups.ids))
    values = column.values if rows.index is None else column.values.take(rows.index)
    if column.valid is None:
        return rows.ids, values, rows.index
    there = (column.valid if rows.index is None else column.valid.take(rows.index)).nonzero()[0]
    index = there if rows.index is None else rows.index.take(there)
    return rows.ids.take(there), values.take(there), index


def _groups_of(groups: Groups, ids: np.ndarray, index: np.ndarray | None) -> np.ndarray | None:
    """Which groups any of some rows belongs to (None = all of them; every group has rows)."""
    if index is None:
        return None
    found = np.zeros(groups.count, bool)
    found[ids] = True
    return None if found.all() else found


def count_rows(groups: Groups, rows: Kept) -> Column:
    return Column(np.bincount(rows.ids, minlength=groups.count))


def count_values(groups: Groups, rows: Kept, column: Column) -> Column:
    ids, _, _ = _present(groups, rows, column)
    return Column(np.bincount(ids, minlength=groups.count))


def total(groups: Groups, rows: Kept, column: Column) -> Column:
    """The sum; of nothing it is nothing.

    Raises:
        HandOver: It might not fit 64 bits.
    """
    ids, values, index = _present(groups, rows, column)
    valid = _groups_of(groups, ids, index)
    if values.dtype == np.float64:
        return Column(np.bincount(ids, values, groups.count), valid)
    bound = largest(values) * len(values)
    if bound < _EXACT:
        return Column(np.bincount(ids, values, groups.count).astype(np.int64), valid)
    if bound >= _LIMIT:
        raise HandOver
    sums = np.zeros(groups.count, np.int64)
    np.add.at(sums, ids, values)
    return Column(sums, valid)


def lowest(groups: Groups, rows: Kept, column: Column) -> Column:
    return _extreme(groups, rows, column, np.minimum)


def highest(groups: Groups, rows: Kept, column: Column) -> Column:
    return _extreme(groups, rows, column, np.maximum)


def _extreme(groups: Groups, rows: Kept, column: Column, ufunc: Any) -> Column:
    if isinstance(column, Text):
        return picked(groups, rows, column, _by_rank(column, len(groups.ids)), last=ufunc is np.maximum)
    ids, values, index = _present(groups, rows, column)
    if values.dtype != np.int64:
        raise HandOver
    found = np.full(groups.count, _LIMIT - 1 if ufunc is np.minimum else -_LIMIT, np.int64)
    ufunc.at(found, ids, values)
    there = _groups_of(groups, ids, index)
    if there is None:
        return Column(found)
    found[~there] = 0  # what is not there must not look too large to add
    return Column(found, there)


def _by_rank(column: Text, rows: int) -> np.ndarray:
    column_of_rows = rows_of(column, rows)
    assert isinstance(column_of_rows, Text)
    return np.argsort(ranks(column_of_rows), kind="stable")


def any_true(groups: Groups, rows: Kept, column: Column) -> Column:
    ids, values, index = _present(groups, rows, column)
    found = np.zeros(groups.count, bool)
    found[ids[values]] = True
    return Column(found, _groups_of(groups, ids, index))


def picked(groups: Groups, rows: Kept, column: Column, order: np.ndarray, *, last: bool) -> Column:
    """The value of the first or the last row of each group in an order, among rows that have a value."""
    column = rows_of(column, len(groups.ids))
    _, _, index = _present(groups, rows, column)
    if index is not None:
        chosen = np.zeros(len(groups.ids), bool)
        chosen[index] = True
        order = order[chosen[order]]
    place = np.full(groups.count, -1)
    ordered = order if last else order[::-1]
    place[groups.ids.take(ordered)] = ordered  # of several assignments to one place the last one stays
    there = place >= 0
    if not len(order):
        return column.like(np.zeros(groups.count, column.values.dtype), there)
    values = column.values.take(place)
    if there.all():
        return column.like(values, None)
    return column.like(values & there if values.dtype == np.bool_ else values, there)


# Order ----------------------------------------------------------------------------------------------------------------


def in_order(groups: Groups, first: Column, others: Sequence[Column | Later]) -> np.ndarray:
    """The rows in the order of their groups and, within a group, of some keys; the further ones only decide ties.

    Raises:
        HandOver: A key is nothing somewhere; engines put those first or last.
    """
    ids, key = groups.ids, _sortable(rows_of(first, len(groups.ids)))
    order = np.arange(len(ids)) if _is_sorted(ids, key) else np.lexsort((key, ids))
    if not others:
        return order
    along, within = key.take(order), ids.take(order)
    same = (along[1:] == along[:-1]) & (within[1:] == within[:-1])
    if not same.any():
        return order
    tied = np.zeros(len(ids), bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = tied.nonzero()[0]
    rows = order.take(places)
    deciding = [o.ranks(rows) if isinstance(o, Later) else _sortable(rows_of(o, len(ids))).take(rows) for o in others]
    order[places] = rows.take(np.lexsort((*reversed(deciding), key.take(rows), ids.take(rows))))
    return order


def _is_sorted(ids: np.ndarray, key: np.ndarray) -> bool:
    further, on = ids[1:] > ids[:-1], ids[1:] == ids[:-1]
    return bool((further | (on & (key[1:] >= key[:-1]))).all())


class Later:
    """A text that decides ties: read only for the rows that are tied."""

    __slots__ = ("index", "texts")

    def __init__(self, texts: pa.Array, index: np.ndarray | None) -> None:
        self.texts, self.index = texts, index

    def ranks(self, rows: np.ndarray) -> np.ndarray:
        """The places of some rows' texts in order."""
        places = rows if self.index is None else self.index.take(rows)
        if len(places) and (self.texts.null_count or places.min() < 0):
            raise HandOver
        texts = as_objects(self.texts.take(pa.array(places)).to_pylist())
        found: np.ndarray = np.unique(texts, return_inverse=True)[1]
        return found


def _sortable(key: Column) -> np.ndarray:
    if key.valid is not None and not key.valid.all():
        raise HandOver
    found: np.ndarray = ranks(key) if isinstance(key, Text) else key.values
    return found


def backwards(key: Column) -> Column:
    """A key whose order is the other way round."""
    if isinstance(key, Text):
        return Column(~ranks(key), key.valid)
    if key.values.dtype != np.int64:
        raise HandOver
    return Column(~key.values, key.valid)


class Frames:
    """Rows in the order of their groups and, within a group, of some keys."""

    __slots__ = ("begins", "groups", "order")

    def __init__(self, order: np.ndarray, groups: np.ndarray) -> None:
        self.order, self.groups = order, groups
        self.begins = np.ones(len(groups), bool)
        np.not_equal(groups[1:], groups[:-1], out=self.begins[1:])


def frames(groups: Groups, *keys: Column) -> Frames:
    order = in_order(groups, keys[0], keys[1:])
    return Frames(order, groups.ids.take(order))


def _back(frame: Frames, values: np.ndarray) -> np.ndarray:
    """Values along the order, at the places of their rows."""
    found = np.empty_like(values)
    found[frame.order] = values
    return found


def row_number(frame: Frames) -> Column:
    """0 for the first row of each group."""
    along = np.arange(len(frame.order))
    start = np.maximum.accumulate(np.where(frame.begins, along, 0)) if len(along) else along
    return Column(_back(frame, along - start))


def lag(frame: Frames, column: Column) -> Column:
    """The value of the row before in the group."""
    before = np.empty_like(frame.order)
    before[1:] = frame.order[:-1]
    before[frame.begins] = -1
    place = _back(frame, before)
    column = rows_of(column, len(place))
    valid = place >= 0
    values = column.values.take(place) if len(place) else column.values
    valid = valid if column.valid is None else valid & column.valid.take(place)
    return column.like(values & valid if values.dtype == np.bool_ else values, valid)


def highest_so_far(frame: Frames, column: Column) -> Column:
    """The greatest value of a row and those before it in the group."""
    column = rows_of(column, len(frame.order))
    if isinstance(column, Text) or column.values.dtype != np.int64:
        raise HandOver
    values = column.values.take(frame.order)
    valid = np.ones(len(values), bool) if column.valid is None else column.valid.take(frame.order)
    # The rank of a value above its group: no group is above one that comes after it. 0 is the rank of nothing.
    distinct, rank = np.unique(values, return_inverse=True)
    span = len(distinct) + 1
    key = frame.groups.astype(np.int64) * span + np.where(valid, rank + 1, 0)
    place = np.maximum.accumulate(key) % span
    found = distinct.take(np.maximum(place - 1, 0)) if len(distinct) else values
    return Column(_back(frame, found), _back(frame, place > 0))


def total_so_far(frame: Frames, column: Column) -> Column:
    """The sum of a row and those before it in the group.

    Raises:
        HandOver: It might not fit 64 bits, or some of the values are nothing.
    """
    column = rows_of(column, len(frame.order))
    if isinstance(column, Text) or column.values.dtype != np.int64 or column.valid is not None:
        raise HandOver
    values = column.values.take(frame.order)
    if largest(values) * len(values) >= _LIMIT:
        raise HandOver
    sums = np.cumsum(values)
    begins = frame.begins.nonzero()[0]
    lengths = np.diff(np.append(begins, len(values)))
    return Column(_back(frame, sums - np.repeat(sums.take(begins) - values.take(begins), lengths)))


def lowest_after(frame: Frames, column: Column) -> Column:
    """The least value of the rows that follow in the group."""
    rows = len(frame.order)
    column = rows_of(column, rows)
    if isinstance(column, Text) or column.values.dtype != np.int64:
        raise HandOver
    if not rows:
        return column
    values = column.values.take(frame.order)
    valid = np.ones(rows, bool) if column.valid is None else column.valid.take(frame.order)
    # The rank of a value below its group: from the end backwards no group is below one that comes before it.
    distinct, rank = np.unique(values, return_inverse=True)
    span = len(distinct) + 1
    key = frame.groups.astype(np.int64) * span + np.where(valid, rank, len(distinct))
    after = np.minimum.accumulate(key[::-1])[::-1]
    following = np.full(rows, -1, np.int64)
    following[:-1] = after[1:]
    group, place = np.divmod(following, span)
    there = (group == frame.groups) & (place < len(distinct)) & (following >= 0)
    found = distinct.take(np.where(there, place, 0))
    return Column(_back(frame, found), _back(frame, there))


# Joining --------------------------------------------------------------------------------------------------------------


Match = tuple[np.ndarray | None, np.ndarray | None]
"""Places of rows on the left and on the right that belong together; None = each row as it comes."""


def matches(left: Column, right: Column, left_rows: int, right_rows: int, *, keep: bool) -> Match:
    """The rows of both sides with equal keys, in the order of the left; with `keep`, -1 where a left row has no partner."""
    left, right = rows_of(left, left_rows), rows_of(right, right_rows)
    if left.values.dtype != np.int64 or isinstance(left, Text) or isinstance(right, Text):
        raise HandOver
    if right.valid is not None:
        present = right.valid.nonzero()[0]
        mine, places = matches(left, Column(right.values.take(present)), left_rows, len(present), keep=keep)
        return mine, present if places is None else _through(present, places)
    order = np.argsort(right.values, kind="stable")
    keys = right.values.take(order)
    single = not (keys[1:] == keys[:-1]).any()
    if single and left.valid is None and np.array_equal(left.values, right.values):
        return None, None
    start, end = (np.asarray(np.searchsorted(keys, left.values, side)) for side in _SIDES)
    counts = end - start if left.valid is None else np.where(left.valid, end - start, 0)
    if keep and not right_rows:
        return None, np.full(left_rows, -1)
    if keep and single:
        return None, np.where(counts > 0, order.take(np.where(counts > 0, start, 0)), -1)
    times = np.maximum(counts, 1) if keep else counts
    mine = np.repeat(np.arange(left_rows), times)
    at = np.repeat(start, times) + np.arange(len(mine)) - np.repeat(np.cumsum(times) - times, times)
    if not keep:
        return mine, order.take(at)
    found = counts.take(mine) > 0
    return mine, np.where(found, order.take(np.where(found, at, 0)), -1)


def _through(places: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Places of places; -1 stays."""
    if not len(places):
        return np.full(len(index), -1)
    found: np.ndarray = np.where(index < 0, -1, places.take(index))
    return found


def composed(inner: np.ndarray | None, outer: np.ndarray | None) -> np.ndarray | None:
    """Rows of rows: first the inner choice, then the outer one among what it left; None = all of them."""
    if inner is None or outer is None:
        return outer if inner is None else inner
    return _through(inner, outer)
