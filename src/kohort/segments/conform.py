"""The conformance suite on a real engine and a real store: all cases share one workspace and run side by side.

Cases know nothing of each other, so their definitions get names of their own and their events lie in one log; what is
asked about one moment is evaluated in one go. That is what makes a few hundred cases quick on an engine that takes a
second to start a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from kohort.definitions.rules import format_rule
from kohort.definitions.rules.tree import AllOf, AnyOf, InSegment, Not
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.errors import KohortError
from kohort.model.limits import MARKS
from kohort.model.links import roots
from kohort.model.progress import silent
from kohort.segments.accounts import account_names
from kohort.segments.conform_door import came_in
from kohort.segments.evaluate import Evaluator, Question, bucket_key, duckdb_evaluator
from kohort.segments.on_spark import spark_run
from kohort.segments.remove import remove
from kohort.segments.run_rules import Outcome, Publish, RunReport, run_with, turn
from kohort.testing.conformance import Answer, CaseTurn, Change, run_cases
from kohort.testing.worlds import event_table

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.rules.tree import Rule
    from kohort.engines.segments import Evaluated
    from kohort.model.snapshot import Snapshot
    from kohort.store.store import Store

EngineName = Literal["duckdb", "spark"]


def run_conformance(engine: EngineName) -> dict[str, Any]:
    """Runs every case on an engine and a store in a temporary folder.

    Returns:
        `{"engine", "cases", "agree", "differ": […], "pending": […]}`; see `kohort.testing.conformance`.

    Raises:
        MissingExtra: The engine is not installed.
    """
    with TemporaryDirectory(prefix="kohort-conformance-") as folder, EngineSubject(Path(folder), engine) as subject:
        return {"engine": engine} | run_cases(subject).as_dict()


class EngineSubject:
    """Takes turns with an engine and the store. Use it in a `with` block.

    Args:
        folder: For workspaces; empty.
        engine: Which engine evaluates.
    """

    def __init__(self, folder: Path, engine: EngineName) -> None:
        self.folder, self.engine = folder, engine
        self._benches: dict[str, _Bench] = {}

    def take(self, turns: Sequence[CaseTurn]) -> list[Answer]:
        """One turn of each of several cases."""
        by_bench: dict[str, list[CaseTurn]] = {}
        for one in map(came_in, turns):
            by_bench.setdefault(one.case if one.alone else "", []).append(one)
        answers = {}
        for name, some in by_bench.items():
            answers.update(self._bench(name).take(some))
        return [answers[one.case] for one in turns]

    def bucket_key(self, one: CaseTurn) -> bytes:
        """The key of random buckets of the workspace that takes a turn."""
        return bucket_key(self._bench(one.case if one.alone else "").store)

    def _bench(self, name: str) -> _Bench:
        if name not in self._benches:
            from kohort.store import create_store

            store = create_store(self.folder / f"w{len(self._benches)}", buckets=2)
            self._benches[name] = _Bench(store, self.engine, alone=bool(name))
        return self._benches[name]

    def __enter__(self) -> EngineSubject:
        return self

    def __exit__(self, *_: object) -> None:
        for bench in self._benches.values():
            bench.store.close()


@dataclass(slots=True)
class _Case:
    """What a workspace knows of one case."""

    prefix: str
    definitions: tuple[SegmentDefinition, ...] = ()
    customers: set[int] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)  # names of definitions that were evaluated, deleted ones included

    def own(self, name: str) -> str:
        return f"{self.prefix} {name}"

    def public(self, name: str) -> str:
        return name.removeprefix(f"{self.prefix} ")


@dataclass(slots=True)
class _Bench:
    """One workspace in which cases run side by side."""

    store: Store
    engine: EngineName
    alone: bool = False
    cases: dict[str, _Case] = field(default_factory=dict)
    outside: set[int] = field(
        default_factory=set
    )  # erased: the pseudonyms of cases are not the vault's, so we keep the door
    counted: tuple[int, int] = (0, 0)

    def take(self, turns: Sequence[CaseTurn]) -> dict[str, Answer]:
        """The answer of each case."""
        for one in turns:
            self._prepare(one)
        self._identify(turns)
        self._append(turns)
        seen = self.store.members.last_transition()
        errors = {one.case: self._removed(one) for one in turns}
        for one in turns:
            if not errors[one.case]:
                self._case(one).definitions = _renamed(one.definitions, self._case(one))
        outcomes: dict[str, Outcome] = {}
        for group in _together(one for one in turns if not errors[one.case]):
            outcomes.update(self._evaluate(group, errors))
        changes = self._changes(seen)
        return {one.case: self._answer(one, outcomes, changes, errors[one.case]) for one in turns}

    def _case(self, one: CaseTurn) -> _Case:
        return self.cases[one.case]

    def _prepare(self, one: CaseTurn) -> None:
        case = self.cases.setdefault(one.case, _Case(f"c{len(self.cases)}"))
        case.customers |= {e.customer for e in one.arrived if e.customer is not None}
        case.customers |= {who for link in one.links for who in (link.customer, link.root)}
        for move in one.by_hand:
            name = move.name if move.name in MARKS.values() else case.own(move.name)
            if move.added is None:
                self.store.by_hand.reset(name, [move.customer])
            else:
                self.store.by_hand.put(name, move.part, [move.customer], move.added, by="case")

    def _identify(self, turns: Sequence[CaseTurn]) -> None:
        """Links and erasures, as the door and the loop would bring them."""
        for one in turns:
            self.store.link(one.links, now=one.as_of)
            self.store.unlink(one.taken_back)
            for customer in one.erased:
                found = roots(self.store.log.snapshot().links)
                self.outside |= set(found.members(found.root_of(customer)))
                self.store.erase(customer, now=one.as_of)

    def _append(self, turns: Sequence[CaseTurn]) -> None:
        columns = {name: kind for one in turns for name, kind in one.columns.items()}
        self.store.log.declare(columns)
        events = [event for one in turns for event in one.arrived if event.customer not in self.outside]
        if events:
            batch = self.store.state.begin_batch("conformance", "cases")
            self.store.log.append(event_table(events, columns), batch=batch)

    def _removed(self, one: CaseTurn) -> str:
        """Deletes what a turn deletes; the code of the refusal, if it is refused."""
        case = self._case(one)
        for name in one.removed:
            try:
                case.definitions = remove(self.store, case.definitions, case.own(name), as_of=one.as_of)
            except KohortError as error:
                return error.code
        return ""

    def _evaluate(self, group: Sequence[CaseTurn], errors: dict[str, str]) -> dict[str, Outcome]:
        """Turns about one moment, in one run; outcomes by name."""
        asked = [d.name for one in group for d in self._case(one).definitions]
        try:
            report = self._run(group[0], asked)
        except KohortError as error:
            errors.update({one.case: error.code for one in group})
            return {}
        return {outcome.name: outcome for outcome in report.outcomes}

    def _run(self, one: CaseTurn, names: Sequence[str]) -> RunReport:
        """The definitions named, as of the moment of a turn."""
        everything = [d for case in self.cases.values() for d in case.definitions]
        own = {d.name: case.customers for case in self.cases.values() for d in case.definitions}
        with turn(self.store):
            snapshot = self.store.log.snapshot()
            question = Question(one.as_of, one.zone, one.currency, one.features, one.settings, columns=snapshot.columns)
            with self._engine(snapshot, question) as (evaluate, publish):
                return run_with(
                    _only(self._counting(evaluate), own),
                    self.store,
                    everything,
                    question,
                    names=names,
                    now=one.as_of,
                    publish=publish,
                )

    def _counting(self, evaluate: Evaluator) -> Evaluator:
        """Notes how many there are in all."""

        def answer(definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
            found = evaluate(definitions, by_hand=by_hand, standing=standing)
            self.counted = (found.universe, found.visitors)
            return found

        return answer

    @contextmanager
    def _engine(self, snapshot: Snapshot, question: Question) -> Iterator[tuple[Evaluator, Publish | None]]:
        """Who evaluates and, where it does so itself, publishes."""
        if self.engine == "duckdb":
            yield duckdb_evaluator(self.store, snapshot, question, silent), None
            return
        if not self.alone:
            # Comparing and writing takes Spark seconds per definition, evaluating a hundred together about as long as
            # one: what is asked side by side is published here, by the store itself.
            yield _collecting(self.store, snapshot, question), None
            return
        with spark_run(self.store, snapshot, question) as there:
            yield there.evaluate, there.publish

    def _changes(self, seen: int) -> dict[str, list[dict[str, Any]]]:
        """Transitions after a place in the log, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        while rows := self.store.members.transitions(after=seen).to_pylist():
            for row in rows:
                found.setdefault(row["name"], []).append(row)
            seen = rows[-1]["seq"]
        return found

    def _answer(
        self,
        one: CaseTurn,
        outcomes: Mapping[str, Outcome],
        changes: Mapping[str, list[dict[str, Any]]],
        error: str,
    ) -> Answer:
        case, members = self._case(one), self.store.members
        stored = set(members.names())
        names = [d.name for d in case.definitions if d.name in stored]
        case.ever |= set(names)
        gone = [case.own(name) for name in one.removed]
        mine = [outcomes[d.name] for d in case.definitions if d.name in outcomes]
        failed = next((o.code for o in mine if o.result in ("failed", "waiting")), "")
        return Answer(
            {case.public(name): self._who(members.current(name)) for name in names},
            tuple(self._change(case, row) for name in (*names, *gone) for row in changes.get(name, [])),
            {case.public(o.name): o.excluded_by_consent for o in mine if o.result == "published"},
            {m: {case.public(n): self._who(members.at(n, m)) for n in case.ever} for m in one.ask_past},
            counted=self.counted,
            error=error or failed,
        )

    def _who(self, table: pa.Table) -> dict[int | str, str]:
        """Members by customer, or by the name of the account."""
        rows = table.select(["customer", "segment"]).to_pylist()
        return {self._named(row["customer"]): row["segment"] for row in rows}

    def _named(self, customer: int) -> int | str:
        return account_names(self.store, [customer])[0] or customer

    def _change(self, case: _Case, row: Mapping[str, Any]) -> Change:
        return Change(
            case.public(row["name"]),
            row["segment"],
            self._named(row["customer"]),
            row["change"],
            row["number"],
            row["backfill"],
        )


