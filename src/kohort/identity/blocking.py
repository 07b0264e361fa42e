"""Which pairs of records are compared at all: those that agree on some combination of fields that few others share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import duckdb

# What two records of one person may still agree on, whatever happened to the rest. Half a key is written as SQL over `{t}`.
_PARTS = {
    "email": "{t}.email",
    "email_name": "{t}.email_name",
    "phone": "{t}.phone",
    "given": "{t}.given_key",
    "surname": "{t}.surname_key",
    "initials": "({t}.given_key[1] || {t}.surname_key[1:4])",
    "birth": "{t}.birth",
    "birth_year": "{t}.birth[1:4]",
    "birth_day": "{t}.birth[5:8]",
    "street": "{t}.street",
    "number": "{t}.number",
    "postcode": "{t}.postcode",
    "city": "{t}.city",
    "place": "{t}.place",
    "company": "{t}.company",
    "company_start": "{t}.company[1:6]",
}
_CATALOGUE = (
    ("email",),
    ("phone",),
    ("company",),
    ("given", "surname", "birth"),
    ("surname", "birth"),
    ("given", "birth"),
    ("birth", "postcode"),
    ("birth", "city"),
    ("birth", "street"),
    ("surname", "street", "number"),
    ("given", "street", "number"),
    ("street", "number", "postcode"),
    ("surname", "postcode"),
    ("given", "postcode"),
    ("company_start", "postcode"),
    ("company_start", "city"),
    ("initials", "birth"),
    ("email_name",),
    ("given", "surname", "birth_year"),
    ("given", "surname", "birth_day"),
    ("given", "surname", "city"),
    ("surname", "birth_year", "city"),
    ("given", "birth_year", "city"),
    ("initials", "birth_year"),
    ("birth",),
    ("given", "surname"),
    ("street", "number"),
    ("surname", "place"),
    ("initials", "postcode"),
    ("initials", "city"),
    ("surname", "birth_day"),
    ("surname", "birth_year"),
    ("given", "birth_day"),
    ("given", "birth_year"),
    ("surname", "city"),
    ("given", "city"),
    ("postcode", "number"),
    ("surname",),
    ("given",),
    ("postcode",),
)
"""Combinations, the most telling first."""

_NEEDS = {
    "given": "given_key",
    "surname": "surname_key",
    "birth_year": "birth",
    "birth_day": "birth",
    "company_start": "company",
}
PAIRS_PER_RECORD = 12
FEWEST_PAIRS = 600_000
"""So many pairs are always affordable: of a thousand records every one with every other."""


class Rule(NamedTuple):
    """A combination of fields that has to be equal, and how many pairs are."""

    parts: tuple[str, ...]
    pairs: int

    def sql(self) -> str:
        """The condition between `l` and `r`."""
        return " AND ".join(f"{_PARTS[p].format(t='l')} = {_PARTS[p].format(t='r')}" for p in self.parts) or "1 = 1"


def blocking_rules(
    con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], *, linking: bool = False
) -> list[Rule]:
    """Combinations that together stay affordable, the most telling first.

    Args:
        con: Where the prepared table is.
        table: Its name.
        columns: Its columns.
        linking: Only pairs between different sources count.

    Returns:
        Rules with the pairs each one brings; a pair may come by several.
    """
    has = set(columns)
    count = con.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0]
    budget = max(FEWEST_PAIRS, PAIRS_PER_RECORD * count)
    if count * (count - 1) // 2 <= FEWEST_PAIRS:
        return [Rule((), count * (count - 1) // 2)]
    chosen: list[Rule] = []
    spent = 0
    for parts in _CATALOGUE:
        if not all(needed <= has for needed in map(_needed, parts)):
            continue
        pairs = _pairs(con, table, parts, linking=linking)
        # One rule may take a fifth: a first name alone brings more strangers than all the others bring doubles.
        if pairs and spent + pairs <= budget and pairs <= max(budget // 5, FEWEST_PAIRS // 2):
            chosen.append(Rule(parts, pairs))
            spent += pairs
    return chosen


def _needed(part: str) -> set[str]:
    return {"given_key", "surname_key"} if part == "initials" else {_NEEDS.get(part, part)}


def _pairs(con: duckdb.DuckDBPyConnection, table: str, parts: tuple[str, ...], *, linking: bool) -> int:
    keys = [_PARTS[part].format(t="t") for part in parts]
    given = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    if linking:
        held = f"SELECT count(*) AS n, count(*) FILTER (source = (SELECT min(source) FROM {table})) AS a FROM {table} t"
        formula = "a * (n - a)"
    else:
        held, formula = f"SELECT count(*) AS n FROM {table} t", "n * (n - 1) // 2"
    total = con.sql(f"SELECT sum({formula}) FROM ({held} WHERE {given} GROUP BY {', '.join(keys)})").fetchall()[0][0]
    return int(total or 0)
