"""One customer at many moments: the same rules over the same stages, with every edge a column of `moments`.

Each moment has its own copy of the customer's visible events, under its number in place of a customer. So the stages are
those of everybody, and the text of the query depends on the questions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any

import ibis

from kohort.compile.clock import NOW, MovingClock, on
from kohort.compile.conditions import Scope
from kohort.compile.features import event_relation
from kohort.compile.operands import PERSON, OperandType
from kohort.compile.plan import Plan
from kohort.compile.rules import Rules
from kohort.compile.tables import build
from kohort.compile.values import Value
from kohort.definitions.columns import vocabulary
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules.tree import InSegment, Operand, Rule
from kohort.definitions.rules.walk import walk
from kohort.model.event import ColumnType

MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class CompiledMoments:
    """What some questions say of one customer at each moment.

    Attributes:
        expr: One row per row of `moments`: `moment`, `seen` (any event visible), then per question q and node n (in the
            order of `walk`) `q{q}_{n}`, per operand `v{v}`. Over the relations `events` (hers alone) and `moments`.
        clock: Says what the columns of `moments` hold, beside `moment` (0, 1, …) and `person` (the customer).
        asked: Segments that the rules refer to: column i of `moments` named `in{i}` says whether she is in it.
        reads: Columns of `events` that are needed.
        types: Of the operands.
    """

    expr: Any
    clock: MovingClock
    asked: tuple[InSegment, ...]
    reads: frozenset[str]
    types: tuple[OperandType, ...]


def compile_moments(
    questions: Rows[tuple[str, Rule]],
    operands: Rows[tuple[str, Operand]],
    *,
    features: Rows[FeatureDefinition],
    zone: str,
    currency: str,
    columns: Mapping[str, ColumnType],
    key: bytes,
) -> CompiledMoments:
    """Compile questions, each with the zone of its calendar (empty = the workspace's).

    Args:
        questions: (zone, rule).
        operands: (zone, operand) whose values are wanted.
        features: What rules may name; they follow `zone`.
        zone: The workspace's.
        currency: Says how many minor units make one major unit.
        columns: Declared columns of the log.
        key: The workspace's key of random buckets.
    """
    clock = MovingClock()
    now = clock.at(NOW)
    plan = Plan(Scope(vocabulary(columns), currency, zone), clock)
    asked: dict[InSegment, str] = {}

    def in_segments(reference: InSegment) -> Value:
        name = asked.setdefault(reference, f"in{len(asked)}")
        return lambda t: t[name]

    rules = Rules(plan, {f.name: f for f in features}, key, in_segments)
    nodes = {
        f"q{q}_{n}": rules.read(node, own)
        for q, (own, rule) in enumerate(questions)
        for n, node in enumerate(walk(rule))
    }
    typed = [rules.operands.read(operand, plan.in_zone(own or zone)) for own, operand in operands]
    edges = dict.fromkeys(clock.edges.values(), "int64")
    about = {MOMENT: "int64", "person": "int64", **edges, **dict.fromkeys(asked.values(), "boolean")}
    moments = ibis.table(about, name="moments")
    joined = build(plan, _visible(event_relation(columns), moments, list(edges), now))
    table = moments.left_join(joined, moments[MOMENT] == joined.customer)
    table = rules.operands.stage(table.mutate(**{PERSON: table.person}))
    expr = table.select(
        MOMENT,
        seen=table.customer.notnull(),
        **{name: value(table) for name, value in nodes.items()},
        **{f"v{v}": operand.value(table) for v, operand in enumerate(typed)},
    )
    return CompiledMoments(expr, clock, tuple(asked), plan.reads(), tuple(t.type for t in typed))


def _visible(events: Any, moments: Any, edges: list[str], now: Any) -> Any:
    """The events once per moment that sees them."""
    own = events.drop("customer", "bucket")
    crossed = moments.select(MOMENT, *edges).cross_join(own)
    crossed = crossed.filter(crossed.ts <= on(crossed, now))
    return crossed.rename(customer=MOMENT)
