"""How long from a client's send to a stored change of a membership, and how much comes through, on one machine.

    python bench/live.py                       1 million customers, 20 million events of history
    python bench/live.py --customers 50000     fewer
    python bench/live.py --minutes 10          for so long at 5,000 events/s (1 where not said)
    python bench/live.py --dir D               keep the workspace in D: it is made once (minutes)
    python bench/live.py --only singles,batches,ingest,overload

The server is `kohort serve`: two processes, whose time and memory are added up. Client and
observer are processes of their own on the same machine. Every latency is measured on this machine's clock from the instant
at which the client was to send (also where it could not, because earlier requests were late) to the instant at which
another process that looks every millisecond could read the change in the store: what is measured is the commit, and a
little more. The change is known beforehand: each `bench_go` makes its customer enter the segment `go`.

Goals: singles p50 20 ms, p99 80 ms; batches p99 250 ms with flat memory; 20,000 durable events for a second of the
server's CPU; under overload nothing but 200 and 429, and after it members current within 10 s.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from live_load import Load
from live_world import PEOPLE, world
from proc_tree import TICKS, fields, pids

HERE = Path(__file__).parent


class Server:
    """A process that serves the workspace, and what the system says of it."""

    def __init__(self, command: list[str]) -> None:
        began = time.perf_counter()
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(command, stderr=self.log)
        self.port = self._port()
        self.ready_seconds = time.perf_counter() - began

    def _port(self) -> int:
        while True:
            self.log.seek(0)
            text = self.log.read()
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", text):
                return int(found[1])
            if self.process.poll() is not None:
                raise SystemExit(text)
            time.sleep(0.01)

    def live(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with closing(connection):
            connection.request("GET", "/ready")
            return dict(json.loads(connection.getresponse().read())["live"])

    def wait_until_current(self) -> float:
        """Seconds until nothing waits any more."""
        began = time.perf_counter()
        while not (said := self.live())["as_of"] or said["waiting_bytes"]:
            time.sleep(0.05)
        return time.perf_counter() - began

    def wait_until_warm(self) -> float:
        """Seconds until the process has ended that looks at the data once after a start, for the pages: it would be measured."""
        began = time.perf_counter()
        while any(b"kohort.web.warm" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids(self.process.pid)):
            time.sleep(0.2)
        return time.perf_counter() - began

    def cpu(self) -> float:
        """Seconds of the server and of the process that it keeps the workspace current with."""
        return sum(int(ticks) for pid in pids(self.process.pid) for ticks in fields(pid)[11:15]) / TICKS

    def memory(self, what: str = "RssAnon") -> float:
        """MB of both. Pages mapped from files are the system's, which takes them back when it likes: they are not in
        RssAnon."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids(self.process.pid)]
        return sum(int(re.search(rf"{what}:\s+(\d+)", text)[1]) for text in texts) / 1024  # type: ignore[index]

    def stop(self) -> float:
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.perf_counter() - began


@contextmanager
def serving(command: list[str]) -> Iterator[Server]:
    server = Server(command)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def kohort(shop: Path) -> list[str]:
    return [sys.executable, "-m", "kohort", "-w", str(shop), "serve", "--port", "0"]


def send(load: Load) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "live_load.py"), json.dumps(asdict(load))], stdout=subprocess.PIPE, text=True
    )


