"""How a source's columns become events: the mapping that a person sees, confirms and keeps in `kohort.yaml`."""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

from kohort.model.channels import Channel
from kohort.model.event import ColumnType, property_column, trait_column

SourceKind = Literal["orders", "events", "customers"]

ROLES: dict[SourceKind, tuple[str, ...]] = {
    "orders": (
        "order_id",
        "customer",
        "time",
        "product",
        "product_name",
        "category",
        "quantity",
        "price",
        "amount",
        "currency",
        "line_kind",
    ),
    "events": (
        "event_id",
        "customer",
        "time",
        "event",
        "amount",
        "currency",
        "product",
        "product_name",
        "category",
        "order_id",
        "quantity",
        "user_agent",
        "text",
    ),
    "customers": ("customer", "time"),
}
"""Roles a column can play, by kind of source. `amount` is the line's total, `price` is per unit.
`user_agent` and `text` are looked at and not stored."""

IDENTITY_KINDS = ("email", "phone", "name", "address")
"""Direct identifiers: sealed in the vault, never in the event table."""


def stored_name(column: str) -> str:
    """A file's column as a valid name: lower case, without accents, at most 60 characters.

    Longer names keep their beginning and get a number made from the whole: they often differ at their end only.

    Example:
        >>> stored_name("Annual Income (k$)"), stored_name("MntWines"), stored_name("Straße")
        ('annual_income_k', 'mnt_wines', 'strasse')
    """
    plain = column.replace("ß", "ss").translate(str.maketrans("øØæÆ", "oOaA"))
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", plain)
    name = re.sub(r"[^0-9a-z]+", "_", plain.lower()).strip("_")
    if len(name) > 60:
        name = f"{name[:50].rstrip('_')}_{zlib.crc32(name.encode()):08x}"
    return name if name and not name[0].isdigit() else f"x_{name}"[:60].rstrip("_")


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How a text file is written. Everything is detected and can be set."""

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    header_row: int = 0  # records before the header line
    decimal: Literal[".", ","] = "."
    has_header: bool = True


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """How one source is read.

    Attributes:
        name: Name of the source: "orders".
        kind: What a row is: an order line, an event, a customer.
        columns: Role → column of the file.
        properties: Column → type; become `p_<name>` (events, orders) or `t_<name>` (customers).
        identities: Column → one of IDENTITY_KINDS; sealed in the vault.
        ignored: Columns left out, with the reason.
        time_format: strptime pattern, "iso", "epoch_s", "epoch_ms", "excel" or "" (the column is typed).
        day_first: True where 03/04/2024 is 3 April.
        zone: Zone of times without an offset; empty = the workspace's.
        currency: ISO 4217 for sources without a currency column.
        event: Event name for sources without an event column.
        csv: How text files are written; None = detect for each file.
        sheet: Name of the sheet of an Excel workbook; empty = it has only one.
        channel: Where its events happened: they get the names of `kohort.model.channels`. Empty = names stay as written.
    """

    name: str
    kind: SourceKind
    columns: dict[str, str]
    properties: dict[str, ColumnType] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    time_format: str = ""
    day_first: bool | None = None
    zone: str = ""
    currency: str = ""
    event: str = ""
    csv: CsvFormat | None = None
    sheet: str = ""
    channel: Channel | Literal[""] = ""

    def stored_columns(self) -> dict[str, ColumnType]:
        """Column of the event table → type, for every property or trait: {"p_country": "text"}."""
        prefix = trait_column if self.kind == "customers" else property_column
        return {prefix(stored_name(name)): kind for name, kind in self.properties.items()}


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of the rows of one file. Always: read = stored + duplicate + rejected."""

    source: str
    file: str  # name only, never the path
    batch: int
    read: int
    stored: int
    duplicate: int
    rejected: int
    reasons: dict[str, int] = field(default_factory=dict)  # reject code → rows
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of all rows of one call."""

    batches: tuple[BatchReport, ...]

    @property
    def read(self) -> int:
        return sum(b.read for b in self.batches)

    @property
    def stored(self) -> int:
        return sum(b.stored for b in self.batches)

    @property
    def duplicate(self) -> int:
        return sum(b.duplicate for b in self.batches)

    @property
    def rejected(self) -> int:
        return sum(b.rejected for b in self.batches)

    def as_dict(self) -> dict[str, Any]:
        from dataclasses import asdict

        return {
            "read": self.read,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "batches": [asdict(b) for b in self.batches],
        }


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that could not be used: where it was, why, and the row itself (sealed at rest)."""

    source: str
    file: str
    line: int  # 1-based line of a text file, row of a sheet, record of a Parquet or JSON-lines file
    code: str
    reason: str  # one plain sentence without the value
    column: str = ""
    raw: dict[str, str] = field(default_factory=dict)
    id: int | None = None  # number in the store, for fixing and retrying; None before it is kept
