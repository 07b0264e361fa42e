"""Why one customer is in a segment or not, asked of the store and the event log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.compile.windows import ahead
from kohort.definitions.windows import Span
from kohort.errors import NotEnough, NotFound
from kohort.model.links import Roots, around, belonging, roots
from kohort.segments.consent import Consents
from kohort.segments.dependencies import refers_to, with_needed
from kohort.segments.drift import Answers, Ask, Clause
from kohort.segments.evaluate import bucket_key
from kohort.segments.explain import Knowledge, asked_values, explain
from kohort.segments.instants import Trace
from kohort.segments.next_change import HORIZON_YEARS, Case
from kohort.segments.reasons import Why

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.rules.tree import Operand
    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.engines.moments import OneCustomer
    from kohort.model.snapshot import Snapshot
    from kohort.store.store import Store

_LATEST_US = 32_472_144_000_000_000  # the year 2999: engines answer no later moments


def why(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    asked: SegmentDefinition,
    customer: int,
    *,
    as_of: int,
    zone: str,
    currency: str,
    features: Sequence[FeatureDefinition],
    settings: SegmentSettings,
    part: str | None = None,
    language: str = "en",
    labels: Mapping[str, str] | None = None,
    horizon_years: int = HORIZON_YEARS,
) -> Why:
    """Every condition with what is so for one customer, what is missing or holds, and when time alone changes it.

    Args:
        definitions: All of the workspace.
        asked: One of them, or one that is not saved.
        customer: Pseudonym. For definitions of accounts: one user; the answer is about her meeting the rule.
        as_of: Nothing later is visible (µs UTC), but for what time alone will do.
        part: Key of the part to explain; None = hers, else the one she is nearest to.
        language: Of the conditions' sentences: en, nl, da or de.
        labels: Plain words for names, as `say_rule` takes them.
        horizon_years: How far to look for a change.

    Raises:
        NotFound: No such customer, or no such part.
        NotEnough: She has no event at that moment: she is in no segment yet.
    """
    from kohort.engines.consent import traits_asked
    from kohort.engines.moments import OneCustomer
    from kohort.model.random_bucket import random_bucket

    if part is not None and part not in {p.key for p in asked.parts}:
        raise NotFound(f"part of {asked.name!r}", part, [p.key for p in asked.parts])
    snapshot = store.log.snapshot()
    if customer < 0 and not asked.include_anonymous:
        raise NotEnough(
            "She never said who she is, and this segment is about customers.", hint="See include_anonymous."
        )
    trace = trace_of(snapshot, customer, as_of)
    if not any(t <= as_of for t in trace.of(())):
        raise NotEnough("This customer has no event at that moment yet.", hint="Ask for a later moment.")
    key = bucket_key(store)
    stays = cache(lambda name: _stays(store, name, customer))
    everything = (*(d for d in definitions if d.name != asked.name), asked)
    needed = with_needed(everything, [asked.name])
    case = Case(
        definitions=needed,
        zone=zone,
        features={f.name: f for f in features},
        settings=settings,
        standing=_standing(needed, stays, as_of),
        by_hand=_by_hand(store, customer, roots(around(snapshot.links, customer), as_of)),
        withheld=Consents(snapshot, customer, as_of, traits_asked(needed, settings, snapshot.columns)).withheld,
        buckets={d.name: random_bucket(customer, d.salt or d.name, key) for d in needed if d.kind == "buckets"},
    )
    recorded = _stood(stays(asked.name), as_of)
    clauses, operands = case.clauses(), asked_values(case)
    with OneCustomer(
        snapshot,
        customer,
        features=features,
        zone=zone,
        currency=currency,
        key=key,
        questions=[(c.zone, c.leaf) for c in (*clauses, *operands.periods)],
        operands=operands.operands,
    ) as she:
        return explain(
            case,
            trace,
            asker(she),
            as_of,
            min(ahead(Span(horizon_years, "year"), as_of, zone), _LATEST_US),
            knowledge=Knowledge(snapshot.columns, currency, language, labels or {}),
            recorded=recorded,
            part=part,
        )


def asker(she: OneCustomer) -> Ask:
    """An engine's answers about one customer, in the form that conditions are asked in."""

    def ask(clauses: Sequence[Clause], operands: Sequence[tuple[str, Operand]], moments: Sequence[int]) -> Answers:
        found = she.ask([(c.zone, c.leaf) for c in clauses], operands, moments)
        return Answers(found.truths, found.values)

    return ask