def came_of(sender: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = sender.communicate()
    if sender.returncode:
        raise SystemExit("The client failed.")
    return dict(json.loads(said))


class Observer:
    """A process that notes when it could first read each transition."""

    def __init__(self, shop: Path) -> None:
        self.shop = shop
        command = [sys.executable, __file__, "--observe", str(shop)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._begin = int(self._process.stdout.readline())

    def latencies(self, sent: dict[str, Any]) -> tuple[list[float], int]:
        """Seconds of every confirmed `bench_go` to its entry, and how many never led to one."""
        import kohort

        said, _ = self._process.communicate("")
        seen = json.loads(said)
        with kohort.open(self.shop) as shop:
            rows, after = [], self._begin
            while page := shop.store.members.transitions("go", after=after).to_pylist():
                rows += [row for row in page if row["change"] == "entered"]
                after = page[-1]["seq"]
            refs = shop.store.vault.refs([row["customer"] for row in rows])
        found: dict[int, list[float]] = {}
        place = 0
        for row, ref in zip(rows, refs, strict=True):
            while place < len(seen) and seen[place][0] < row["seq"]:
                place += 1
            if place < len(seen) and ref:
                found.setdefault(int(ref[1:]), []).append(seen[place][1])
        latencies, missing = [], 0
        for person, at in sent["gone"]:
            later = [when for when in found.get(person, ()) if when > at]
            if later:
                latencies.append(later[0] - at)
            else:
                missing += 1
        return latencies, missing


def observe(shop_folder: str) -> None:
    """Looks every millisecond until its input ends; then says [number of the last transition, when it was first seen]."""
    import kohort

    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    with kohort.open(shop_folder) as shop, closing(sqlite3.connect(Path(shop_folder) / "state.db")) as changed:
        last = shop.store.members.last_transition()
        print(last, flush=True)
        seen, version = [], 0
        while not over.is_set():
            time.sleep(0.001)
            # Asking costs as much as a tenth of a tick: only whether anybody wrote is looked at a thousand times a second.
            if (now := changed.execute("PRAGMA data_version").fetchone()[0]) == version:
                continue
            version, now = now, shop.store.members.last_transition()
            if now != last:
                seen.append((now, time.time()))
                last = now
        print(json.dumps(seen))


def quantiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    if not ordered:
        return "none"
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * q))] for name, q in QUANTILES.items()}
    return "  ".join(f"{name} {value * 1e3:,.1f} ms" for name, value in at.items())


QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def changes(shop: Path, server: Server, load: Load, title: str) -> None:
    """Sends, and prints how long the changes took and what the server needed for it."""
    observer = Observer(shop)
    cpu, began = server.cpu(), time.perf_counter()
    sender = send(load)
    memory = [(0.0, server.memory(), server.memory("VmRSS"))]
    while sender.poll() is None and time.perf_counter() - began < load.seconds:
        time.sleep(min(10.0, load.seconds))
        memory.append((time.perf_counter() - began, server.memory(), server.memory("VmRSS")))
    sent = came_of(sender)
    took, used = time.perf_counter() - began, server.cpu() - cpu
    behind = server.wait_until_current()
    time.sleep(0.5)
    latencies, missing = observer.latencies(sent)
    print(f"\n{title}: {sent['events']:,} events in {sent['seconds']:.0f} s, answers {sent['statuses']}")
    print(f"  send to stored change   {quantiles(latencies)}  ({len(latencies):,} changes, {missing} missing)")
    print(f"  send to confirmation    {quantiles(sent['answered'])}")
    print(f"  server {used / took:.2f} CPU, client {sent['cpu'] / sent['seconds']:.2f} CPU; idle {behind:.1f} s later")
    shown = "  ".join(f"{at:.0f} s {own:.0f}/{rss:.0f}" for at, own, rss in memory)
    print(f"  memory MB, own/with files  {shown}", flush=True)


def ingest(shop: Path, keys: list[str], seconds: float) -> None:
    """The journal alone: nothing is evaluated."""
    with serving([sys.executable, __file__, "--door", str(shop)]) as server:
        # A client of one process sends less than one core of the server takes.
        cpu = server.cpu()
        load = Load(server.port, keys, seconds, events=100, connections=8, people=PEOPLE, go=False)
        senders = [send(load) for _ in range(2)]
        sent = [came_of(sender) for sender in senders]
        used = server.cpu() - cpu
        events = sum(one["events"] for one in sent)
        print(f"\ndurable ingest alone: {events / seconds:,.0f} events/s with {used / seconds:.2f} CPU of the server")
        print(f"  {events / used:,.0f} events for a second of its CPU; confirmation {quantiles(sent[0]['answered'])}")
        print(
            f"  memory MB {server.memory('VmHWM'):.0f} at most; answers {[one['statuses'] for one in sent]}", flush=True
        )


