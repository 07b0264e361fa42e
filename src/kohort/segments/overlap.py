"""How segments overlap: shared customers, shares, and how much more they share than chance would give."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.errors import NotFound
from kohort.model.segmentation import Estimate

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.store.store import Store

ROWS = 50_000
"""Customers counted at a time: 100 segments of them take 20 MB."""

_Z = 1.959964
_NONE_SHARED = 3.688879
"""Upper 97.5 % limit of an expected count of which none was seen."""


@dataclass(frozen=True, slots=True)
class Group:
    """One segment: a part of a definition, or one group of an adopted segmentation."""

    name: str
    segment: str
    size: int


@dataclass(frozen=True, slots=True)
class Shared:
    """Two segments and the customers in both.

    Attributes:
        first, second: Positions in `Overlap.groups`.
        share_of_first: Part of the first one's members that are in the second too, 0 to 1.
        jaccard: Members of both over members of either.
        lift: Members of both over what chance would give if the two had nothing to do with each other: 1 = chance,
            2 = twice as many. With a 95 % interval; None where the number of customers is not known or one is empty.
    """

    first: int
    second: int
    both: int
    share_of_first: float
    share_of_second: float
    jaccard: float
    lift: Estimate | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Every segment asked about and every pair of two definitions, the most alike first.

    Attributes:
        customers: Customers in all, the base of `lift`; None = not given.
    """

    groups: tuple[Group, ...]
    pairs: tuple[Shared, ...]
    customers: int | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; a pair names its segments by their positions in `groups`."""
        return asdict(self)


def overlap(
    store: Store,
    names: Sequence[str] | None = None,
    *,
    with_name: str | None = None,
    accounts: Collection[str] = (),
    as_of: int | None = None,
    customers: int | None = None,
) -> Overlap:
    """Overlap of stored members, segments made by rules and adopted ones alike.

    Args:
        names: Definitions and adopted segmentations; None = all that have members.
        with_name: Only pairs that this one is part of.
        accounts: Names whose members are accounts: they are not compared with customers.
        as_of: A moment; None = as the latest runs left them.
        customers: Customers in all at that moment, for `lift`.

    Raises:
        NotFound: A name has never been evaluated.
    """
    known = [n for n in store.members.names() if n not in accounts]
    wanted = list(dict.fromkeys([*(known if names is None else names), *([with_name] if with_name else [])]))
    for name in wanted:
        if name not in known:
            raise NotFound("segment with members", name, known)
    if as_of is None:
        groups, members = _members(list(store.members.current_together(wanted).items()))
    else:
        groups, members = _members([(name, store.members.at(name, as_of)) for name in wanted])
    counts = together(members)
    pairs = [
        shared(i, j, counts, customers)
        for i, j in combinations(range(len(groups)), 2)
        if groups[i].name != groups[j].name and with_name in (None, groups[i].name, groups[j].name)
    ]
    pairs.sort(key=lambda p: (-p.jaccard, -p.both, p.first, p.second))
    return Overlap(groups, tuple(pairs), customers)


def together(members: Sequence[np.ndarray]) -> np.ndarray:
    """Customers in each pair of segments; the diagonal holds the sizes.

    Args:
        members: Per segment its customers, each once.

    Example:
        >>> together([np.array([1, 2, 3]), np.array([3, 4])])
        array([[3, 1],
               [1, 2]])
    """
    n = len(members)
    counts = np.zeros((n, n), dtype=np.int64)
    if not n:
        return counts
    customers, rows = np.unique(np.concatenate(members), return_inverse=True)
    columns = np.repeat(np.arange(n), [len(m) for m in members])
    order = np.argsort(rows, kind="stable")
    rows, columns = rows[order], columns[order]
    for start in range(0, len(customers), ROWS):
        low, high = np.searchsorted(rows, [start, start + ROWS])
        inside = np.zeros((ROWS, n), dtype=np.float32)  # counts up to 50,000 are exact
        inside[rows[low:high] - start, columns[low:high]] = 1
        counts += (inside.T @ inside).astype(np.int64)
    return counts


def shared(first: int, second: int, counts: np.ndarray, customers: int | None) -> Shared:
    """The figures of one pair, from `together`."""
    a, b, both = int(counts[first, first]), int(counts[second, second]), int(counts[first, second])
    return Shared(
        first,
        second,
        both,
        share_of_first=both / a if a else 0.0,
        share_of_second=both / b if b else 0.0,
        jaccard=both / (a + b - both) if both else 0.0,
        lift=lift(both, a, b, customers) if customers else None,
    )


def lift(both: int, first: int, second: int, customers: int) -> Estimate | None:
    """Shared customers over what independence would give, with a 95 % interval; None where it has no meaning.

    The interval is the one of log lift by the delta method, the four cells of the table drawn as one multinomial. Where
    nobody is shared, its upper end is the largest expectation that gives "none" in one of forty cases.

    Example:
        >>> lift(50, 100, 500, 1000)  # half of one in each half of the other: exactly chance
        Estimate(value=1.0, low=0.830..., high=1.204...)
    """
    if not first or not second or customers < first + second - both:
        return None
    expected = first * second / customers
    if not both:
        return Estimate(0.0, 0.0, _NONE_SHARED / expected)
    n, p, a, b = customers, both / customers, first / customers, second / customers
    slopes = (1 / p - 1 / a - 1 / b, -1 / a, -1 / b)
    variance = (p * slopes[0] ** 2 + (a - p) * slopes[1] ** 2 + (b - p) * slopes[2] ** 2 - 1) / n
    spread = _Z * max(variance, 0.0) ** 0.5
    value = both / expected
    return Estimate(value, float(value * np.exp(-spread)), float(value * np.exp(spread)))


def _members(tables: Sequence[tuple[str, pa.Table]]) -> tuple[tuple[Group, ...], list[np.ndarray]]:
    groups, members = [], []
    for name, table in tables:
        coded = table.column("segment").combine_chunks().dictionary_encode()
        codes, customers = np.asarray(coded.indices), table.column("customer").to_numpy()
        for code, segment in sorted(enumerate(coded.dictionary.to_pylist()), key=lambda x: x[1]):
            inside = customers[codes == code]
            groups.append(Group(name, segment, len(inside)))
            members.append(inside)
    return tuple(groups), members
