"""Every record of a topic counts exactly once: when partitions change hands, when a process sleeps through it, when it is
killed between the store's commit and Kafka's."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kohort.live.kafka import KafkaSource
from kohort.live.kafka_settings import KafkaSettings
from kohort.live.sources import Taken
from kohort.store import open_store

pytestmark = pytest.mark.kafka

PROGRAM = Path(__file__).parent / "keep_current.py"


class Sink:
    """Places of records and positions in one transaction; who starts from another position than the stored one is refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as con:
            con.execute("CREATE TABLE IF NOT EXISTS position (name TEXT PRIMARY KEY, at INTEGER)")
            con.execute("CREATE TABLE IF NOT EXISTS record (place TEXT)")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        con = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        try:
            yield con
        finally:
            con.close()

    def positions(self) -> dict[str, int]:
        with self._open() as con:
            return dict(con.execute("SELECT name, at FROM position").fetchall())

    def places(self) -> list[str]:
        with self._open() as con:
            return [place for (place,) in con.execute("SELECT place FROM record").fetchall()]

    def store(self, before: Mapping[str, int], taken: Taken) -> bool:
        """Whether it was stored."""
        with self._open() as con:
            con.execute("BEGIN IMMEDIATE")
            stored = dict(con.execute("SELECT name, at FROM position").fetchall())
            if any(stored.get(name) != before.get(name) for name in taken.positions):
                con.execute("ROLLBACK")
                return False
            con.executemany("INSERT INTO record VALUES (?)", [(a.place,) for a in taken.arrivals])
            con.executemany("INSERT OR REPLACE INTO position VALUES (?, ?)", list(taken.positions.items()))
            con.execute("COMMIT")
            return True


class Worker(threading.Thread):
    """A consumer with a sink, as the loop uses them; slow, so that partitions change hands in the middle of batches."""

    def __init__(self, sink: Sink, settings: KafkaSettings, seed: int) -> None:
        super().__init__(daemon=True)
        self.sink, self.source, self.rng = sink, KafkaSource(settings), random.Random(seed)
        self.ended, self.refused, self.took, self.failure = threading.Event(), 0, 0, ""

    def run(self) -> None:
        positions = self.sink.positions()
        try:
            while not self.ended.is_set():
                taken = self.source.take(positions, self.rng.randint(1, 40))
                time.sleep(self.rng.random() * 0.02)
                if not taken.positions:
                    self.source.wait(positions, 0.05)
                elif self.sink.store(positions, taken):
                    positions = {**positions, **taken.positions}
                    self.took += len(taken.arrivals)
                    self.source.stored(positions)
                else:
                    self.refused += 1
                    positions = self.sink.positions()
        except Exception as error:
            self.failure = repr(error)
        finally:
            self.source.close()

    def end(self) -> None:
        self.ended.set()
        self.join(60)
        assert not self.is_alive()
        assert not self.failure, self.failure


def records(first: int, last: int) -> list[tuple[str, bytes]]:
    return [(f"c{n}", b'{"customer": "c%d", "event": "seen", "id": "m%d"}' % (n % 50, n)) for n in range(first, last)]


