"""From features as people know them to numbers that distances mean something in; every treatment is recorded.

A number is taken as is or through a logarithm (chosen from its skew), centred on its median and divided by its
winsorised standard deviation, then clipped. A text with few levels becomes one column per level.

Absence is taken in one of three ways. Where being missing goes together with other features it is a fact: the value
is the neutral 0 and a column of its own says that there is none (*marked*), unless another column says it already (*told*).
Where it goes together with nothing the value is *unknown*: nothing stands for it, and such customers are placed by what is
known of them (`partial.py`).
Whole tables are prepared chunk by chunk, so a million customers need no second copy of the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kohort.discovery.absence import TELLS, goes_with, in_words, known_together, tells
from kohort.discovery.ranks import standard_ranks
from kohort.errors import NotEnough, WrongUsage
from kohort.model.columns import absent, row_sample, text_levels, values
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.segmentation import Absence, FeatureUse

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 16_384
"""Small enough for the caches and for 12 Gaussian components of 20 features to stay under 20 MB."""

LOOK_ROWS = 20_000
"""Rows looked at to choose treatments: enough for a 99.5 % quantile known to a tenth of its tail."""

CLIP = 6.0
"""In standard deviations. Far enough to leave a small group far away in place, near enough to tame a typing error."""

SAME = 0.95
"""Two features whose ranks correlate more strongly than this say the same."""

GOES_WITH = 0.1
"""Rank correlation from which absence goes together with a column."""

COMPLETE = 1 / 3
"""Share of the customers of whom everything must be known that groups are found on."""

FEWEST_COMPLETE = 30

MOST_LEVELS = 8
LEVEL_DISTANCE = 1.2
"""Distance between two levels of a text or a flag, in standard deviations of a number: it counts, and does not rule."""

Kind = Literal["number", "flag", "level", "absent"]


@dataclass(frozen=True, slots=True)
class Column:
    """One prepared column: (g(x) − centre) / spread, clipped.

    g(x) = sign(x − shift) · log(1 + |x − shift| / scale), or x where `scale` is 0.
    """

    feature: str
    kind: Kind
    shift: float = 0.0
    scale: float = 0.0
    centre: float = 0.0
    spread: float = 1.0
    level: str = ""

    def prepare(self, x: np.ndarray) -> np.ndarray:
        """float64 values (NaN = missing; for a level or absence 0 or 1) → prepared values without NaN."""
        g = unskew(x, self.shift, self.scale)
        z = (g - self.centre) / self.spread
        np.clip(z, -CLIP, CLIP, out=z)
        return np.nan_to_num(z, copy=False, nan=0.0)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How every table of these features is prepared.

    Attributes:
        partial: Features whose absence says nothing: where one is unknown, its columns do not count.
    """

    columns: tuple[Column, ...]
    partial: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[str, ...]:
        """The feature behind each prepared column; a feature with several columns appears several times."""
        return tuple(c.feature for c in self.columns)

    def keep(self, columns: Sequence[int]) -> Preparation:
        """Only these columns."""
        kept = tuple(self.columns[i] for i in columns)
        here = {c.feature for c in kept}
        return replace(self, columns=kept, partial=tuple(name for name in self.partial if name in here))

    def matrix(self, data: pa.Table) -> np.ndarray:
        """float32 matrix (rows, columns) of a table that fits in memory."""
        out = np.empty((data.num_rows, len(self.columns)), dtype=np.float32)
        for name in dict.fromkeys(self.used):
            places = [i for i, c in enumerate(self.columns) if c.feature == name]
            self._fill(out, places, data, name)
        return out

    def missing(self, data: pa.Table) -> np.ndarray:
        """bool matrix (rows, columns): where the neutral value stands for a missing number or flag."""
        out = np.zeros((data.num_rows, len(self.columns)), dtype=bool)
        for i, c in enumerate(self.columns):
            if c.kind in ("number", "flag"):
                out[:, i] = np.isnan(values(data[c.feature]))
        return out

    def known(self, data: pa.Table) -> np.ndarray | None:
        """bool matrix (rows, columns): False where a value is unknown; None where all is known."""
        gone = {name: absent(data[name]) for name in self.partial}
        if not any(rows.any() for rows in gone.values()):
            return None
        out = np.ones((data.num_rows, len(self.columns)), dtype=bool)
        for i, c in enumerate(self.columns):
            if c.feature in gone:
                out[:, i] = ~gone[c.feature]
        return out

    def complete(self, data: pa.Table) -> np.ndarray | None:
        """Numbers of the rows of which everything is known; None = all rows."""
        some = np.zeros(data.num_rows, dtype=bool)
        for name in self.partial:
            some |= absent(data[name])
        return np.flatnonzero(~some) if some.any() else None

    def chunks(self, data: pa.Table, rows: int = CHUNK_ROWS) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """(first row, float32 matrix, what of it is known) of consecutive chunks."""
        self.check(data)
        for start in range(0, data.num_rows, rows):
            part = data.slice(start, rows)
            yield start, self.matrix(part), self.known(part)

    def check(self, data: pa.Table) -> None:
        """Raises WrongUsage where a feature that the groups need is not in the table."""
        lacking = [n for n in dict.fromkeys(self.used) if n not in data.column_names]
        if lacking:
            raise WrongUsage(
                f"The table lacks the feature {lacking[0]!r} that the groups were found with.",
                hint="Compute the same features as at discovery.",
            )

    def _fill(self, out: np.ndarray, places: list[int], data: pa.Table, name: str) -> None:
        levels = any(self.columns[i].kind == "level" for i in places)
        texts = text_levels(data[name], [self.columns[i].level for i in places]) if levels else None
        x = None if levels else values(data[name])
        for n, i in enumerate(places):
            column = self.columns[i]
            if texts is not None:
                raw = texts[n]
            elif column.kind == "absent":
                assert x is not None
                raw = np.isnan(x).astype(float)
            else:
                assert x is not None
                raw = x
            out[:, i] = column.prepare(raw)

    def as_dict(self) -> dict[str, Any]:
        return {"columns": [asdict(c) for c in self.columns], "partial": list(self.partial)}


