"""From features as people know them to numbers that models read: a matrix for trees, and one for linear models made of it.

Nothing here looks at outcomes. What is learned (levels, middles, spreads) is learned from the rows a model learns from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kohort.errors import WrongUsage
from kohort.model.columns import text_levels, values
from kohort.model.feature import FeatureInfo

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["number", "flag", "level", "week"]
FAR = float(np.finfo(np.float32).max)
LEAST_SPREAD = 1e-30
CLIP = 6.0
MOST_LEVELS = 20
LEAST_ROWS = 20
"""A level of a text needs as many rows to have a column: fewer teach nothing, and could tell who somebody is."""

KNOTS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the matrix for trees, and how it looks in the one for linear models.

    Attributes:
        feature: The feature it is made of; the levels of a text share one.
        kind: number and flag: NaN = missing. level: 1 where the text is `level`, else 0. week: what one channel had in one week;
            only sequence models read it, and these columns stand last: weeks, the last one first, of all channels each.
        level: Of a text; of a week the words of its channel.
        scale: Numbers with a long tail are read through log(1 + |x| / scale), sign kept; 0 = as they are.
        middle: Taken away, after that.
        spread: What it is divided by.
        knots: Places (in the divided numbers) from which on a number gets a further slope.
        absent: Whether being missing has a column of its own.
        typical: What most rows have: the median, or the more frequent value; what reasons compare with.
    """

    feature: str
    kind: Kind
    level: str = ""
    scale: float = 0.0
    middle: float = 0.0
    spread: float = 1.0
    knots: tuple[float, ...] = ()
    absent: bool = False
    typical: float = 0.0


