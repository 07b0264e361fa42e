"""Many customers, each at moments of her own: the placement of `compile.segments`, with every edge a column of `pairs`.

Each pair (customer, moment) has its own copy of the customer's visible events, under its number in place of a customer. So
the stages are those of everybody, and the text of the query depends on the definitions only: it is made once and asked
again and again, whoever changed and whenever.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any

import ibis

from kohort.compile.clock import NOW, MovingClock, on
from kohort.compile.conditions import Scope
from kohort.compile.features import CUSTOMER, event_relation
from kohort.compile.plan import Plan
from kohort.compile.segments import Asked, Program
from kohort.compile.side import ByHand, Standing
from kohort.compile.tables import build
from kohort.definitions.columns import vocabulary
from kohort.definitions.features import FeatureDefinition, check
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.model.event import ColumnType

PAIR, PERSON_OF_PAIR = "pair", "person"


@dataclass(frozen=True, slots=True)
class CompiledPairs:
    """What a set of definitions says of customers at moments.

    Attributes:
        definitions: Those that are evaluated, in the order given; paused ones are not among them. `i` is a place here.
        wanted: Features whose values are asked for as well. `j` is a place here.
        expr: `_customer` (the number of the pair), then for definition i `s{i}` (place of the part, -1 = none), `r{i}`
            (place in REASONS, -1; not for those in `plain`) and, where it has a purpose, `x{i}` (left out for want of
            consent); of accounts only `u{i}` (she meets the rule); for feature j `f{j}`. A pair without a visible
            event has no row. Over the relations `events`, `pairs` (`pair`, `person` and the edges of the clock), and
            `by_hand` and `standing` with the number of the pair as `customer`.
        clock: Says what the further columns of `pairs` hold.
        columns: Declared columns of the log.
        reads: Columns of `events` that are needed, `customer` among them.
        relations: Names of the relations that the expression reads.
        plain: Definitions (i) whose members are all there for one reason → its place in REASONS.
    """

    definitions: tuple[SegmentDefinition, ...]
    wanted: tuple[FeatureDefinition, ...]
    expr: Any
    clock: MovingClock
    columns: Mapping[str, ColumnType]
    reads: frozenset[str]
    relations: frozenset[str]
    plain: Mapping[int, int]

    @property
    def codes(self) -> dict[str, Any]:
        """The columns that say where somebody is (`r{i}` of plain definitions as well), each with its value for nobody."""
        found: dict[str, Any] = {}
        for i, definition in enumerate(self.definitions):
            if definition.kind == "accounts":
                found[f"u{i}"] = False
                continue
            found |= {f"s{i}": -1, f"r{i}": -1, **({f"x{i}": False} if definition.purpose else {})}
        return found


def compile_pairs(
    definitions: Rows[SegmentDefinition],
    *,
    features: Rows[FeatureDefinition],
    wanted: Rows[FeatureDefinition] = (),
    zone: str = "UTC",
    currency: str = "EUR",
    columns: Mapping[str, ColumnType] | None = None,
    settings: SegmentSettings | None = None,
    key: bytes,
    by_hand: Collection[str] | None = None,
    standing: Collection[str] | None = None,
) -> CompiledPairs:
    """Compile definitions for any customers at any moments; arguments as `compile_segments`.

    Args:
        definitions: Checked. A definition that others ask for is evaluated first; one that is not here, or paused, is
            answered from `standing`.
        features: What rules may name.
        wanted: Features whose values are asked for beside the placement.
        zone: The workspace's; features follow it, definitions may have their own.
        currency: Says how many minor units make one major unit.
        columns: Declared columns of the log.
        settings: Consent and accounts of the workspace.
        key: The workspace's key of random buckets.
        by_hand: Definitions that may have rows in `by_hand`. None = any.
        standing: Likewise for `standing`.

    Raises:
        RefusedDefinition: Definitions ask for each other in a circle, or for a consent nobody declared, or a wanted
            feature does not fit the columns there are.
    """
    declared = dict(columns or {})
    clock = MovingClock()
    now = clock.at(NOW)
    plan = Plan(Scope(vocabulary(declared), currency, zone), clock)
    evaluated = tuple(d for d in definitions if not d.paused)
    asked = Asked(evaluated, {f.name: f for f in features}, settings or SegmentSettings(), key)
    moved, stood = ByHand(by_hand), Standing(standing)
    program = Program(asked, plan, moved, stood)
    for feature in wanted:
        check(feature, declared)
    values = {f"f{j}": plan.measure(feature.measure) for j, feature in enumerate(wanted)}

    # Everything has registered its needs, so the edges are complete and what no stage reads need not be loaded.
    edges = dict.fromkeys(clock.edges.values(), "int64")
    pairs = ibis.table({PAIR: "int64", PERSON_OF_PAIR: "int64", **edges}, name="pairs")
    reads = _reads(plan)
    events = event_relation({name: kind for name, kind in declared.items() if name in reads})
    events = ibis.table({name: kind for name, kind in events.schema().items() if name in reads}, name="events")
    joined = build(plan, _visible(events, pairs, now))
    joined = joined.join(pairs, joined.customer == pairs[PAIR])
    table = program.placed(joined, person=PERSON_OF_PAIR)
    shown = {name: value(table) for name, value in values.items()}
    plain = program.plain()
    placed = [c for c in program.columns(table, words=False) if c.get_name() not in {f"r{i}" for i in plain}]
    expr = table.select(CUSTOMER, *placed, **shown)
    beside = {name for name, read in (("by_hand", moved.read), ("standing", bool(stood.needed))) if read}
    relations = frozenset({"events", "pairs", *beside})
    return CompiledPairs(evaluated, tuple(wanted), expr, clock, declared, reads, relations, plain)


def _reads(plan: Plan) -> frozenset[str]:
    """Texts cost most to load, and ids only order events of one instant where something asks for the first or last."""
    return plan.reads() - (frozenset() if plan.ordered or plan.changes else {"event_id"})


def _visible(events: Any, pairs: Any, now: Any) -> Any:
    """The events of each pair's customer that the pair sees, under the number of the pair."""
    own = events.rename(_of="customer")
    crossed = pairs.join(own, pairs[PERSON_OF_PAIR] == own["_of"])
    crossed = crossed.filter(crossed.ts <= on(crossed, now)).drop(PERSON_OF_PAIR, "_of")
    return crossed.rename(customer=PAIR)
