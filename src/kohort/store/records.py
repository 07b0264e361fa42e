"""Events as records: all asked columns of a row side by side, rows of a customer side by side.

Whoever asks for some customers wants all columns of all of their rows. Column by column that is a jump through memory per
column and customer; as records it is one. A record has a fixed width: numbers as they are, texts of few values as a code
(−1 = null), other texts as their length, one bit per column that says whether it holds a value. The texts themselves lie
behind each other in a block of their own, in the order of rows and columns. It is how the customer-major index lies on
disk, memory-mapped, and how recent rows lie in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.errors import WrongUsage

_VALID = "\x00valid"  # a field beside the columns, of a name that no column has
_MOST_TEXT = 2**31 - 1
_SAMPLE = 4_096
_FEW = 512  # distinct texts among _SAMPLE of them; more are not worth a code
_MOST_CODES = 32_767
_NUMPY = {"int64": "<i8", "int32": "<i4", "bool": "u1"}


@dataclass(frozen=True)
class Layout:
    """How a record of these columns lies in memory.

    Attributes:
        schema: Columns of the rows, `customer` among them (which the records do not repeat).
        coded: Text columns that are codes. `event` always is where records lie in a file.
    """

    schema: pa.Schema
    coded: frozenset[str]
    dtype: np.dtype[np.void] = field(init=False, compare=False)
    plain: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        texts = [f.name for f in self.schema if pa.types.is_string(f.type)]
        object.__setattr__(self, "plain", tuple(name for name in texts if name not in self.coded))
        fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = [
            (f.name, self._width(f)) for f in self.schema if f.name != "customer"
        ]
        object.__setattr__(self, "dtype", np.dtype([*fields, (_VALID, "u1", (-(-len(self.schema) // 8),))]))

    def _width(self, column: pa.Field) -> str:
        if column.name in self.coded:
            return "<i4" if column.name == "event" else "<i2"
        return _NUMPY.get(str(column.type), "<u4")


@dataclass(frozen=True, slots=True)
class Records:
    """Rows sorted by customer.

    Attributes:
        cells: One record per row, of `layout.dtype`.
        customers: int64, sorted, each once.
        rows: Where the rows of each begin, and the end: one more than customers.
        places: The same for texts.
        texts: All plain texts, bytes.
        words: Coded column → its texts, in the order of codes.
    """

    layout: Layout
    cells: np.ndarray
    customers: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    texts: np.ndarray
    words: Mapping[str, pa.Array]

    def owners(self, rows: np.ndarray) -> np.ndarray:
        """Whose these rows are."""
        found: np.ndarray = self.customers[np.searchsorted(self.rows, rows, side="right") - 1]
        return found

    def find(self, customers: np.ndarray) -> np.ndarray:
        """Positions in `customers` of those that are here."""
        at = self.customers.searchsorted(customers)
        at = at[at < len(self.customers)] if len(at) and at[-1] == len(self.customers) else at
        found: np.ndarray = at[self.customers[at] == customers[: len(at)]]
        return found


def as_records(table: pa.Table, coded: frozenset[str]) -> Records:
    """From rows sorted by customer, none of them null."""
    layout, n = Layout(table.schema, coded), table.num_rows
    cells = np.zeros(n, layout.dtype)
    words: dict[str, pa.Array] = {}
    columns = {name: one_array(table.column(name)) for name in table.column_names}
    for number, (name, column) in enumerate(columns.items()):
        valid = cells[_VALID][:, number // 8]
        valid |= np.asarray(column.is_valid()).view(np.uint8) << np.uint8(number % 8)
        if name in coded:
            encoded = column.dictionary_encode()
            words[name], cells[name] = encoded.dictionary, np.asarray(encoded.indices.fill_null(-1))
        elif name in layout.plain:
            cells[name] = np.asarray(pc.binary_length(column).fill_null(0))
        elif name != "customer":
            cells[name] = np.asarray(column.fill_null(0 if column.type != pa.bool_() else False))
    owners = np.asarray(columns["customer"])
    first = np.flatnonzero(np.r_[n > 0, owners[1:] != owners[:-1]]) if n else np.empty(0, np.int64)
    rows = np.append(first, n).astype(np.int64)
    ends = np.append(0, np.cumsum(sum((cells[name].astype(np.int64) for name in layout.plain), np.zeros(n, np.int64))))
    return Records(
        layout, cells, owners[first], rows, ends[rows], _text_block([columns[c] for c in layout.plain]), words
    )


def worth_a_code(table: pa.Table) -> frozenset[str]:
    """Text columns of few values; `event` always, so that rows can be told by it without reading texts."""
    found = {"event"}
    for name in table.column_names:
        if not pa.types.is_string(table.schema.field(name).type) or name in {"event", "event_id"}:
            continue
        held = table.column(name).drop_null()
        if len(pc.unique(held.slice(0, _SAMPLE))) <= _FEW and len(pc.unique(held)) <= _MOST_CODES:
            found.add(name)
    return frozenset(found)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def _text_block(columns: Sequence[pa.Array]) -> np.ndarray:
    """The bytes of all texts, row by row."""
    if not columns or not len(columns[0]):
        return np.empty(0, np.uint8)
    whole = pa.concat_arrays([c.fill_null("").cast(pa.large_string()) for c in columns])
    n = len(columns[0])
    order = (np.arange(n)[:, None] + n * np.arange(len(columns))).ravel()
    mixed = whole.take(pa.array(order)) if len(columns) > 1 else whole
    _, offsets, data = mixed.buffers()
    edges = np.frombuffer(offsets, np.int64)[mixed.offset :]
    if data is None:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)[edges[0] : edges[len(mixed)]]


class Words:
    """The texts of coded columns of many `Records` as one list per column, and how to get from one's codes to it."""

    def __init__(self, parts: Iterable[Records]) -> None:
        listed = list(parts)
        self._all: dict[str, pa.Array] = {}
        for name in {name for part in listed for name in part.words}:
            mine = [part.words[name] for part in listed if name in part.words]
            self._all[name] = pc.unique(pa.concat_arrays(mine))
        self._maps = {(id(part), name): self._map(name, own) for part in listed for name, own in part.words.items()}

    def _map(self, name: str, own: pa.Array) -> np.ndarray | None:
        if own.equals(self._all[name].slice(0, len(own))):
            return None
        # One more at the end, where code −1 finds it.
        return np.append(np.asarray(pc.index_in(own, self._all[name])), -1).astype(np.int32)

    def texts(self, name: str, cells: Sequence[tuple[Records, np.ndarray]]) -> pa.Array:
        """A coded column of records cut from several parts."""
        codes = []
        for part, own in cells:
            mapped = self._maps[id(part), name]
            codes.append(own[name] if mapped is None else mapped[own[name]])
        every = np.concatenate(codes) if len(codes) > 1 else np.ascontiguousarray(codes[0])
        return self._all[name].take(pa.array(every, mask=every < 0))


