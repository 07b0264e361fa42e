"""The conformance cases and random histories, placed pair by pair: what the live loop asks ends as the nightly run does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from kohort.compile.pairs import compile_pairs
from kohort.compile.segments import NOBODY, REASONS
from kohort.definitions.segments import SegmentDefinition
from kohort.engines.consent import duckdb_reader, of_log, traits_asked
from kohort.engines.duck import connect, register_events
from kohort.engines.led import carried
from kohort.engines.pairs import Engine, Pairs
from kohort.engines.segments import Evaluated
from kohort.model.progress import silent
from kohort.model.snapshot import Snapshot
from kohort.segments.conform import EngineSubject, _Bench
from kohort.segments.evaluate import Evaluator, Question, bucket_key, duckdb_evaluator
from kohort.segments.run_rules import Publish
from kohort.store import create_store
from kohort.testing.conformance import NaiveSubject, all_cases, run_cases
from kohort.testing.conformance.cases import all_refusals
from kohort.testing.conformance.histories import random_history


@dataclass(slots=True)
class PairBench(_Bench):
    """A workspace whose definitions of customers are answered by pairs; accounts are added up by the nightly engine."""

    pairs: Engine = "small"

    @contextmanager
    def _engine(self, snapshot: Snapshot, question: Question) -> Iterator[tuple[Evaluator, Publish | None]]:
        everybody = duckdb_evaluator(self.store, snapshot, question, silent)

        def evaluate(definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
            found = everybody(definitions, by_hand=by_hand, standing=standing)
            return replace(
                found, placed=dict(found.placed) | self.placed(snapshot, question, definitions, by_hand, standing)
            )

        yield evaluate, None

    def placed(
        self,
        snapshot: Snapshot,
        question: Question,
        definitions: Sequence[SegmentDefinition],
        by_hand: pa.Table,
        standing: pa.Table,
    ) -> dict[str, pa.Table]:
        """Everybody with an event, each a pair at the moment asked about."""
        compiled = compile_pairs(
            definitions,
            features=question.features,
            zone=question.zone,
            currency=question.currency,
            columns=snapshot.columns,
            settings=question.settings,
            key=bucket_key(self.store),
        )
        snapshot = snapshot.resolved(question.as_of)
        with connect() as con:
            register_events(con, snapshot)
            events = con.execute("SELECT * FROM events").to_arrow_table()
            consent = traits_asked(definitions, question.settings, snapshot.columns)
            withheld = of_log(snapshot, question.as_of, consent, duckdb_reader(con, snapshot))
        people = np.unique(events["customer"].drop_null().to_numpy())
        asked = pa.table({"person": people, "as_of": np.full(len(people), question.as_of)})
        with Pairs(compiled, engine=self.pairs) as pairs:
            beside = pa.concat_tables([carried(by_hand, snapshot.led), withheld])
            rows = pairs.evaluate(asked, events, beside, standing)
            assert pairs.answered[self.pairs] == 1
        return {
            d.name: members(people, d, rows[f"s{i}"].to_numpy(), rows[f"r{i}"].to_numpy())
            for i, d in enumerate(compiled.definitions)
            if d.kind != "accounts"
        }


def members(people: np.ndarray, definition: SegmentDefinition, parts: np.ndarray, reasons: np.ndarray) -> pa.Table:
    """As the nightly engine tells them."""
    there = np.flatnonzero(parts != NOBODY)
    return pa.table(
        {
            "customer": people[there],
            "segment": pa.array([definition.parts[p].key for p in parts[there]], pa.string()),
            "confidence": pa.nulls(len(there), pa.float64()),
            "reason": pa.array([REASONS[r] for r in reasons[there]], pa.string()),
        }
    )


class PairSubject(EngineSubject):
    """Takes turns with pairs on one of their engines."""

    def __init__(self, folder: Path, pairs: Engine) -> None:
        super().__init__(folder, "duckdb")
        self.pairs = pairs

    def _bench(self, name: str) -> _Bench:
        if name not in self._benches:
            store = create_store(self.folder / f"w{len(self._benches)}", buckets=2)
            self._benches[name] = PairBench(store, "duckdb", alone=bool(name), pairs=self.pairs)
        return self._benches[name]


def test_a_known_history_ends_alike(tmp_path: Path) -> None:
    turns = random_history(Random(3))
    with PairSubject(tmp_path, "small") as subject:
        judge = NaiveSubject(subject.bucket_key(turns[0]))
        for turn in turns:
            ours, theirs = subject.take([turn])[0], judge.take([turn])[0]
            for mine, its in ((ours.members, theirs.members), *((ours.past[m], theirs.past[m]) for m in turn.ask_past)):
                assert {n: dict(who) for n, who in mine.items() if who} == {
                    n: dict(who) for n, who in its.items() if who
                }
            assert sorted(map(str, ours.changes)) == sorted(map(str, theirs.changes))


@pytest.mark.slow
def test_pairs_of_duckdb_agree_on_every_third_case(tmp_path: Path) -> None:
    with PairSubject(tmp_path, "duckdb") as subject:
        result = run_cases(subject, all_cases()[::3]).as_dict()
    assert result["differ"] == []
    assert result["agree"] == result["cases"] > len(all_refusals()) + 30


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["small", pytest.param("duckdb", marks=pytest.mark.nightly)])
def test_pairs_agree_on_every_case(engine: Engine, tmp_path: Path) -> None:
    with PairSubject(tmp_path, engine) as subject:
        result = run_cases(subject).as_dict()
    assert result["differ"] == []
    assert result["agree"] == result["cases"] == len(all_cases()) + len(all_refusals())
