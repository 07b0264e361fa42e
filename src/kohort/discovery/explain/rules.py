"""The short rule of a group: at most three conditions with thresholds a person would choose.

Thresholds are rounded before the search, so fidelity and coverage belong to the rule as it is written. The search
looks at the F-measure (both who is met wrongly and who is missed count) and keeps a few best partial rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kohort.discovery.explain import sentences
from kohort.discovery.explain.columns import Column
from kohort.discovery.explain.sql import quoted
from kohort.model.segmentation import Rule

MAX_CONDITIONS = 3
BEAM = 4
CUTS = 40
LEVELS = 8
PRICE = 0.015
"""F-measure that one more condition must add: a shorter rule is worth a little precision."""

_NOTHING = 1e-100


@dataclass(frozen=True, slots=True)
class Condition:
    """One half-line, text or absence: `kind` is ge, lt, is, isnt or missing; `bound` a number or a level."""

    column: int
    kind: str
    bound: float


@dataclass(frozen=True, slots=True)
class Grid:
    """A column cut at human thresholds.

    Attributes:
        codes: Per sampled row: number of cuts at or below the value (numbers), level (texts); −1 = missing.
        cuts: Ascending thresholds, or level numbers of texts.
    """

    column: Column
    codes: np.ndarray
    cuts: np.ndarray
    missing: bool


@dataclass(slots=True)
class _Partial:
    conditions: tuple[Condition, ...]
    met: np.ndarray = field(repr=False)  # positions in the sample
    score: float = 0.0


def human(value: float, spread: float) -> float:
    """The nearest number a person would choose: two digits, the second 0 or 5; finer where the data is dense.

    Args:
        value: A threshold.
        spread: Width of the middle half of the data. A step is at most an eighth of it.

    Example:
        >>> human(61.3, 500), human(0.0437, 1), human(1234, 9000), human(7.3, 20), human(37.13, 0.5)
        (60.0, 0.045, 1200.0, 7.5, 37.15)
    """
    if abs(value) < _NOTHING or not math.isfinite(value):
        return 0.0
    power = 10.0 ** math.floor(math.log10(abs(value)))
    step = power * (0.5 if abs(value) / power >= 2 else 0.1)
    if spread > _NOTHING:
        step = min(step, _round_step(spread / 8))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return round(round(value / step) * step, decimals)


def _round_step(limit: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten up to a limit."""
    power = 10.0 ** math.floor(math.log10(limit))
    return power * next(m for m in (5, 2, 1) if m * power <= limit * (1 + 1e-9))


def grids(columns: Sequence[Column], sample: np.ndarray) -> list[Grid]:
    """The columns of the sampled rows, cut at thresholds a person would choose."""
    return [_text_grid(c, sample) if c.info.type == "text" else _number_grid(c, sample) for c in columns]


def _number_grid(column: Column, sample: np.ndarray) -> Grid:
    values = column.values[sample]
    gone = np.isnan(values)
    present = values[~gone]
    cuts = thresholds(column, present)
    codes = np.searchsorted(cuts, values, side="right")
    codes[gone] = -1
    return Grid(column, codes, cuts, bool(gone.any()))


