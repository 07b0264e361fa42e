"""Who meets a short rule. Only the rules that explanations write are read; nothing is ever executed as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from kohort.errors import NotFound, RefusedDefinition

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = r'(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))'
_CONDITION = re.compile(
    r"\s*(?:(?P<negated>NOT)\s+)?"
    + _NAME
    + r"(?:\s+IS\s+(?P<null>NULL)"
    + r"|\s*(?P<sign>>=|<=|<>|=|<|>)\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?[0-9.]+(?:e[+-]?[0-9]+)?)))?"
    r"\s*(?P<joint>AND\s|$)"
)


def meets(expression: str, data: pa.Table) -> np.ndarray:
    """Per row, whether a rule holds. A missing value meets no comparison, as in SQL.

    Args:
        expression: Conditions joined by AND, as in `Rule.expression`: comparisons with a number or text, flags with or
            without NOT, IS NULL.
        data: One column per feature.

    Returns:
        bool array.

    Raises:
        RefusedDefinition: Anything else, with its place.
        NotFound: A feature is not in the table.

    Example:
        >>> import pyarrow as pa
        >>> meets("orders >= 2 AND country = 'UK'", pa.table({"orders": [1, 2, 3], "country": ["UK", "UK", None]}))
        array([False,  True, False])
    """
    met = np.ones(data.num_rows, dtype=bool)
    at = 0
    while True:
        found = _CONDITION.match(expression, at)
        if found is None or (found["negated"] and (found["null"] or found["sign"])):
            raise RefusedDefinition(
                "This is not a short rule.", text=expression, start=at, end=len(expression), code="bad_rule"
            )
        met &= _condition(found, data)
        at = found.end()
        if not found["joint"]:
            return met


def _condition(found: re.Match[str], data: pa.Table) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    name = found["plain"] or found["quoted"].replace('""', '"')
    if name not in data.column_names:
        raise NotFound("feature", name, data.column_names)
    column = data[name]
    if found["null"]:
        return np.asarray(pc.is_null(column, nan_is_null=True))
    if found["sign"] is None:
        if not pa.types.is_boolean(column.type):
            raise RefusedDefinition("Only a yes-or-no feature can stand alone.", text=name, code="bad_rule")
        flags = np.asarray(pc.fill_null(column, bool(found["negated"])), dtype=bool)
        return ~flags if found["negated"] else flags
    value = found["text"].replace("''", "'") if found["text"] is not None else float(found["number"])
    compare = {
        ">=": pc.greater_equal,
        ">": pc.greater,
        "<=": pc.less_equal,
        "<": pc.less,
        "=": pc.equal,
        "<>": pc.not_equal,
    }[found["sign"]]
    known = np.asarray(pc.is_valid(column)) & ~np.asarray(pc.is_null(column, nan_is_null=True))
    holds: np.ndarray = np.asarray(pc.fill_null(compare(column, value), False), dtype=bool) & known
    return holds
