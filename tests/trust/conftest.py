"""A laboratory for crashes: jobs on a store run in processes of their own, which can be killed at any moment.

`python conftest.py` is the process that forks a child per job: all is imported, so that a job starts at once.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def events(first: int, n: int):
    """Events `first` … `first + n - 1` of an endless list; the same number is always the same event."""
    import pyarrow as pa

    numbers = range(first, first + n)
    draw = [random.Random(i) for i in numbers]
    return pa.table(
        {
            "event_id": pa.array([f"event-{i}" for i in numbers]),
            "customer": pa.array([None if r.random() < 0.2 else r.randrange(1, 40) << 50 for r in draw], pa.int64()),
            "event": pa.array(["order_line"] * n),
            "ts": pa.array([r.randrange(10**15) for r in draw]),
            "amount": pa.array([r.randrange(-(10**6), 10**6) for r in draw]),
            "quantity": pa.array([1_000] * n),
            "product_name": pa.array([f"Thing {r.randrange(20)}" for r in draw]),
            "received_at": pa.array([1] * n),
            "local_day": pa.array([0] * n, pa.int32()),
            "local_hour": pa.array([0] * n, pa.int32()),
        }
    )


def contents(store):
    """Every stored event as one table in a fixed order, hot or not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from kohort.model.event import event_schema

    shot = store.log.snapshot()
    names = [n for n in event_schema(shot.columns).names if n != "bucket"]
    tables = [pq.read_table(path, partitioning=None).select(names) for fs in shot.files.values() for path in fs]
    tables += [shot.hot.select(names)] if shot.hot is not None else []
    empty = event_schema(shot.columns).empty_table().select(names)
    return pa.concat_tables(
        [
            empty.cast(pa.schema([(n, empty.schema.field(n).type) for n in names])),
            *[t.cast(pa.schema([(n, empty.schema.field(n).type) for n in names])) for t in tables],
        ]
    ).sort_by([("event_id", "ascending"), ("ts", "ascending")])


def dump(store) -> str:
    """SHA-256 of the log's logical content: equal dumps hold equal rows."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    table = contents(store).combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


NAMES = ("gold", "value", "young")


def members_of(number: int, name: str) -> dict[int, str]:
    """Customer → segment in evaluation `number` of a definition; evaluations differ a little from their neighbours."""
    found = {}
    for customer in range(60):
        draw = random.Random(f"{name} {customer} {(number + customer) // 5}")
        if draw.random() < 0.7:
            found[customer << 50] = draw.choice("abc")
    return found


def evaluation(number: int):
    """What a run with this number finds, for all names. The number stands in every row's reason."""
    import pyarrow as pa

    from kohort.model.membership import Placed

    found = []
    for name in NAMES:
        rows = members_of(number, name)
        table = pa.table(
            {
                "customer": pa.array(list(rows), pa.int64()),
                "segment": pa.array(list(rows.values()), pa.string()),
                "confidence": pa.nulls(len(rows), pa.float64()),
                "reason": pa.array([f"run {number}"] * len(rows), pa.string()),
            }
        )
        found.append(Placed(name, number, table))
    return found


def stands_still(pid: int) -> bool:
    """Whether every thread of a process is stopped, or over."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(state in "TZX" for state in states)


class Lab:
    """Runs jobs in children of a helper process and kills them."""

    def __init__(self) -> None:
        self._helper = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def run(
        self,
        job: dict,
        *,
        kill_after: int | None = None,
        delay_ms: float = 0.0,
        stopped: Callable[[], None] = lambda: None,
    ) -> tuple[list, bool]:
        """Runs a job. With `kill_after` it is killed so many acknowledgements later, plus a delay.

        `stopped` is called before that, when the job stands still: it has acknowledged what it returns, and no more.

        Returns:
            What was acknowledged, and whether the job ended by itself and well.
        """
        self._helper.stdin.write(json.dumps(job) + "\n")
        self._helper.stdin.flush()
        pid, acks = 0, []
        while True:
            if kill_after is not None and pid and len(acks) >= kill_after:
                select.select([], [], [], delay_ms / 1000)
                os.kill(pid, signal.SIGSTOP)
                while not stands_still(pid):
                    pass
                stopped()
                os.kill(pid, signal.SIGKILL)
                kill_after = None
            said = json.loads(self._helper.stdout.readline())
            pid = said.get("pid", pid)
            if "ack" in said:
                acks.append(said["ack"])
            if "ended" in said:
                return acks, said["ended"] == 0

    def close(self) -> None:
        self._helper.stdin.close()
        self._helper.wait(timeout=30)
        self._helper.stdout.close()


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    found = Lab()
    yield found
    found.close()


@pytest.fixture(scope="session")
def logical():
    """(events, contents, dump) for tests."""
    return events, contents, dump


@pytest.fixture(scope="session")
def evaluations():
    """NAMES, members_of and evaluation for tests."""
    return types.SimpleNamespace(NAMES=NAMES, members_of=members_of, evaluation=evaluation)


def say(**what: object) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


def small_log(kind: str, store):
    """The store's log with small limits, so that few rows reach every path; some kinds die or cheat on purpose."""
    from kohort.store.log import EventLog

    class Small(EventLog):
        hot_append_rows, hot_rows, small_files = 300, 500, 2

    class DiesBeforeTransaction(Small):
        def _write_run(self, runs):
            super()._write_run(runs)
            os.kill(os.getpid(), signal.SIGKILL)

    class DiesBesideAppends(Small):
        """Somebody appends while files are being written; then the process dies."""

        def _write_run(self, runs):
            found = super()._write_run(runs)
            self.append(events(700, 40), batch=9)
            say(ack=9)
            os.kill(os.getpid(), signal.SIGKILL)
            return found

    class AppendsMeanwhile(Small):
        """Somebody appends, a few rows and then some more, while files are being written."""

        def _write_run(self, runs):
            found = super()._write_run(runs)
            if threading.current_thread() is threading.main_thread():
                for number, first, n in [(9, 700, 40), *((20 + i, 740 + i, 1) for i in range(30))]:
                    other = threading.Thread(target=lambda f=first, m=n, b=number: self.append(events(f, m), batch=b))
                    other.start()
                    other.join()
                    say(ack=number)
            return found

    class Overtaken(Small):
        """The hot rows are moved by somebody else while files are being written."""

        def _write_run(self, runs):
            found = super()._write_run(runs)
            if not getattr(self, "moved", False):
                self.moved = True
                self.compact()
            return found

    class DiesBeforePublishing(Small):
        def _publish(self):
            os.kill(os.getpid(), signal.SIGKILL)

    class DiesAfterPublishing(Small):
        def _publish(self):
            super()._publish()
            os.kill(os.getpid(), signal.SIGKILL)

    class KeepsHotRows(Small):
        """Sabotage: the move into the base and the deletion of the hot rows are not one step."""

        def _into_base(self, table, run, *, compacted=None):
            super()._into_base(table, run)
            os.kill(os.getpid(), signal.SIGKILL)

    class ForgetsIds(Small):
        """Sabotage: nothing is recognised as known."""

        def _judge(self, table, entries, runs):
            import numpy as np

            return np.ones(table.num_rows, bool), np.zeros(table.num_rows, bool)

    return locals()[kind](store.root, store._database, store._lock, buckets=store.log.buckets, seed=store.log._seed)


