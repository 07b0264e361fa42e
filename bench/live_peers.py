"""Kohort beside stream processors: the same events through one Kafka broker, in one run, on one machine.

    python bench/live_peers.py                             200,000 events
    python bench/live_peers.py --events 20000 --only kohort,quix
    python bench/live_peers.py --dir D                     keep the peers' environment in D

Everybody keeps the same rule, "did `seen` at least 3 times within 10 minutes". One after the other, each as a process of its
own that was warmed up: single events at `--rate`, each of which makes its customer enter; a backlog, written while the
process is stopped (SIGSTOP) and timed from the moment it goes on; exits by time alone while the topic is silent. What is
seen is a record in the peer's output topic, or a transition in Kohort's store, by the process that sends. Who entered is
compared with who should have: a contestant that is wrong is said to be.

Peers are installed into an environment of their own by uv; the project knows nothing of them. The broker is that of the
tests (tests/kafka/conftest.py): its jars come by Maven, once. CPU and memory are those of the contestant and of its
children, without the broker. Memory is PSS: what several share is counted once.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_seen import Seen, StoreSeen, TopicSeen
from proc_tree import Tree

HERE = Path(__file__).parent
KAFKA_TESTS = HERE.parent / "tests" / "kafka"
PARTITIONS, WINDOW = 2, 600.0
RULE = "did('seen', at_least => 3, within => '10 minutes')"

WHAT_IS_NOT_DONE = {
    "kohort": "one of any number of definitions that are text in a file; exactly once; exits at their exact instant; keeps "
    "every event (sealed ids, each id once for ever), every transition with its reason, rejected records",
    "quix": "one rule coded by hand; at least once (a restart may repeat entries); exits only when the customer's next event "
    "comes; keeps three moments per customer: no history, no other rule later, no events known twice by their id",
    "quix-once": "as quix, with exactly-once transactions, ten commits a second",
    "spark": "one rule coded by hand, nearly the same (windows begin every minute); entries are repeated; no exits, no "
    "history, no ids; output at least once",
    "spark-state": "one rule coded by hand; exits by a timeout of the clock, for which it runs batches all the time; no "
    "history, no ids; output at least once",
}


def module_of(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def speed() -> float:
    """Seconds that this machine needs now for a fixed piece of Python: figures of two runs are only as equal as these."""
    began, total = time.perf_counter(), 0
    for n in range(10_000_000):
        total += n & 7
    return time.perf_counter() - began


def environment(folder: Path, wanted: set[str], spark_version: str) -> Path:
    """The Python of the peers, in which they are installed."""
    python, uv = folder / "env" / "bin" / "python", shutil.which("uv") or HERE.parent / ".tools" / "bin" / "uv"
    packages = ["quixstreams"] if wanted & {"quix", "quix-once"} else []
    packages += [f"pyspark[sql]=={spark_version}"] if wanted & {"spark", "spark-state"} else []
    if packages:
        if not python.exists():
            subprocess.run([uv, "venv", "-q", "-p", "3.11", folder / "env"], check=True)
        subprocess.run([uv, "pip", "install", "-q", "-p", python, *packages], check=True)
        said = "import importlib.metadata as m; print([n + ' ' + m.version(n) for n in NAMES])"
        names = [name.partition("[")[0].partition("=")[0] for name in packages]
        subprocess.run([python, "-c", said.replace("NAMES", repr(names))], check=True)
    return python


Record = tuple[str, bytes]


def record(customer: str, event: str, number: str, at: float) -> Record:
    millis = f"{at % 1:.3f}"[2:] if at % 1 < 0.9995 else "999"
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{millis}+00:00"
    body = {"customer": customer, "event": event, "id": number, "time": moment, "page": "shoes", "seconds": 17}
    return customer, json.dumps(body).encode()


def stream_of(events: int, prefix: str, seed: int) -> tuple[list[Record], set[str]]:
    """Events of the three minutes before now, a quarter as many customers, and who enters by them."""
    rng, begin, times, records = random.Random(seed), time.time() - 180, dict[str, int](), list[Record]()
    for n in range(events):
        customer, event = f"{prefix}{rng.randrange(max(1, events // 4))}", "seen" if rng.random() < 0.75 else "page"
        records.append(record(customer, event, f"{prefix}-{n}", begin + 180 * n / events))
        if event == "seen":
            times[customer] = times.get(customer, 0) + 1
    return records, {customer for customer, n in times.items() if n >= 3}


class Sender:
    """Writes to the input topic, each customer to one partition."""

    def __init__(self, servers: str, topic: str) -> None:
        from confluent_kafka import Producer

        self.topic = topic
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "acks": "all", "log_level": 0})

    def send(self, *records: Record) -> None:
        for key, value in records:
            while True:
                try:
                    self._producer.produce(self.topic, value, key=key)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(120) == 0


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else float("nan")


class Contest:
    """One contestant, from its start to its end."""

    def __init__(self, sender: Sender, seen: Seen, tree: Tree, options: argparse.Namespace) -> None:
        self.sender, self.seen, self.tree, self.options = sender, seen, tree, options
        self.found: dict[str, float] = {}
        self.wrong: list[str] = []

    def run(self, began: float) -> dict[str, float]:
        self._warm(began)
        self._singles()
        self._backlog()
        self._exits()
        self.found["peak memory, MB"] = self.tree.peak_mb
        return self.found

    def _sure(self, wanted: set[str], what: str, patience: float = math.inf) -> None:
        """Waits until all have entered; says who did not, or did without a reason."""
        patience = min(patience, self.options.patience)
        missing = self.seen.wait(wanted, "entered", patience, self.tree.alive)
        if missing:
            self.wrong.append(f"{what}: {len(missing):,} of {len(wanted):,} entries were not seen in {patience:.0f} s")

    def _warm(self, began: float) -> None:
        self.sender.send(
            *(record(f"first{n}", "seen", f"first{n}-{i}", time.time()) for n in range(9) for i in range(3))
        )
        self._sure({f"first{n}" for n in range(9)}, "start")
        if self.wrong:
            raise BrokenPipeError
        self.found["start to first entry, s"] = time.time() - began
        for turn in range(2):
            records, entering = stream_of(max(1_000, self.options.events // 20), f"warm{turn}x", turn)
            self.sender.send(*records)
            self._sure(entering, "warm-up")

    def _singles(self) -> None:
        """The third event of each customer, one after the other, at times fixed beforehand."""
        number = int(self.options.rate * self.options.seconds)
        self.sender.send(*(record(f"s{n}", "seen", f"s{n}-{i}", time.time()) for n in range(number) for i in range(2)))
        self.sender.send(
            *(record(f"ready{n}", "seen", f"ready{n}-{i}", time.time()) for n in range(9) for i in range(3))
        )
        self._sure({f"ready{n}" for n in range(9)}, "before singles")
        cpu, began, due = self.tree.cpu(), time.time() + 0.1, dict[str, float]()
        for n in range(number):
            due[f"s{n}"] = began + n / self.options.rate
            time.sleep(max(0.0, due[f"s{n}"] - time.time()))
            self.sender.send(record(f"s{n}", "seen", f"s{n}-2", time.time()))
        self._sure(set(due), "singles")
        took = time.time() - began
        self.found["cores busy meanwhile"] = (self.tree.cpu() - cpu) / took
        late = [self.seen.at[who, "entered"] - at for who, at in due.items() if (who, "entered") in self.seen.at]
        for name, q in {"p50": 0.5, "p90": 0.9, "p99": 0.99}.items():
            self.found[f"send to visible change {name}, ms"] = 1e3 * quantile(late, q)

    def _backlog(self) -> None:
        events = self.options.events
        records, entering = stream_of(events, "b", 7)
        marks = {f"mark{n}" for n in range(32)}  # the last ones of every partition: what was before has had its effect
        self.tree.pause()
        try:
            self.sender.send(*records)
            self.sender.send(*(record(who, "seen", f"{who}-{i}", time.time()) for i in range(3) for who in marks))
            self.sender.flush()
        finally:
            self.tree.go_on()
        cpu, began = self.tree.cpu(), time.time()
        self._sure(marks | entering, "backlog")
        took = max(self.seen.at.get((who, "entered"), time.time()) for who in marks | entering) - began
        more = {who for who, change in self.seen.at if change == "entered" and who[0] == "b"} - entering
        if more:
            self.wrong.append(f"backlog: {len(more):,} entered who should not have")
        self.found["backlog, events/s"] = events / took
        self.found["CPU s per 1,000 events of the backlog"] = (self.tree.cpu() - cpu) / events * 1e3

    def _exits(self) -> None:
        """Three events of which the first leaves the window in a while; nothing is sent any more."""
        people, soon = {f"exit{n}" for n in range(20)}, self.options.exit
        leaves = time.time() + soon
        moments = (leaves - WINDOW, leaves - WINDOW / 2, time.time())
        self.sender.send(*(record(who, "seen", f"{who}-{i}", at) for who in people for i, at in enumerate(moments)))
        self.sender.flush()
        self._sure(people, "exits", soon)
        self.seen.wait(people, "left", max(0.0, leaves + 60 - time.time()), self.tree.alive)
        late = [self.seen.at[who, "left"] - leaves for who in people if (who, "left") in self.seen.at]
        self.found["exits by time of 20, silent topic"] = len(late)
        self.found["exit after its instant p50, ms"] = 1e3 * quantile(late, 0.5)


@contextmanager
def started(command: list[Any], log: Path) -> Iterator[Tree]:
    with log.open("wb") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, start_new_session=True)
        tree = Tree(process)
        try:
            yield tree
        finally:
            tree.end()


def kohort_of(folder: Path, servers: str, incoming: str) -> tuple[list[Any], Callable[[], Seen]]:
    import kohort

    with kohort.create(folder / "shop", name="Bench"):
        pass
    with (folder / "shop" / "kohort.yaml").open("a") as out:
        out.write(f"segments:\n  often: {{rule: {json.dumps(RULE)}}}\n")
    command = [sys.executable, "-m", "kohort", "stream", "-w", folder / "shop", "--engine", "duckdb"]
    return [*command, "--kafka", servers, "--topic", incoming], lambda: StoreSeen(folder / "shop", "often")


@dataclass(frozen=True, slots=True)
class Ground:
    """What all contestants share: the broker, the Python of the peers, Spark's connector, a folder."""

    broker: Any
    python: Path
    jars: str
    folder: Path