def gathered(
    found: Sequence[tuple[Records, np.ndarray]], words: Words, wanted: Collection[str] | None = None
) -> list[pa.Array]:
    """All rows of some customers out of records of one layout, column by column as in the layout's schema.

    Args:
        found: At least one; with each the positions of its customers, at least one.
        wanted: These columns only.
    """
    layout = found[0][0].layout
    cut: list[tuple[Records, np.ndarray]] = []
    owners, blocks = [], []
    plain_wanted = wanted is None or any(name in wanted for name in layout.plain)
    for part, at in found:
        first, count = part.rows[at], part.rows[at + 1] - part.rows[at]
        if len(at) == 1:
            cells = part.cells[first[0] : first[0] + count[0]]
        else:
            rows = np.repeat(first - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
            cells = part.cells.view(f"V{layout.dtype.itemsize}").take(rows).view(layout.dtype)
        cut.append((part, cells))
        owners.append(np.repeat(part.customers[at], count))
        if not plain_wanted:
            continue
        texts = part.texts.data
        blocks += [texts[a:b] for a, b in zip(part.places[at].tolist(), part.places[at + 1].tolist(), strict=True)]
    # As plain bytes: joining records field by field takes ten times as long.
    width = f"V{layout.dtype.itemsize}"
    cells = np.concatenate([own.view(width) for _, own in cut]).view(layout.dtype) if len(cut) > 1 else cut[0][1]
    plain = _texts(cells, layout, b"".join(blocks)) if plain_wanted else None
    valid = np.unpackbits(np.ascontiguousarray(cells[_VALID]), axis=1, bitorder="little").view(bool)
    whole: list[bool] = np.asarray(valid.all(axis=0)).tolist()
    columns = []
    for number, column in enumerate(layout.schema):
        if wanted is not None and column.name not in wanted:
            continue
        absent = None if whole[number] else ~valid[:, number]
        if column.name == "customer":
            columns.append(pa.array(np.concatenate(owners)))
        elif column.name in layout.coded:
            columns.append(words.texts(column.name, cut))
        elif column.name in layout.plain:
            assert plain is not None
            columns.append(plain(column.name, absent))
        else:
            values = cells[column.name].view(bool) if column.type == pa.bool_() else cells[column.name]
            columns.append(pa.array(np.ascontiguousarray(values), column.type, mask=absent))
    return columns


def _texts(cells: np.ndarray, layout: Layout, block: bytes):  # type: ignore[no-untyped-def]
    """A function (column, where null) → its texts, out of the block of all plain ones."""
    if len(block) > _MOST_TEXT:
        raise WrongUsage("The texts of so many customers do not fit into one table.", hint="Ask for fewer at once.")
    n, k = len(cells), len(layout.plain)
    edges = np.zeros(n * k + 1, np.int32)
    lengths = edges[1:].reshape(n, k) if k else edges[1:]
    for at, name in enumerate(layout.plain):
        lengths[:, at] = cells[name]
    np.cumsum(edges, out=edges)
    mixed = pa.StringArray.from_buffers(n * k, pa.py_buffer(edges), pa.py_buffer(block))

    def column(name: str, absent: np.ndarray | None) -> pa.Array:
        return mixed.take(pa.array(np.arange(layout.plain.index(name), n * k, k), mask=absent))

    return column