def small_members(kind: str, store):
    """The store's memberships with small limits, so that few rows reach every path; some kinds die or cheat."""
    from kohort.store.members.members import Members

    def die(*_args, **_kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    class Small(Members):
        def __init__(self):
            super().__init__(store.root, store._database, store._lock)
            self.parts.inline_rows, self.parts.most_parts, self.parts.few_rows = 12, 5, 100

    class DiesBeforeTransaction(Small):
        _commit = die

    class DiesInTransaction(Small):
        def __init__(self):
            super().__init__()
            add, added = self.parts.add, []
            self.parts.add = lambda *part: die() if len(added) == 2 else added.append(add(*part))

    class DiesAfterTransaction(Small):
        def _refresh(self, names):
            die()

    class DiesBeforeSnapshotCounts(Small):
        def __init__(self):
            super().__init__()
            self.parts.most_parts = 0
            self.parts.remove = die

    class PublishesOneByOne(Small):
        """Sabotage: every name is a transaction of its own."""

        def publish(self, found, *, as_of, now):
            super().publish(found[:1], as_of=as_of, now=now)
            die()

    return locals()[kind]()


def publish(job: dict, store) -> None:
    members = small_members(job.get("members", "Small"), store)
    for number in job["runs"]:
        # Every third run states the moment of the one before again, as after late events.
        members.publish(evaluation(number), as_of=100 * (number - (number % 3 == 2)), now=number)
        say(ack=number)


def flush_less(store, how: str) -> None:
    """Sabotage: commits are confirmed without being brought to disk."""
    import sqlalchemy as sa

    engine = store._database._engine
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA synchronous = {how}"))
    engine.dispose()
    os.fsync = lambda _fd: None


def receive(job: dict) -> None:
    """Takes requests in until it is killed. Acknowledges [what was sent, its number], and what it is about to forget."""
    from kohort.store.journal import Journal
    from kohort.store.keys import MasterKey

    if job.get("unsynced"):  # sabotage: nothing is brought to disk
        os.fdatasync = os.fsync = lambda _fd: None
    chance, room = random.Random(str(job)), threading.Semaphore(job.get("at_once", 8))

    def told(text: str, future) -> None:
        say(ack=[text, future.result()])
        room.release()

    with Journal(Path(job["journal"]), MasterKey(bytes(32), "file"), segment_bytes=job["segment_bytes"]) as journal:
        for i in range(job["requests"]):
            room.acquire()
            text = f"{job['attempt']}-{i}"
            future = journal.append(f"{text} {'x' * chance.randrange(2000)}".encode(), {"attempt": job["attempt"]})
            future.add_done_callback(functools.partial(told, text))
            if job.get("forgets") and chance.random() < 0.05:
                up_to = max(0, journal.last - chance.randrange(100))
                say(ack=["forget", up_to])
                journal.forget(up_to, roll=chance.random() < 0.3)


def work(job: dict) -> None:
    if "journal" in job:
        receive(job)
        return
    from kohort.store import open_store

    with open_store(job["root"]) as store:
        if "synchronous" in job:
            flush_less(store, job["synchronous"])
        log = small_log(job.get("log", "Small"), store)
        for number, first, n in job.get("appends", ()):
            log.append(events(first, n), batch=number)
            say(ack=number)
        if job.get("runs"):
            publish(job, store)
        if job.get("compact"):
            log.compact()
        if job.get("optimise"):
            log.optimise()
            log.vacuum(older_than_seconds=-1)


def main() -> None:
    import deltalake  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import kohort.store.journal
    import kohort.store.store  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                work(json.loads(line))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        say(pid=pid)
        say(ended=os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