def door(shop_folder: str) -> None:
    """The real door and the real journal, without a loop."""
    import uvicorn

    import kohort
    from kohort.cli.serving import HTTP
    from kohort.web.app import create
    from kohort.web.tracking import Limits

    class Inbox:
        def __init__(self, journal: Any) -> None:
            self.append = journal.append

        def room(self) -> bool:
            return True

    class Saying(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            print(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)

    limits = Limits(events_per_second=10**9, requests_per_second=10**9)
    with kohort.open(shop_folder) as shop, tempfile.TemporaryDirectory(dir=shop.root) as folder:
        from kohort.store.journal import Journal
        from kohort.store.keys import MasterKey

        with Journal(Path(folder) / "journal", MasterKey(bytes(32), "file")) as journal:
            app = create(shop, inbox=Inbox(journal), limits=limits)
            Saying(uvicorn.Config(app, port=0, http=HTTP, log_level="warning", date_header=False)).run()


def overload(shop: Path, keys: list[str], people: int, seconds: float) -> None:
    """Far more than can be worked on."""
    with serving(kohort(shop)) as server:
        server.wait_until_current()
        server.wait_until_warm()
        senders = [
            send(Load(server.port, keys, seconds, events=100, connections=16, people=people, go=False))
            for _ in range(2)
        ]
        health: list[float] = []
        while any(sender.poll() is None for sender in senders):
            began = time.perf_counter()
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=60).close()
            health.append(time.perf_counter() - began)
            time.sleep(0.1)
        sent = [came_of(sender) for sender in senders]
        waiting = server.live()["waiting_bytes"]
        recovered = server.wait_until_current()
        print(f"\noverload, {seconds:.0f} s: {sum(s['events'] for s in sent) / seconds:,.0f} events/s were confirmed")
        print(f"  answers {[s['statuses'] for s in sent]}; health {quantiles(health)}")
        print(f"  {waiting / 1e6:.0f} MB waited at the end; current again after {recovered:.1f} s")
        print(f"  memory MB {server.memory('VmHWM'):.0f} at most", flush=True)


def gauge() -> float:
    """Seconds for a fixed piece of plain Python: what the figures of two machines, or two hours, are compared by."""
    began, total = time.process_time(), 0
    for i in range(10_000_000):
        total += i
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-live")
    parser.add_argument("--only", default="singles,batches,ingest,overload")
    parser.add_argument("--observe", help=argparse.SUPPRESS)
    parser.add_argument("--door", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.observe or options.door:
        observe(options.observe) if options.observe else door(options.door)
        return
    shop = world(options.dir, options.customers)
    keys = json.loads((shop.parent / "keys.json").read_text())
    people = min(PEOPLE, options.customers // 2)
    first = int(time.time() * 200) % people  # nobody of a run a minute ago, who is in the segment still
    only, seconds = options.only.split(","), 60.0 * options.minutes
    print(f"{options.customers:,} customers, {20 * options.customers:,} events, 50 features, 31 segments")
    print(f"this machine: ten million additions in plain Python in {gauge():.2f} s")
    if {"singles", "batches"} & set(only):
        with serving(kohort(shop)) as server:
            current = server.ready_seconds + server.wait_until_current()
            print(f"server answers after {server.ready_seconds:.1f} s, members are current after {current:.1f} s")
            server.wait_until_warm()
            if "singles" in only:
                load = Load(server.port, keys, min(seconds, 60), 200, connections=16, people=people, first=first)
                changes(shop, server, load, "singles at 200/s")
            if "batches" in only:
                load = Load(server.port, keys, seconds, 50, events=100, people=people, first=first + people // 2)
                changes(shop, server, load, "batches of 100 at 5,000 events/s")
            print(f"server ended in {server.stop():.1f} s")
    if "ingest" in only:
        ingest(shop, keys, min(seconds, 20))
    if "overload" in only:
        overload(shop, keys, people, min(seconds, 60))


if __name__ == "__main__":
    main()
