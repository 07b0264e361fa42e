"""Who moved between dates, from the store's history: from × to, how many changed, how many stayed, month by month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from kohort.compile.windows import day_start
from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import iso, moment
from kohort.model.segmentation import Estimate
from kohort.model.share import wilson
from kohort.segments import movement_words as words
from kohort.segments.words import segment as segment_words

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.store.store import Store

NOT_IN_ANY = ""
"""Key of those who are in no part of the definition."""


Each = Literal["month", "quarter", "year"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run whose members are looked at: the moment they show and the version of the definition."""

    as_of: int
    version: int


@dataclass(frozen=True, slots=True)
class Cell:
    """Customers who were in one part and are in another (or the same); `""` = in none.

    Attributes:
        share: Of all who were in `source`; None for those who come from none.
    """

    source: str
    target: str
    customers: int
    share: float | None


@dataclass(frozen=True, slots=True)
class PartMovement:
    """What became of one part between two dates.

    Attributes:
        stayed: Share of the members before who are members after; None where there were none.
        entered: Members after who were not before; `left` the other way round.
    """

    segment: str
    label: str
    before: int
    after: int
    entered: int
    left: int
    stayed: Estimate | None
    text: str


@dataclass(frozen=True, slots=True)
class Migration:
    """Who moved between two dates.

    Attributes:
        start, end: The dates asked about (µs UTC).
        before, after: The runs whose members they show: the latest not later.
        cells: Every pair that occurs, the diagonal included; those in none at both dates are not known and not counted.
        entered: In none before; `left`: in none after; `moved`: in another part; `stayed`: in the same one.
        mobility: Share that is in another part, of those in a part at both dates; None where nobody is or where there
            is only one part to be in.
        redefined: The definition changed between the two runs, so that it is not the customers alone who moved.
        rerun: A run took place in between; without one nothing can have moved.
    """

    name: str
    start: int
    end: int
    before: Run
    after: Run
    cells: tuple[Cell, ...]
    parts: tuple[PartMovement, ...]
    entered: int
    left: int
    moved: int
    stayed: int
    mobility: Estimate | None
    redefined: bool
    rerun: bool
    text: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, instants as ISO 8601 UTC."""
        runs = {
            key: {**asdict(run), "as_of": iso(run.as_of)}
            for key, run in (("before", self.before), ("after", self.after))
        }
        return {**asdict(self), "start": iso(self.start), "end": iso(self.end), **runs}


def migration(store: Store, name: str, start: int, end: int, *, labels: Mapping[str, str] | None = None) -> Migration:
    """Compares the members at two dates, as they were published then.

    Args:
        name: A definition or an adopted segmentation.
        start, end: Instants (µs UTC), the earlier one first.
        labels: Key of each part → its plain name, in the order to report; parts only known to the store come last.

    Raises:
        NotFound: No members were ever published under this name.
        WrongUsage: `end` is not later than `start`.
        NotEnough: The first run is later than `start`.
    """
    if end <= start:
        raise WrongUsage("The second date must be later than the first.")
    runs = _runs(store, name)
    before, after = _run_at(runs, start), _run_at(runs, end)
    if before is None or after is None:
        first = f"It was first run for {iso(runs[0].as_of)}." if runs else ""
        raise NotEnough(
            f"Nobody knows yet who was in {name!r} at the first date.", hint=f"{first} Ask for a later date."
        )
    tables = (store.members.at(name, start), store.members.at(name, end))
    return compare(name, *tables, dates=(start, end), runs=(before, after), labels=labels or {})


def series(
    store: Store,
    name: str,
    *,
    zone: str,
    each: Each = "month",
    last: int = 24,
    labels: Mapping[str, str] | None = None,
) -> tuple[Migration, ...]:
    """Movement from each local month (quarter, year) to the next, oldest first, up to the latest run.

    The last one ends at the latest run, which may lie inside a period that is not over.

    Args:
        last: How many at most; the latest ones.

    Raises:
        NotFound: No members were ever published under this name.
        NotEnough: All runs show one period.
    """
    runs = _runs(store, name)
    dates = period_starts(runs[0].as_of, runs[-1].as_of, zone, each) if runs else []
    if runs and (not dates or dates[-1] < runs[-1].as_of):
        dates.append(runs[-1].as_of)
    if len(dates) < 2:
        raise NotEnough(f"{name!r} has not been run in two different {each}s yet.", hint="Run it again later.")
    dates = dates[-(last + 1) :]
    tables = [store.members.at(name, at) for at in dates]
    found = []
    for (start, end), (old, new) in zip(pairwise(dates), pairwise(tables), strict=True):
        before, after = _run_at(runs, start), _run_at(runs, end)
        assert before is not None
        assert after is not None
        found.append(compare(name, old, new, dates=(start, end), runs=(before, after), labels=labels or {}))
    return tuple(found)


def compare(
    name: str,
    old: pa.Table,
    new: pa.Table,
    *,
    dates: tuple[int, int],
    runs: tuple[Run, Run],
    labels: Mapping[str, str],
) -> Migration:
    """The movement between two tables of members (`customer`, `segment`)."""
    keys, counts = _counts(old, new, list(labels))
    names = {key: labels.get(key, key) for key in keys}
    parts = tuple(_part(i, keys, names, counts) for i in range(1, len(keys)))
    inner = counts[1:, 1:]
    both, stayed = int(inner.sum()), int(np.trace(inner))
    mobility = wilson(both - stayed, both) if len(keys) > 2 else None
    before, after = runs
    entered, left = int(counts[0, 1:].sum()), int(counts[1:, 0].sum())
    rerun = before != after
    return Migration(
        name,
        *dates,
        *runs,
        cells=tuple(_cells(keys, counts)),
        parts=parts,
        entered=entered,
        left=left,
        moved=both - stayed,
        stayed=stayed,
        mobility=mobility,
        redefined=before.version != after.version,
        rerun=rerun,
        text=words.migration(
            entered, left, both - stayed, stayed, mobility, redefined=before.version != after.version, rerun=rerun
        ),
    )


def period_starts(first: int, last: int, zone: str, each: Each) -> list[int]:
    """The first instants of the local periods that begin in [first, last]."""
    months = {"month": 1, "quarter": 3, "year": 12}[each]
    begin = moment(first).astimezone(ZoneInfo(zone)).date()
    number = (begin.year * 12 + begin.month - 1) // months * months
    found = []
    while (start := day_start(date(number // 12, number % 12 + 1, 1), zone)) <= last:
        if start >= first:
            found.append(start)
        number += months
    return found


def _runs(store: Store, name: str) -> list[Run]:
    """Runs by the moment they show; of several about one moment the last one said it."""
    store.members.at(name, 0)  # refuses a name that was never published
    by_moment = {
        row["as_of"]: Run(row["as_of"], row["version"]) for row in store.members.runs(name) if not row["dropped"]
    }
    return [by_moment[at] for at in sorted(by_moment)]


def _run_at(runs: Sequence[Run], at: int) -> Run | None:
    return next((run for run in reversed(runs) if run.as_of <= at), None)


def _counts(old: pa.Table, new: pa.Table, order: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Keys of the parts ("" first) and customers from (rows) and to (columns)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    segments = [pc.cast(t.column("segment"), pa.string()).combine_chunks() for t in (old, new)]
    known = set(segments[0].unique().to_pylist()) | set(segments[1].unique().to_pylist())
    keys = [NOT_IN_ANY, *order, *sorted(known - set(order))]
    codes = [np.asarray(pc.index_in(s, pa.array(keys, pa.string()))) for s in segments]
    customers = [t.column("customer").to_numpy() for t in (old, new)]
    everybody = np.union1d(*customers)
    places = [np.zeros(len(everybody), np.int64) for _ in codes]
    for place, ids, code in zip(places, customers, codes, strict=True):
        place[np.searchsorted(everybody, ids)] = code
    counts = np.bincount(places[0] * len(keys) + places[1], minlength=len(keys) ** 2)
    return keys, counts.reshape(len(keys), len(keys))


def _cells(keys: Sequence[str], counts: np.ndarray) -> Iterator[Cell]:
    for a, b in np.argwhere(counts > 0).tolist():
        n = int(counts[a, b])
        yield Cell(keys[a], keys[b], n, n / int(counts[a].sum()) if a else None)


def _part(i: int, keys: Sequence[str], names: Mapping[str, str], counts: np.ndarray) -> PartMovement:
    before, after, both = int(counts[i].sum()), int(counts[:, i].sum()), int(counts[i, i])
    onward = counts[i].copy()
    onward[i] = 0
    most = int(onward.argmax())
    target = names[keys[most]] if onward[most] and most else ""
    label = names[keys[i]]
    stayed = wilson(both, before)
    text = segment_words(label, stayed, target, int(onward[most]))
    return PartMovement(keys[i], label, before, after, after - both, before - both, stayed, text)
