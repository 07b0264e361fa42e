"""The loop on Spark: micro-batches of Structured Streaming are its source, and executors evaluate whoever they touch.

Positions, events, transitions and dead letters are stored in one transaction, as by every loop. So Spark's checkpoint
decides only what is read again: a record below the stored position has had its effect and is passed over.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.engines.pairs import in_schema
from kohort.engines.spark_pairs import Between, LogOnSpark, SparkPairs
from kohort.errors import KohortError
from kohort.ingest.tracking.reasons import Poison
from kohort.ingest.tracking.records import arrival_of_value
from kohort.live.agenda import LOOK_AHEAD_US
from kohort.live.avro import Schemas
from kohort.live.kafka import MAX_VALUE_BYTES, arrival_of_record, partition_name
from kohort.live.loop import Done, Loop, Pace, Reader, tracking_reader
from kohort.live.moments import InMemory
from kohort.live.sources import Taken
from kohort.live.view import View
from kohort.live.watched import Watched
from kohort.store.major import Major

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import DataFrame, SparkSession

    from kohort.live.concern import Places
    from kohort.live.lane import SlowLane
    from kohort.live.moments import Range
    from kohort.live.program import Given
    from kohort.model.arrival import Arrival
    from kohort.store.major import Progress, Standing
    from kohort.store.store import Store

MOST_RECORDS = 1_000_000
"""Records of one tick at most: a micro-batch is one."""

_END = 2**62
_CHUNK = 200_000
"""Customers per question."""

_ASK_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


class StreamEnded(KohortError):
    """Spark's query ended by itself."""

    code = "stream_ended"


class Handed:
    """A source that hands out one micro-batch after the other; see `kohort.live.sources.Source`.

    Args:
        schemas: Of values in Avro.
        clock: Microseconds UTC.
    """

    def __init__(self, schemas: Schemas, clock: Callable[[], int]) -> None:
        self._schemas, self._clock = schemas, clock
        self._rows: list[dict[str, Any]] = []

    def give(self, records: pa.Table) -> None:
        """The next micro-batch (`kohort.engines.spark_stream.RECORDS`), in place of what is left of the last one."""
        self._rows = records.to_pylist()

    def take(self, positions: Mapping[str, int], limit: int) -> Taken:
        """See `Source.take`. What the positions are beyond has had its effect: a batch that Spark repeats."""
        waiting = [row for row in self._rows if row["offset"] >= positions.get(_name(row), 0)]
        some = waiting[:limit]
        after = {_name(row): row["offset"] + 1 for row in some}
        return Taken([self._arrival(row) for row in some], after, more=len(waiting) > len(some))

    def wait(self, positions: Mapping[str, int], seconds: float) -> bool:
        return any(row["offset"] >= positions.get(_name(row), 0) for row in self._rows)

    def stored(self, positions: Mapping[str, int]) -> None:
        self._rows = [row for row in self._rows if row["offset"] >= positions.get(_name(row), 0)]

    def close(self) -> None:
        self._rows = []

    def _arrival(self, row: Mapping[str, Any]) -> Arrival:
        now, stamp = self._clock(), row["timestamp_us"]
        place = {
            "topic": row["topic"],
            "partition": row["partition"],
            "offset": row["offset"],
            "timestamp_us": min(stamp, now) if stamp and stamp > 0 else now,
        }
        if row["too_large"]:
            return arrival_of_value(Poison("too_large"), **place)
        return arrival_of_record(row["value"], self._schemas, **place)


def _name(row: Mapping[str, Any]) -> str:
    return partition_name(row["topic"], row["partition"])