def expect(sink: Sink, number: int, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while len(sink.places()) < number and time.monotonic() < end:
        time.sleep(0.1)
    places = sink.places()
    assert (len(places), len(set(places))) == (number, number)


def settings(broker: Any, topic: str, **options: str) -> KafkaSettings:
    return KafkaSettings(
        broker.servers, (topic,), f"g-{topic}", instance="", options={"session.timeout.ms": "6000", **options}
    )


def test_partitions_change_hands_and_every_record_counts_once(broker: Any, tmp_path: Path) -> None:
    topic, sink = broker.topic(f"hands-{tmp_path.name}", 6), Sink(tmp_path / "sink.db")
    workers = [Worker(sink, settings(broker, topic), 1)]
    workers[0].start()
    broker.send(topic, *records(0, 600))
    for number in range(2, 5):
        workers.append(Worker(sink, settings(broker, topic), number))
        workers[-1].start()
        broker.send(topic, *records(600 * number - 600, 600 * number))
        time.sleep(1.0)
        if number == 3:
            workers[0].end()
    expect(sink, 2_400)
    for worker in workers[1:]:
        worker.end()
    assert sum(worker.took > 0 for worker in workers) >= 2  # there were hands to change
    assert sum(sink.positions().values()) == 2_400


def test_who_slept_through_the_loss_of_a_partition_stores_nothing(broker: Any, topic: str, tmp_path: Path) -> None:
    sink = Sink(tmp_path / "sink.db")
    broker.send(topic, *records(0, 100))
    sleeper = KafkaSource(settings(broker, topic, **{"max.poll.interval.ms": "6000"}))
    taken = Taken()
    while not taken.arrivals:
        taken = sleeper.take({}, 30)
        sleeper.wait({}, 0.05) if not taken.arrivals else None
    # … and says nothing for longer than the group waits.
    other = Worker(sink, settings(broker, topic), 7)
    other.start()
    expect(sink, 100)
    assert not sink.store({}, taken)
    positions = sink.positions()
    broker.send(topic, *records(100, 120))
    expect(sink, 120)
    other.end()
    broker.send(topic, *records(120, 130))
    end = time.monotonic() + 60
    while len(sink.places()) < 130:  # it comes back and goes on where the store is
        assert time.monotonic() < end
        positions = sink.positions()
        taken = sleeper.take(positions, 30)
        if taken.positions:
            sink.store(positions, taken)
        else:
            sleeper.wait(positions, 0.05)
    expect(sink, 130)
    sleeper.close()


# The loop itself -----------------------------------------------------------------------------------------------------


def started(folder: Path, broker: Any, topic: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), str(folder), broker.servers, topic, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def check(folder: Path, topic: str, number: int, customers: int) -> None:
    """Every record is one event, each customer entered once, and the figures add up."""
    store = open_store(folder)
    try:
        ids = [i for piece in _event_ids(store) for i in piece]
        assert sorted(ids) == sorted(f"m{n}" for n in range(number))
        moves = store.members.transitions(limit=100_000).to_pylist()
        assert [move["change"] for move in moves] == ["entered"] * customers
        assert len({move["customer"] for move in moves}) == customers
        position = store.ticks.position()
        assert position.sources == {f"kafka:{topic}:{p}": at for p, at in enumerate(_ends(position.sources))}
        report = position.batches[f"kafka:{topic}"]
        assert (report.read, report.stored, report.duplicate, report.rejected) == (number, number, 0, 0)
    finally:
        store.close()


def _ends(sources: Mapping[str, int]) -> list[int]:
    return [at for _, at in sorted(sources.items())]


def _event_ids(store: Any) -> Iterator[list[str]]:
    import pyarrow.parquet as pq

    snapshot = store.log.snapshot()
    for files in snapshot.files.values():
        for file in files:
            yield pq.read_table(file, columns=["event_id"])["event_id"].to_pylist()
    if snapshot.hot is not None:
        yield snapshot.hot["event_id"].to_pylist()


@pytest.mark.parametrize("kills", [6, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.nightly])])
def test_a_process_killed_at_any_moment_loses_and_doubles_nothing(broker: Any, tmp_path: Path, kills: int) -> None:
    topic, folder, rng = broker.topic(f"killed-{kills}-{tmp_path.name}", 3), tmp_path / "shop", random.Random(kills)
    for round_ in range(kills):
        process = started(folder, broker, topic)
        assert process.stdout is not None
        broker.send(topic, *records(200 * round_, 200 * round_ + 200))
        for _ in range(rng.randint(1, 3)):  # a tick was stored: somewhere around the next one it ends
            process.stdout.readline()
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = started(folder, broker, topic, "--until", str(200 * kills))
    assert last.wait(300) == 0
    check(folder, topic, 200 * kills, 50)


def test_the_process_that_follows_a_killed_one_goes_on_at_once(broker: Any, topic: str, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    broker.send(topic, *records(0, 100))
    process = started(folder, broker, topic)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    broker.send(topic, *records(100, 200))
    process = started(folder, broker, topic)
    assert process.stdout is not None
    begun = time.monotonic()
    process.stdout.readline()
    took = time.monotonic() - begun
    process.kill()
    process.wait()
    print(f"{took:.1f} s from start to the first stored tick")
    assert took < 40  # and not the 45 seconds that a group waits for a member it does not know is dead


def test_a_loop_that_was_asleep_while_another_took_over_stores_nothing(broker: Any, topic: str, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    broker.send(topic, *records(0, 400))
    asleep = started(folder, broker, topic, "--sleep-with", "3")
    _, status = os.waitpid(asleep.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)  # with its third batch in its hands
    try:
        assert started(folder, broker, topic, "--until", "400").wait(300) == 0
        os.kill(asleep.pid, signal.SIGCONT)
        broker.send(topic, *records(400, 450))
        time.sleep(3)  # it wakes, may not store what it has, and reads on with the other's positions or ends
    finally:
        asleep.kill()
        asleep.wait()
    assert started(folder, broker, topic, "--until", "450").wait(300) == 0
    check(folder, topic, 450, 50)
