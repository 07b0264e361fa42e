"""Whether customers, or what a model says of them, are still what they were when it learned: PSI with a permutation test.

The population stability index compares two histograms. Chance alone lifts it, the more the fewer customers there are, so every
figure stands beside what chance gives: moments are exchanged within customers who are there twice, and drawn anew among the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kohort.model.columns import values
from kohort.predict.model import Model

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.feature import FeatureTable

Verdict = Literal["drift", "small", "none", "too_few"]
NOTABLE = 0.1
"""A PSI from which on it is customary to speak of a shift; smaller ones that are no chance are called small."""

SURE = 0.05
"""How often at most any of the figures is called a shift where there is none: over all of them together."""

PERMUTATIONS = 299
MOST_ROWS = 40_000
"""Rows of both moments together that are compared; more would only find shifts that nobody need care about."""

PARTS = 10
LEVELS = 9
TEST = (
    f"PSI over {PARTS} parts; {PERMUTATIONS} permutations of the two moments, customers together; {SURE:.0%} over all figures "
    "(largest against chance)"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """A column of both moments, each row's part.

    Attributes:
        place: The part of each row, those of the earlier moment first.
        titles: What the parts are called.
    """

    place: np.ndarray
    titles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """One figure then and now.

    Attributes:
        psi: Of the two histograms.
        by_chance: What 95 % of the permutations stay below.
        p: How often chance alone shows as much in any of the figures that are looked at together.
        moved: The part whose share moved most, its share then and now.
    """

    feature: str
    label: str
    psi: float
    by_chance: float
    p: float
    moved: tuple[str, float, float]

    @property
    def verdict(self) -> Verdict:
        if self.p <= SURE:
            return "drift" if self.psi >= NOTABLE else "small"
        return "too_few" if self.by_chance >= NOTABLE else "none"

    def as_dict(self) -> dict[str, Any]:
        part, before, after = self.moved
        return {
            "feature": self.feature,
            "label": self.label,
            "psi": round(self.psi, 6),
            "by_chance": round(self.by_chance, 6),
            "p": self.p,
            "verdict": self.verdict,
            "moved": {"part": part, "before": before, "now": after},
        }


def psi(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The population stability index of two histograms, along the last axis. Half a row more in each part that has any keeps it finite.

    Example:
        >>> round(float(psi(np.array([500_000, 500_000]), np.array([400_000, 600_000]))), 4)
        0.0405
    """
    there = (before + after) > 0
    a, b = (np.where(there, side + 0.5, 0.0) for side in (before, after))
    a, b = (side / side.sum(axis=-1, keepdims=True) for side in (a, b))
    ratio = np.log(np.where(there, b, 1.0)) - np.log(np.where(there, a, 1.0))
    return np.asarray(((b - a) * ratio).sum(axis=-1))


def drift(model: Model, before: FeatureTable, after: FeatureTable, *, seed: int = 0) -> dict[str, Any]:
    """What a model reads and says, at the moment it learned from and now.

    Args:
        before: Customers as they were, with the features of the model; each once.
        after: As they are.
        seed: Of the permutations.

    Returns:
        `{"verdict", "text", "rows": {"before", "now", "both"}, "inputs": [shift], "output": shift | None, "test"}`, inputs by
        PSI, the largest first; a shift is `{"feature", "label", "psi", "by_chance", "p", "verdict", "moved"}`.
    """
    both = _same(before.ids, after.ids)
    rows = {"before": len(before), "now": len(after), "both": int((both >= 0).sum())}
    if not len(before) or not len(after):
        return {"verdict": "too_few", "text": _FEW, "rows": rows, "inputs": [], "output": None, "test": TEST}
    rng = np.random.default_rng(seed)
    first, second, both = _some(len(before), both, rng)
    said = [model.probability(t.data.take(rows_)) for t, rows_ in ((before, first), (after, second))]
    columns: dict[str, tuple[str, Parts]] = {}
    for name in model.encoder.features:
        label = str(model.about.get("titles", {}).get(name, {}).get("label", name))
        columns[name] = label, parts(before.data[name].take(first), after.data[name].take(second))
    columns[""] = "probability", _of_numbers(*said)
    found = compare(columns, len(first), both, rng)
    inputs = sorted(found[:-1], key=lambda s: (-s.psi, s.feature))
    verdict = overall(found)
    return {
        "verdict": verdict,
        "text": _in_words(verdict, inputs, found[-1]),
        "rows": rows,
        "inputs": [s.as_dict() for s in inputs],
        "output": found[-1].as_dict(),
        "test": TEST,
    }


