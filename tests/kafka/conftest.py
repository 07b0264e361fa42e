"""Tests against a real Apache Kafka broker: its own jars, one process, KRaft mode, on this machine's loopback only.

One broker serves all of these tests; each has topics of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

HERE = Path(__file__).parent
JARS = Path(os.environ.get("KOHORT_KAFKA_JARS", Path.home() / ".cache" / "kohort" / "kafka-4.3.1"))
START_SECONDS = 120
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"


def jars() -> Path:
    """The folder of the broker's jars; fetched once by Maven, whoever asks at the same time waits."""
    JARS.mkdir(parents=True, exist_ok=True)
    with (JARS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (JARS / "complete").exists():
            goal = "dependency:copy-dependencies"
            command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), goal, "-DincludeScope=runtime"]
            subprocess.run([*command, f"-DoutputDirectory={JARS}"], check=True, timeout=900)
            (JARS / "complete").touch()
    return JARS


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Broker:
    """One broker with a folder of its own. `stop` and `start` again keeps what it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port, controller = free_port(), free_port()
        self.servers = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "data",
            "num.partitions": 1,
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "log.retention.check.interval.ms": 500,
            "log.cleaner.backoff.ms": 200,
            "log.initial.task.delay.ms": 500,
            "file.delete.delay.ms": 0,
            "num.io.threads": 2,
            "num.network.threads": 1,
            "log.cleaner.dedupe.buffer.size": 4_000_000,
        }
        self._file = folder / "server.properties"
        self._file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._run("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(self._file)).wait(START_SECONDS)

    def start(self) -> Broker:
        from confluent_kafka import KafkaException

        self._process = self._run("kafka.Kafka", str(self._file))
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                self.admin().list_topics(timeout=1)
            except KafkaException:
                if self._process.poll() is not None:
                    break
            else:
                return self
        raise RuntimeError((self.folder / "broker.log").read_text()[-4_000:])

    def stop(self) -> None:
        """As when the machine goes down: nothing is said to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def admin(self) -> AdminClient:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    def topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """A new topic; underscores in the names of settings stand for dots."""
        from confluent_kafka.admin import NewTopic

        settings = {key.replace("_", "."): value for key, value in config.items()}
        admin = self.admin()  # a client that is let go of answers nothing
        admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(60)
        return name

    def delete_topic(self, name: str) -> None:
        admin = self.admin()
        admin.delete_topics([name])[name].result(60)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """The log of a partition begins at an offset from now on."""
        from confluent_kafka import TopicPartition

        admin, place = self.admin(), TopicPartition(topic, partition, offset)
        admin.delete_records([place])[place].result(60)

    def send(self, topic: str, *records: tuple[str | None, bytes | None], partition: int = -1) -> None:
        """Writes records (key, value), in their order, and waits until they are there."""
        from confluent_kafka import Producer

        large = {"message.max.bytes": 8_000_000}
        producer = Producer({"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 5, **large})
        failed: list[object] = []
        for key, value in records:
            producer.produce(
                topic, value, key=key, partition=partition, on_delivery=lambda e, _: failed.append(e) if e else None
            )
            producer.poll(0)
        assert producer.flush(60) == 0
        assert not failed, failed[0]

    def _run(self, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        heap = ["-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command = ["java", *heap, "-cp", f"{jars()}/*", main, *arguments]
        with (self.folder / "broker.log").open("ab") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, cwd=self.folder)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A broker that is running."""
    folder = Path(tempfile.mkdtemp(prefix="kohort-kafka-"))
    one = Broker(folder)
    try:
        yield one.start()
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def topic(broker: Broker) -> str:
    """A topic of the test's own, with one partition."""
    return broker.topic(f"t-{uuid.uuid4().hex[:12]}")
