"""What would separate members of whom people say that they do not belong from those who do: one condition, if any does.

Among many conditions one always looks good. So the best is compared with the best that the same search finds after the
answers were dealt out at random, many times: only what chance hardly ever reaches is proposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from kohort.model.segmentation import Estimate
from kohort.model.share import wilson

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.feature import FeatureInfo

FEWEST = 8
"""Customers who belong, and customers who do not, below which nothing is proposed."""
SURE = 0.05
"""Chance finds as good a condition at most so often."""
DEALS = 2_000
MOST_CUTS = 24
MOST_VALUES = 12
_SEED = 20

How = Literal["above", "at_most", "is", "is_not", "known", "unknown", "meets", "fails"]


@dataclass(frozen=True, slots=True)
class Split:
    """One way of telling customers apart.

    Attributes:
        about: Name of a feature, or the text of a condition of the rule.
        how: What must be so to stay.
        value: The bound or the text that is compared with; None where there is none.
        inside: Who would stay, in the order of the customers.
    """

    about: str
    how: How
    value: float | str | None
    inside: np.ndarray


@dataclass(frozen=True, slots=True)
class Separation:
    """The condition that separates best.

    Attributes:
        split: The condition.
        wrong_out: Of those who do not belong, the share it takes out.
        right_kept: Of those who belong, the share it keeps.
        by_chance: How often the same search does as well on answers dealt out at random.
        tried: How many conditions were compared.
    """

    split: Split
    wrong_out: Estimate
    right_kept: Estimate
    by_chance: float
    tried: int

    @property
    def sure(self) -> bool:
        return self.by_chance <= SURE


def separate(splits: Sequence[Split], wrong: np.ndarray, *, deals: int = DEALS) -> Separation | None:
    """The condition that best keeps those who belong and takes out those who do not.

    Args:
        splits: Conditions to compare; of equally good ones the first is taken.
        wrong: Of each customer, whether people say that she does not belong.
        deals: How often answers are dealt out at random.

    Returns:
        None where there is no condition that does better than none at all.
    """
    if not splits or not wrong.any() or wrong.all():
        return None
    inside = np.stack([one.inside for one in splits]).astype(np.float32)
    found = _gain(inside, wrong[:, None])[:, 0]
    best = int(found.argmax())
    if found[best] <= 0:
        return None
    shuffle = np.random.default_rng(_SEED)
    dealt = np.stack([shuffle.permutation(wrong) for _ in range(deals)], axis=1)
    as_good = int((_gain(inside, dealt).max(axis=0) >= found[best] - 1e-6).sum())
    stays = splits[best].inside
    wrong_out = wilson(int((~stays & wrong).sum()), int(wrong.sum()))
    right_kept = wilson(int((stays & ~wrong).sum()), int((~wrong).sum()))
    assert wrong_out is not None
    assert right_kept is not None
    return Separation(splits[best], wrong_out, right_kept, (1 + as_good) / (1 + deals), len(splits))


def splits_of(table: pa.Table, features: Sequence[FeatureInfo]) -> list[Split]:
    """Conditions on single features that tell some of these customers from others. A missing value meets no comparison."""
    return [one for f in features for one in _of_feature(f.name, table.column(f.name)) if _tells(one)]


def _of_feature(name: str, column: pa.ChunkedArray) -> Iterator[Split]:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = np.asarray(pc.is_valid(column).combine_chunks())
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
        for cut in _cuts(values[known]):
            above = known & (values > cut)
            yield Split(name, "above", cut, above)
            yield Split(name, "at_most", cut, known & ~above)
    else:
        texts = np.array([str(v).lower() if isinstance(v, bool) else v for v in column.to_pylist()], dtype=object)
        words, counts = np.unique(texts[known].astype(str), return_counts=True)
        for word in words[np.argsort(-counts, kind="stable")][:MOST_VALUES].tolist():
            same = known & (texts == word)
            yield Split(name, "is", word, same)
            yield Split(name, "is_not", word, ~same)
    yield Split(name, "known", None, known)
    yield Split(name, "unknown", None, ~known)


def _cuts(values: np.ndarray) -> list[float]:
    """Bounds between neighbouring values, some where there are many; each as short as it can be written."""
    different = np.unique(values)
    if len(different) < 2:
        return []
    pairs = np.stack([different[:-1], different[1:]], axis=1)
    some = np.unique(np.linspace(0, len(pairs) - 1, min(MOST_CUTS, len(pairs))).round().astype(int))
    return [_short(float(low), float(high)) for low, high in pairs[some].tolist()]


def _short(low: float, high: float) -> float:
    """A bound with low <= bound < high, with as few digits as will do."""
    middle = (low + high) / 2
    for digits in range(-6, 10):
        cut = float(np.round(np.floor(middle * 10.0**digits) / 10.0**digits, max(digits, 0)))
        if low <= cut < high:
            return cut
    return low


def _tells(split: Split) -> bool:
    return bool(split.inside.any()) and not bool(split.inside.all())


def _gain(inside: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Share kept of those who belong, less the share kept of those who do not: conditions × deals."""
    against = wrong.astype(np.float32)
    total = against.sum(axis=0)
    kept_wrong = inside @ against
    kept_right = inside.sum(axis=1)[:, None] - kept_wrong
    gain: np.ndarray = kept_right / (len(wrong) - total) - kept_wrong / total
    return gain
