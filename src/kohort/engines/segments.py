"""Segments of everybody, customer buckets at a time: the same compiled placement for one definition or a hundred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.features import CUSTOMER, to_sql
from kohort.compile.segments import NOBODY, REASONS, CompiledSegments, compile_segments
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.engines.consent import duckdb_reader, of_log, traits_asked
from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT, bucket_groups, run
from kohort.engines.led import carried
from kohort.model.progress import Progress, silent
from kohort.model.snapshot import Snapshot

BY_HAND_SCHEMA = pa.schema(
    [("customer", pa.int64()), ("name", pa.string()), ("segment", pa.string()), ("added", pa.bool_())]
)
STANDING_SCHEMA = pa.schema(
    [("customer", pa.int64()), ("name", pa.string()), ("segment", pa.string()), ("since", pa.int64())]
)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Who is where at one moment.

    Attributes:
        placed: Definition → `customer` int64 (for accounts `account` text), `segment` text, `confidence` null, `reason`
            text; sorted by the first column. A table is made when it is asked for, so that many cost little memory.
        universe: Customers with a visible event.
        visitors: Visitors with a visible event, where a definition includes them.
        excluded_by_consent: Definition with a purpose → who would be in it, had they agreed.
    """

    placed: Mapping[str, pa.Table]
    universe: int
    excluded_by_consent: dict[str, int] = field(default_factory=dict)
    visitors: int = 0


def evaluate(
    snapshot: Snapshot,
    definitions: Sequence[SegmentDefinition],
    *,
    features: Sequence[FeatureDefinition] = (),
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    settings: SegmentSettings | None = None,
    key: bytes,
    by_hand: pa.Table | None = None,
    standing: pa.Table | None = None,
    progress: Progress = silent,
    threads: int | None = None,
    customers: Sequence[int] | None = None,
) -> Evaluated:
    """Place every customer in every definition that is not paused.

    Args:
        snapshot: The event log.
        definitions: Checked; names are unique.
        features: What rules may name.
        as_of: Nothing later is visible, microseconds UTC.
        zone: The workspace's.
        currency: Of the log's amounts.
        settings: Consent and accounts.
        key: The workspace's key of random buckets.
        by_hand: See `BY_HAND_SCHEMA`; the segment '' of a removal means every part. None = nobody.
        standing: See `STANDING_SCHEMA`: who was where strictly before `as_of`. None = nobody.
        progress: Told the events done and in all.
        threads: None = the setting KOHORT_THREADS.
        customers: Only these; None = everybody.

    Raises:
        RefusedDefinition: A definition cannot be compiled.
        BadInput: A sum leaves 64 bits.
    """
    by_hand = BY_HAND_SCHEMA.empty_table() if by_hand is None else by_hand
    standing = STANDING_SCHEMA.empty_table() if standing is None else standing
    snapshot = snapshot.resolved(as_of, customers)
    groups = list(bucket_groups(snapshot, customers))
    total, done = sum(n for _, n in groups), 0
    codes: list[pa.Table] = []
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT, threads=threads) as con:
        asked = traits_asked(definitions, settings, snapshot.columns)
        withheld = of_log(snapshot, as_of, asked, duckdb_reader(con, snapshot))
        beside = pa.concat_tables([carried(by_hand, snapshot.led).select(BY_HAND_SCHEMA.names), withheld])
        compiled = compile_segments(
            definitions,
            features=features,
            as_of=as_of,
            zone=zone,
            currency=currency,
            columns=snapshot.columns,
            settings=settings,
            key=key,
            customers=customers,
            by_hand=_names(beside),
            standing=_names(standing),
        )
        sql = to_sql(compiled.codes.drop(*(f"r{i}" for i in sorted(compiled.plain))))
        pairs_sql = None if compiled.pairs is None else to_sql(compiled.pairs)
        accounts = _Accounts([f"u{i}" for i, d in enumerate(compiled.definitions) if d.kind == "accounts"])
        con.register("by_hand", beside)
        con.register("standing", standing.select(STANDING_SCHEMA.names))
        for buckets, events in groups:
            progress("Evaluating segments", done, total)
            register_events(con, snapshot, buckets)
            rows = run(con, sql)
            if pairs_sql is not None:
                accounts.add(con, rows, pairs_sql)
            codes.append(rows)
            done += events
    progress("Evaluating segments", total, total)
    return _evaluated(compiled, codes, accounts)