def trace_of(snapshot: Snapshot, customer: int, as_of: int | None = None) -> Trace:
    """When a customer's events happened and the instants they hold, later ones than any moment included.

    Only row groups that can hold her rows are read.

    Args:
        as_of: Events of ids that lead to her at this moment are hers; None = of those that ever did.
    """
    import numpy as np

    times = [name for name, kind in sorted(snapshot.columns.items()) if kind == "time"]
    events: dict[str, list[int]] = {}
    held: dict[str, set[int]] = {name: set() for name in times}
    hers = [b.member for b in belonging(snapshot.links, customer) if as_of is None or b.holds(as_of)]
    for table in (t for member in hers for t in rows_of(snapshot, member, ["event", "ts", *times])):
        names = np.asarray(table.column("event").to_pylist(), dtype=object)
        ts = table.column("ts").to_numpy()
        for name in set(names):
            events.setdefault(name, []).extend(ts[names == name].tolist())
        for name in times:
            if name in table.column_names:
                held[name].update(v for v in table.column(name).to_pylist() if v is not None)
    return Trace(
        {name: tuple(sorted(set(ts))) for name, ts in events.items()},
        {name: tuple(sorted(values)) for name, values in held.items()},
    )


def rows_of(snapshot: Snapshot, customer: int, columns: Sequence[str]) -> list[Any]:
    """Tables with the events of one id; a column that a file does not have is missing in its table."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found = []
    for path in snapshot.files.get(customer % snapshot.buckets, ()):
        with pq.ParquetFile(Path(path)) as file:
            place = file.schema_arrow.get_field_index("customer")
            have = [c for c in ("customer", *columns) if c in file.schema_arrow.names]
            groups = [
                g for g in range(file.num_row_groups) if _may_hold(file.metadata.row_group(g).column(place), customer)
            ]
            if groups:
                found.append(file.read_row_groups(groups, columns=have))
    if snapshot.hot is not None and snapshot.hot.num_rows:
        found.append(snapshot.hot.select([c for c in ("customer", *columns) if c in snapshot.hot.column_names]))
    return [t.filter(pc.equal(t.column("customer"), customer)) for t in found]


def _may_hold(column: Any, customer: int) -> bool:
    statistics = column.statistics
    return statistics is None or not statistics.has_min_max or statistics.min <= customer <= statistics.max


Stays = Callable[[str], Sequence[Mapping[str, Any]]]
"""What was published about the customer in a definition, oldest first."""


def _standing(needed: Sequence[SegmentDefinition], stays: Stays, as_of: int) -> dict[str, tuple[str, int]]:
    """Where she was strictly before a moment; in what is not evaluated (paused, adopted), where she is at it."""
    evaluated = {d.name for d in needed if not d.paused}
    named = {n for d in needed if not d.paused for n in refers_to(d)} | {d.name for d in needed}
    asked = {name: as_of - 1 if name in evaluated else as_of for name in named}
    return {name: stood for name, at in asked.items() if (stood := _stood(stays(name), at)) is not None}


def _stood(stays: Sequence[Mapping[str, Any]], at: int) -> tuple[str, int] | None:
    """The part she was in at a moment by what was published, and since when."""
    for stay in stays:
        if stay["since"] <= at and (stay["until"] is None or stay["until"] > at):
            return stay["segment"], stay["since"]
    return None


def _stays(store: Store, name: str, customer: int) -> list[dict[str, Any]]:
    with suppress(NotFound):
        found: list[dict[str, Any]] = store.members.history(name, customer)
        return found
    return []


def _by_hand(store: Store, customer: int, near: Roots) -> dict[str, dict[str, bool]]:
    """What people decided about her: definition → part → put in or taken out."""
    import pyarrow.compute as pc

    from kohort.engines.led import carried

    table = carried(store.by_hand.table(), near)
    found: dict[str, dict[str, bool]] = {}
    for row in table.filter(pc.equal(table.column("customer"), customer)).to_pylist():
        found.setdefault(row["name"], {})[row["segment"]] = row["added"]
    return found
