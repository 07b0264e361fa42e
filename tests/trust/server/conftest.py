"""A real `kohort serve` that can be killed at any moment, and senders that note what was confirmed to them.

`python conftest.py` is a process that forks servers: all is imported, so that two hundred of them start in minutes. What
such a server does is what `kohort serve` does; tests that measure starting use the command itself.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

SEGMENTS = """
segments:
  burst: did('seen', at_least => 3, within => '1 minute')
  lately: did('seen', within => '1 minute')
  known: did('seen')
  keen:
    stages:
      fresh: did('seen', within => '1 minute')
      warm: did('seen', within => '2 minutes')
      cold: did('seen')
"""
"""Events that happened almost a minute ago make members of them who leave by time alone, within seconds."""


def make_shop(root: Path, segments: str = SEGMENTS) -> str:
    """Makes a workspace; answers a key for sending events to it."""
    import kohort

    with kohort.create(root, name="Shop") as shop:
        key = shop.keys.add("shop", "ingest")
    with (root / "kohort.yaml").open("a") as file:
        file.write(segments)
    return key


class Server:
    """`kohort serve` on a free port.

    Attributes:
        ready_seconds: From the command to the line that says that it answers.
    """

    def __init__(self, root: Path, forked: subprocess.Popen[str] | None = None) -> None:
        self.root, self._forked = root, forked
        self._log = (root.parent / "server.log").open("a+")
        began = time.perf_counter()
        if forked is None:
            command = [sys.executable, "-m", "kohort", "-w", str(root), "serve", "--port", "0"]
            at = self._log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(command, stderr=self._log)
            self.pid = self._process.pid
            self.port = self._said(at)
        else:
            self.pid, self.port = forked_server(forked, root)
        self.ready_seconds = time.perf_counter() - began

    def _said(self, at: int) -> int:
        while True:
            self._log.seek(at)
            if found := re.search(r"Kohort is ready: http://127\.0\.0\.1:(\d+)", self._log.read()):
                return int(found[1])
            if self._process.poll() is not None:
                raise AssertionError(f"the server did not start: {self.log()}")
            time.sleep(0.01)

    def log(self) -> str:
        """What servers of this workspace said so far."""
        self._log.seek(0)
        return self._log.read()

    def get(self, path: str, timeout: float = 30.0) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def state(self) -> dict:
        """What `/ready` says of the loop."""
        return json.loads(self.get("/ready")[1])["live"]

    def wait_until_current(self, patience: float = 120.0) -> dict:
        """Until the loop is ready and nothing waits any more; what it says then."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            said = self.state()
            if said["as_of"] is not None and not said["waiting_bytes"]:
                return said
            time.sleep(0.02)
        raise AssertionError(f"not current after {patience} s: {said}; {self.log()[-2000:]}")

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Of the server and of the process that it keeps the workspace current with."""
        return sum(_status(pid, what) for pid in (self.pid, *children(self.pid))) / 1024

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)

    def end(self, how: int) -> float:
        """Sends a signal and waits for the end; seconds."""
        began = time.perf_counter()
        if self._forked is None:
            self._process.send_signal(how)
            self._process.wait(60)
        else:
            os.kill(self.pid, how)
            self._forked.stdout.readline()
        self._log.close()
        return time.perf_counter() - began


def children(pid: int) -> list[int]:
    stats = ((int(path.parent.name), path) for path in Path("/proc").glob("[0-9]*/stat"))
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [child for child, path in stats if int(path.read_text().rpartition(")")[2].split()[1]) == pid]
    return children(pid)  # one ended meanwhile


def _status(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith(what)).split()[1])


def forked_server(helper: subprocess.Popen[str], root: Path) -> tuple[int, int]:
    helper.stdin.write(f"{root}\n")
    helper.stdin.flush()
    said = json.loads(helper.stdout.readline())
    return said["pid"], said["port"]


class Sender(threading.Thread):
    """Sends events until told to stop, each until it is confirmed, with the same message id again and again.

    Attributes:
        confirmed: Message ids of events that were.
        refused: Those that were confirmed and cannot be used: nobody is said to have done them.
        sent: How often each event was sent.
        answers: Statuses.
        took: Seconds from request to confirmation.
        who: Who does everything; empty = anybody.
        pause: Seconds between requests.
    """

    def __init__(self, number: int, key: str, *, events: int = 40, people: int = 60, single: bool = False) -> None:
        super().__init__(daemon=True)
        self.number, self.events, self.people, self.single = number, events, people, single
        text = base64.b64encode(f"{key}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {text}", "Content-Type": "application/json"}
        self._draw = random.Random(number)
        self._made = 0
        self.who: dict[str, str] = {}
        self.pause = 0.0
        self._over = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self.server: Server | None = None
        self.confirmed: set[str] = set()
        self.refused: set[str] = set()
        self.sent: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.took: list[float] = []

    def run(self) -> None:
        while not self._over.is_set():
            self.deliver([self.event() for _ in range(1 if self.single else self._draw.randint(1, self.events))])
            self._over.wait(self.pause)

    def finish(self) -> None:
        """Ends after what is being sent was confirmed."""
        self._over.set()
        self.join(120)
        assert not self.is_alive(), "a request was never confirmed"

    def event(self) -> dict:
        self._made += 1
        who = {} if self._draw.random() < 0.02 else self.who or {"userId": f"u{self._draw.randrange(self.people)}"}
        happened = datetime.now(UTC) - timedelta(seconds=self._draw.uniform(56, 60))
        what = {"messageId": f"{self.number}-{self._made}", "timestamp": happened.isoformat()}
        return {"type": "track", "event": "seen", **what, **who}

    def deliver(self, events: list[dict]) -> None:
        ids = {e["messageId"] for e in events}
        path, body = ("/v1/track", events[0]) if self.single else ("/v1/batch", {"batch": events})
        text = json.dumps(body)
        while True:
            self.sent.update(ids)
            began = time.perf_counter()
            if self._post(path, text) == 200:
                break
            time.sleep(0.02)
        self.took.append(time.perf_counter() - began)
        self.confirmed |= ids
        self.refused |= {e["messageId"] for e in events if "userId" not in e}

    def _post(self, path: str, text: str) -> int:
        if self.server is None:
            return 0
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            self._connection.request("POST", path, text, self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return 0
        self.answers[answer.status] += 1
        return answer.status


class Fire:
    """One workspace, its servers, and whoever sends to it."""

    def __init__(self, root: Path, helper: subprocess.Popen[str] | None = None, segments: str = SEGMENTS) -> None:
        self.root, self._helper = root, helper
        self.key = make_shop(root, segments)
        self.senders: list[Sender] = []
        self.server: Server | None = None

    def start(self) -> Server:
        self.server = Server(self.root, self._helper)
        for sender in self.senders:
            sender.server = self.server
        return self.server

    def more_keys(self, n: int) -> list[str]:
        """Keys of their own for so many senders: each may send 10,000 events a second."""
        import kohort

        with kohort.open(self.root) as shop:
            return [shop.keys.add(f"shop {i}", "ingest") for i in range(n)]

    def send(self, *senders: Sender) -> None:
        self.senders += senders
        for sender in senders:
            sender.server = self.server
            sender.start()

    def finish(self) -> None:
        for sender in self.senders:
            sender.finish()

    def close(self) -> None:
        if self.server is not None:
            with contextlib.suppress(ProcessLookupError, ValueError):
                self.server.kill()

    def check(self) -> dict[str, int]:
        """Everything that must be true once nothing waits and no server runs; how much there was of it."""
        import pyarrow.parquet as pq

        import kohort
        from kohort.workspace.live import audit_of

        with kohort.open(self.root) as shop:
            store = shop.store
            shot = store.log.snapshot()
            ids = [i for fs in shot.files.values() for path in fs for i in pq.read_table(path)["event_id"].to_pylist()]
            ids += [] if shot.hot is None else shot.hot["event_id"].to_pylist()
            stored = set(ids)
            assert len(stored) == len(ids), "an event is stored twice"
            confirmed = set().union(*(s.confirmed for s in self.senders))
            refused = set().union(*(s.refused for s in self.senders))
            sent = sum((s.sent for s in self.senders), Counter())
            assert not confirmed - refused - stored, "a confirmed event is lost"
            assert not stored & refused
            assert not stored - sent.keys(), "an event is stored that nobody sent"
            # The loop's position says it; what health shows follows a few seconds later.
            counts = [store.state.batches(), store.ticks.position().batches.values()]
            reports = {report.batch: report for some in counts for report in some}.values()
            total = {n: sum(getattr(r, n) for r in reports) for n in ("read", "stored", "duplicate", "rejected")}
            assert total["read"] == total["stored"] + total["duplicate"] + total["rejected"]
            assert total["stored"] == len(stored), "an event is counted twice, or not at all"
            assert len(confirmed) <= total["read"] <= sum(sent.values())
            assert len(refused) <= total["rejected"] <= sum(sent[i] for i in refused)
            assert sum(store.state.rejected_counts().values()) == total["rejected"]
            assert store.verify() == []
            store.members.check()
            rows = store.members.transitions().to_pylist()
            assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
            numbers: dict[tuple, int] = {}
            for row in rows:
                which = row["name"], row["segment"], row["customer"]
                numbers[which] = numbers.get(which, 0) + 1
                assert row["number"] == numbers[which], "a transition is lost or doubled"
                assert row["change"] == ("entered" if row["number"] % 2 else "left")
            audited = audit_of(shop)
            assert audited.sound, audited.as_dict()
            return {"confirmed": len(confirmed), "transitions": len(rows), **total}


@pytest.fixture
def fire(tmp_path: Path) -> Iterator[Fire]:
    """A workspace whose servers are started as the command."""
    found = Fire(tmp_path / "shop")
    yield found
    found.close()


@pytest.fixture
def quick_fire(tmp_path: Path) -> Iterator[Fire]:
    """The same with servers that start in a fraction of a second."""
    with (tmp_path / "server.log").open("a") as log:
        pipe = subprocess.PIPE
        helper = subprocess.Popen(
            [sys.executable, __file__], stdin=pipe, stdout=pipe, stderr=log, text=True, start_new_session=True
        )
        found = Fire(tmp_path / "shop", helper)
        yield found
        found.close()
        helper.stdin.close()
        os.killpg(helper.pid, signal.SIGKILL)  # a server that was just starting, too
        helper.wait(30)
        helper.stdout.close()


@pytest.fixture
def new_fire() -> type[Fire]:
    """Makes a workspace in a folder."""
    return Fire


@pytest.fixture
def sender() -> type[Sender]:
    """Whoever sends."""
    return Sender


# -- the process that forks ------------------------------------------------------------------------------------------------


def serve(root: Path, told: int) -> None:
    """A server in a process of its own, whose port is written to a pipe."""
    import uvicorn

    from kohort.cli.serving import APP, GRACE_SECONDS, HTTP, listen

    class Saying(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets)
            os.write(told, b"%d\n" % sockets[0].getsockname()[1])

    os.environ["KOHORT_WORKSPACE"] = str(root)
    config = uvicorn.Config(APP, factory=True, http=HTTP, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS)
    with listen("127.0.0.1", 0) as listener:
        Saying(config).run(sockets=[listener])


def main() -> None:
    import uvicorn  # noqa: F401

    import kohort.cli.serving
    import kohort.live.service
    import kohort.web.app
    import kohort.web.patience
    import kohort.workspace.workspace  # noqa: F401

    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)
            os.close(reading)
            try:
                serve(Path(line.strip()), writing)
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as told:
            said = told.readline()
        if not said:
            raise SystemExit(f"a server of {line.strip()} ended while it started: {os.waitpid(pid, 0)[1]}")
        os.write(1, (json.dumps({"pid": pid, "port": int(said)}) + "\n").encode())
        os.waitpid(pid, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    main()