@dataclass(frozen=True, slots=True)
class Encoder:
    """How every table of these features becomes numbers."""

    columns: tuple[Column, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads, each once; single weeks are not among them."""
        return tuple(dict.fromkeys(c.feature for c in self.columns if c.kind != "week"))

    @property
    def channels(self) -> tuple[str, ...]:
        """What the weeks are about, in words; empty where there are none."""
        return tuple(dict.fromkeys(c.level for c in self.columns if c.kind == "week"))

    @property
    def weeks(self) -> int:
        """How many weeks there are of each channel."""
        return sum(c.kind == "week" for c in self.columns) // max(len(self.channels), 1)

    def matrix(self, data: pa.Table) -> np.ndarray:
        """float32 (rows, columns), NaN where a number or flag is missing; in column order, since trees read columns.

        Raises:
            WrongUsage: The table lacks a feature, or it is of another type.
        """
        out = np.empty((data.num_rows, len(self.columns)), np.float32, order="F")
        for name in dict.fromkeys(c.feature for c in self.columns):
            places = [i for i, c in enumerate(self.columns) if c.feature == name]
            column = _column(data, name, text=self.columns[places[0]].kind == "level")
            if self.columns[places[0]].kind == "level":
                for i, x in zip(places, text_levels(column, [self.columns[i].level for i in places]), strict=True):
                    out[:, i] = x
            else:
                out[:, places[0]] = np.clip(values(column), -FAR, FAR)
        return out

    def linear(self, X: np.ndarray) -> np.ndarray:
        """float64 matrix for linear models, without NaN, of the matrix for trees."""
        plain = ((i, c) for i, c in enumerate(self.columns) if c.kind != "week")
        parts = [part for i, c in plain for part in _linear(c, X[:, i].astype(float))]
        return np.column_stack(parts) if parts else np.zeros((len(X), 0))

    def series(self, X: np.ndarray) -> np.ndarray:
        """float32 (rows, weeks, channels) for sequence models, the oldest week first; 0 where nothing was."""
        first = len(self.columns) - self.weeks * len(self.channels)
        shape = (self.weeks, len(self.channels))
        scale, spread = (
            np.array([getattr(c, key) for c in self.columns[first:]], np.float32).reshape(shape)
            for key in ("scale", "spread")
        )
        x = np.nan_to_num(X[:, first:]).reshape(len(X), *shape)
        with np.errstate(over="ignore"):  # what is infinite is cut in the same line
            bent = np.clip(np.copysign(np.log1p(np.abs(x) / scale), x) / spread, -CLIP, CLIP)
        return np.ascontiguousarray(bent[:, ::-1], np.float32)

    @property
    def width(self) -> int:
        """Columns of the linear matrix."""
        return sum(1 + len(c.knots) + c.absent for c in self.columns if c.kind != "week")

    def as_dict(self) -> list[dict[str, Any]]:
        return [asdict(c) for c in self.columns]


def fit_encoder(data: pa.Table, features: Sequence[FeatureInfo]) -> Encoder:
    """Learns the columns from a table. A feature that never differs gets none."""
    columns: list[Column] = []
    for info in features:
        if info.type == "text":
            columns += _text(info.name, data[info.name])
        else:
            columns += _number(info.name, values(data[info.name]))
    return Encoder(tuple(columns))


def with_weeks(encoder: Encoder, data: pa.Table, infos: Sequence[FeatureInfo], channels: Sequence[str]) -> Encoder:
    """The same columns, and behind them those of single weeks: one scale per channel, learned from all of its weeks.

    Args:
        infos: One per week and channel, the last week first.
        channels: Words of each channel.
    """
    columns = []
    for n in range(len(channels)):
        mine = infos[n :: len(channels)]
        seen = np.concatenate([np.abs(np.nan_to_num(values(data[i.name]))) for i in mine])
        some = np.clip(seen[seen > 0], LEAST_SPREAD, FAR)
        scale = float(np.median(some)) if len(some) else 1.0
        spread = float(np.log1p(seen / scale).std()) or 1.0
        columns.append([Column(i.name, "week", channels[n], scale, spread=max(spread, LEAST_SPREAD)) for i in mine])
    return Encoder((*encoder.columns, *(c for week in zip(*columns, strict=True) for c in week)))


def _column(data: pa.Table, name: str, *, text: bool) -> Any:
    import pyarrow as pa

    if name not in data.column_names:
        raise WrongUsage(
            f"The table lacks the feature {name!r} that the model was trained with.",
            hint="Bring the same columns as for training.",
        )
    column = data[name]
    if text == (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    if text and pa.types.is_null(column.type):
        return column.cast(pa.string())
    if text and (pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        return pa.chunked_array(
            [pa.nulls(len(column), pa.string())]
        )  # a text column that is empty here reads as numbers
    if not text and column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), pa.float64())])
    raise WrongUsage(f"The feature {name!r} is of another type than at training.", hint="Bring the same columns.")


def _text(name: str, column: Any) -> list[Column]:
    import pyarrow.compute as pc

    counted = pc.value_counts(column.combine_chunks()).to_pylist()
    known = sorted((-c["counts"], c["values"]) for c in counted if c["values"] is not None)
    rows = len(column)
    found = [(level, -count / rows) for count, level in known if LEAST_ROWS <= -count < rows][:MOST_LEVELS]
    if len(found) == 2 and found[0][1] + found[1][1] == 1.0:
        found = found[:1]
    most = known[0][1] if known else ""
    return [
        Column(
            name, "level", level, middle=share, spread=float(np.sqrt(share * (1 - share))), typical=float(level == most)
        )
        for level, share in found
    ]


def _number(name: str, x: np.ndarray) -> list[Column]:
    seen = np.clip(x[~np.isnan(x)], -FAR, FAR)
    absent = bool(0.01 <= 1 - len(seen) / max(len(x), 1) <= 0.99)
    kinds = np.unique(seen)
    if len(kinds) == 0 or (len(kinds) == 1 and not absent):
        return []
    if len(kinds) <= 2:
        spread = max(float(seen.std()), LEAST_SPREAD) if len(kinds) == 2 else 1.0
        typical = float(np.median(seen)) if np.median(seen) in kinds else float(kinds[-1])
        return [Column(name, "flag", middle=float(seen.mean()), spread=spread, absent=absent, typical=typical)]
    low, middle, high = np.quantile(seen, (0.01, 0.5, 0.99))
    scale = 0.0
    if kinds[0] >= 0 and high - middle > 3 * (middle - low):
        scale = max(float(np.median(seen[seen > 0])), LEAST_SPREAD)
    g = _bent(seen, scale)
    low, middle, high = np.quantile(g, (0.01, 0.5, 0.99))
    spread = float(np.std(np.clip(g, low, high))) or float(np.std(g)) or 1.0
    spread = max(spread, LEAST_SPREAD)
    z = (g - middle) / spread
    knots: tuple[float, ...] = ()
    if len(kinds) >= 10:
        inner = np.unique(np.quantile(z, KNOTS).round(6))
        knots = tuple(float(k) for k in inner if z.min() < k < z.max())
    return [Column(name, "number", "", scale, float(middle), spread, knots, absent, float(np.median(seen)))]


def _bent(x: np.ndarray, scale: float) -> np.ndarray:
    return np.copysign(np.log1p(np.abs(x) / scale), x) if scale > 0 else x


def _linear(c: Column, x: np.ndarray) -> list[np.ndarray]:
    if c.kind == "level":
        return [(x - c.middle) / c.spread]
    missing = np.isnan(x)
    z = np.clip((_bent(x, c.scale) - c.middle) / c.spread, -CLIP, CLIP)
    z[missing] = 0.0
    slopes = [np.where(missing, 0.0, np.maximum(z - knot, 0.0)) for knot in c.knots]
    return [z, *slopes, *([missing.astype(float)] if c.absent else [])]