def contestant(name: str, ground: Ground, options: argparse.Namespace) -> Contest:
    broker, own = ground.broker, ground.folder / name
    own.mkdir()
    incoming, outgoing = (broker.topic(f"{name}-{way}", PARTITIONS) for way in ("in", "out"))
    state = own / "state"
    if name == "kohort":
        command, watch = kohort_of(own, broker.servers, incoming)
    else:
        watch = lambda: TopicSeen(broker.servers, outgoing, PARTITIONS)  # noqa: E731
        peer, _, mode = name.partition("-")
        command = [ground.python, "-W", "ignore", HERE / f"peer_{peer}.py"]
        if peer == "quix":
            command += [broker.servers, incoming, outgoing, state, *(["--once"] if mode else [])]
        else:
            command += ["state" if mode else "window", broker.servers, incoming, outgoing, state, ground.jars]
    began = time.time()
    with watch() as seen, started(command, own / "log") as tree:
        contest = Contest(Sender(broker.servers, incoming), seen, tree, options)
        try:
            contest.run(began)
        except BrokenPipeError:
            contest.wrong.append(f"it does not run:\n{(own / 'log').read_text()[-2_000:]}")
    return contest


def shown(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def table(contests: dict[str, Contest]) -> str:
    """A Markdown table; in brackets, as a multiple of the first column."""
    first = next(iter(contests.values()))
    lines = [f"| | {' | '.join(contests)} |", f"|---|{'---:|' * len(contests)}"]
    for name in dict.fromkeys(name for contest in contests.values() for name in contest.found):
        base, cells = first.found.get(name, math.nan), []
        for contest in contests.values():
            value = contest.found.get(name, math.nan)
            ratio = math.nan if contest is first or not base else value / base
            cells.append(shown(value) + ("" if math.isnan(ratio) else f" ({ratio:.2g}×)"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--only", default=",".join(WHAT_IS_NOT_DONE), help="Of: %(default)s")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-peers")
    parser.add_argument("--rate", type=float, default=100.0, help="Single events a second.")
    parser.add_argument("--seconds", type=float, default=15.0, help="How long single events are sent.")
    parser.add_argument("--patience", type=float, default=300.0, help="Seconds after which a change counts as missing.")
    parser.add_argument("--exit", type=float, default=30.0, help="Seconds until customers leave by time alone.")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # what was started is ended, too
    names = options.only.split(",")
    if unknown := set(names) - set(WHAT_IS_NOT_DONE):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    options.dir.mkdir(parents=True, exist_ok=True)
    kafka, spark = module_of(KAFKA_TESTS / "conftest.py"), module_of(KAFKA_TESTS / "test_spark_stream_once.py")
    python = environment(options.dir, set(names), spark.CACHE.name.rpartition("-")[2])
    jars = spark.connector() if set(names) & {"spark", "spark-state"} else ""
    contests: dict[str, Contest] = {}
    with tempfile.TemporaryDirectory(dir=options.dir) as work:
        (Path(work) / "broker").mkdir()
        broker = kafka.Broker(Path(work) / "broker")
        try:
            broker.start()
            for name in names:
                print(f"{name}: a fixed loop of Python takes {speed():.2f} s now", flush=True)
                contests[name] = contestant(name, Ground(broker, python, jars, Path(work)), options)
                print(
                    *(f"  {what}: {shown(value)}" for what, value in contests[name].found.items()), sep="\n", flush=True
                )
        finally:
            broker.stop()
    print(
        f"\n{options.events:,} events of {options.events // 4:,} customers, {PARTITIONS} partitions\n\n{table(contests)}\n"
    )
    for name, contest in contests.items():
        print(f"{name}: {WHAT_IS_NOT_DONE[name]}")
        for text in contest.wrong:
            print(f"  not as the rule says: {text}")


if __name__ == "__main__":
    main()