def compare(
    columns: dict[str, tuple[str, Parts]], first: int, both: np.ndarray, rng: np.random.Generator
) -> list[Shift]:
    """Every column then and now, in order.

    Args:
        columns: Name → label, parts of the rows.
        first: How many rows are of the earlier moment.
        both: Per row of the later moment, the row of the same customer in the earlier one; -1 = she is not there.
    """
    later = np.zeros(first + len(both), np.float32)
    later[first:] = 1
    labels = np.vstack([later, _permuted(later, first, both, rng)])
    observed, chance = [], []
    for _, column in columns.values():
        one_hot = np.zeros((len(later), len(column.titles)), np.float32)
        one_hot[np.arange(len(later)), column.place] = 1
        total = one_hot.sum(axis=0, dtype=np.float64)
        counts = (labels @ one_hot).astype(np.float64)
        figures = psi(total - counts, counts)
        observed.append(float(figures[0]))
        chance.append(figures[1:])
    usual = np.maximum([c.mean() for c in chance], 1e-12)
    largest = np.max([c / u for c, u in zip(chance, usual, strict=True)], axis=0)
    found = []
    for (name, (label, column)), value, drawn_, u in zip(columns.items(), observed, chance, usual, strict=True):
        p = (1 + int((largest >= value / u).sum())) / (PERMUTATIONS + 1)
        found.append(Shift(name, label, value, float(np.quantile(drawn_, 0.95)), p, _moved(column, first)))
    return found


def overall(found: Sequence[Shift]) -> Verdict:
    """What several figures say together: the worst of them; where nothing is seen, whether it could have been."""
    verdicts = {s.verdict for s in found}
    order: tuple[Verdict, ...] = ("drift", "too_few", "small", "none")
    return order[min((order.index(v) for v in verdicts), default=1)]


def parts(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Parts:
    """The part of each row: tenths of the earlier numbers, the commonest earlier texts; missing is a part of its own."""
    import pyarrow as pa

    if any(pa.types.is_string(side.type) or pa.types.is_large_string(side.type) for side in (before, after)):
        return _of_texts(before.cast(pa.string()), after.cast(pa.string()))  # an empty column reads as numbers
    return _of_numbers(values(before), values(after))


_FEW = "No drift can be seen with so few customers: chance alone moves these figures as far as a real shift would."


def _of_numbers(before: np.ndarray, after: np.ndarray) -> Parts:
    known = before[~np.isnan(before)]
    cuts = np.unique(np.quantile(known, np.arange(1, PARTS) / PARTS)) if len(known) else np.empty(0)
    x = np.concatenate([before, after])
    place = np.searchsorted(cuts, x, side="left")
    place[np.isnan(x)] = len(cuts) + 1
    if not len(cuts):
        return Parts(place, ("known", "missing"))
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(cuts)]
    return Parts(place, (f"up to {cuts[0]:.4g}", *between, f"above {cuts[-1]:.4g}", "missing"))


def _of_texts(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Parts:
    import pyarrow as pa
    import pyarrow.compute as pc

    counted = pc.value_counts(before.combine_chunks()).to_pylist()
    known = sorted((-c["counts"], c["values"]) for c in counted if c["values"] is not None)[:LEVELS]
    levels = [value for _, value in known]
    place = []
    for column in (before, after):
        found = pc.index_in(column, value_set=pa.array(levels, pa.string())).fill_null(len(levels))
        missing = np.asarray(column.is_null())
        place.append(np.where(missing, len(levels) + 1, found.to_numpy()))
    return Parts(np.concatenate(place).astype(np.int64), (*(f"“{v}”" for v in levels), "others", "missing"))


def _same(before: pa.Array, after: pa.Array) -> np.ndarray:
    """Per later row the earlier row of the same customer, -1 where there is none."""
    import pyarrow.compute as pc

    if before.type != after.type:
        return np.full(len(after), -1)
    found = pc.index_in(after, value_set=before).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _some(before: int, both: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of both moments that are compared, of the same customers where they are in both, and who is who among them."""
    share = min(1.0, MOST_ROWS / (before + len(both)))
    luck = rng.random(before)
    own = np.where(both >= 0, luck[both], rng.random(len(both)))
    first, second = np.flatnonzero(luck < share), np.flatnonzero(own < share)
    place = np.full(before + 1, -1)
    place[first] = np.arange(len(first))
    return first, second, place[both[second]]


def _permuted(later: np.ndarray, first: int, both: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which rows are taken for the later moment, as often as there are permutations."""
    mine, twin = first + np.flatnonzero(both >= 0), both[both >= 0]
    alone = np.setdiff1d(np.arange(len(later)), np.concatenate([mine, twin]))
    drawn = np.tile(later, (PERMUTATIONS, 1))
    for row in drawn:
        swapped = rng.random(len(mine)) < 0.5
        row[mine[swapped]], row[twin[swapped]] = 0, 1
        row[alone] = rng.permutation(later[alone])
    return drawn


def _moved(column: Parts, first: int) -> tuple[str, float, float]:
    size = len(column.titles)
    before, after = (
        np.bincount(side, minlength=size) / max(len(side), 1) for side in (column.place[:first], column.place[first:])
    )
    most = int(np.argmax(np.abs(after - before)))
    return column.titles[most], float(before[most]), float(after[most])


def _in_words(verdict: Verdict, inputs: Sequence[Shift], output: Shift) -> str:
    moved = [s for s in (output, *inputs) if s.verdict == "drift"]
    if verdict == "too_few":
        return _FEW
    if not moved:
        small = sum(s.verdict == "small" for s in (output, *inputs))
        return f"{small} figures moved a little, none notably." if small else "Nothing has drifted notably."
    part, before, after = moved[0].moved
    others = len(moved) - 1
    more = f" {others} more {'has' if others == 1 else 'have'} drifted." if others else ""
    return f"“{moved[0].label}” has drifted: {part} was {before:.0%} and is {after:.0%} of the customers.{more}"
