"""Many rows at once: the same SQLAlchemy statements, without a Python object per row and per value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

ROWS = 50_000


def fetch(con: Connection, statement: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Rows as plain tuples, in parts. The statement's values are numbers, written into its text."""
    text = str(statement.compile(con.engine, compile_kwargs={"literal_binds": True}))
    cursor = con.connection.cursor()
    try:
        cursor.execute(text)
        while part := cursor.fetchmany(ROWS):
            yield part
    finally:
        cursor.close()


def execute(con: Connection, statement: sa.UpdateBase, columns: dict[str, list[Any]]) -> None:
    """Runs a statement once per row of parallel columns, named like parameters; other parameters keep their value."""
    compiled = statement.compile(con.engine)
    n = len(next(iter(columns.values())))
    values = {name: columns[name] if name in columns else [fixed] * n for name, fixed in compiled.params.items()}
    order = compiled.positiontup
    cursor = con.connection.cursor()
    try:
        if order is None:  # a driver with named parameters
            rows = zip(*values.values(), strict=True)
            cursor.executemany(str(compiled), [dict(zip(values, row, strict=True)) for row in rows])
        else:
            cursor.executemany(str(compiled), list(zip(*(values[name] for name in order), strict=True)))
    finally:
        cursor.close()
