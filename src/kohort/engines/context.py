"""Series about the world, joined as they were known: what a moment could know of each area, by one query."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from kohort.engines.duck import connect
from kohort.model.context import ContextFeature
from kohort.model.event import NUMBER_SCALE

_MICROS = 1_000_000


def known_at(observations: pa.Table, features: Sequence[ContextFeature], *, as_of: int) -> pa.Table:
    """The features of every area as they were known at one moment.

    Args:
        observations: `area` text, `ts` and `known` int64 µs UTC, and one int64 column of millionths per column that the
            features name; nulls are observations that say nothing of it.
        features: What is asked.
        as_of: Nothing that became known later counts, nor what is about a later time.

    Returns:
        `area`, then one float64 column per feature, null where nothing was known; areas with at least one visible
        observation, sorted. Sums are exact, and divided once.
    """
    chosen = ", ".join(f"{_expression(f, as_of)} AS {_quoted(f.name)}" for f in features)
    columns = sorted({f.column for f in features})
    # Of each column apart: a later publication may correct one and be silent about another.
    newest = ", ".join(f"arg_max({_quoted(c)}, known) AS {_quoted(c)}" for c in columns)
    with connect(folders=()) as con:
        con.register("observations", observations)
        return con.execute(
            f"SELECT area, {chosen} FROM (SELECT area, ts, {newest} FROM observations "
            "WHERE known <= $as_of AND ts <= $as_of GROUP BY area, ts) GROUP BY area ORDER BY area",
            {"as_of": as_of},
        ).to_arrow_table()


def _expression(feature: ContextFeature, as_of: int) -> str:
    column = _quoted(feature.column)
    inside = f"FILTER (WHERE ts > {as_of - feature.within_s * _MICROS} AND {column} IS NOT NULL)"
    match feature.kind:
        case "last":
            return f"arg_max({column}, ts) {inside} / {float(NUMBER_SCALE)}"
        case "mean":
            return f"(sum({column}) {inside})::DOUBLE / ((count({column}) {inside}) * {NUMBER_SCALE})"
        case "sum":
            return f"(sum({column}) {inside})::DOUBLE / {float(NUMBER_SCALE)}"
        case _:
            return f"{feature.kind}({column}) {inside} / {float(NUMBER_SCALE)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
