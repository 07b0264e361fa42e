"""Names of features as SQL."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

KEYWORDS = frozenset(
    word
    for line in (
        "all analyse analyze and anti any array as asc asof asymmetric at authorization between bigint binary",
        "bit boolean both by case cast char character check coalesce collate collation column columns",
        "concurrently constraint count create cross current_date current_user date day dec decimal default",
        "deferrable desc describe distinct do else end except exists extract false fetch float for foreign",
        "freeze from full generated glob group grouping grouping_id having hour ilike in index initially",
        "inner inout int integer intersect interval into is isnull join key lambda lateral leading left like",
        "limit map month national natural nchar none not notnull null nullif numeric offset on only or order",
        "out outer overlaps overlay percent pivot pivot_longer pivot_wider placing position positional",
        "precision primary qualify range real references returning right row rows select semi session_user",
        "setof show similar smallint some struct substring summarize symmetric system_user table tablesample",
        "then time timestamp to trailing treat trim true try_cast union unique unpack unpivot user using",
        "value values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement",
        "xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable year",
    )
    for word in line.split()
)
"""Words that mean something to DuckDB, PostgreSQL or Spark where a column may stand."""


def quoted(name: str) -> str:
    """A feature's name as SQL: in quotes only where it could be taken for something else.

    Example:
        >>> quoted("recency_days"), quoted("order"), quoted("Bought?")
        ('recency_days', '"order"', '"Bought?"')
    """
    if _PLAIN.fullmatch(name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'