class MajorOnSpark(Major):
    """What the loop asks the index of events for, asked of executors. There is no index: each question reads the base.

    Args:
        store: The workspace's.
        spark: A session.
    """

    def __init__(self, store: Store, spark: SparkSession) -> None:
        super().__init__(store.log.index, store.log.buckets)
        self._store, self._spark = store, spark
        self.log = LogOnSpark(spark, store.log.snapshot())
        self._ahead = InMemory(self.log.crossing((), []))

    def bring(self, standing: Standing, columns: Iterable[str], progress: Progress | None = None) -> None:
        """Reads the names of the files anew; see `Major.bring`."""
        self.log = LogOnSpark(self._spark, self._store.log.snapshot())

    def remember(self, table: pa.Table, seq: int) -> None:
        self.log.remember(table)

    def look_ahead(self, ranges: Sequence[Range], columns: Collection[str]) -> None:
        """Finds everything that `crossing` will be asked for, in one pass over the log."""
        asked = [Between(r.column, r.low, r.high, r.events) for r in ranges]
        self._ahead = InMemory(self.log.crossing(asked, sorted({"ts", *columns})))

    def crossing(
        self, after: int, until: int, *, events: frozenset[str] | None = None, column: str = "ts"
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._ahead.crossing(after, until, events=events, column=column)

    def at_hand(self, customers: np.ndarray, columns: Collection[str]) -> pa.Table:
        return self._ahead.at_hand(customers, columns)  # what the pass over the log found anyway


class ViewOnSpark(View):
    """As `View`; where customers belong is found out by executors."""

    def __init__(
        self,
        store: Store,
        major: MajorOnSpark,
        given: Given,
        as_of: int,
        *,
        lane: SlowLane,
        without: Collection[str] = (),
    ) -> None:
        super().__init__(store, major, given, as_of, lane=lane, without=without)
        self._there = major
        self._pairs = SparkPairs(self.program.pairs.compiled)

    def follow_run(self, as_of: int) -> None:
        self._horizon = as_of
        super().follow_run(as_of)

    def look_ahead(self, until: int) -> None:
        if until > self._horizon:
            end = until + LOOK_AHEAD_US
            time_plan = self.program.time
            self._there.look_ahead(time_plan.ranges(self._horizon, end), time_plan.columns)
            self._horizon = end
        super().look_ahead(until)

    def placed(
        self, persons: np.ndarray, at: np.ndarray, *, only: Places | None, fresh: pa.Table | None, known: int
    ) -> pa.Table:
        ids = self.who.ids(persons.tolist())
        behind = np.array([self.who.root(i) for i in ids.tolist()], np.int64)
        columns = sorted({"customer", "ts", *self.program.pairs.compiled.reads})
        if fresh is not None:
            now = pa.array(ids[np.isin(behind, persons[at >= known])])
            fresh = fresh.filter(pc.is_in(fresh.column("customer"), value_set=now))
        if self._pairs.compiled is not self.program.pairs.compiled:
            self._pairs.close()
            self._pairs = SparkPairs(self.program.pairs.compiled)
        return self._pairs.evaluate_there(
            pa.table({"person": persons, "as_of": at}),
            self._there.log.of(ids, behind, columns, fresh),
            self.decided_beside(persons, at, self._statements(ids, persons, fresh)),
            self.program.standing(self.standing, persons),
        )

    def _statements(self, ids: np.ndarray, persons: np.ndarray, fresh: pa.Table | None) -> pa.Table:
        """Who agreed to what, where anybody has several ids; else no row."""
        columns = sorted(self.program.statements)
        if not columns or not self.who.led_to(persons.tolist()):
            return self._there.log.schema.empty_table()
        return self._there.log.statements(ids, columns, fresh)

    def rows_of(self, ids: np.ndarray) -> pa.Table:
        schema = pa.schema(
            [self._there.log.schema.field(c) for c in ("customer", "ts", "event_id", *self.traits.columns)]
        )
        return in_schema(self._there.log.of(ids, ids, schema.names).toArrow(), schema)

    def still_to_come(self) -> tuple[np.ndarray, np.ndarray]:
        found = self._there.log.crossing([Between("ts", self._since, _END)], ["ts"])
        found = found.filter(pc.and_(pc.greater(found["ts"], self._since), found["customer"].is_valid()))
        return found["customer"].to_numpy(), found["ts"].to_numpy()

    def close(self) -> None:
        self._pairs.close()
        super().close()


class LoopOnSpark(Loop):
    """Keeps a workspace current from micro-batches. One thread calls it; see `Loop`.

    Args:
        spark: A session.
        master: URL of its cluster; empty = this machine.
        schemas: Of values in Avro.

    Attributes:
        ticked: Called with each tick that was stored, and the seconds that it took.
    """

    def __init__(
        self,
        store: Store,
        look: Callable[[], Given],
        spark: SparkSession,
        *,
        master: str = "",
        schemas: Schemas | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
        pace: Pace | None = None,
        reader: Callable[[Store, Given], Reader] = tracking_reader,
    ) -> None:
        self.handed = Handed(schemas or Schemas.read(None), clock)
        super().__init__(store, look, [self.handed], clock=clock, pace=pace or Pace(batch=MOST_RECORDS), reader=reader)
        self.engine, self.master = "spark", master
        self._major = self._there = MajorOnSpark(store, spark)
        self.ticked: Callable[[Done, float], object] = lambda _done, _seconds: None

    def tick(self) -> Done:
        started = time.perf_counter()
        done = super().tick()
        self.ticked(done, time.perf_counter() - started)
        return done

    def take(self, batch: DataFrame) -> Done:
        """Gives a micro-batch its effect; on return that is on disk. What has had it already is passed over."""
        from kohort.engines.spark_stream import records

        self.handed.give(records(batch, MAX_VALUE_BYTES))
        done = self.tick()
        while done.more:
            done = self.tick()
        return done

    def prepare(self) -> None:
        """There is nothing to make ready."""

    def _look_again(self) -> None:
        if self._view is not None:
            self._view.close()
        self._view = ViewOnSpark(
            self.store, self._there, self._given, self.as_of, lane=self._lane, without=self.failing
        )


@dataclass(slots=True)
class _Waiting:
    """A micro-batch that one of Spark's threads brought and waits for."""

    batch: DataFrame
    done: threading.Event = field(default_factory=threading.Event)


class Streaming(Watched):
    """Runs a loop on micro-batches that Spark brings, and ticks by itself where none comes.

    Args:
        loop: Whose thread is the one that calls `run`.
        seconds: Between two ticks of the clock where no records come.
        after: Called after each tick: housekeeping.
        waiting: See `Watched`.
    """

    def __init__(
        self,
        loop: LoopOnSpark,
        *,
        seconds: float,
        after: Callable[[], None] = lambda: None,
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(loop, waiting)
        self._loop, self._seconds, self._after = loop, seconds, after
        self._begun.set()
        self._brought: queue.Queue[_Waiting] = queue.Queue()
        self._ended = threading.Event()

    def each(self, batch: DataFrame, number: int) -> None:
        """For `foreachBatch`: returns when the batch has had its effect.

        Raises:
            StreamEnded: The stream stops; Spark brings the batch again next time.
        """
        waiting = _Waiting(batch)
        self._brought.put(waiting)
        while not waiting.done.wait(_ASK_SECONDS):
            if self._ended.is_set():
                raise StreamEnded("The stream stops.")

    def run(self, ended: Callable[[], str], stopping: threading.Event) -> None:
        """Works until it is told to stop.

        Args:
            ended: Says what ended Spark's query; empty while it runs.
            stopping: Set by another thread, or a signal.

        Raises:
            StreamEnded: Spark does not bring anything any more.
        """
        due = time.monotonic() + self._seconds
        try:
            while not stopping.is_set():
                try:
                    waiting = self._brought.get(timeout=max(0.0, min(_ASK_SECONDS, due - time.monotonic())))
                except queue.Empty:
                    if why := ended():
                        raise StreamEnded(f"Spark stopped reading: {why}.", hint="Start it again.") from None
                    if time.monotonic() < due:
                        continue
                    self._insist(self._loop.tick, stopping)
                else:
                    if self._insist(partial(self._loop.take, waiting.batch), stopping):
                        waiting.done.set()
                due = time.monotonic() + self._seconds
        finally:
            self._ended.set()

    def _insist(self, work: Callable[[], Done], stopping: threading.Event) -> bool:
        """Does it, again and again where it fails: nothing of a tick that failed is stored. Whether it is done."""
        pause = _FIRST_PAUSE
        while True:
            try:
                work()
                self._after()
                self.problem = ""
                self.ready.set()
                return True
            except Exception as error:  # the stream must outlive whatever a tick meets
                self._failed(error)
                if stopping.wait(pause):
                    return False
                pause = min(2 * pause, _LONGEST_PAUSE)
