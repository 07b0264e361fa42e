"""One customer, asked about at any moments: what is true of her, condition by condition, and the values behind it.

Only her rows are read, and the text of a query is made once per set of questions, so that a question costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.features import check_moment, to_sql
from kohort.compile.moments import MOMENT, CompiledMoments, compile_moments
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules.tree import Operand, Rule
from kohort.definitions.rules.walk import walk
from kohort.engines.duck import connect, folders_of
from kohort.engines.evaluate import run
from kohort.model.event import ColumnType, event_schema
from kohort.model.links import belonging
from kohort.model.snapshot import Snapshot

Truth = bool | None
Answer = float | str | bool | int | None
"""Numbers are float; an instant is int, microseconds UTC; a list is as it is stored; None is missing."""

InSegment = Callable[[str, str, int], bool]
"""Whether she is in a part of a segment (empty = any part) at a moment."""


MOST_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class Answers:
    """What is true at each moment asked about.

    Attributes:
        seen: Per moment, whether she has any visible event: without one she is in no segment.
        nodes: Per moment, per question, the truth of every node in the order of `walk`: the rule itself first.
        values: Per moment, per operand.
    """

    seen: list[bool]
    nodes: list[list[tuple[Truth, ...]]]
    values: list[list[Answer]]

    @property
    def truths(self) -> list[list[Truth]]:
        """Per moment, per question: the rule's own answer."""
        return [[nodes[0] for nodes in questions] for questions in self.nodes]


class OneCustomer:
    """A customer's events in memory; close it, or use it in a `with` block.

    Args:
        snapshot: The event log.
        customer: Pseudonym.
        features: What rules may name.
        zone: The workspace's.
        currency: Of the log's amounts.
        key: The workspace's key of random buckets.
        questions: (zone, rule) that will be asked, wholly or in part: one query text then serves them all.
        operands: (zone, operand) likewise.
        most_rows: Events times moments in one query; beyond it, moments are asked about in turns.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        customer: int,
        *,
        features: Sequence[FeatureDefinition] = (),
        zone: str = "UTC",
        currency: str = "EUR",
        key: bytes,
        questions: Iterable[tuple[str, Rule]] = (),
        operands: Iterable[tuple[str, Operand]] = (),
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._snapshot, self._customer = snapshot, int(customer)
        self._given = _Given(tuple(features), zone, currency, tuple(sorted(snapshot.columns.items())), key)
        self._expected = (tuple(questions), tuple(operands))
        self._belonging = belonging(snapshot.links, self._customer)
        self._columns: frozenset[str] = frozenset()
        self._whole = event_schema(snapshot.columns).empty_table()
        self._events, self._most_rows = 0, most_rows
        self._con = _database(tuple(folders_of(snapshot))).cursor()

    def __enter__(self) -> OneCustomer:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._con.close()

    def ask(
        self,
        questions: Sequence[tuple[str, Rule]],
        operands: Sequence[tuple[str, Operand]],
        moments: Sequence[int],
        *,
        in_segment: InSegment = lambda name, part, moment: False,
    ) -> Answers:
        """Answer questions at moments, in the order given.

        Args:
            questions: (zone, rule); an empty zone is the workspace's.
            operands: (zone, operand) whose values are wanted.
            moments: Microseconds UTC; nothing later than each is visible at it.
            in_segment: See `InSegment`.

        Raises:
            BadInput: A moment outside the years 1900 to 2999, or a sum that leaves 64 bits.
        """
        for moment in moments:
            check_moment(moment)
        program = self._program(questions, operands)
        self._load(program.compiled.reads)
        most = max(1, self._most_rows // max(1, self._events))
        found, order = [], []
        for members, places in self._families(moments):
            self._show(members)
            for chunk in (places[n : n + most] for n in range(0, max(1, len(places)), most)):
                found.append(self._rows(program, [moments[place] for place in chunk], in_segment))
                order += chunk
        rows = pa.concat_tables(found).take(pa.array(np.argsort(np.array(order, dtype=np.int64))))
        columns = {name: rows[name].to_pylist() for name in rows.column_names}
        asked = [(program.questions[_key(q)], sum(1 for _ in walk(q[1]))) for q in questions]
        values = [columns[f"v{program.operands[_key(o)]}"] for o in operands]
        return Answers(
            columns["seen"],
            [[tuple(columns[f"q{q}_{n}"][m] for n in range(nodes)) for q, nodes in asked] for m in range(len(moments))],
            [[value[m] for value in values] for m in range(len(moments))],
        )

    def _families(self, moments: Sequence[int]) -> list[tuple[tuple[int, ...], list[int]]]:
        """Whose events are hers, and the places of the moments at which that is so."""
        if len(self._belonging) == 1 and self._belonging[0].until is None:
            return [((self._customer,), list(range(len(moments))))]
        found: dict[tuple[int, ...], list[int]] = {}
        for place, moment in enumerate(moments):
            found.setdefault(tuple(b.member for b in self._belonging if b.holds(moment)), []).append(place)
        return list(found.items()) or [((), [])]

    def _show(self, members: tuple[int, ...]) -> None:
        """Makes the rows of some ids the relation `events`."""
        rows = self._whole
        if len(members) < len(self._belonging):
            rows = rows.filter(pc.is_in(rows["customer"], pa.array(members, pa.int64())))
        self._con.register("events", rows)

    def _rows(self, program: _Program, moments: Sequence[int], in_segment: InSegment) -> pa.Table:
        """The rows of some moments, in their order."""
        self._con.register("moments", self._moments(program.compiled, moments, in_segment))
        return run(self._con, program.sql).sort_by(MOMENT)

    def _program(self, questions: Sequence[tuple[str, Rule]], operands: Sequence[tuple[str, Operand]]) -> _Program:
        expected = _program(*self._expected, self._given)
        known = all(_key(q) in expected.questions for q in questions)
        if known and all(_key(o) in expected.operands for o in operands):
            return expected
        return _program(tuple(questions), tuple(operands), self._given)

    def _moments(self, compiled: CompiledMoments, moments: Sequence[int], in_segment: InSegment) -> pa.Table:
        rows = [compiled.clock.row(moment) for moment in moments]
        edges = {name: pa.array([row[name] for row in rows], pa.int64()) for name in compiled.clock.edges.values()}
        asked = {
            f"in{n}": pa.array([in_segment(s.name, s.key, m) for m in moments], pa.bool_())
            for n, s in enumerate(compiled.asked)
        }
        person = pa.array([self._customer] * len(moments), pa.int64())
        return pa.table({MOMENT: pa.array(range(len(moments)), pa.int64()), "person": person, **edges, **asked})

    def _load(self, columns: frozenset[str]) -> None:
        """Her rows, and those of ids that led to her at any time, with at least these columns (null in all others)."""
        if columns <= self._columns:
            return
        self._columns |= columns | {"customer"}
        snapshot, schema = self._snapshot, event_schema(self._snapshot.columns)
        names = [f.name for f in schema if f.name in self._columns]
        members = [b.member for b in self._belonging]
        buckets = sorted({member % snapshot.buckets for member in members})
        files = [file for bucket in buckets for file in snapshot.files.get(bucket, ())]
        parts = [_read(self._con, files, names, members)]
        if snapshot.hot is not None and snapshot.hot.num_rows:
            own = snapshot.hot.filter(pc.is_in(snapshot.hot["customer"], pa.array(members, pa.int64())))
            have = set(own.column_names)
            parts.append(pa.table({n: own[n] if n in have else pa.nulls(len(own)) for n in names}))
        whole = pa.concat_tables(parts, promote_options="permissive")
        self._events = whole.num_rows
        have = set(whole.column_names)
        self._whole = pa.table(
            [whole[f.name].cast(f.type) if f.name in have else pa.nulls(len(whole), f.type) for f in schema],
            names=schema.names,
        )


def evaluate_at(
    snapshot: Snapshot,
    customer: int,
    rules: Sequence[Rule],
    moments: Sequence[int],
    *,
    operands: Sequence[Operand] = (),
    features: Sequence[FeatureDefinition] = (),
    zone: str = "UTC",
    currency: str = "EUR",
    key: bytes,
    in_segment: InSegment = lambda name, part, moment: False,
) -> Answers:
    """As `OneCustomer.ask` for rules in the workspace's zone, once."""
    questions, wanted = [("", rule) for rule in rules], [("", operand) for operand in operands]
    with OneCustomer(snapshot, customer, features=features, zone=zone, currency=currency, key=key) as she:
        return she.ask(questions, wanted, moments, in_segment=in_segment)


