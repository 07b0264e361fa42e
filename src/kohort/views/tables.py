"""Tables as files for people: safe to open in a spreadsheet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

TableKind = Literal["csv", "parquet"]
MEDIA: dict[TableKind, str] = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}

# What a spreadsheet would run, unless the whole text is a number: "-5" and "+4.2e3" are harmless.
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$"


def as_file(table: pa.Table, kind: TableKind) -> bytes:
    """The content of a file. In CSV a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.BytesIO()
    if kind == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, out, compression="zstd")
    else:
        import pyarrow.csv

        pyarrow.csv.write_csv(without_formulas(table)[0], out)
    return out.getvalue()


def without_formulas(table: pa.Table) -> tuple[pa.Table, int]:
    """The table with an apostrophe before every text that a spreadsheet would run, and how many those are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    changed = 0
    for i, field in enumerate(table.schema):
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            continue
        column = table.column(i)
        risky = pc.and_not(pc.match_substring_regex(column, _FORMULA), pc.match_substring_regex(column, _NUMBER))
        risky = pc.fill_null(risky, False)
        count = pc.sum(risky).as_py() or 0
        if count:
            changed += count
            marked = pc.binary_join_element_wise(pa.scalar("'", field.type), column, pa.scalar("", field.type))
            table = table.set_column(i, field, pc.if_else(risky, marked, column))
    return table, changed
