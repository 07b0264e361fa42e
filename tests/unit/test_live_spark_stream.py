"""What of streaming on Spark needs no Spark: what is passed over, who waits for whom, and which checkpoint is thrown away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from kohort.engines.spark_stream import RECORDS, reached
from kohort.errors import Busy
from kohort.ingest.tracking.reasons import Poison
from kohort.live.avro import Schemas
from kohort.live.loop import Done
from kohort.live.spark_stream import Handed, LoopOnSpark, StreamEnded, Streaming
from kohort.workspace.stream import CHECKPOINT, usable_checkpoint

NOW = 1_750_000_000_000_000


def records(*rows: tuple[int, int, bytes | None]) -> pa.Table:
    columns: list[list[Any]] = [["t"] * len(rows), *map(list, zip(*rows, strict=True))]
    topic, partition, offset, value = columns
    at, large = [NOW + 5] * len(rows), [value == b"large" for _, _, value in rows]
    return pa.table(dict(zip(RECORDS.names, [topic, partition, offset, at, value, large], strict=True)), schema=RECORDS)


@pytest.fixture
def handed() -> Handed:
    one = Handed(Schemas.read(None), lambda: NOW)
    one.give(records(*((p, n, b'{"customer": "c", "event": "seen"}') for p in (0, 1) for n in range(10, 15))))
    return one


def test_records_below_the_position_are_passed_over(handed: Handed) -> None:
    taken = handed.take({"kafka:t:0": 13, "kafka:t:1": 15}, 100)
    assert [arrival.place for arrival in taken.arrivals] == ["t/0/13", "t/0/14"]
    assert taken.positions == {"kafka:t:0": 15}
    assert not taken.more
    assert handed.take({"kafka:t:0": 15, "kafka:t:1": 15}, 100).positions == {}


def test_a_batch_may_be_taken_in_portions_and_again_until_it_is_stored(handed: Handed) -> None:
    first = handed.take({}, 7)
    assert (len(first.arrivals), first.positions, first.more) == (7, {"kafka:t:0": 15, "kafka:t:1": 12}, True)
    assert handed.take({}, 7).positions == first.positions  # it could not be stored
    handed.stored(first.positions)
    rest = handed.take(first.positions, 7)
    assert (len(rest.arrivals), rest.more) == (3, False)


def test_nothing_came_in_after_now_and_large_values_are_refused(handed: Handed) -> None:
    handed.give(records((0, 1, b"large"), (0, 2, None), (0, 3, b"{}")))
    large, empty, fine = handed.take({}, 10).arrivals
    found: list[Any] = [large.payload, empty.payload]
    assert found == [Poison("too_large"), Poison("empty_record")]
    assert fine.received_at == NOW


class Stub:
    """A loop that notes what it is asked for, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[object] = []
        self.failures = failures

    def take(self, batch: object) -> Done:
        self.failures -= 1
        if self.failures >= 0:
            raise Busy("Somebody else writes.")
        self.asked.append(batch)
        return Done(1)

    def tick(self) -> Done:
        self.asked.append("tick")
        return Done(1)


def streaming(loop: Stub, seconds: float = 60.0, after: Callable[[], None] = lambda: None) -> Streaming:
    return Streaming(cast(LoopOnSpark, loop), seconds=seconds, after=after)


def test_spark_waits_until_its_batch_has_had_its_effect() -> None:
    loop, stopping = Stub(failures=1), threading.Event()
    stream = streaming(loop)
    worker = threading.Thread(target=stream.run, args=(lambda: "", stopping))
    worker.start()
    stream.each(cast(Any, "batch"), 0)
    assert loop.asked == ["batch"]  # although it failed at first
    stopping.set()
    worker.join(30)
    assert not worker.is_alive()
    with pytest.raises(StreamEnded):
        stream.each(cast(Any, "later"), 1)
    assert loop.asked == ["batch"]


def test_the_clock_is_looked_at_where_nothing_comes() -> None:
    loop, stopping = Stub(), threading.Event()
    streaming(loop, 0.01, after=stopping.set).run(lambda: "", stopping)
    assert loop.asked == ["tick"]


def test_a_query_that_ended_ends_the_stream() -> None:
    with pytest.raises(StreamEnded, match="OFFSETS_GONE"):
        streaming(Stub()).run(lambda: "OFFSETS_GONE", threading.Event())


def checkpoint(folder: Path, batches: int, done: int) -> Path:
    for n in range(batches):
        for part in ("offsets", "commits"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "offsets" / str(n)).write_text(f"v1\n{{}}\n{json.dumps({'t': {'0': 10 * n + 10, '1': 5}})}")
        (folder / "offsets" / f".{n}.crc").write_bytes(b"x")
        if n < done:
            (folder / "commits" / str(n)).write_text("v1\n{}")
    return folder


def test_a_checkpoint_tells_how_far_it_is(tmp_path: Path) -> None:
    assert reached(tmp_path / "none") == {}
    assert reached(checkpoint(tmp_path / "begun", batches=1, done=0)) == {}
    assert reached(checkpoint(tmp_path / "more", batches=12, done=11)) == {("t", 0): 110, ("t", 1): 5}


@pytest.mark.parametrize(("stored", "kept"), [(20, True), (25, True), (19, False), (None, False)])
def test_a_checkpoint_beyond_what_is_stored_is_thrown_away(tmp_path: Path, stored: int | None, kept: bool) -> None:
    checkpoint(tmp_path / CHECKPOINT, batches=3, done=2)
    positions = {} if stored is None else {"kafka:t:0": stored, "kafka:t:1": 5}
    loop = cast(LoopOnSpark, SimpleNamespace(position=SimpleNamespace(sources=positions)))
    assert usable_checkpoint(tmp_path, loop) == tmp_path / CHECKPOINT
    assert (tmp_path / CHECKPOINT).exists() is kept