# Query texts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Given:
    """What a query's text depends on beside the questions."""

    features: tuple[FeatureDefinition, ...]
    zone: str
    currency: str
    columns: tuple[tuple[str, ColumnType], ...]
    key: bytes


@dataclass(frozen=True, slots=True)
class _Program:
    sql: str
    compiled: CompiledMoments
    questions: dict[str, int]  # key → place
    operands: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions and operands, the same where their keys are: trees alone would take `= 1` for `= true`."""

    keys: tuple[str, ...]
    questions: tuple[tuple[str, Rule], ...] = field(compare=False)
    operands: tuple[tuple[str, Operand], ...] = field(compare=False)


def _program(
    questions: tuple[tuple[str, Rule], ...], operands: tuple[tuple[str, Operand], ...], given: _Given
) -> _Program:
    keys = (*map(_key, questions), "values:", *map(_key, operands))
    return _compiled(_Asked(keys, questions, operands), given)


@lru_cache(maxsize=256)
def _compiled(asked: _Asked, given: _Given) -> _Program:
    questions, operands = asked.questions, asked.operands
    compiled = compile_moments(
        questions,
        operands,
        features=given.features,
        zone=given.zone,
        currency=given.currency,
        columns=dict(given.columns),
        key=given.key,
    )
    places = ({_key(item): n for n, item in enumerate(items)} for items in (questions, operands))
    return _Program(to_sql(compiled.expr), compiled, *places)


def _key(item: tuple[str, Any]) -> str:
    """`= 1` and `= true` are equal as Python values and different as conditions; their texts differ."""
    return f"{item[0]} {item[1]!r}"


def _read(con: Any, files: Sequence[str], names: list[str], members: Sequence[int]) -> pa.Table:
    """Her rows from the base; a file from before a property was declared lacks that column."""
    if not files:
        return event_schema().empty_table().select(["customer", "event_id", "event", "ts"])
    listed, wanted = (", ".join("'" + text.replace("'", "''") + "'" for text in texts) for texts in (files, names))
    source = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    found = f"SELECT COLUMNS(c -> c IN ({wanted})) FROM {source} WHERE customer IN ({', '.join('?' * len(members))})"
    return con.execute(found, list(members)).to_arrow_table()


@lru_cache(maxsize=4)
def _database(folders: tuple[str, ...]) -> duckdb.DuckDBPyConnection:
    """One engine for many short questions: opening it takes longer than an answer."""
    return connect(folders=folders, threads=1)
