"""T1, for deliveries: a process killed while it makes or sends them loses none, makes none twice, and what is sent twice
carries the same id, in order for each customer."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest

from kohort.model.membership import Placed
from kohort.store import create_store, open_store

CUSTOMERS = range(1, 41)

WORKER = """
import sys, os
from pathlib import Path
from kohort.actions.body import Person
from kohort.actions.channel import Webhook
from kohort.actions.outbound import Outbound, networks
from kohort.actions.plan import Rules
from kohort.actions.worker import Actions
from kohort.definitions.triggers import Destination, Moved, Trigger
from kohort.store import open_store

class Names:
    def named(self, name, customers, kinds):
        return {c: Person(str(c)) for c in customers}
    def reason(self, name, segment, change):
        return ""

root, url, until = sys.argv[1:]
crm = Destination("crm", url, "SECRET", at_once=8, per_second=1000)
triggers = (Trigger("in", Moved("entered", "vip"), ("crm",)), Trigger("out", Moved("left", "vip"), ("crm",)))
with open_store(Path(root)) as store:
    actions = Actions(
        store, lambda: Rules(triggers, (), "UTC"), lambda: [crm],
        lambda d: Webhook(d, Outbound(networks("127.0.0.0/8")), {"SECRET": "x" * 32}), Names(),
    )
    print("ready", flush=True)
    sys.stdin.readline()
    actions.drain(120)
    actions.close()
print("done", flush=True)
"""


@dataclass
class Taken:
    """What was received: (customer, number, id) in order."""

    rows: list[tuple[int, int, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def taken() -> Iterator[Taken]:
    found, turn = Taken(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with turn:
                found.rows.append((int(said["data"]["customer_id"]), said["data"]["number"], said["id"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def work(root: Path, url: str, kill_after: float | None) -> bool:
    """Runs a worker, and kills it after so many seconds; says whether it ended by itself."""
    command = [sys.executable, "-c", WORKER, str(root), url, ""]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        if kill_after is not None:
            time.sleep(kill_after)  # the moment is the point: it may be any
            os.kill(process.pid, signal.SIGKILL)
        return process.wait(150) == 0
    finally:
        process.kill()
        process.communicate()


def kills(root: Path, taken: Taken, rounds: int) -> int:
    chance, moment, interrupted = random.Random(rounds), 0, 0
    with create_store(root, buckets=2) as store:
        store.deliveries.begin()
    for _ in range(rounds):
        with open_store(root) as store:
            for inside in (True, False):
                moment += 1
                rows = pa.table(
                    {
                        "customer": pa.array(CUSTOMERS if inside else [], pa.int64()),
                        "segment": pa.array(["vip"] * len(CUSTOMERS) if inside else [], pa.string()),
                        "confidence": pa.nulls(len(CUSTOMERS) if inside else 0, pa.float64()),
                        "reason": pa.nulls(len(CUSTOMERS) if inside else 0, pa.string()),
                    }
                )
                store.members.publish([Placed("vip", 1, rows)], as_of=moment, now=moment)
        interrupted += not work(root, taken.url, chance.uniform(0.0, 0.5))
    assert work(root, taken.url, None)
    numbers = list(range(1, 2 * rounds + 1))
    ids: dict[tuple[int, int], set[str]] = {}
    for customer, number, id_ in taken.rows:
        ids.setdefault((customer, number), set()).add(id_)
    assert ids.keys() == {(c, n) for c in CUSTOMERS for n in numbers}, "a transition was not told"
    assert all(len(found) == 1 for found in ids.values()), "the same transition was told under two ids"
    for customer in CUSTOMERS:
        first = list(dict.fromkeys(n for c, n, _ in taken.rows if c == customer))
        assert first == numbers, "out of order"
    with open_store(root) as store:
        made = store.deliveries.some(limit=100_000)
        assert len(made) == len(CUSTOMERS) * len(numbers)
        assert {d.state for d in made} == {"done"}
        assert store.verify() == []
    return interrupted


def test_a_few_kills_lose_nothing(tmp_path: Path, taken: Taken) -> None:
    assert kills(tmp_path / "ws", taken, 4) >= 1


@pytest.mark.nightly
def test_many_kills_lose_nothing(tmp_path: Path, taken: Taken) -> None:
    assert kills(tmp_path / "ws", taken, 60) > 20
