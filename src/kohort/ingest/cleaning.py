"""Cleaning rules at work: which events of a chunk are put aside, and by which rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kohort.definitions.cleaning import NO_RULE, CleaningRule
from kohort.model.event import ColumnType, event_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


class Cleaner:
    """The rules that are switched on, in the order in which they are asked.

    Attributes:
        rules: The first one that a row meets takes it.
        versions: Name of a rule → its version.
        columns: Declared columns that the conditions may name.
        notes: What readers of the report should know: which rules are switched off, and why.
        spared: Lines that no rule takes. Lines of rejected rows that are read again are their numbers on the list.
        counted: (name, digest) → rows looked at, rows put aside.
    """

    def __init__(
        self,
        rules: Sequence[CleaningRule],
        *,
        versions: Mapping[str, int],
        zone: str,
        currency: str,
        columns: Mapping[str, ColumnType],
        notes: Sequence[str] = (),
        spared: Collection[int] = (),
    ) -> None:
        self.spared = np.array(sorted(spared), dtype=np.int64)
        self.versions = dict(versions)
        self.rules, self.columns, self.notes = tuple(rules), dict(columns), tuple(notes)
        self.counted: dict[tuple[str, str], tuple[int, int]] = {}
        self._sql = ""
        if rules:
            from kohort.compile.cleaning import compile_cleaning

            self._sql = compile_cleaning(rules, zone=zone, currency=currency, columns=self.columns)

    def judge(self, con: duckdb.DuckDBPyConnection, events: pa.Table) -> np.ndarray:
        """Per event the place of the rule that takes it, NO_RULE where none does."""
        if not self._sql or not events.num_rows:
            return np.full(events.num_rows, NO_RULE)
        con.register("events", _whole(events, self.columns))
        found = np.asarray(con.execute(self._sql).to_arrow_table().column("rule")).astype(np.int64)
        con.unregister("events")
        for place, rule in enumerate(self.rules):
            before, aside = self.counted.get((rule.name, rule.digest), (0, 0))
            taken = int((found == place).sum())
            self.counted[rule.name, rule.digest] = before + _looked_at(rule, events), aside + taken
        return found

    def code(self, place: int) -> str:
        """The code of rows that a rule puts aside."""
        rule = self.rules[place]
        return rule.code(self.versions[rule.name])

    def reason(self, place: int) -> str:
        """Why a row was put aside, in one sentence without its values."""
        rule = self.rules[place]
        return f"The cleaning rule {rule.name} puts it aside{': ' + rule.because.rstrip('.') if rule.because else ''}."


def _looked_at(rule: CleaningRule, events: pa.Table) -> int:
    """How many events are of the names that a rule is about."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not rule.events:
        return int(events.num_rows)
    return int(pc.sum(pc.is_in(events.column("event"), pa.array(rule.events, pa.string()))).as_py() or 0)


def _whole(events: pa.Table, columns: Mapping[str, ColumnType]) -> pa.Table:
    """The events with every column there is: what this source does not have is missing."""
    import pyarrow as pa

    have, rows = set(events.column_names), events.num_rows
    schema = event_schema(dict(columns))
    return pa.table(
        {f.name: events.column(f.name).cast(f.type) if f.name in have else pa.nulls(rows, f.type) for f in schema}
    )
