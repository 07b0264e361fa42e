"""Requests made durable: the journal against SQLite with the same grouping (WAL, synchronous = FULL, one writing thread).

    python bench/journal.py                 32 callers, 5 seconds each
    python bench/journal.py --seconds 20 --dir /path/on/the/disk/to/measure

Each contestant runs in a fresh process, in turn, and confirms only what is on disk. The journal also seals; SQLite stores
the bodies as they are. `single`: requests of one event (600 bytes). `batch`: requests of 100 events (60 KB). `bare` writes
and flushes 600 bytes in one thread and nothing else: what the disk itself takes.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

EVENT = {
    "type": "track",
    "event": "Order Completed",
    "userId": "customer-104729",
    "messageId": "b1e7a0a4-5a0a-4f1d-9a41-000000000000",
    "timestamp": "2025-01-01T12:00:00.000Z",
    "context": {"ip": "192.0.2.7", "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/130.0"},
    "properties": {
        "order_id": "O-50314",
        "revenue": 129.9,
        "currency": "EUR",
        "products": [{"sku": "A-1", "n": 2}] * 6,
    },
}
META = {
    "received_us": 1_735_732_800_000_000,
    "source": "shop",
    "path": "track",
    "ip": "192.0.2.7",
    "user_agent": "Mozilla",
}
EVENTS = {"single": 1, "batch": 100, "bare": 1}


class Peer:
    """The same promise with SQLite: everything that waits becomes one transaction."""

    def __init__(self, path: Path) -> None:
        self._waiting: queue.SimpleQueue = queue.SimpleQueue()
        self._path = path
        self._thread = threading.Thread(target=self._write_on)
        self._thread.start()

    def append(self, body: bytes, meta: dict) -> Future:
        told: Future = Future()
        self._waiting.put((json.dumps(meta), body, told))
        return told

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _write_on(self) -> None:
        con = sqlite3.connect(self._path, isolation_level=None)
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA synchronous = FULL")
        con.execute("CREATE TABLE frame (number INTEGER PRIMARY KEY, meta TEXT, body BLOB)")
        number = 0
        while (first := self._waiting.get()) is not None:
            group, size = [first], len(first[1])
            while not self._waiting.empty() and size < 4 << 20:
                item = self._waiting.get()
                if item is None:
                    self._waiting.put(None)
                    break
                group.append(item)
                size += len(item[1])
            con.execute("BEGIN")
            con.executemany("INSERT INTO frame (meta, body) VALUES (?, ?)", [(meta, body) for meta, body, _ in group])
            con.execute("COMMIT")
            for _, _, told in group:
                number += 1
                told.set_result(number)
        con.close()


class Bare:
    """The disk alone."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT)
        self._turn = threading.Lock()

    def append(self, body: bytes, meta: dict) -> Future:
        told: Future = Future()
        with self._turn:
            os.write(self._fd, body)
            os.fdatasync(self._fd)
        told.set_result(1)
        return told

    def close(self) -> None:
        os.close(self._fd)


def opened(who: str, folder: Path):
    if who == "journal":
        from kohort.store.journal import Journal
        from kohort.store.keys import MasterKey

        return Journal(folder / "journal", MasterKey(bytes(32), "file"))
    return Peer(folder / "peer.db") if who == "sqlite" else Bare(folder / "bare")


def contest(who: str, shape: str, callers: int, seconds: float, folder: Path) -> dict[str, float]:
    event = json.dumps(EVENT).encode().ljust(600)
    body = b"[" + b",".join([event] * EVENTS[shape]) + b"]"
    store = opened(who, folder)
    store.append(body, META).result()
    latencies: list[list[float]] = [[] for _ in range(callers)]
    until = time.perf_counter() + seconds
    cpu = time.process_time()

    def call(mine: list[float]) -> None:
        while (began := time.perf_counter()) < until:
            store.append(b"".join((body, b"\n")), META).result()  # bytes of its own, as from a network
            mine.append(time.perf_counter() - began)

    began = time.perf_counter()
    run_all([lambda mine=mine: call(mine) for mine in latencies])
    took = time.perf_counter() - began
    cpu = time.process_time() - cpu
    store.close()
    found = sorted(one for mine in latencies for one in mine)
    return {
        "requests/s": len(found) / took,
        "events/s": len(found) * EVENTS[shape] / took,
        "p50 ms": found[len(found) // 2] * 1e3,
        "p99 ms": found[int(len(found) * 0.99)] * 1e3,
        "CPU s per 100,000 events": cpu / len(found) / EVENTS[shape] * 1e5,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_all(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(contest(*args.one, args.callers, args.seconds, args.dir)))
        return
    rows = []
    for shape, who, callers in [
        ("bare", "bare", 1),
        *((shape, who, args.callers) for shape in ("single", "batch") for who in ("journal", "sqlite")),
    ]:
        with tempfile.TemporaryDirectory(dir=args.dir) as folder:
            command = [sys.executable, __file__, "--one", who, shape, "--seconds", str(args.seconds), "--dir", folder]
            out = subprocess.run([*command, "--callers", str(callers)], check=True, capture_output=True, text=True)
            rows.append((f"{who}, {shape}", json.loads(out.stdout)))
    print("| | " + " | ".join(rows[0][1]) + " |\n|---|" + "---:|" * len(rows[0][1]))
    for name, row in rows:
        print(f"| {name} | " + " | ".join(f"{v:,.1f}" if v < 100 else f"{v:,.0f}" for v in row.values()) + " |")


if __name__ == "__main__":
    main()
