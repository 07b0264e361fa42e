"""One row per customer, as of a moment: how often, how lately, for how long, and for how much somebody bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from kohort.errors import BadInput
from kohort.model.clock import DAY_US

if TYPE_CHECKING:
    import pyarrow as pa

DAYS_PER_WEEK = 7
ALIASES = {
    "age": ("age", "T"),
    "monetary": ("monetary", "monetary_value"),
    "customer": ("customer", "customer_id", "ID"),
}
"""Names of columns that other tools write; the first is ours."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the models read. All arrays have one entry per customer.

    Attributes:
        frequency: int64, purchases after the first one.
        recency: float64, time from the first to the last purchase; 0 where there is no repeat purchase.
        age: float64, time from the first purchase to `as_of`, in the same unit.
        monetary: float64, mean amount of the repeat purchases; NaN = unknown. None = the table has no amounts.
        customer: Arrow array of ids, None where the table has none.
    """

    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    monetary: np.ndarray | None = None
    customer: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.frequency)

    def to_arrow(self) -> pa.Table:
        """The same as a table: `customer` (if known), `frequency`, `recency`, `age`, `monetary` (if known, null = unknown)."""
        import pyarrow as pa

        columns: dict[str, Any] = {} if self.customer is None else {"customer": self.customer}
        columns |= {"frequency": self.frequency, "recency": self.recency, "age": self.age}
        if self.monetary is not None:
            columns["monetary"] = pa.array(self.monetary, from_pandas=True)
        return pa.table(columns)


def summarise(events: Any, as_of: int, *, zone: str = "UTC") -> Summary:
    """Frequency, recency, age and monetary in weeks, from purchases up to a moment.

    All rows of a customer on one day are one purchase. Time is counted in whole days and handed out as weeks (days / 7), so
    equal histories are equal numbers. Nothing after `as_of` is looked at; who had not bought by then is not in the result.

    Args:
        events: Anything that hands out Arrow, or a mapping of arrays: `customer` (any type, null = nobody's, left out), `ts`
            (int64 µs UTC), and if there is one `amount` (null = unknown). Rows with a negative amount are returns, not
            purchases. Where there are columns `event` and `line_kind`, only order lines of goods count.
        as_of: µs UTC.
        zone: Whose days are meant. Other than UTC, the table must have `local_day` (days since 1970 in that zone).

    Returns:
        Customers sorted by id, amounts in the unit of `amount`.

    Raises:
        BadInput: A column is missing or has another type.

    Example:
        >>> day = 86_400_000_000
        >>> found = summarise({"customer": [7, 7, 7], "ts": [0, 14 * day, 90 * day], "amount": [5, 30, 9]}, as_of=28 * day)
        >>> found.frequency.tolist(), found.recency.tolist(), found.age.tolist(), found.monetary.tolist()
        ([1], [2.0], [4.0], [30.0])
    """
    rows = _rows(events, as_of)
    if zone == "UTC":
        days = rows.ts // DAY_US
    elif rows.local_day is not None:
        days = rows.local_day
    else:
        raise BadInput(
            "Days of another zone than UTC need the column local_day.",
            hint="Use the event table of a workspace, or leave `zone` out.",
        )
    bought = _merged(rows.code, days, rows.amount, len(rows.customer))
    last = (_EPOCH + timedelta(microseconds=as_of)).astimezone(ZoneInfo(zone)).date().toordinal() - _EPOCH.toordinal()
    first_day = bought.slot[bought.first]
    return Summary(
        frequency=bought.count - 1,
        recency=(bought.slot[bought.first + bought.count - 1] - first_day) / DAYS_PER_WEEK,
        age=(last - first_day) / DAYS_PER_WEEK,
        monetary=bought.mean_of_repeats(),
        customer=rows.customer,
    )


def summarise_periods(events: Any, as_of: int, *, period_us: int) -> Summary:
    """The same for occasions instead of time: in how many whole periods after the first one somebody bought again.

    Period 0 begins with the first purchase of a customer and is what made her one. `age` is the number of whole periods after it that had
    ended by `as_of`, `frequency` in how many of them she bought, `recency` the number of the last of those, 0 = none.

    Args:
        events: As for `summarise`.
        as_of: µs UTC.
        period_us: Length of a period in µs, from one second.

    Example:
        >>> summarise_periods({"customer": [1, 1], "ts": [0, 25]}, as_of=41, period_us=10).to_arrow().to_pylist()
        [{'customer': 1, 'frequency': 1, 'recency': 2.0, 'age': 3.0}]
    """
    if period_us < 1:
        raise BadInput("A period lasts at least a microsecond.", place="period_us")
    rows = _rows(events, as_of)
    count = len(rows.customer)
    begun = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(begun, rows.code, rows.ts)
    ended = np.maximum((as_of - begun) // period_us - 1, 0)
    slot = (rows.ts - begun[rows.code]) // period_us
    counted = slot <= ended[rows.code]
    amount = None if rows.amount is None else rows.amount[counted]
    bought = _merged(rows.code[counted], slot[counted], amount, count)
    return Summary(
        frequency=bought.count - 1,
        recency=bought.slot[bought.first + bought.count - 1].astype(float),
        age=ended.astype(float),
        monetary=bought.mean_of_repeats(),
        customer=rows.customer,
    )


def read_summary(table: Any) -> Summary:
    """A plain table as the models read it, checked.

    Args:
        table: A `Summary`, anything that hands out Arrow (a pandas or Polars frame, an Arrow table), or a mapping of arrays.
            Columns `frequency`, `recency` and `age` (or `T`), optionally `monetary` (or `monetary_value`) and `customer`. The unit
            of time is the table's own.

    Raises:
        BadInput: Not a table, a column is missing, or rows contradict themselves. The message says in how many, never whose.
    """
    if isinstance(table, Summary):
        return table
    brought = _arrow(table)
    frequency = _numbers(brought, "frequency")
    recency, age = _numbers(brought, "recency"), _numbers(brought, "age")
    for name, values in (("frequency", frequency), ("recency", recency), ("age", age)):
        _refuse(~np.isfinite(values), name, "is missing or not a finite number")
        _refuse(values < 0, name, "is negative")
    _refuse(frequency != np.rint(frequency), "frequency", "is not a whole number")
    _refuse(recency > age, "recency", "is after the end (more than age)")
    _refuse((frequency == 0) & (recency > 0), "recency", "is positive although there is no repeat purchase")
    _refuse((frequency > 0) & (recency == 0), "recency", "is 0 although there is a repeat purchase")
    monetary = None
    if (held := _column(brought, "monetary")) is not None:
        monetary = _numbers(brought, held)
        _refuse(monetary < 0, "monetary", "is negative")
    key = _column(brought, "customer")
    ids = None if key is None else brought[key].combine_chunks()
    return Summary(frequency.astype(np.int64), recency, age, monetary, ids)


@dataclass(frozen=True, slots=True)
class _Rows:
    customer: pa.Array
    code: np.ndarray
    ts: np.ndarray
    local_day: np.ndarray | None
    amount: np.ndarray | None


@dataclass(frozen=True, slots=True)
class _Bought:
    """Purchases sorted by customer and slot; `first` and `count` say which belong to whom."""

    slot: np.ndarray
    first: np.ndarray
    count: np.ndarray
    amount: np.ndarray | None
    known: np.ndarray | None

    def mean_of_repeats(self) -> np.ndarray | None:
        if self.amount is None or self.known is None:
            return None
        if not len(self.first):
            return np.zeros(0)
        total = np.add.reduceat(self.amount, self.first) - self.amount[self.first]
        known = np.add.reduceat(self.known, self.first) - self.known[self.first]
        return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _rows(events: Any, as_of: int) -> _Rows:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _arrow(events)
    for name in ("customer", "ts"):
        if name not in table.column_names:
            raise BadInput(f"There is no column called {name!r}.", hint="Purchases need customer and ts (µs UTC).")
    if not pa.types.is_integer(table["ts"].type):
        raise BadInput("The column ts must hold whole microseconds UTC.", hint="Cast time stamps to int64 first.")
    counts = pc.and_kleene(pc.is_valid(table["customer"]), pc.less_equal(table["ts"], as_of))
    for name, wanted in (("event", "order_line"), ("line_kind", "goods")):
        if name in table.column_names:
            counts = pc.and_kleene(counts, pc.equal(table[name], wanted))
    if "amount" in table.column_names:  # an unknown amount is a purchase all the same
        counts = pc.and_kleene(counts, pc.fill_null(pc.greater_equal(table["amount"], 0), True))
    kept = table.select([n for n in ("customer", "ts", "local_day", "amount") if n in table.column_names]).filter(
        counts
    )
    coded = kept["customer"].combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    order = pc.sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    day = kept["local_day"].to_numpy().astype(np.int64) if "local_day" in kept.column_names else None
    amount = kept["amount"].cast(pa.float64()).to_numpy() if "amount" in kept.column_names else None
    code = rank[coded.indices.to_numpy()] if len(order) else np.zeros(0, np.int64)
    return _Rows(coded.dictionary.take(pa.array(order)), code, kept["ts"].to_numpy().astype(np.int64), day, amount)


def _merged(code: np.ndarray, slot: np.ndarray, amount: np.ndarray | None, customers: int) -> _Bought:
    """Rows of one customer in one slot become one purchase."""
    if not len(code):
        none = np.zeros(0, np.int64)
        return _Bought(none, none, none, amount, amount)
    lowest = slot.min()
    width = int(slot.max() - lowest) + 1
    key = code * width + (slot - lowest)  # days and periods: far from 2**63 for any number of customers
    order = np.argsort(key, kind="stable")
    key = key[order]
    begins = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    owner = key[begins] // width
    count = np.bincount(owner, minlength=customers)
    first = np.r_[0, np.cumsum(count)[:-1]]
    total = known = None
    if amount is not None:
        sorted_amount = amount[order]
        there = ~np.isnan(sorted_amount)
        total = np.add.reduceat(np.where(there, sorted_amount, 0.0), begins)
        known = np.add.reduceat(there.astype(np.int64), begins) > 0
        known = known.astype(np.int64)
    return _Bought(key[begins] % width + lowest, first, count, total, known)


def _arrow(table: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table
    if isinstance(table, Mapping):
        return pa.table({str(name): pa.array(values) for name, values in table.items()})
    if not hasattr(table, "__arrow_c_stream__"):
        raise BadInput(
            "This is not a table.", hint="Bring a pandas or Polars data frame, an Arrow table, or a mapping of arrays."
        )
    return pa.table(table)


def _column(table: pa.Table, name: str) -> str | None:
    return next((n for n in ALIASES.get(name, (name,)) if n in table.column_names), None)


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    import pyarrow as pa

    held = _column(table, name)
    if held is None:
        raise BadInput(f"There is no column called {name!r}.", hint="The models read frequency, recency and age.")
    kind = table[held].type
    if not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    ):
        raise BadInput(f"The column {held!r} does not hold numbers.")
    values: np.ndarray = table[held].cast(pa.float64(), safe=False).to_numpy()
    return values


def _refuse(wrong: np.ndarray, column: str, what: str) -> None:
    if count := int(np.count_nonzero(wrong)):
        raise BadInput(f"{column} {what} in {count:,} of {len(wrong):,} rows.", place=column)
