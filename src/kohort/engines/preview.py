"""Before a definition is saved: how many it would hold, condition by condition, and what it looks for in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.features import to_sql
from kohort.compile.preview import VALUE, CompiledPreview, compile_preview
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules.tree import AllOf, AnyOf, Not, Rule
from kohort.definitions.rules.walk import walk
from kohort.definitions.segments import Part, SegmentDefinition, SegmentSettings
from kohort.engines.consent import traits_asked
from kohort.engines.duck import connect
from kohort.engines.evaluate import MEMORY_LIMIT, run
from kohort.engines.led import carried
from kohort.engines.measures import Measures
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA, quantified
from kohort.engines.unseen import Unseen, never_seen
from kohort.model.limits import refusal_mark
from kohort.model.snapshot import Snapshot

SAMPLE = 10


@dataclass(frozen=True, slots=True)
class NodeSize:
    """How many customers one node of a rule holds.

    Attributes:
        node: The node.
        depth: How deep it lies; 0 = the whole rule.
        size: Customers for whom it is true on its own.
        running: Of an item of `and`: how many are left after it and the items before it. Of an item of `or`: how many it
            adds to the items before it. So the last item of `and` shows the size of the group, and the items of `or` add
            up to it. None where the node is in neither.
        group: What `running` means: "left", "added" or "".
    """

    node: Rule
    depth: int
    size: int
    running: int | None = None
    group: Literal["", "left", "added"] = ""


@dataclass(frozen=True, slots=True)
class PartSizes:
    """One part of a definition.

    Attributes:
        size: Who would be in it. Beside the rule, this follows what people decided by hand, consent, earlier parts and
            what keeps customers where they stand.
        nodes: Of its rule, a node before its items; empty without one.
        value: Sum of the value over its members; None where nothing was asked (and of accounts).
        sample: Some members: pseudonyms, or names of accounts.
    """

    key: str
    size: int
    nodes: tuple[NodeSize, ...] = ()
    value: float | None = None
    sample: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSizes:
    """What a definition would hold at one moment.

    Attributes:
        size: Members in all parts.
        universe: Customers (or accounts with users) in all.
        excluded_by_consent: Who would be in it, had they agreed to its purpose.
        parts: In order.
        value: As in a part, of all members.
        universe_value: The same of everybody.
        unseen: What its rules name and no event of a customer has ever shown.
        visitors: Of the universe, those of whom nothing but an anonymous id is known; 0 where they are not included.
    """

    size: int
    universe: int
    excluded_by_consent: int
    parts: tuple[PartSizes, ...]
    value: float | None = None
    universe_value: float | None = None
    unseen: tuple[Unseen, ...] = ()
    visitors: int = 0


def preview(
    snapshot: Snapshot,
    definition: SegmentDefinition,
    *,
    others: Sequence[SegmentDefinition] = (),
    features: Sequence[FeatureDefinition] = (),
    value: FeatureDefinition | None = None,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    settings: SegmentSettings | None = None,
    key: bytes,
    by_hand: pa.Table | None = None,
    standing: pa.Table | None = None,
    measures: Measures | None = None,
    threads: int | None = None,
) -> RuleSizes:
    """Look at one definition without saving it.

    Args:
        snapshot: The event log.
        definition: Checked.
        others: Definitions that it may refer to.
        features: What rules may name.
        value: Money per customer.
        by_hand, standing: As `kohort.engines.segments.evaluate` takes them; None = nobody.
        measures: Kept from an earlier preview of the same log and moment: then only new columns are computed. One that
            does not fit is left aside. The other arguments are those of `evaluate`.

    Raises:
        RefusedDefinition: The definition cannot be compiled.
        BadInput: A sum leaves 64 bits.
    """
    settings = settings or SegmentSettings()
    by_hand = BY_HAND_SCHEMA.empty_table() if by_hand is None else by_hand.select(BY_HAND_SCHEMA.names)
    standing = STANDING_SCHEMA.empty_table() if standing is None else standing.select(STANDING_SCHEMA.names)
    asked = traits_asked([*others, replace(definition, paused=False)], settings, snapshot.columns)
    compiled = compile_preview(
        definition,
        others=others,
        features=features,
        value=value,
        as_of=as_of,
        zone=zone,
        currency=currency,
        columns=snapshot.columns,
        settings=settings,
        key=key,
        by_hand=[
            *pc.unique(by_hand["name"]).to_pylist(),
            *(map(refusal_mark, asked) if snapshot.links is not None else ()),
        ],
        standing=pc.unique(standing["name"]).to_pylist(),
    )
    if measures is None or not measures.fits(snapshot, as_of, visitors=compiled.visitors):
        measures = Measures(snapshot, as_of, threads=threads, visitors=compiled.visitors)
    beside = pa.concat_tables([carried(by_hand, measures.snapshot.led), measures.withheld(asked)])
    rows = _rows(compiled, measures.table(compiled), beside, standing, threads)
    if compiled.visitors and not definition.include_anonymous:
        rows = rows.filter(pc.greater(rows["_customer"], 0))  # only what it refers to includes visitors
    unseen = never_seen(definition, features, measures)
    if definition.kind == "accounts":
        return _of_accounts(definition, rows, measures.pairs(compiled, settings.accounts), unseen)
    return _of_customers(definition, rows, unseen)


def _rows(
    compiled: CompiledPreview, table: pa.Table, by_hand: pa.Table, standing: pa.Table, threads: int | None
) -> pa.Table:
    """What the definition says of everybody, in the order of `measures`."""
    types = {f.name: _TYPES[str(f.type)] for f in table.schema if f.name != "customer"}
    with connect(folders=(), memory_limit=MEMORY_LIMIT, threads=threads) as con:
        con.register("measures", table)
        con.register("by_hand", by_hand)
        con.register("standing", standing)
        rows = run(con, to_sql(compiled.over(types)))
    # The columns are in order; only a join with decisions by hand or stored members may have changed that.
    customers = rows["_customer"].to_numpy()
    return rows if (customers[1:] > customers[:-1]).all() else rows.sort_by("_customer")


_TYPES = {"int64": "int64", "string": "string", "bool": "boolean", "double": "float64"}


def _of_customers(definition: SegmentDefinition, rows: pa.Table, unseen: tuple[Unseen, ...]) -> RuleSizes:
    segment, customers = rows["segment"].to_numpy(), rows["_customer"].to_numpy()
    values = pc.fill_null(rows[VALUE], 0.0).to_numpy() if VALUE in rows.column_names else None

    def part(p: int, own: Part) -> PartSizes:
        inside = segment == p
        worth = None if values is None else float(values[inside].sum())
        return PartSizes(
            own.key, int(inside.sum()), _nodes(own, p, rows), worth, tuple(customers[inside][:SAMPLE].tolist())
        )

    parts = tuple(part(p, own) for p, own in enumerate(definition.parts))
    return RuleSizes(
        sum(p.size for p in parts),
        len(customers),
        int(rows["left_out"].to_numpy().sum()),
        parts,
        None if values is None else float(values[segment >= 0].sum()),
        None if values is None else float(values.sum()),
        unseen,
        int((customers < 0).sum()),
    )


def _of_accounts(
    definition: SegmentDefinition, rows: pa.Table, pairs: pa.Table, unseen: tuple[Unseen, ...]
) -> RuleSizes:
    met = pa.table({"_customer": rows["_customer"], "u0": pc.equal(rows["segment"], 0).cast(pa.int64())})
    users = pairs.join(met, "_customer", join_type="inner").group_by("account")
    totals = users.aggregate([("u0", "sum"), ([], "count_all")]).rename_columns(["account", "u0", "users"])
    members = totals["account"].filter(quantified(totals, "u0", definition.quantifier)).to_pylist()
    [own] = definition.parts
    part = PartSizes(own.key, len(members), _nodes(own, 0, rows), None, tuple(sorted(members)[:SAMPLE]))
    return RuleSizes(len(members), totals.num_rows, 0, (part,), unseen=unseen)


def _nodes(part: Part, p: int, rows: pa.Table) -> tuple[NodeSize, ...]:
    if part.rule is None:
        return ()
    truths = [pc.fill_null(rows[f"n{p}_{n}"], False).to_numpy() for n, _ in enumerate(walk(part.rule.rule))]
    found: list[NodeSize] = []

    def visit(node: Rule, depth: int, running: int | None = None, group: Literal["", "left", "added"] = "") -> None:
        """Adds a node and those below it."""
        found.append(NodeSize(node, depth, int(truths[len(found)].sum()), running, group))
        match node:
            case Not(item):
                visit(item, depth + 1)
            case AllOf(items):
                left = np.True_
                for item in items:
                    left = left & truths[len(found)]
                    visit(item, depth + 1, int(left.sum()), "left")
            case AnyOf(items):
                either = np.zeros_like(truths[0])
                for item in items:
                    added = truths[len(found)] & ~either
                    either = either | added
                    visit(item, depth + 1, int(added.sum()), "added")

    visit(part.rule.rule, 0)
    return tuple(found)
