"""Streaming on Spark without a broker: micro-batches given to the function that `foreachBatch` calls.

What executors find for those whom a batch touches is what a full run on DuckDB finds for everybody.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kohort.compile.pairs import compile_pairs
from kohort.compile.segments import NOBODY, REASONS
from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.engines.consent import of_log, traits_asked
from kohort.engines.led import carried
from kohort.engines.segments import Evaluated
from kohort.ingest.tracking.normalise import Normalised
from kohort.live.audit import audit
from kohort.live.loop import Pace
from kohort.live.program import Given
from kohort.live.spark_stream import MOST_RECORDS, LoopOnSpark
from kohort.model.arrival import Arrival, Link
from kohort.model.event import ColumnType, Event
from kohort.model.progress import silent
from kohort.model.snapshot import Snapshot
from kohort.segments.conform import EngineSubject, _Bench
from kohort.segments.evaluate import Evaluator, Question, bucket_key, duckdb_evaluator
from kohort.segments.run_rules import Publish
from kohort.store import create_store, open_store
from kohort.testing.conformance import CaseTurn, all_cases, run_cases
from kohort.testing.conformance.case import Case
from kohort.testing.random_rules import FEATURES, random_rule_world
from kohort.testing.random_segments import CONSENT, random_segments
from kohort.testing.worlds import event_table

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]

DAY = 86_400_000_000
NOON = 1_750_000_000_000_000


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from kohort.engines import spark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spark.session(threads=1)
    # A few hundred rows: generating and compiling code per query would take longer than all the tests.
    found.conf.set("spark.sql.codegen.wholeStage", "false")
    found.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    found.conf.set("spark.sql.shuffle.partitions", "1")
    yield found
    found.stop()


class Topic:
    """One partition of a topic, as Spark would bring it."""

    def __init__(self, spark: Any) -> None:
        self.spark, self.offset = spark, 0

    def batch(self, values: Sequence[bytes | None], *, at: int = NOON, first: int | None = None) -> Any:
        """A micro-batch; `first` = its first offset, where it is one that was brought before."""
        from kohort.engines.spark_stream import as_batch

        begin = self.offset if first is None else first
        self.offset = max(self.offset, begin + len(values))
        names = ("topic", "partition", "offset", "value", "timestamp_us")
        rows = [("t", 0, begin + n, value, at) for n, value in enumerate(values)]
        kinds = (pa.string(), pa.int32(), pa.int64(), pa.binary(), pa.int64())
        columns = zip(*rows, strict=True)
        arrays = [pa.array(list(c), kind) for c, kind in zip(columns, kinds, strict=True)]
        return as_batch(self.spark, pa.table(dict(zip(names, arrays, strict=True))))


def seen(customer: str, at: int, number: int) -> bytes:
    record = {"customer": customer, "event": "seen", "id": f"m{number}", "time": at // 1_000}
    return json.dumps(record).encode()


def given(**rules: str) -> Given:
    definitions = tuple(
        SegmentDefinition(name, "rule", (Part(name, rule=RuleText(text, parse_rule(text))),))
        for name, text in rules.items()
    )
    return Given("1", definitions, {}, (), SegmentSettings(), "UTC", "EUR")


class Shop:
    """A workspace kept current by a loop on Spark, with a clock of its own."""

    def __init__(self, root: Path, spark: Any, said: Given) -> None:
        self.root, self.spark, self.said, self.now = root, spark, said, NOON
        self.topic = Topic(spark)
        self.store = create_store(root, buckets=2)
        self.start()

    def start(self) -> None:
        pace = Pace(batch=MOST_RECORDS, watch=1e9, note=0, sweep=0, run=1e9)
        self.loop = LoopOnSpark(self.store, lambda: self.said, self.spark, clock=lambda: self.now, pace=pace)

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.root)
        self.start()

    def close(self) -> None:
        self.loop.close()
        self.store.close()


@pytest.fixture
def shop(session: Any, tmp_path: Path) -> Iterator[Shop]:
    one = Shop(tmp_path / "shop", session, given(thrice="did('seen', at_least => 3, within => '10 days')"))
    yield one
    one.close()


def test_a_micro_batch_is_members_when_the_function_returns(shop: Shop) -> None:
    shop.loop.tick()
    done = shop.loop.take(shop.topic.batch([seen(f"c{n % 4}", NOON - DAY, n) for n in range(11)]))
    assert (done.events, done.rejected, done.moves) == (11, 0, 3)
    assert shop.loop.position.sources == {"kafka:t:0": 11}
    assert audit(shop.store, shop.said).sound


def test_a_batch_that_spark_brings_again_has_no_second_effect(shop: Shop) -> None:
    values = [seen("c", NOON - DAY, n) for n in range(3)]
    shop.loop.take(shop.topic.batch(values))
    before = shop.store.members.last_transition()
    shop.restart()
    shop.now += 1
    done = shop.loop.take(shop.topic.batch([*values, seen("d", NOON, 9)], first=0))
    assert done.events == 1
    assert shop.loop.position.sources == {"kafka:t:0": 4}
    assert shop.store.members.last_transition() == before
    assert shop.store.log.count() == 4


def test_time_alone_ends_a_membership_at_its_own_instant(shop: Shop) -> None:
    shop.loop.take(shop.topic.batch([seen("c", NOON - DAY, n) for n in range(3)]))
    shop.now = NOON + 30 * DAY
    shop.loop.tick()
    [_, left] = shop.store.members.transitions(after=0).to_pylist()
    assert (left["change"], left["at"]) == ("left", NOON + 9 * DAY)
    assert audit(shop.store, shop.said).sound


def test_what_is_no_event_becomes_a_dead_letter_and_stops_nothing(shop: Shop) -> None:
    large = b'{"a": "' + b"x" * 1_100_000 + b'"}'
    values = [None, b"not json", b"\x00\x00\x00\x00\x01\xff", large, seen("c", NOON, 1)]
    done = shop.loop.take(shop.topic.batch(values))
    assert (done.events, done.rejected) == (5, 4)
    report = shop.loop.position.batches["kafka:t"]
    assert (report.read, report.stored, report.duplicate, report.rejected) == (5, 1, 0, 4)
    assert report.reasons == {"empty_record": 1, "bad_json": 1, "bad_avro": 1, "too_large": 1}


def test_recent_events_and_those_in_the_base_are_one_log(shop: Shop) -> None:
    shop.loop.take(shop.topic.batch([seen("c", NOON - DAY, n) for n in range(2)]))
    shop.store.log.compact()
    shop.loop.bring()
    assert shop.loop.take(shop.topic.batch([seen("c", NOON, 2)])).moves == 1
    shop.now = NOON + 30 * DAY
    assert shop.loop.tick().moves == 1
    assert shop.store.members.transitions(after=0).to_pylist()[-1]["at"] == NOON + 9 * DAY


# The suites -----------------------------------------------------------------------------------------------------------


class Rows:
    """Reads records that name a row of an event table; one may be a row without a customer, an odd value, anything."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.links: dict[int, Link] = {}
        self.columns: dict[str, ColumnType] = {}

    def values(self, events: Sequence[Event], visitors: Mapping[int, int] | None = None) -> list[bytes]:
        """Records of some events; every other one of customers who began as visitors says so."""
        first = len(self.events)
        self.events += events
        for n, event in enumerate(events, first):
            visitor = (visitors or {}).get(event.customer or 0)
            if visitor is not None and event.customer is not None and n % 2:
                self.links[n] = Link(event.event_id, visitor, event.customer, event.ts)
        return [b'{"event": "row", "row": %d}' % n for n in range(first, len(self.events))]

    def know(self, columns: Mapping[str, ColumnType]) -> None: ...

    def normalise(self, arrivals: Sequence[Arrival]) -> Normalised:
        numbers = [arrival.payload["properties"]["row"] for arrival in arrivals]
        events = [self.events[n] for n in numbers]
        links = [self.links[n] for n in numbers if n in self.links]
        first: dict[str, int] = {}
        for n, event in enumerate(events):
            first.setdefault(event.event_id, n)
        table = event_table(events, self.columns, 2).drop_columns(["bucket", "batch"])
        at = np.array([first[i] for i in table["event_id"].to_pylist()], np.int32)
        return Normalised(
            table, {}, links, [], len(arrivals), {}, at, np.ones(len(at), bool), retimed=frozenset(), notes={}
        )


