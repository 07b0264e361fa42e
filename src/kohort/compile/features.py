"""Many feature definitions → one expression over the relation `events`, and its text for an engine."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any, Literal

import ibis
from ibis.config import Config

from kohort.compile.clock import FixedClock
from kohort.compile.conditions import Scope
from kohort.compile.plan import Plan
from kohort.compile.tables import build
from kohort.definitions.columns import vocabulary
from kohort.definitions.features import FeatureDefinition, check
from kohort.errors import BadInput
from kohort.model.clock import parse_instant
from kohort.model.event import ARROW_TYPE, FIXED_COLUMNS, ColumnType
from kohort.model.feature import FeatureInfo

CUSTOMER = "_customer"
"""Key column of a compiled expression; no feature can be called that."""

_EARLIEST = parse_instant("1900-01-01T00:00:00Z")
_LATEST = parse_instant("3000-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Compiled:
    """One expression over the relation `events` and what its columns mean.

    Attributes:
        expr: One row per customer with at least one visible event: `_customer`, then one column per feature.
        features: What the columns mean, in order.
    """

    expr: Any
    features: tuple[FeatureInfo, ...]


def compile_features(
    definitions: Rows[FeatureDefinition],
    *,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    columns: Mapping[str, ColumnType] | None = None,
    customers: Rows[int] | None = None,
) -> Compiled:
    """Compile definitions for one moment.

    Args:
        definitions: Names are unique.
        as_of: Nothing later is visible, microseconds UTC.
        zone: Zone in which calendar windows step.
        currency: Says how many minor units make one major unit.
        columns: Declared columns of the log (`p_…`, `t_…`).
        customers: Only these; None = everybody.

    Returns:
        Number features are float64 with null for missing; text and flags keep their type.

    Raises:
        RefusedDefinition: A definition does not fit the columns there are.
        BadInput: `as_of` lies outside the years 1900 to 2999.
    """
    check_moment(as_of)
    declared = dict(columns or {})
    for definition in definitions:
        check(definition, declared)
    plan = Plan(Scope(vocabulary(declared), currency, zone), FixedClock(as_of))
    values = {d.name: plan.measure(d.measure) for d in definitions}
    joined = build(plan, visible_events(declared, as_of, customers))
    expr = joined.select(**{CUSTOMER: joined.customer}, **{name: value(joined) for name, value in values.items()})
    return Compiled(expr, tuple(d.info(declared) for d in definitions))


def to_sql(expr: Any, dialect: Literal["duckdb", "spark"] = "duckdb") -> str:
    """The text of a compiled expression (or of a `Compiled`) in the language of one engine."""
    if isinstance(expr, Compiled):
        expr = expr.expr
    if dialect == "spark" and ibis.options.pyspark is None:
        # Set by ibis when its Spark backend connects; we only want the text and connect ourselves.
        ibis.options.pyspark = _SparkOptions()
    return str(ibis.to_sql(expr, dialect="pyspark" if dialect == "spark" else "duckdb", pretty=False))


class _SparkOptions(Config):  # type: ignore[misc]
    treat_nan_as_null: bool = False


def check_moment(as_of: int) -> None:
    """Refuse a moment that calendars cannot step from.

    Raises:
        BadInput: It lies outside the years 1900 to 2999.
    """
    if not _EARLIEST <= as_of <= _LATEST:
        raise BadInput("The moment asked about lies outside the years 1900 to 2999.", code="bad_time")


def visible_events(
    declared: Mapping[str, ColumnType], as_of: int, customers: Rows[int] | None = None, *, visitors: bool = False
) -> Any:
    """The events of customers (only these; None = all) that are visible at one moment; of visitors where asked for."""
    events = event_relation(declared)
    visible = events.filter(events.customer.notnull() if visitors else events.customer > 0, events.ts <= as_of)
    return visible if customers is None else visible.filter(visible.customer.isin([int(c) for c in customers]))


def event_relation(declared: Mapping[str, ColumnType]) -> Any:
    """The relation `events` with its declared columns."""
    types = {"bool": "boolean"}
    fixed = {name: types.get(kind, kind) for name, kind in FIXED_COLUMNS.items()}
    extra = {name: types.get(ARROW_TYPE[kind], ARROW_TYPE[kind]) for name, kind in sorted(declared.items())}
    return ibis.table(fixed | extra, name="events")
