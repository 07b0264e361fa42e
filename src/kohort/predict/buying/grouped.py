"""Customers with the same history count once, with a weight: what lets ten million of them fit in memory and in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kohort.predict.buying.summary import Summary

CHUNK = 1 << 20
"""Rows grouped, or predicted, at a time: about 100 MB of working memory."""

FINE = 20_000
"""More groups than these are first fitted roughly."""

_TICKS = (1, 7, 100)
"""Parts of a unit of time that tables are usually written in: whole units, days of a week, two decimals."""

_MOST_KEYS = 1 << 62


@dataclass(frozen=True, slots=True)
class Histories:
    """What customers did until now, one entry each, float64: repeat purchases, time to the last one, time since the first."""

    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray

    def __len__(self) -> int:
        return len(self.frequency)

    def __getitem__(self, rows: slice | np.ndarray) -> Histories:
        return Histories(self.frequency[rows], self.recency[rows], self.age[rows])

    @classmethod
    def of(cls, summary: Summary, rows: slice = slice(None)) -> Histories:
        """The histories of some rows of a summary."""
        return cls(summary.frequency[rows].astype(float), summary.recency[rows], summary.age[rows])


@dataclass(frozen=True, slots=True)
class Grouped:
    """Distinct histories, sorted, float64 each, and how many customers have each."""

    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    customers: np.ndarray

    def __len__(self) -> int:
        return len(self.frequency)

    @property
    def histories(self) -> Histories:
        return Histories(self.frequency, self.recency, self.age)

    def coarse(self, bins: int = 48) -> Grouped:
        """About the same with recency and age in `bins` steps: for a first, rough fit, and for spreads."""
        if len(self) <= FINE:
            return self
        step = float(self.age.max()) / bins
        keys = joined(self.frequency, np.floor(self.recency / step), np.floor(self.age / step))
        _, index, inverse = np.unique(keys, return_index=True, return_inverse=True)
        weight = np.bincount(inverse, self.customers)
        recency = np.bincount(inverse, self.customers * self.recency) / weight
        age = np.bincount(inverse, self.customers * self.age) / weight
        return Grouped(self.frequency[index], recency, np.maximum(age, recency), weight)


def grouped(summary: Summary) -> Grouped:
    """The distinct (frequency, recency, age) of a summary with their numbers of customers."""
    parts = [_group(Histories.of(summary, rows), np.ones(rows.stop - rows.start)) for rows in chunks(len(summary))]
    if len(parts) == 1:
        return parts[0]
    columns = zip(*((p.frequency, p.recency, p.age, p.customers) for p in parts), strict=True)
    frequency, recency, age, customers = (np.concatenate(c) for c in columns)
    return _group(Histories(frequency, recency, age), customers)


def each(summary: Summary, answer: Callable[[Histories], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """What `answer` gives for every customer, computed once for each distinct history of a chunk."""
    found: list[tuple[np.ndarray, ...]] = []
    for rows in chunks(len(summary)):
        seen = Histories.of(summary, rows)
        _, index, inverse = np.unique(
            joined(seen.frequency, seen.recency, seen.age), return_index=True, return_inverse=True
        )
        found.append(tuple(part[inverse] for part in answer(seen[index])))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def chunks(count: int) -> Iterator[slice]:
    """Slices that cover `count` rows; one empty slice for none."""
    for start in range(0, max(count, 1), CHUNK):
        yield slice(start, min(start + CHUNK, count))


def _group(seen: Histories, customers: np.ndarray) -> Grouped:
    keys = joined(seen.frequency, seen.recency, seen.age)
    _, index, inverse = np.unique(keys, return_index=True, return_inverse=True)
    kept = seen[index]
    return Grouped(kept.frequency, kept.recency, kept.age, np.bincount(inverse, customers, minlength=len(index)))


def joined(*columns: np.ndarray) -> np.ndarray:
    """One int64 per row that is equal exactly where all columns are."""
    key, size = _codes(columns[0])
    for column in columns[1:]:
        codes, width = _codes(column)
        if size * width >= _MOST_KEYS:
            distinct, key = np.unique(key, return_inverse=True)
            size = len(distinct)
        key = key * width + codes
        size *= width
    return key


def _codes(values: np.ndarray) -> tuple[np.ndarray, int]:
    for parts in _TICKS:  # dividing gives back the very same float, so nothing is rounded together
        ticks = np.rint(values * parts)
        if len(values) and ticks.max() < 1 << 21 and np.array_equal(ticks / parts, values):
            codes = ticks.astype(np.int64)
            return codes, int(codes.max()) + 1
    distinct, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), max(len(distinct), 1)
