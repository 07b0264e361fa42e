"""The event table: the one shape that every source is turned into and every feature is computed from.

One row is one thing that happened, or one thing that was learned about a customer (`identify`). An order line
is an event of the name `order_line`. Numbers are integers, so that every engine adds them up to the same bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Scalar = str | int | bool | None
ColumnType = Literal["text", "number", "flag", "time", "list"]

QUANTITY_SCALE = 1_000
"""`quantity` counts thousandths, so that 1.5 kg is exact."""

NUMBER_SCALE = 1_000_000
"""Declared `number` properties and traits count millionths."""

ANONYMOUS_BUCKET = -1
"""Partition of events without a customer. They count as revenue and belong to nobody."""

ORDER_LINE = "order_line"
IDENTIFY = "identify"
SCORE = "kohort_score"
"""An event that says how likely something is for a customer: see SCORE_COLUMNS."""
CONSENT = "consent"
CONSENT_BY = "p_consent_by"
"""A statement about a purpose that was written down on its own; and of one that a browser made, by which of its signals."""

LINE_KINDS = (
    "goods",
    "postage",
    "fee",
    "discount",
    "sample",
    "manual",
    "adjustment",
    "bad_debt",
    "voucher",
    "commission",
    "test",
    "stock_note",
)
"""What an order line is about. Only `goods` are purchases; everything else is kept and told apart."""

FIXED_COLUMNS: dict[str, str] = {
    "bucket": "int32",  # partition: customer mod number of buckets, ANONYMOUS_BUCKET without a customer
    "customer": "int64",  # random pseudonym from the vault; null = anonymous
    "event_id": "string",  # counts once, for ever
    "event": "string",  # name: order_line, identify, page, …
    "ts": "int64",  # when it happened, microseconds UTC
    "received_at": "int64",  # when we learned it, microseconds UTC
    "local_day": "int32",  # days since 1970-01-01 in the workspace's zone
    "local_hour": "int32",  # 0 to 23 in the workspace's zone
    "order_id": "string",
    "product": "string",  # the company's product code
    "product_name": "string",
    "category": "string",
    "line_kind": "string",  # one of LINE_KINDS; null unless order_line
    "duplicate_line": "bool",  # second and later identical line of one order; null unless order_line
    "quantity": "int64",  # QUANTITY_SCALE; negative = returned
    "amount": "int64",  # minor units of the workspace currency; negative = returned; null = currency unknown
    "amount_source": "int64",  # minor units of `currency`
    "currency": "string",  # ISO 4217 of amount_source
    "fx_day": "int32",  # day of the exchange rate used; null = no conversion
    "batch": "int64",  # the ingest batch that stored the row
}
"""Column name → Arrow type name. Declared properties follow as `p_<name>`, traits as `t_<name>`."""

ARROW_TYPE: dict[ColumnType, str] = {
    "text": "string",
    "number": "int64",
    "flag": "bool",
    "time": "int64",
    "list": "string",
}

BOT_KIND = "p_bot_kind"
BOT_ID = "p_bot_id"
BOT_COLUMNS: dict[str, ColumnType] = {BOT_KIND: "text", BOT_ID: "text"}
"""Kind of machine that sent an event, and a code of whom it pretended to be; filled on events of machines only. Such an
event has no customer: it counts in no feature and no segment, in a batch, live or on Spark, without a condition anywhere."""

GroupLevel = Literal["household", "account"]
GROUPS: dict[GroupLevel, str] = {"household": "t_in_household", "account": "t_in_account"}
"""Traits that we fill ourselves: the group a customer belongs to (`kohort.identity.told`)."""
GROUP_HOW: dict[GroupLevel, str] = {"household": "p_in_household_by", "account": "p_in_account_by"}
"""What she belongs to it by, beside the trait."""

SENTIMENT = "p_text_sentiment"
TEXT_COLUMNS: dict[str, ColumnType] = {
    "p_text_language": "text",
    SENTIMENT: "number",
    "p_text_topic": "text",
    "p_text_words": "number",
    "p_text_spam": "flag",
}
"""What is stored of a text that a person wrote; the text itself is not. Sentiment is for means over many, never for one person."""

SCORE_OF, SCORE_MODEL = "p_kohort_score", "p_kohort_model"
SCORE_PARTS = {"probability": "p_kohort_probability", "percentile": "p_kohort_percentile"}
"""What rules may ask of a score → its column."""

SCORE_COLUMNS: dict[str, ColumnType] = {
    SCORE_OF: "text",
    SCORE_MODEL: "text",
    SCORE_PARTS["probability"]: "number",
    SCORE_PARTS["percentile"]: "number",
}
"""What a stored score says: which prediction, by which version of its model, and the figures. Its `ts` is the moment it is of. A
score is nothing that a customer did: a selection that names no event passes it over."""

VALUE_OF = "value of a customer"
"""In `SCORE_OF`: the event says what is expected of a customer within a horizon, in VALUE_COLUMNS. No prediction can be called so."""
VALUE_COLUMNS: dict[str, ColumnType] = {
    SCORE_OF: "text",
    SCORE_MODEL: "text",
    **{f"p_kohort_{figure}{end}": "number" for figure in ("purchases", "worth") for end in ("", "_low", "_high")},
}
"""Purchases and, where amounts are known, money to come (major units), each with its interval."""

CONTEXT_VALUE = "p_kohort_value"
"""What was known of a series about the world where a customer is (`kohort.workspace.noting`): the figure of an event SCORE whose
SCORE_OF names the feature, as `CONTEXT_OF` and its name. Nothing that a customer did either."""
CONTEXT_OF = "context "

LIST_MARK = "\x1f"
"""Before, between and after the items of a stored list, so that one item can be looked for as text in every engine."""


def list_text(items: Iterable[str]) -> str | None:
    """A list as it is stored; empty items are left out, and an empty list is missing.

    Example:
        >>> list_text(["a", "b"])
        '\\x1fa\\x1fb\\x1f'
    """
    kept = [item.replace(LIST_MARK, " ") for item in items if item]
    return LIST_MARK + LIST_MARK.join(kept) + LIST_MARK if kept else None


def list_items(text: str | None) -> list[str]:
    """The items of a stored list."""
    return text.strip(LIST_MARK).split(LIST_MARK) if text else []


def property_column(name: str) -> str:
    """Column of a declared event property."""
    return f"p_{name}"


def trait_column(name: str) -> str:
    """Column of a declared customer trait; filled on `identify` events."""
    return f"t_{name}"


def event_schema(extra: dict[str, ColumnType] | None = None) -> pa.Schema:
    """Arrow schema of the event table.

    Args:
        extra: Full column names (`p_…`, `t_…`) with their types, in any order.

    Returns:
        The fixed columns, then the extra ones sorted by name. All but `bucket`, `event_id`, `event`, `ts`,
        `received_at`, `local_day`, `local_hour` and `batch` may be null.
    """
    import pyarrow as pa

    declared = extra or {}
    names = FIXED_COLUMNS | {column: ARROW_TYPE[declared[column]] for column in sorted(declared)}
    required = {"bucket", "event_id", "event", "ts", "received_at", "local_day", "local_hour", "batch"}
    return pa.schema([pa.field(n, pa.type_for_alias(t), nullable=n not in required) for n, t in names.items()])


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a value, for the naive evaluator, the hot log and small worlds in tests.

    `values` holds every other column of the event table by its column name; a missing key is null.
    """

    event_id: str
    customer: int | None
    event: str
    ts: int
    values: dict[str, Scalar] = field(default_factory=dict)

    def get(self, column: str) -> Scalar:
        """Value of any column of the event table, None where it is null."""
        match column:
            case "event_id" | "customer" | "event" | "ts":
                return getattr(self, column)  # type: ignore[no-any-return]
            case _:
                return self.values.get(column)
