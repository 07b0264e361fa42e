"""Structured Streaming from a real broker: a driver that is killed around each commit loses nothing and doubles nothing,
and windows end while the topic is silent."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kohort.live.audit import audit
from kohort.store.store import Store
from kohort.workspace.live import look
from kohort.workspace.workspace import Workspace

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.spark,
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="needs pyspark"),
]

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "kohort" / "spark-kafka-4.2.0"
CONNECTOR = Path(os.environ.get("KOHORT_SPARK_KAFKA_JARS", CACHE))
PATIENCE = 240.0
DAY = 86_400
SEGMENTS = """
segments:
  thrice: {rule: "did('seen', at_least => 3)"}
  lately: {rule: "did('looked', within => '20 days')"}
"""


def connector() -> str:
    """The jars of Spark's connector, with commas; fetched once by Maven."""
    CONNECTOR.mkdir(parents=True, exist_ok=True)
    with (CONNECTOR / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CONNECTOR / "complete").exists():
            goal = "dependency:copy-dependencies"
            command = ["mvn", "-q", "-B", "-f", str(HERE / "spark" / "pom.xml"), goal, "-DincludeScope=runtime"]
            subprocess.run([*command, f"-DoutputDirectory={CONNECTOR}"], check=True, timeout=900)
            (CONNECTOR / "complete").touch()
    return ",".join(sorted(str(jar) for jar in CONNECTOR.glob("*.jar")))


def shop(folder: Path) -> Workspace:
    ws = Workspace.create(folder)
    with (folder / "kohort.yaml").open("a") as out:
        out.write(SEGMENTS)
    return ws


def started(folder: Path, broker: Any, topic: str, *more: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "KOHORT_SPARK_JARS": connector(), "KOHORT_THREADS": "2"}
    command = [sys.executable, str(HERE / "stream_on_spark.py"), str(folder), broker.servers, topic, *more]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)


def until(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.2)


def read(store: Store) -> int:
    """Records that had their effect."""
    return sum(store.ticks.position().sources.values())


def seen(first: int, last: int) -> list[tuple[str, bytes]]:
    return [(f"c{n}", b'{"customer": "c%d", "event": "seen", "id": "m%d"}' % (n % 40, n)) for n in range(first, last)]


def test_killed_around_each_commit_and_silent_topics(broker: Any, tmp_path: Path) -> None:
    topic = broker.topic(f"stream-{tmp_path.name}", 2)
    folder = tmp_path / "shop"
    broker.send(topic, *seen(0, 300), (None, b"not json"), (None, None), ("c", b"\x00\x00\x00\x00\x01\xff"))
    with shop(folder) as ws:
        effects = []
        for where in ("before", "after", "returned"):
            process = started(folder, broker, topic, "--die", where)
            assert process.wait(PATIENCE) == -9
            effects.append(read(ws.store))
        assert effects[0] == 0  # it will be read again
        assert 0 < effects[1] < effects[2] < 303  # it will be brought again, twice, and passed over
        process = started(folder, broker, topic)
        until(lambda: read(ws.store) == 303, process)
        given = look(ws)()
        assert audit(ws.store, given).sound
        assert ws.store.log.count() == 300
        assert sum(ws.store.state.rejected_counts().values()) == 3
        [report] = ws.store.ticks.position().batches.values()
        assert (report.read, report.stored, report.duplicate, report.rejected) == (303, 300, 0, 3)
        entries = ws.store.members.transitions(after=0).to_pylist()
        assert len(entries) == len({row["customer"] for row in entries}) == 40

        ends = int(time.time()) + 30
        record = {"customer": "w", "event": "looked", "time": f"{_iso(ends - 20 * DAY)}"}
        broker.send(topic, ("w", json.dumps(record).encode()))
        until(lambda: len(ws.store.members.transitions(after=0)) == 42, process)
        [entered, left] = ws.store.members.transitions(after=0).to_pylist()[-2:]
        assert (entered["name"], entered["change"]) == ("lately", "entered")
        assert (left["name"], left["change"], left["at"]) == ("lately", "left", ends * 1_000_000)
        assert read(ws.store) == 304
        process.communicate("", timeout=PATIENCE)  # its input ends, so that it stops
        assert process.returncode == 0
        assert audit(ws.store, given).sound
        assert ws.store.verify() == []


def test_the_command_tells_how_it_is(broker: Any, tmp_path: Path) -> None:
    topic = broker.topic(f"watched-{tmp_path.name}", 1)
    broker.send(topic, *seen(0, 3), (None, b"not json"))
    shop(tmp_path / "shop").close()
    command = [
        sys.executable,
        "-m",
        "kohort",
        "stream",
        "-w",
        str(tmp_path / "shop"),
        "--engine",
        "spark",
        "--every",
        "1",
    ]
    command += ["--kafka", broker.servers, "--topic", topic, "--port", "0"]
    environ = {**os.environ, "KOHORT_SPARK_JARS": connector(), "KOHORT_THREADS": "2"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environ)
    try:
        assert process.stderr is not None
        at = process.stderr.readline().split()[-1]
        assert httpx.get(at + "/health", timeout=60).json() == {"status": "ok"}
        assert httpx.get(at + "/ready").json()["code"] == "starting"  # Spark is
        until(lambda: "kohort_live_events_total{" in httpx.get(at + "/metrics").text, process)
        until(lambda: httpx.get(at + "/ready").status_code == 200, process)
        assert httpx.get(at + "/ready").json()["live"]["state"] == "current"
        text = httpx.get(at + "/metrics").text
        assert f'kohort_live_events_total{{became="stored",source="kafka:{topic}"}} 3.0' in text
        assert f'source="kafka:{topic}"}} 1.0' in text.partition("kohort_live_dead_letters_total{")[2].splitlines()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