class StreamBench(_Bench):
    """A workspace whose events come by micro-batches, and whose definitions are evaluated as those of a stream."""

    def __init__(self, root: Path, spark: Any, *, alone: bool) -> None:
        super().__init__(create_store(root, buckets=2), "duckdb", alone=alone)
        self.spark, self.rows, self.topic = spark, Rows(), Topic(spark)

    def _append(self, turns: Sequence[CaseTurn]) -> None:
        columns = {name: kind for one in turns for name, kind in one.columns.items()}
        self.store.log.declare(columns)
        self.rows.columns |= columns
        events = [event for one in turns for event in one.arrived if event.customer not in self.outside]
        if events:
            nothing = Given("1", (), {}, (), SegmentSettings(), "UTC", "EUR")
            loop = LoopOnSpark(self.store, lambda: nothing, self.spark, reader=lambda store, given: self.rows)
            loop.take(self.topic.batch(self.rows.values(events)))

    @contextmanager
    def _engine(self, snapshot: Snapshot, question: Question) -> Iterator[tuple[Evaluator, Publish | None]]:
        everybody = duckdb_evaluator(self.store, snapshot, question, silent)

        def evaluate(definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
            found = everybody(definitions, by_hand=by_hand, standing=standing)
            placed = self.placed(snapshot.resolved(question.as_of), question, definitions, by_hand, standing)
            return Evaluated(dict(found.placed) | placed, found.universe, found.excluded_by_consent, found.visitors)

        yield evaluate, None

    def placed(
        self,
        snapshot: Snapshot,
        question: Question,
        definitions: Sequence[SegmentDefinition],
        by_hand: pa.Table,
        standing: pa.Table,
    ) -> dict[str, pa.Table]:
        """Everybody with an event, each a pair at the moment asked about. Accounts are for full runs."""
        from kohort.engines.spark_pairs import LogOnSpark, SparkPairs

        compiled = compile_pairs(
            definitions,
            features=question.features,
            zone=question.zone,
            currency=question.currency,
            columns=snapshot.columns,
            settings=question.settings,
            key=bucket_key(self.store),
        )
        ids = np.unique([e.customer for e in self.rows.events if e.customer is not None]).astype(np.int64)
        led = (
            {}
            if snapshot.led is None
            else dict(zip(snapshot.led.led.tolist(), snapshot.led.root.tolist(), strict=True))
        )
        persons = np.array([led.get(i, i) for i in ids.tolist()], np.int64)
        people = np.unique(persons)
        asked = pa.table({"person": people, "as_of": np.full(len(people), question.as_of)})
        log = LogOnSpark(self.spark, snapshot)
        events = log.of(ids, persons, sorted({"customer", "ts", *compiled.reads}))
        consent = traits_asked(definitions, question.settings, snapshot.columns)
        withheld = of_log(snapshot, question.as_of, consent, log.statements)
        beside = pa.concat_tables([carried(by_hand, snapshot.led), withheld])
        with closing(SparkPairs(compiled)) as pairs:
            rows = pairs.evaluate_there(asked, events, beside, standing)
        return {
            d.name: members(people, d, rows[f"s{i}"].to_numpy(), rows[f"r{i}"].to_numpy())
            for i, d in enumerate(compiled.definitions)
            if d.kind != "accounts"
        }


def members(people: np.ndarray, definition: SegmentDefinition, parts: np.ndarray, reasons: np.ndarray) -> pa.Table:
    """As a full run tells them."""
    there = np.flatnonzero(parts != NOBODY)
    return pa.table(
        {
            "customer": people[there],
            "segment": pa.array([definition.parts[p].key for p in parts[there]], pa.string()),
            "confidence": pa.nulls(len(there), pa.float64()),
            "reason": pa.array([REASONS[r] for r in reasons[there]], pa.string()),
        }
    )


class StreamSubject(EngineSubject):
    """Takes the turns of the conformance suite with micro-batches."""

    def __init__(self, folder: Path, spark: Any) -> None:
        super().__init__(folder, "duckdb")
        self.spark = spark

    def _bench(self, name: str) -> _Bench:
        if name not in self._benches:
            self._benches[name] = StreamBench(self.folder / f"w{len(self._benches)}", self.spark, alone=bool(name))
        return self._benches[name]


def disagreements(cases: list[Case], folder: Path, spark: Any) -> list[dict[str, object]]:
    folder.mkdir(exist_ok=True)
    with StreamSubject(folder, spark) as subject:
        return [d.as_dict() for d in run_cases(subject, cases, ()).differ]


def test_cases_about_one_moment(session: Any, tmp_path: Path) -> None:
    cases = [c for c in all_cases() if len(c.turns) == 1 and not c.turns[0].left_out]
    assert len(cases) > 50
    few = 15  # Spark takes more than twice as long to read a query of twice as many definitions
    for n in range(0, len(cases), few):
        assert disagreements(cases[n : n + few], tmp_path / str(n), session) == []


@pytest.mark.ci
def test_every_story(session: Any, tmp_path: Path) -> None:
    cases = [c for c in all_cases() if len(c.turns) > 1]
    assert disagreements(cases, tmp_path, session) == []


@pytest.mark.parametrize("seed", [5, pytest.param(6, marks=pytest.mark.nightly)])
def test_a_random_world_in_batches_is_at_every_tick_what_a_full_run_finds(
    session: Any, tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=6)
    definitions = tuple(d for d in random_segments(rng, 5) if d.kind != "accounts")
    said = Given("1", definitions, {}, FEATURES, SegmentSettings(CONSENT), world.zone, world.currency)
    rows, topic, now = Rows(), Topic(session), world.as_of - 20 * DAY
    rows.columns = dict(world.columns)
    store = create_store(tmp_path / "w", buckets=2)
    store.log.declare(world.columns)
    pace = Pace(batch=MOST_RECORDS, watch=1e9, note=0, sweep=0, run=40)
    loop = LoopOnSpark(store, lambda: said, session, clock=lambda: now, pace=pace, reader=lambda store, given: rows)
    events = rng.sample(world.events, len(world.events))
    visitors = {e.customer: -e.customer for e in events if e.customer and e.customer % 2}
    while events:
        some = [events.pop() for _ in range(min(len(events), rng.randint(10, 40)))]
        loop.take(topic.batch(rows.values(some, visitors)))
        assert audit(store, said).sound
        now += rng.choice((1, DAY // 24, DAY, 11 * DAY))
        loop.tick()
        assert audit(store, said).sound
    loop.close()
    assert store.verify() == []
    store.close()