def _names(table: pa.Table) -> list[str]:
    return sorted(pc.unique(table["name"]).to_pylist())


def _evaluated(compiled: CompiledSegments, codes: list[pa.Table], accounts: _Accounts) -> Evaluated:
    whole = pa.concat_tables(codes) if codes else pa.table({CUSTOMER: pa.array([], pa.int64())})
    customers = whole[CUSTOMER].to_numpy()
    order = np.argsort(customers, kind="stable")
    columns = {name: whole[name].to_numpy()[order] for name in whole.column_names if name[0] in "sr"}
    left_out = {
        d.name: int(pc.sum(whole[f"x{i}"]).as_py() or 0) if codes else 0
        for i, d in enumerate(compiled.definitions)
        if d.purpose and d.kind != "accounts"
    }
    known = int((customers > 0).sum())
    placements = _Placements(compiled, customers[order], columns, accounts.totals())
    return Evaluated(placements, known, left_out, len(customers) - known)


class _Placements(Mapping[str, pa.Table]):
    """The tables of all definitions, made from a byte or two per customer and definition when they are asked for."""

    def __init__(
        self, compiled: CompiledSegments, customers: np.ndarray, codes: dict[str, np.ndarray], accounts: pa.Table
    ) -> None:
        self._places = {d.name: (i, d) for i, d in enumerate(compiled.definitions)}
        self._customers, self._codes, self._accounts = customers, codes, accounts

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, name: str) -> pa.Table:
        i, definition = self._places[name]
        keys = pa.array([p.key for p in definition.parts], pa.string())
        if definition.kind == "accounts":
            inside = quantified(self._accounts, f"u{i}", definition.quantifier)
            members = self._accounts["account"].filter(inside).combine_chunks()
            return _rows(
                "account",
                members,
                keys.take(pa.array(np.zeros(len(members), np.int8))),
                np.zeros(len(members), np.int8),
            )
        segment = self._codes.get(f"s{i}", np.empty(0, np.int8))
        there = np.flatnonzero(segment != NOBODY)
        first = REASONS.index("random" if definition.kind == "buckets" else "rule")
        reasons = self._codes[f"r{i}"][there] if f"r{i}" in self._codes else np.full(len(there), first, np.int8)
        return _rows("customer", pa.array(self._customers[there]), keys.take(pa.array(segment[there])), reasons)


def _rows(who: str, members: pa.Array, segment: pa.Array, reasons: np.ndarray) -> pa.Table:
    reason = pa.array(REASONS, pa.string()).take(pa.array(reasons))
    confidence = pa.nulls(len(members), pa.float64())
    return pa.table({who: members, "segment": segment, "confidence": confidence, "reason": reason})


def quantified(accounts: pa.Table, name: str, quantifier: str) -> pa.Array:
    """M8: an account without users is not in the table, so it is never a member."""
    if quantifier == "all":
        return pc.equal(accounts[name], accounts["users"])
    return pc.greater(accounts[name], 0) if quantifier == "any" else pc.equal(accounts[name], 0)


class _Accounts:
    """Users per account, added up over groups of customers."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.parts = names, []  # type: ignore[var-annotated]

    def add(self, con: duckdb.DuckDBPyConnection, truths: pa.Table, pairs_sql: str) -> None:
        con.register("truths", truths.select([CUSTOMER, *self.names]))
        met = ", ".join(f"count(*) FILTER (t.{name}) AS {name}" for name in self.names)
        self.parts.append(
            con.execute(
                f"SELECT p.account, count(*) AS users, {met} FROM ({pairs_sql}) p JOIN truths t USING ({CUSTOMER}) GROUP BY ALL"
            ).to_arrow_table()
        )

    def totals(self) -> pa.Table:
        """`account`, `users` and how many of them meet each rule, sorted by account."""
        columns = ["users", *self.names]
        if not self.parts:
            return pa.table({"account": pa.array([], pa.string()), **{n: pa.array([], pa.int64()) for n in columns}})
        summed = pa.concat_tables(self.parts).group_by("account").aggregate([(n, "sum") for n in columns])
        return summed.rename_columns(["account", *columns]).sort_by("account")
