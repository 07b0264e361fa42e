"""T6: while several processes publish, every reader sees all names as one run left them, and nobody gets anything but an
answer or a clear word that somebody else is writing."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from kohort.errors import Busy, WrongUsage
from kohort.model.membership import Placed
from kohort.store import create_store, open_store

NAMES = ("gold", "value", "young")
WRITERS, READING_PROCESSES, READING_THREADS = 4, 4, 4
RUNS_EACH = 3
FORK = multiprocessing.get_context("fork")
WRITTEN = FORK.Event()


def rows(number: int, name: str) -> dict[str, list]:
    """Who is where in run `number`: its every row can be told from the number."""
    customers = [c << 40 for c in range(1, 120) if (c * 7 + number + len(name)) % 5]
    segments = ["abc"[(c + number) % 3] for c in customers]
    n = len(customers)
    return {"customer": customers, "segment": segments, "confidence": [None] * n, "reason": [str(number)] * n}


def publish_next(store, number: int, names: tuple[str, ...] = NAMES) -> bool:
    """Publishes a run one moment after the latest; False where somebody else was faster."""
    import pyarrow as pa

    try:
        moment = 1 + max((run["as_of"] for name in NAMES for run in store.members.runs(name)[-1:]), default=0)
        found = []
        for name in names:
            table = pa.table(rows(number, name))
            found.append(
                Placed(name, number, table.set_column(2, "confidence", pa.nulls(table.num_rows, pa.float64())))
            )
        store.members.publish(found, as_of=moment, now=0)
    except (Busy, WrongUsage) as said:
        if "later moment" not in said.message and "writing" not in said.message:
            raise
        return False
    return True


def consistent(store) -> bool:
    found = store.members.current_together(NAMES)
    numbers = {reason for table in found.values() for reason in table.column("reason").to_pylist()}
    if len(numbers) != 1:
        return False
    number = int(numbers.pop())
    return all(
        found[name].select(["customer", "segment"]).to_pydict()
        == {k: rows(number, name)[k] for k in ("customer", "segment")}
        for name in NAMES
    )


def write(root: str, number: int, every_name: bool) -> Counter:
    """One process that publishes until it has succeeded often enough."""
    seen: Counter = Counter()
    with open_store(root) as store:
        store.members.parts.inline_rows, store.members.parts.most_parts = 40, 3
        while seen["published"] < RUNS_EACH:
            step = seen.total() + 1
            done = publish_next(store, number * 100_000 + step, NAMES if every_name else NAMES[: 1 + step % 2])
            seen["published" if done else "overtaken"] += 1
    return seen


def read(root: str) -> Counter:
    """One process that reads in several threads with one store until all writers are done."""
    seen: Counter = Counter()
    with open_store(root) as store:

        def ask() -> None:
            while True:
                last = WRITTEN.is_set()
                seen["consistent" if consistent(store) else "mixed"] += 1
                if last:
                    return

        threads = [threading.Thread(target=ask) for _ in range(READING_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return seen


def crowd(root: Path, kind: str) -> Counter:
    with create_store(root, buckets=2) as store:
        assert publish_next(store, 1)
    done = subprocess.run(
        [sys.executable, __file__, str(root), kind], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return Counter(json.loads(done.stdout))


@pytest.mark.slow
def test_sixteen_readers_never_see_a_mix_while_four_write(tmp_path: Path) -> None:
    seen = crowd(tmp_path, "all")
    assert seen["mixed"] == 0
    assert seen["consistent"] >= 16
    assert seen["published"] == WRITERS * RUNS_EACH
    with open_store(tmp_path) as store:
        assert consistent(store)
        assert store.verify() == []
        assert store.members.transitions(limit=10**6).column("seq").to_pylist() == list(
            range(1, store.members.last_transition() + 1)
        )


@pytest.mark.slow
def test_twin_writers_that_publish_some_names_only_are_caught(tmp_path: Path) -> None:
    assert crowd(tmp_path, "some")["mixed"] > 0


def test_a_writer_that_waits_too_long_is_told_so(tmp_path: Path) -> None:
    with create_store(tmp_path, buckets=2) as store, open_store(tmp_path) as other:
        assert publish_next(store, 1)
        other._lock.timeout_seconds = 0
        with store.write_lock(), pytest.raises(Busy, match="Another process has been writing") as busy:
            other.members.publish([], as_of=10, now=0)
        assert busy.value.retry
        assert "Reading is always possible" in busy.value.hint
        with store.write_lock():
            assert consistent(other)


def main(root: str, kind: str) -> None:
    """Forks the crowd once everything is imported, so that all begin at once."""
    with FORK.Pool(WRITERS + READING_PROCESSES) as pool:
        readers = [pool.apply_async(read, (root,)) for _ in range(READING_PROCESSES)]
        writers = [pool.apply_async(write, (root, n + 1, kind == "all")) for n in range(WRITERS)]
        seen = sum((writer.get() for writer in writers), Counter())
        WRITTEN.set()
        print(json.dumps(sum((reader.get() for reader in readers), seen)))


if __name__ == "__main__":
    import kohort.store.store  # noqa: F401

    main(*sys.argv[1:])
