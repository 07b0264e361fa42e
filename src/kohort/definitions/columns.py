"""The columns that definitions may name: those of the event table that mean something, and two computed ones."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from kohort.errors import RefusedDefinition
from kohort.model.event import NUMBER_SCALE, QUANTITY_SCALE, ColumnType
from kohort.model.feature import Unit
from kohort.model.money import minor_digits

MONEY = 0
"""Scale of money columns: minor units, so it depends on the workspace's currency."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that a definition may read.

    Attributes:
        name: As written in definitions and, unless computed, in the event table.
        type: text, number, flag or time.
        scale: Stored integers per unit that people write; MONEY where the currency decides.
        unit: Unit of a feature that shows values of this column.
        closed: Text from a closed lower-case list, stored as is: compared without folding letters.
    """

    name: str
    type: ColumnType
    scale: int = 1
    unit: Unit = "number"
    closed: bool = False


_FIXED = (
    Column("event", "text", unit="text"),
    Column("ts", "time", unit="days"),
    Column("day", "number"),  # local_day: days since 1970-01-01 in the workspace's zone
    Column("hour", "number", unit="hour"),  # local_hour
    Column("weekday", "number"),  # computed: 1 = Monday to 7 = Sunday, in the workspace's zone
    Column("order_id", "text", unit="text"),
    Column("product", "text", unit="text"),
    Column("product_name", "text", unit="text"),
    Column("category", "text", unit="text"),
    Column("line_kind", "text", unit="text", closed=True),
    Column("duplicate_line", "flag", unit="flag"),
    Column("quantity", "number", QUANTITY_SCALE, "items"),
    Column("amount", "number", MONEY, "money"),
    Column("refund", "number", MONEY, "money"),  # computed: −amount where amount is negative, else missing
    Column("currency", "text", unit="text"),
)
FIXED = {c.name: c for c in _FIXED}

_DECLARED: dict[ColumnType, tuple[int, Unit]] = {
    "text": (1, "text"),
    "number": (NUMBER_SCALE, "number"),
    "flag": (1, "flag"),
    "time": (1, "days"),
    "list": (1, "text"),
}


def vocabulary(declared: Mapping[str, ColumnType]) -> dict[str, Column]:
    """Every column a definition may name, given the declared ones (`p_…`, `t_…`)."""
    return FIXED | {n: Column(n, t, *_DECLARED[t]) for n, t in declared.items()}


def find(name: str, known: Mapping[str, Column], *, text: str = "", start: int = 0, end: int | None = None) -> Column:
    """The column of that name.

    Raises:
        RefusedDefinition: There is none; the hint offers the nearest name, `start` says where in `text` it stands.
    """
    column = known.get(name)
    if column is not None:
        return column
    near = [f"{prefix}{name}" for prefix in ("p_", "t_") if f"{prefix}{name}" in known]
    near = near or difflib.get_close_matches(name, list(known), n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "Columns: " + ", ".join(sorted(known)) + "."
    raise RefusedDefinition(
        f"No column is called {name!r}.",
        text=text,
        start=start,
        end=start + len(name) if end is None else end,
        hint=hint,
        code="unknown_column",
    )


def scale_of(column: Column, currency: str) -> int:
    """Stored integers per unit of this column in a workspace of this currency."""
    return int(10 ** minor_digits(currency)) if column.scale == MONEY else column.scale