def unskew(x: np.ndarray, shift: float, scale: float) -> np.ndarray:
    """sign(x − shift) · log(1 + |x − shift| / scale); a copy of x where scale is 0."""
    if scale <= 0:
        return np.array(x, dtype=float)
    away = x - shift
    return np.copysign(np.log1p(np.abs(away) / scale), away)


def fit_preparation(table: FeatureTable, *, seed: int = 0) -> tuple[Preparation, tuple[FeatureUse, ...]]:
    """Chooses the treatment of each feature from a sample of rows.

    Returns:
        The preparation and, for every feature of the table in its order, what became of it (relevance still None).

    Raises:
        NotEnough: No feature is left that tells customers apart.
    """
    rows = row_sample(table.data, LOOK_ROWS, seed=seed)
    sample = table.data.take(rows)
    planned = {f.name: _plan(f, sample) for f in table.features}
    _drop_repeats(planned, sample)
    _drop_same(table.features, planned, sample)
    partial = _take_absence(planned, sample)
    columns = tuple(c for f in table.features for c in planned[f.name].columns)
    if not columns:
        raise NotEnough(
            "No feature tells the customers apart.",
            hint="Every column is constant, empty, known for too few customers or text with many values.",
        )
    return Preparation(columns, partial), tuple(_use(f, planned[f.name]) for f in table.features)


@dataclass(slots=True)
class _Plan:
    columns: tuple[Column, ...]
    treatment: str
    reason: str = ""
    missing: float = 0.0
    absence: Absence = ""


def _use(info: FeatureInfo, plan: _Plan) -> FeatureUse:
    counts = any(c.kind != "absent" for c in plan.columns)
    treatment = plan.treatment + (in_words(plan.missing, plan.absence) if counts else "")
    return FeatureUse(
        info.name, info.label, bool(plan.columns), treatment, None, plan.reason, plan.missing, plan.absence
    )


def _plan(info: FeatureInfo, sample: pa.Table) -> _Plan:
    if info.type == "text":
        return _plan_text(info, sample)
    x = values(sample[info.name])
    seen = x[~np.isnan(x)]
    kinds, counts = np.unique(seen, return_counts=True)
    if reason := _tells_nothing(counts, len(x)):
        return _Plan((), "left out", reason)
    marks = _absence(info, x)
    if len(kinds) == 1:  # only being there or not tells anything
        return _Plan(marks, "only whether there is a value" if marks else "left out", "" if marks else "has one value")
    if len(kinds) == 2:
        low, high = float(kinds[0]), float(kinds[1])
        share = float(counts[1] / counts.sum())
        spread = (high - low) / LEVEL_DISTANCE
        column = Column(info.name, "flag", centre=low + share * (high - low), spread=spread)
        return _Plan((column, *marks), "yes or no")
    column, treatment = number_column(info.name, seen)
    return _Plan((column, *marks), treatment)


