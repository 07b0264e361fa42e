"""One definition taken apart: the placement of every customer and the truth of every node of its rules.

It reads a table of ready columns (`measures`) in place of events, so that editing a number in a rule costs no scan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any

import ibis

from kohort.compile.clock import FixedClock
from kohort.compile.conditions import Scope, condition_value
from kohort.compile.features import CUSTOMER, check_moment, event_relation, visible_events
from kohort.compile.plan import Plan
from kohort.compile.segments import Asked, Program, account_pairs
from kohort.compile.side import ByHand, Standing
from kohort.compile.tables import separate
from kohort.compile.values import Value
from kohort.definitions.columns import vocabulary
from kohort.definitions.conditions import Condition
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules.walk import walk
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.model.event import ColumnType

VALUE = "value"


@dataclass(frozen=True, slots=True)
class CompiledPreview:
    """A definition and those it refers to, over `measures`.

    Attributes:
        plan: Its `needs` say what the columns of `measures` must hold, beside `customer`.
        program: The definitions; the one that is looked at is the last of them.
        nodes: Name of a column → the truth of a node: `n{part}_{place in walk}`.
        value: Of a customer; None where nothing was asked.
    """

    plan: Plan
    program: Program
    nodes: dict[str, Value]
    value: Value | None

    def over(self, types: Mapping[str, str]) -> Any:
        """One row per customer, given the types of the columns of `measures`: `_customer`, nodes, `segment`, `left_out`.

        `segment` is the place of the part, -1 for none; of accounts: 0 where the rule is met. `value` where asked.
        """
        i = len(self.program.definitions) - 1
        definition = self.program.definitions[i]
        table = self.program.placed(ibis.table({"customer": "int64", **types}, name="measures"))
        by_customer = definition.kind != "accounts"
        placed = table[f"s{i}"] if by_customer else table[f"u{i}"].ifelse(0, -1).cast("int8")
        left_out = table[f"x{i}"] if by_customer and definition.purpose else ibis.literal(False)
        return table.select(
            CUSTOMER,
            **{name: node(table) for name, node in self.nodes.items()},
            segment=placed,
            left_out=left_out,
            **({} if self.value is None else {VALUE: self.value(table)}),
        )

    def stages(self, names: Collection[str], columns: Mapping[str, ColumnType], as_of: int) -> list[Any]:
        """Expressions over `events` that give some columns of `measures`, each with its own `customer`."""
        return separate(self.plan.only(names), visible_events(columns, as_of, visitors=self.visitors))

    @property
    def visitors(self) -> bool:
        """Whether the columns of `measures` must hold visitors too."""
        return self.program.visitors

    def pairs(self, accounts: str, columns: Mapping[str, ColumnType], as_of: int) -> Any:
        """Who belongs to which accounts, over `events`."""
        return account_pairs(self.plan, accounts, visible_events(columns, as_of))


def compile_preview(
    definition: SegmentDefinition,
    *,
    others: Rows[SegmentDefinition],
    features: Rows[FeatureDefinition],
    value: FeatureDefinition | None,
    as_of: int,
    zone: str,
    currency: str,
    columns: Mapping[str, ColumnType],
    settings: SegmentSettings,
    key: bytes,
    by_hand: Collection[str],
    standing: Collection[str],
) -> CompiledPreview:
    """Compile a definition (paused or not) with `others` it may refer to; arguments as `compile_segments`."""
    check_moment(as_of)
    plan = Plan(Scope(vocabulary(columns), currency, zone), FixedClock(as_of))
    definitions = (*(o for o in others if not o.paused and o.name != definition.name), definition)
    asked = Asked(definitions, {f.name: f for f in features}, settings, key)
    program = Program(asked, plan, ByHand(by_hand), Standing(standing))
    nodes = {
        f"n{p}_{n}": program.rules.read(node, definition.zone)
        for p, part in enumerate(definition.parts)
        if part.rule
        for n, node in enumerate(walk(part.rule.rule))
    }
    return CompiledPreview(plan, program, nodes, plan.measure(value.measure) if value else None)


def first_event(condition: Condition, columns: Mapping[str, ColumnType]) -> Any:
    """One event of a customer that meets a condition on text, or no row where there is none."""
    events = event_relation(columns)
    met = condition_value(events, condition, Scope(vocabulary(columns), "EUR", "UTC"))
    return events.filter(events.customer.notnull(), met).select("event_id").limit(1)
