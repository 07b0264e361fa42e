"""The columns of memberships, as Arrow schemas.

A **move** is one row of the log: a customer entered a segment (change 1), left it (−1), or what is said about her being
in it changed (0, a restatement). A **stay** is one customer's time in one segment, from `since` until `until`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.errors import WrongUsage

TEXT = pa.dictionary(pa.int32(), pa.string())

ENTERED, LEFT, RESTATED = 1, -1, 0

EMPTY_PLACE = -(1 << 63)
"""The customer of a move that was somebody's who is erased (`members/forget.py`); nobody has this pseudonym."""

MOVES = pa.schema(
    [
        ("customer", pa.int64()),
        ("segment", TEXT),
        ("change", pa.int8()),
        ("number", pa.int32()),  # of the transition; a restatement carries that of the entry it speaks of
        ("at", pa.int64()),
        ("confidence", pa.float64()),
        ("reason", TEXT),
    ]
)
"""At rest; sorted by customer, and of one customer exits before entries."""

DATED = MOVES.append(pa.field("version", pa.int64()))
"""Moves of several runs together."""

TICK = DATED.append(pa.field("name", TEXT))
"""Moves of all definitions in one tick of the live loop, at rest: sorted by name, else in the order they happened."""

STAYS = pa.schema(
    [
        ("customer", pa.int64()),
        ("segment", TEXT),
        ("number", pa.int32()),  # of the last transition: odd = still in
        ("since", pa.int64()),
        ("until", pa.int64()),  # null = still in
        ("version", pa.int64()),
        ("confidence", pa.float64()),
        ("reason", TEXT),
    ]
)
"""Sorted by customer."""

PLACED = pa.schema(
    [("customer", pa.int64()), ("segment", pa.string()), ("confidence", pa.float64()), ("reason", pa.string())]
)
"""What an evaluation hands over."""

MEMBERS = pa.schema(
    [
        ("customer", pa.int64()),
        ("segment", pa.string()),
        ("since", pa.int64()),
        ("number", pa.int32()),
        ("version", pa.int64()),
        ("confidence", pa.float64()),
        ("reason", pa.string()),
    ]
)
"""What a reader gets, ordered by customer."""


def placed(rows: pa.Table) -> pa.Table:
    """The rows of an evaluation, checked: columns of PLACED with texts as dictionaries, sorted by customer.

    Raises:
        WrongUsage: A column is missing or of another type, a customer or segment is missing, a customer appears twice.
    """
    try:
        columns = [_column(rows, field) for field in PLACED]
    except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise WrongUsage("Memberships need the columns customer, segment, confidence and reason.") from error
    if columns[0].null_count or columns[1].null_count:
        raise WrongUsage("A membership has no customer or no segment.")
    table = pa.table(dict(zip(PLACED.names, columns, strict=True)))
    customer = numbers(table, "customer")
    if (customer[1:] < customer[:-1]).any():
        order = np.argsort(customer, kind="stable")
        table, customer = table.take(pa.array(order)), customer[order]
    if (customer[1:] == customer[:-1]).any():
        raise WrongUsage("A customer appears twice in the memberships.")
    return table


def _column(rows: pa.Table, field: pa.Field) -> pa.Array:
    column = rows.column(field.name)
    if pa.types.is_string(field.type):
        return codes(column)
    whole = one(column.cast(field.type))
    # NaN is no confidence.
    return pc.if_else(pc.is_nan(whole), None, whole) if pa.types.is_floating(field.type) else whole


def codes(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A text column as one dictionary array."""
    kind = column.type
    if not pa.types.is_dictionary(kind):
        column = column.cast(pa.string()).dictionary_encode()
    return one(column.unify_dictionaries()).cast(TEXT)


def one(column: pa.ChunkedArray) -> pa.Array:
    """The column as a single array."""
    found = column.combine_chunks()
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) and found.num_chunks else found


def real(moves: pa.Table) -> pa.Table:
    """Moves without empty places."""
    held = moves.column("customer")
    # The smallest number there is: looking for it costs next to nothing where it is not there.
    if not moves.num_rows or pc.min(held).as_py() != EMPTY_PLACE:
        return moves
    return moves.filter(pc.not_equal(held, EMPTY_PLACE))


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column of whole numbers without missing values."""
    found: np.ndarray = table.column(name).to_numpy()
    return found


def figures(table: pa.Table, name: str) -> np.ndarray:
    """A float column with NaN where nothing is."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def together(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """Tables one after the other, each column one array, texts over one dictionary."""
    if not tables:
        return schema.empty_table()
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def common(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Two text columns as codes over one dictionary (−1 = missing), and that dictionary."""
    both = pa.chunked_array([*left.chunks, *right.chunks], TEXT).unify_dictionaries()
    words = both.chunk(0).dictionary.to_pylist() if both.num_chunks else []
    all_codes = np.concatenate([_indices(chunk) for chunk in both.chunks]) if both.num_chunks else np.zeros(0, np.int32)
    return all_codes[: len(left)], all_codes[len(left) :], words


def _indices(chunk: pa.DictionaryArray) -> np.ndarray:
    found: np.ndarray = pc.fill_null(chunk.indices, -1).to_numpy()
    return found


def text_codes(column: pa.ChunkedArray) -> np.ndarray:
    """Codes of a text column over its own dictionary; −1 = missing."""
    return _indices(one(column)) if len(column) else np.zeros(0, np.int32)


def members(stays: pa.Table, inside: np.ndarray) -> pa.Table:
    """Stays that a mask chooses, as readers get them. The mask leaves each customer at most one stay."""
    return stays.filter(pa.array(inside)).select(MEMBERS.names).cast(MEMBERS).combine_chunks()