def _tells_nothing(counts: np.ndarray, customers: int) -> str:
    if len(counts) == 0:
        return "has no values"
    if counts[0] == customers:
        return "is the same for every customer"
    same = float(counts.max() / customers)
    return f"is the same for {same:.1%} of the customers" if same >= 0.995 else ""


def _plan_text(info: FeatureInfo, sample: pa.Table) -> _Plan:
    import pyarrow.compute as pc

    counted = pc.value_counts(sample[info.name].combine_chunks()).to_pylist()
    known = sorted((-c["counts"], c["values"]) for c in counted if c["values"] is not None)
    n = sample.num_rows
    if not known:
        return _Plan((), "left out", "has no values")
    frequent = [(level, -c / n) for c, level in known if -c >= 0.01 * n]
    if len(known) > 50 and sum(share for _, share in frequent[:MOST_LEVELS]) < 0.8:
        return _Plan((), "left out", f"is text with many different values ({len(known)} in {n} customers)")
    chosen = [(level, share) for level, share in frequent[:MOST_LEVELS] if share < 0.995]
    if len(chosen) == 2 and chosen[0][1] + chosen[1][1] > 0.999:
        chosen = chosen[:1]  # the second level is the absence of the first
    if not chosen:
        return _Plan((), "left out", "is nearly the same for every customer")
    side = LEVEL_DISTANCE if len(chosen) == 1 else LEVEL_DISTANCE / np.sqrt(2)
    columns = tuple(
        Column(info.name, "level", centre=share, spread=float(1 / side), level=level) for level, share in chosen
    )
    return _Plan(columns, f"one column for each of {len(columns)} values" if len(columns) > 1 else "yes or no")


def number_column(name: str, seen: np.ndarray) -> tuple[Column, str]:
    """The column of a number with more than two values, and the words for its treatment."""
    shift, scale, treatment = choose_logarithm(seen)
    g = unskew(seen, shift, scale)
    centre = float(np.median(g))
    low, high = np.quantile(g, (0.01, 0.99))
    spread = float(np.std(np.clip(g, low, high)))
    if spread <= 1e-12 * max(1.0, abs(centre)):
        spread = float(np.std(g)) or 1.0
    return Column(name, "number", shift, scale, centre, spread), treatment


def choose_logarithm(seen: np.ndarray) -> tuple[float, float, str]:
    """(shift, scale, words): a logarithm only where it takes away most of a strong skew or of heavy tails."""
    here = tail_weight(seen)
    if here < 1.0:
        return 0.0, 0.0, "as is"
    best, least = (0.0, 0.0, "as is"), 0.7 * here
    for shift, scales, words in _logarithms(seen):
        size = np.abs(seen - shift)
        tied, size = float(np.mean(size == 0)), size[size > 0]
        if len(size) == 0:
            continue
        small, middle = np.quantile(size, (0.02, 0.5))
        together = tied > 0.01 and small < 0.2 * middle  # many zeros and then small numbers: open no gap
        for scale in np.quantile(size, (0.5, 0.75) if together else scales):
            weight = tail_weight(unskew(seen, shift, float(scale)))
            if weight < least - 0.02:  # between equals the first, plainest form stays
                best, least = (shift, float(scale), words), weight
    return best


def _logarithms(seen: np.ndarray) -> list[tuple[float, tuple[float, ...], str]]:
    """(shift, quantiles of the distance from it to scale by, words).

    With values on both sides of the shift the scale must be wide: the logarithm of small distances would open a gap
    around the shift that the data do not have.
    """
    negative = float(np.mean(seen < 0))
    if negative >= 0.05:
        return [(float(np.median(seen)), (0.5, 0.75), "logarithm of the distance to the middle")]
    if negative > 0:
        return [(0.0, (0.25, 0.5), "logarithm")]
    low = float(np.quantile(seen, 0.001))
    above = [(low, (0.02, 0.25, 0.5), "logarithm above the smallest")] if low > 0 else []
    return [(0.0, (0.02, 0.25, 0.5), "logarithm"), *above]


def tail_weight(x: np.ndarray) -> float:
    """How far from even tails: |skewness| plus a third of the kurtosis beyond 6.

    Winsorised at 1.5 % on either side, so that a small group far away is not taken for a tail.
    """
    low, high = np.quantile(x, (0.015, 0.985))
    z = np.clip(x, low, high)
    sd = np.std(z)
    if sd <= 1e-12 * max(1.0, float(np.abs(z).max())):
        return 0.0
    z = (z - z.mean()) / sd
    return float(abs(np.mean(z**3)) + max(0.0, np.mean(z**4) - 6.0) / 3.0)


