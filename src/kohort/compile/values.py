"""Values of one customer: what becomes of whole numbers at the very end, in float64, the same way in every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ibis

# Squares are summed in parts of 20 bits, so that no square leaves 64 bits: (2^20 a + b)^2 = 2^40 a^2 + 2^21 ab + b^2.
HALF = 20
_SUMMED_PARTS = ("hi", "mid", "lo")
_ENTROPY_DECIMALS = 1e9

Value = Callable[[Any], Any]
"""Given the table of all joined stages, the expression of one measure."""


def numeric_needs(kind: str) -> tuple[str, ...]:
    """The whole numbers that a statistic is made from."""
    match kind:
        case "mean":
            return ("sum", "present")
        case "std":
            return ("sum", "present", "min", "max", *_SUMMED_PARTS)
        case _:
            return (kind,)


def joined(operator: Callable[[Any, Any], Any], items: Iterable[Any]) -> Any:
    """`a and b and c …` as a tree of little depth: a thousand items in a row would be a thousand levels."""
    level = list(items)
    while len(level) > 1:
        pairs = [operator(*level[n : n + 2]) for n in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return level[0]


def column(name: str) -> Value:
    """A column as it is."""
    return lambda t: t[name]


def constant(value: float | None) -> Value:
    """The same number for everybody; None = missing."""
    return lambda _: ibis.null("float64") if value is None else ibis.literal(value, "float64")


def scaled(value: Any, scale: int) -> Any:
    """A stored integer in the unit people read."""
    number = value.cast("float64")
    return number if scale == 1 else number / float(scale)


def number(name: str, scale: int = 1, *, nothing: int | None = None) -> Value:
    """A stored integer as a number of units; `nothing` = what no event at all means."""
    return lambda t: scaled(t[name] if nothing is None else ibis.coalesce(t[name], nothing), scale)


def divided(above: str, below: str) -> Value:
    """One whole number by another; missing where the second is zero."""
    return lambda t: t[above].cast("float64") / t[below].nullif(0).cast("float64")


def std(table: Any, need: Mapping[str, str], scale: int) -> Any:
    """Sample standard deviation from integer sums; exactly 0 where all values are equal, missing below two values."""
    part = {f: table[name].cast("float64") for f, name in need.items()}
    squares = part["hi"] * float(1 << 2 * HALF) + (part["mid"] * float(1 << HALF + 1) + part["lo"])
    spread = squares - part["sum"] * part["sum"] / part["present"].nullif(0.0)
    variance = ibis.greatest(spread / (part["present"] - 1.0).nullif(0.0), 0.0)
    equal = table[need["min"]] == table[need["max"]]
    deviation = equal.ifelse(ibis.literal(0.0), variance.sqrt() / float(scale))
    return (table[need["present"]] >= 2).ifelse(deviation, ibis.null("float64"))


def entropy(total: str, n_log_n: str) -> Value:
    """Shannon entropy in bits, rounded to nine decimals: logarithms and sums of engines differ beyond that."""

    def value(t: Any) -> Any:
        n = t[total].cast("float64")
        bits = n.log2() - t[n_log_n] / n
        return (bits * _ENTROPY_DECIMALS + 0.5).floor().cast("float64") / _ENTROPY_DECIMALS

    return value