def thresholds(column: Column, present: np.ndarray) -> np.ndarray:
    """Ascending human thresholds that separate the known values; empty where all are equal."""
    if not len(present):
        return np.zeros(0)
    distinct = np.unique(present)
    if len(distinct) == 1:
        return np.zeros(0)
    if column.info.type == "flag":
        return np.array([0.5])
    if column.whole and len(distinct) <= CUTS:
        return distinct[1:]
    quantiles = np.unique(np.quantile(present, np.linspace(0, 1, CUTS + 1)[1:-1]))
    spread = float(np.subtract(*np.percentile(present, [75, 25])))
    rounded = [human(float(q), spread) for q in quantiles]
    if column.info.unit == "share":
        rounded = [round(20 * float(q)) / 20 for q in quantiles]
    if column.whole or column.info.unit in ("days", "hour"):
        rounded = [float(round(r)) for r in rounded]
    inside = np.unique([r for r in rounded if distinct[0] < r <= distinct[-1]])
    return inside if len(inside) else distinct[len(distinct) // 2 :][:1]


def _text_grid(column: Column, sample: np.ndarray) -> Grid:
    codes = column.values[sample]
    counts = np.bincount(codes[codes >= 0], minlength=max(len(column.levels), 1))
    common = np.argsort(-counts, kind="stable")[:LEVELS]
    return Grid(column, codes, common[counts[common] > 0].astype(float), bool((codes < 0).any()))


def find(
    grids: Sequence[Grid], inside: np.ndarray, *, beam: int = BEAM, depth: int = MAX_CONDITIONS
) -> tuple[Condition, ...]:
    """The conditions that best tell a group's rows of the sample from all others.

    Args:
        grids: Cut columns of the sampled rows.
        inside: Per sampled row, whether it is in the group.

    Returns:
        At most `depth` conditions; empty where no condition is better than "everybody".
    """
    total = int(inside.sum())
    if not total or total == len(inside):
        return ()
    partials = [_Partial((), np.arange(len(inside)), 0.0)]
    best = partials[0]
    for _ in range(depth):
        grown = [p for parent in partials for p in _grow(parent, grids, inside, total, beam)]
        grown.sort(key=lambda p: (-p.score, p.conditions and [(c.column, c.kind, c.bound) for c in p.conditions]))
        partials = _distinct(grown)[:beam]
        if not partials or partials[0].score <= best.score + PRICE:
            break
        best = partials[0]
    return best.conditions


def _distinct(partials: list[_Partial]) -> list[_Partial]:
    """Without repeats of the same conditions in another order."""
    seen: set[frozenset[Condition]] = set()
    kept = []
    for p in partials:
        key = frozenset(p.conditions)
        if key not in seen:
            seen.add(key)
            kept.append(p)
    return kept


def _grow(parent: _Partial, grids: Sequence[Grid], inside: np.ndarray, total: int, beam: int) -> list[_Partial]:
    """The parent with one more condition: the few best."""
    options: list[tuple[float, Condition]] = []
    within = inside[parent.met]
    for i, grid in enumerate(grids):
        width = max(len(grid.cuts), len(grid.column.levels)) + 2
        codes = grid.codes[parent.met] + 1  # 0 = missing
        hits = np.bincount(codes[within], minlength=width).astype(float)
        met = np.bincount(codes, minlength=width).astype(float)
        options += _options(i, grid, hits, met, total)
    options.sort(key=lambda o: (-o[0], o[1].column, o[1].kind, o[1].bound))
    return [
        _Partial((*parent.conditions, c), parent.met[holds(c, grids[c.column], parent.met)], score)
        for score, c in options[:beam]
        if c not in parent.conditions
    ]


def _options(i: int, grid: Grid, hits: np.ndarray, met: np.ndarray, total: int) -> list[tuple[float, Condition]]:
    found: list[tuple[float, Condition]] = []
    known_hits, known_met = hits[1:], met[1:]
    if grid.column.info.type == "text":
        for level in grid.cuts.astype(int):
            found.append((_one_f(known_hits[level], known_met[level], total), Condition(i, "is", float(level))))
            rest = (known_hits.sum() - known_hits[level], known_met.sum() - known_met[level])
            found.append((_one_f(*rest, total), Condition(i, "isnt", float(level))))
    elif len(grid.cuts):
        below_hits = np.cumsum(known_hits)[: len(grid.cuts)]
        below_met = np.cumsum(known_met)[: len(grid.cuts)]
        lower = _f(known_hits.sum() - below_hits, known_met.sum() - below_met, total)
        upper = _f(below_hits, below_met, total)
        for kind, scores in (("ge", lower), ("lt", upper)):
            top = np.argsort(-scores, kind="stable")[:2]
            found += [(float(scores[j]), Condition(i, kind, float(grid.cuts[j]))) for j in top]
    if grid.missing:
        found.append((_one_f(hits[0], met[0], total), Condition(i, "missing", 0.0)))
    return found


def _f(hits: np.ndarray, met: np.ndarray, total: int) -> np.ndarray:
    """F-measure of each cut; `total` is the size of the group."""
    scores: np.ndarray = 2 * hits / np.maximum(met + total, 1)
    return scores


def _one_f(hits: float, met: float, total: int) -> float:
    return float(2 * hits / max(met + total, 1))


def holds(condition: Condition, grid: Grid, rows: np.ndarray) -> np.ndarray:
    """Which of the sampled rows meet a condition, from the codes."""
    codes = grid.codes[rows]
    match condition.kind:
        case "ge":
            return codes > int(np.searchsorted(grid.cuts, condition.bound))  # type: ignore[no-any-return]
        case "lt":
            return (codes >= 0) & (codes <= int(np.searchsorted(grid.cuts, condition.bound)))  # type: ignore[no-any-return]
        case "is":
            return codes == int(condition.bound)  # type: ignore[no-any-return]
        case "isnt":
            return (codes >= 0) & (codes != int(condition.bound))  # type: ignore[no-any-return]
        case _:
            return codes < 0  # type: ignore[no-any-return]


def met_by(conditions: Sequence[Condition], columns: Sequence[Column], rows: int) -> np.ndarray:
    """Which customers meet all conditions, from the values themselves. A missing value meets no comparison."""
    met = np.ones(rows, dtype=bool)
    for c in conditions:
        values = columns[c.column].values
        with np.errstate(invalid="ignore"):
            match c.kind:
                case "ge":
                    met &= values >= c.bound
                case "lt":
                    met &= values < c.bound
                case "is":
                    met &= values == int(c.bound)
                case "isnt":
                    met &= (values >= 0) & (values != int(c.bound))
                case _:
                    met &= values < 0 if columns[c.column].info.type == "text" else np.isnan(values)
    return met


def written(
    conditions: Sequence[Condition], columns: Sequence[Column], members: np.ndarray, rows: int, currency: str
) -> Rule | None:
    """The rule with its words, its SQL and its figures over all customers.

    Args:
        conditions: From `find`.
        members: Row numbers of the group.
        rows: Number of customers.

    Returns:
        None where there are no conditions or nobody meets them.
    """
    if not conditions:
        return None
    met = met_by(conditions, columns, rows)
    hits, all_met = int(met[members].sum()), int(met.sum())
    if not all_met or not len(members):
        return None
    tidy = _merged(conditions)
    return Rule(
        text=sentences.rule_text([_words(group, columns, currency) for group in tidy]),
        expression=" AND ".join(_sql(group, columns) for group in tidy),
        fidelity=hits / all_met,
        coverage=hits / len(members),
    )


def _merged(conditions: Sequence[Condition]) -> list[tuple[Condition, ...]]:
    """Conditions on one feature together, tightest bound of each side only, in the order they were found."""
    by_column: dict[int, dict[str, Condition]] = {}
    for c in conditions:
        mine = by_column.setdefault(c.column, {})
        key = c.kind if c.kind in ("ge", "lt") else f"{c.kind}{c.bound}"
        if (
            key not in mine
            or (c.kind == "ge" and c.bound > mine[key].bound)
            or (c.kind == "lt" and c.bound < mine[key].bound)
        ):
            mine[key] = c
    return [tuple(sorted(m.values(), key=lambda c: c.kind)) for m in by_column.values()]


def _words(group: tuple[Condition, ...], columns: Sequence[Column], currency: str) -> str:
    column = columns[group[0].column]
    info, whole = column.info, column.whole
    if len(group) == 2 and group[0].kind == "ge" and group[1].kind == "lt":
        high = group[1].bound - 1 if whole else group[1].bound
        if whole and high == group[0].bound:
            return sentences.exactly(info, high, currency)
        return sentences.between(info, group[0].bound, high, currency, inclusive=whole)
    return sentences.listed([_one(c, column, currency) for c in group])


def _one(c: Condition, column: Column, currency: str) -> str:
    info = column.info
    if info.type == "flag" and c.kind in ("ge", "lt"):
        return sentences.is_flag(info, negative=c.kind == "lt")
    match c.kind:
        case "ge":
            return sentences.at_least(info, c.bound, currency)
        case "lt":
            bound = c.bound - 1 if column.whole else c.bound
            return sentences.below(info, bound, currency, inclusive=column.whole)
        case "is" | "isnt":
            return sentences.is_text(info, column.levels[int(c.bound)], negative=c.kind == "isnt")
        case _:
            return sentences.is_missing(info)


def _sql(group: tuple[Condition, ...], columns: Sequence[Column]) -> str:
    return " AND ".join(_sql_one(c, columns[c.column]) for c in group)


def _sql_one(c: Condition, column: Column) -> str:
    name = quoted(column.info.name)
    if column.info.type == "flag" and c.kind in ("ge", "lt"):
        return name if c.kind == "ge" else f"NOT {name}"
    match c.kind:
        case "ge":
            return f"{name} >= {_literal(c.bound)}"
        case "lt" if column.whole:
            return f"{name} <= {_literal(c.bound - 1)}"
        case "lt":
            return f"{name} < {_literal(c.bound)}"
        case "is" | "isnt":
            level = column.levels[int(c.bound)].replace("'", "''")
            return f"{name} {'=' if c.kind == 'is' else '<>'} '{level}'"
        case _:
            return f"{name} IS NULL"


def _literal(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) and abs(bound) < 1e15 else repr(bound)