def _absence(info: FeatureInfo, x: np.ndarray) -> tuple[Column, ...]:
    share = float(np.isnan(x).mean())
    if not 0.02 <= share <= 0.98:
        return ()
    return (Column(info.name, "absent", centre=share, spread=1.0 / (0.5 * LEVEL_DISTANCE)),)


def _ranks(sample: pa.Table, columns: Sequence[Column]) -> np.ndarray:
    return standard_ranks(Preparation(tuple(columns)).matrix(sample))


def _drop_repeats(planned: dict[str, _Plan], sample: pa.Table) -> None:
    """Drops columns of absence that go together with nothing, or that another column already tells."""
    columns = [c for p in planned.values() for c in p.columns]
    if not any(c.kind == "absent" for c in columns):
        return
    R = _ranks(sample, columns)
    C = np.abs(R.T @ R / len(R))
    np.fill_diagonal(C, 0.0)
    gone: set[int] = set()
    for i, c in enumerate(columns):
        if c.kind != "absent" or len(planned[c.feature].columns) == 1:
            continue
        others = [j for j in range(len(columns)) if j not in gone and columns[j].feature != c.feature]
        strongest = max((C[i, j] for j in others), default=0.0)
        if strongest < GOES_WITH or strongest > TELLS:
            gone.add(i)
    for plan in planned.values():
        plan.columns = tuple(c for c in plan.columns if columns.index(c) not in gone)


def _take_absence(planned: dict[str, _Plan], sample: pa.Table) -> tuple[str, ...]:
    """How the absence of each feature is taken. Those where it is unknown, and known for enough customers, are returned.

    The others of those are left out: groups found on a few customers would say little of the rest.
    """
    gone = {name: absent(sample[name]) for name in planned}
    for name, plan in planned.items():
        plan.missing = float(gone[name].mean())
        if any(c.kind == "absent" for c in plan.columns):
            plan.absence = "marked"
    open_ones = [n for n, p in planned.items() if p.missing and p.columns and not p.absence]
    if not open_ones:
        return ()
    columns = [c for p in planned.values() for c in p.columns]
    K = np.column_stack([np.ones(sample.num_rows, bool) if c.kind == "absent" else ~gone[c.feature] for c in columns])
    C = np.abs(goes_with(np.column_stack([gone[n] for n in open_ones]), _ranks(sample, columns), K))
    for name, row in zip(open_ones, C, strict=True):
        strongest = float(row[[c.feature != name for c in columns]].max(initial=0.0))
        # A text needs no column of its own to say that there is none: it has none of its values then.
        text_says = strongest >= GOES_WITH and planned[name].columns[0].kind == "level"
        told = tells(strongest, planned[name].missing, sample.num_rows)
        planned[name].absence = "told" if told else "marked" if text_says else "unknown"
    unknown = {n: gone[n] for n in open_ones if planned[n].absence == "unknown"}
    partial = known_together(unknown, max(COMPLETE * sample.num_rows, min(FEWEST_COMPLETE, sample.num_rows)))
    for name in unknown.keys() - set(partial):
        share = planned[name].missing
        reason = f"is unknown for {share:.1%} of the customers: too few are left of whom all is known"
        planned[name] = _Plan((), "left out", reason, share, "unknown")
    return partial


def _drop_same(features: Sequence[FeatureInfo], planned: dict[str, _Plan], sample: pa.Table) -> None:
    """Of two numbers that say the same the more readable stays: fewer missing, a known idea, listed earlier."""
    numbers = [f for f in features if planned[f.name].columns and planned[f.name].columns[0].kind in ("number", "flag")]
    if len(numbers) < 2:
        return
    R = _ranks(sample, [planned[f.name].columns[0] for f in numbers])
    C = R.T @ R / len(R)
    place = {f.name: i for i, f in enumerate(numbers)}
    missing = {f.name: sample[f.name].null_count / sample.num_rows for f in numbers}
    order = sorted(numbers, key=lambda f: (round(missing[f.name], 1), f.idea == "other", place[f.name]))
    kept: list[FeatureInfo] = []
    for f in order:
        twin = next((k for k in kept if abs(C[place[f.name], place[k.name]]) > SAME), None)
        if twin is None:
            kept.append(f)
            continue
        reason = f"says the same as {twin.label} ({abs(C[place[f.name], place[twin.name]]):.2f})"
        planned[f.name] = _Plan((), "left out", reason)