def _together(turns: Iterable[CaseTurn]) -> Iterator[list[CaseTurn]]:
    """Turns that ask about the same moment in the same workspace, earliest first."""
    groups: dict[tuple[int, str, str], list[CaseTurn]] = {}
    for one in turns:
        groups.setdefault((one.as_of, one.zone, one.currency), []).append(one)
    yield from (groups[key] for key in sorted(groups))


def _collecting(store: Store, snapshot: Snapshot, question: Question) -> Evaluator:
    """Spark evaluates, and who is where comes back to this process."""

    def evaluate(definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
        from kohort.engines import spark_segments
        from kohort.engines.spark import session

        with TemporaryDirectory(prefix="kohort-conformance-") as folder:
            found = spark_segments.evaluate(
                snapshot,
                definitions,
                features=question.features,
                as_of=question.as_of,
                zone=question.zone,
                currency=question.currency,
                settings=question.settings,
                key=bucket_key(store),
                by_hand=by_hand,
                standing=spark_segments.Standing({}, standing),
                spark=session(threads=question.threads),
                scratch=Path(folder),
            )
            with found as evaluated:
                return evaluated.collected()

    return evaluate


def _only(evaluate: Evaluator, own: Mapping[str, set[int]]) -> Evaluator:
    """The same engine, but a definition of one case places only the customers of that case."""

    def answer(definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
        import pyarrow as pa
        import pyarrow.compute as pc

        found = evaluate(definitions, by_hand=by_hand, standing=standing)

        def mine(name: str, table: pa.Table) -> pa.Table:
            if "customer" not in (table.column_names if isinstance(table, pa.Table) else table.columns):
                return table  # of accounts
            whom = sorted(own[name])
            if isinstance(table, pa.Table):
                return table.filter(pc.is_in(table["customer"], pa.array(whom, pa.int64())))
            return table.where(table["customer"].isin(whom))

        return replace(found, placed={name: mine(name, table) for name, table in found.placed.items()})

    return answer


# Names ----------------------------------------------------------------------------------------------------------------


def _renamed(definitions: Iterable[SegmentDefinition], case: _Case) -> tuple[SegmentDefinition, ...]:
    """Definitions under names of their own that refer to each other by these; the keys of their parts stay."""
    return tuple(
        replace(
            d,
            name=case.own(d.name),
            salt=d.salt or (d.name if d.kind == "buckets" else ""),
            parts=tuple(_part(part, case) for part in d.parts),
        )
        for d in definitions
    )


def _part(part: Part, case: _Case) -> Part:
    def text(old: RuleText | None) -> RuleText | None:
        if old is None:
            return None
        rule = _rule(old.rule, case)
        return RuleText(format_rule(rule), rule)

    return replace(part, rule=text(part.rule), keep=text(part.keep))


def _rule(rule: Rule, case: _Case) -> Rule:
    match rule:
        case InSegment():
            return replace(rule, name=case.own(rule.name))
        case Not(item):
            return replace(rule, item=_rule(item, case))
        case AllOf(items) | AnyOf(items):
            return replace(rule, items=tuple(_rule(item, case) for item in items))
        case _:
            return rule
