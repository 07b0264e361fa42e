"""Which of two outcomes a column tells, and which of them is the one to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.errors import BadInput, NotFound
from kohort.model.columns import values
from kohort.model.feature import FeatureTable

if TYPE_CHECKING:
    import pyarrow as pa

YES = frozenset(
    [
        "yes",
        "y",
        "true",
        "t",
        "1",
        "churned",
        "churn",
        "attrited",
        "left",
        "cancelled",
        "canceled",
        "bought",
        "positive",
        "ja",
        "j",
        "waar",
        "wahr",
        "oui",
        "si",
        "sand",
    ]
)  # words for "it happened" in the languages that tables come in
NO = frozenset(
    [
        "no",
        "n",
        "false",
        "f",
        "0",
        "stayed",
        "retained",
        "active",
        "existing",
        "none",
        "negative",
        "nee",
        "nein",
        "nej",
        "non",
        "falsk",
        "onwaar",
        "falsch",
    ]
)


@dataclass(frozen=True, slots=True)
class Labels:
    """What happened, per row.

    Attributes:
        y: 1 = the outcome to predict, 0 = the other, NaN = unknown.
        name: Title of the column.
        positive: How the table writes the outcome to predict.
    """

    y: np.ndarray
    name: str
    positive: str


def find_column(table: FeatureTable, title: str) -> str:
    """The name of a feature by its name or by its title in the file.

    Raises:
        NotFound: No column is called so.
    """
    by_title = {f.definition.removeprefix("column "): f.name for f in table.features}
    name = by_title.get(title.strip(), title)
    if name not in {f.name for f in table.features}:
        raise NotFound("column", title, by_title or [f.name for f in table.features])
    return name


def take_labels(table: FeatureTable, title: str, positive: str | None = None) -> tuple[FeatureTable, Labels]:
    """The table without its column of outcomes, and the outcomes.

    Args:
        table: Any feature table.
        title: Name of the column, as the file writes it or as the table names it.
        positive: The value to predict; None = the one that says yes, else the rarer one.

    Raises:
        NotFound: There is no such column, or no such value in it.
        BadInput: It has one value, or more than two and `positive` is not given.
    """
    name = find_column(table, title)
    known, of_row = _values(table.data[name])
    if positive is None:
        if len(known) != 2:
            raise BadInput(
                f"The column has {len(known):,} different values; there must be two outcomes.",
                place=title,
                code="not_two_outcomes",
                hint="Say which value is to be predicted with --positive; all others count as the other outcome.",
            )
        chosen = _chosen(known, of_row)
    else:
        folded = {k.casefold(): i for i, k in enumerate(known)}
        if positive.casefold() not in folded:
            raise NotFound("value of the outcome", positive, known)
        chosen = folded[positive.casefold()]
    y = np.where(of_row < 0, np.nan, of_row == chosen)
    left = [f.name for f in table.features if f.name != name]
    return table.select(left), Labels(y, title.strip(), known[chosen])


def _values(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """The different values as texts, in order, and the place of each row's; −1 = missing."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        codes = column.combine_chunks().dictionary_encode()
        if isinstance(codes, pa.ChunkedArray):
            codes = codes.combine_chunks()
        known = [str(v) for v in codes.dictionary.to_pylist()]
        place = codes.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(int)
        return known, place
    x = values(column)
    kinds = np.unique(x[~np.isnan(x)])
    if len(kinds) > 1_000:
        raise BadInput(
            "The column of outcomes holds measurements.", code="not_two_outcomes", hint="Choose another one."
        )
    flag = pa.types.is_boolean(column.type)
    names = [("yes" if k else "no") if flag else f"{k:g}" for k in kinds]
    return names, np.where(np.isnan(x), -1, np.searchsorted(kinds, np.nan_to_num(x))).astype(int)


def _chosen(known: list[str], of_row: np.ndarray) -> int:
    folded = [k.strip().casefold() for k in known]
    sure = [i for i, k in enumerate(folded) if k in YES or folded[1 - i] in NO]
    if len(sure) == 1:
        return sure[0]
    counts = [int((of_row == i).sum()) for i in (0, 1)]
    return int(counts[1] <= counts[0])


def without_unknown(table: FeatureTable, rows: np.ndarray) -> FeatureTable:
    """Only the rows of a mask."""
    import pyarrow as pa

    mask = pa.array(rows)
    value: Any = None if table.value is None else table.value[rows]
    return replace(table, ids=table.ids.filter(mask), data=table.data.filter(mask), value=value)
