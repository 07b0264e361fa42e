"""Triggers that tell a Kafka topic, end to end: from an event to a message with an id, once, also when we are killed between."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kohort.actions.avro_schema import schema_of
from kohort.live.avro import Schemas
from kohort.workspace.live import service
from kohort.workspace.workspace import Workspace

pytestmark = pytest.mark.kafka

YAML = """
segments:
  buyers: {{rule: "did('bought')"}}
destinations:
  topic: {{kafka: {topic}, servers: "{servers}"{more}}}
triggers:
  welcome: {{on: entered buyers, send_to: topic}}
  plan: {{on: {{traits: [plan, t_city]}}, send_to: topic}}
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from kohort.store.deliveries import Deliveries
from kohort.workspace.workspace import Workspace

def dies(self, outcomes, *, now):
    if outcomes:
        os.kill(os.getpid(), signal.SIGKILL)

Deliveries.settle = dies
with Workspace.open(Path(sys.argv[1])) as ws:
    ws.triggers.send(60)
"""


class Topic:
    """A topic from its beginning, read again and again; each question waits for so many messages more."""

    def __init__(self, broker: Any, name: str) -> None:
        from confluent_kafka import Consumer

        self.name = name
        settings = {"bootstrap.servers": broker.servers, "group.id": f"r-{name}", "auto.offset.reset": "earliest"}
        self._consumer = Consumer(settings)
        self._consumer.subscribe([name])

    def next(self, number: int, seconds: float = 60.0) -> list[Any]:
        """Exactly so many: one more would come within a moment."""
        found: list[Any] = []
        end = time.monotonic() + seconds
        while len(found) < number and time.monotonic() < end:
            found += [m for m in [self._consumer.poll(0.5)] if m is not None and m.error() is None]
        more = self._consumer.poll(1.0)
        assert more is None or more.error() is not None
        assert len(found) == number
        return found

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def told(broker: Any) -> Iterator[Topic]:
    """The topic that changes are written to."""
    found = Topic(broker, broker.topic(f"told-{uuid.uuid4().hex[:12]}", 3))
    yield found
    found.close()


@pytest.fixture
def shop(broker: Any, topic: str, told: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A workspace that is kept current from one topic and tells another."""
    made: list[Workspace] = []
    monkeypatch.setenv("KOHORT_KAFKA_SERVERS", broker.servers)
    monkeypatch.setenv("KOHORT_KAFKA_TOPICS", topic)

    def make(more: str = "") -> Workspace:
        made.append(Workspace.create(tmp_path / f"shop{len(made)}"))
        with (made[-1].root / "kohort.yaml").open("a") as out:
            out.write(YAML.format(topic=told.name, servers=broker.servers, more=more))
        return made[-1]

    yield make
    for ws in made:
        assert ws.store.verify() == []
        ws.close()


def bought(customer: str) -> bytes:
    return json.dumps({"customer": customer, "event": "bought"}).encode()


def identify(customer: str, **traits: Any) -> bytes:
    call = {"type": "identify", "userId": customer, "messageId": uuid.uuid4().hex, "traits": traits}
    return json.dumps(call).encode()


class Current:
    """The loop in this process, until what was sent has had its effect."""

    def __init__(self, ws: Workspace, broker: Any, topic: str) -> None:
        self.ws, self.broker, self.topic, self.sent = ws, broker, topic, 0

    def __call__(self, *values: bytes) -> None:
        live = service(self.ws)
        live.start()
        try:
            self.until(live.ready.is_set, live)
            self.broker.send(self.topic, *((None, value) for value in values))
            self.sent += len(values)
            self.until(lambda: live.loop.position.sources.get(f"kafka:{self.topic}:0") == self.sent, live)
        finally:
            live.stop()

    def until(self, what: Callable[[], bool], live: Any) -> None:
        end = time.monotonic() + 90
        while not what():
            assert time.monotonic() < end, live.state()
            time.sleep(0.05)


def header(message: Any, name: str) -> str:
    return dict(message.headers())[name].decode()


def test_who_enters_and_whose_traits_change_is_told_once_with_an_id(
    broker: Any, topic: str, told: Topic, shop: Any
) -> None:
    ws = shop()
    current = Current(ws, broker, topic)
    assert ws.triggers.send(60) == {}  # what happens after the first look is told
    current(bought("ana"), identify("ana", plan="silver", age=3), bought("bob"))
    current(identify("ana", plan="gold", city="Bonn"), identify("bob", age=4))
    assert ws.triggers.send(60) == {"done": 4}
    messages = told.next(4)
    said = [json.loads(m.value()) for m in messages]
    assert [header(m, "id") for m in messages] == [one["id"] for one in said]
    assert {header(m, "content-type") for m in messages} == {"application/json"}
    assert len({one["id"] for one in said}) == 4
    of_ana = [(m, one) for m, one in zip(messages, said, strict=True) if one["data"]["customer_id"] == "ana"]
    assert len({(m.key(), m.partition()) for m, _ in of_ana}) == 1, "her messages have one key and keep their order"
    changes = [one["data"] for _, one in of_ana if one["type"] == "traits.changed"]
    assert [(d["traits"], d["previous"]) for d in changes] == [
        ({"plan": "silver"}, {"plan": None}),
        ({"plan": "gold", "city": "Bonn"}, {"plan": "silver", "city": None}),
    ]
    entries = {one["data"]["customer_id"] for one in said if one["type"] == "segment.entered"}
    assert entries == {"ana", "bob"}
    assert ws.triggers.send(60) == {"done": 4}
    told.next(0)


def test_killed_between_writing_and_noting_it_the_same_ids_come_again(
    broker: Any, topic: str, told: Topic, shop: Any
) -> None:
    ws = shop()
    ws.triggers.send(60)
    Current(ws, broker, topic)(bought("ana"), identify("bob", plan="gold"))
    command = [sys.executable, "-c", KILLED, str(ws.root)]
    assert subprocess.run(command, timeout=120, check=False).returncode == -signal.SIGKILL
    first = [header(m, "id") for m in told.next(2)]
    assert ws.triggers.send(60) == {"done": 2}
    assert sorted(header(m, "id") for m in told.next(2)) == sorted(first), "a receiver can drop what it has seen"
    assert ws.triggers.send(60) == {"done": 2}
    told.next(0)


def test_in_avro_it_is_read_by_others_and_by_a_workspace(
    broker: Any, topic: str, told: Topic, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fastavro

    ws = shop(", format: avro, shape: track")
    folder = ws.root.parent
    ws.triggers.send(60)
    Current(ws, broker, topic)(bought("ana"), identify("ana", plan="gold"))
    assert ws.triggers.send(60) == {"done": 2}
    messages = told.next(2)
    schema = fastavro.parse_schema(schema_of("track"))
    read: list[Any] = [fastavro.schemaless_reader(io.BytesIO(m.value()[10:]), schema, None) for m in messages]
    assert {header(m, "content-type") for m in messages} == {"avro/binary"}
    assert sorted(one["event"] for one in read) == ["Audience Entered", "Traits Changed"]
    assert {one["messageId"] for one in read} == {header(m, "id") for m in messages}
    file = folder / "track.avsc"
    file.write_text(json.dumps(schema_of("track")))
    assert [Schemas.read(file).object_of(m.value()) for m in messages] == read
    monkeypatch.setenv("KOHORT_KAFKA_TOPICS", told.name)
    monkeypatch.setenv("KOHORT_KAFKA_SCHEMA", str(file))
    with Workspace.create(folder / "other") as other:
        live = service(other)
        live.start()
        Current(other, broker, told.name).until(lambda: sum(live.loop.position.sources.values()) == 2, live)
        live.stop()
        rows = other.store.log.snapshot().hot
        assert rows is not None
        assert sorted(rows["event"].to_pylist()) == ["Audience Entered", "Traits Changed"]
        assert set(other.store.vault.refs(rows["customer"].to_pylist())) == {"ana"}
        assert rows["p_plan"].drop_null().to_pylist() == ["gold"]
        assert other.store.state.rejected_counts() == {}


def test_the_stream_sends_what_its_triggers_tell(broker: Any, topic: str, told: Topic, shop: Any) -> None:
    ws = shop()
    command = [sys.executable, "-m", "kohort", "stream", "-w", str(ws.root), "--json", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        broker.send(topic, (None, identify("ana", plan="silver")))
        end = time.monotonic() + 120
        while ws.store.ticks.position().sources.get(f"kafka:{topic}:0") != 1:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        broker.send(topic, (None, identify("ana", plan="gold")), (None, bought("ana")))
        said = [json.loads(m.value()) for m in told.next(3, 90)]
        changes = [d["data"]["traits"] for d in said if d["type"] == "traits.changed"]
        assert changes == [{"plan": "silver"}, {"plan": "gold"}]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.wait()
    assert {d["state"] for d in ws.triggers.deliveries()} == {"done"}


def test_a_stream_without_the_client_says_so_before_anything_else(topic: str, shop: Any) -> None:
    ws = shop()
    without = "import sys; sys.modules['confluent_kafka'] = None; from kohort.cli.app import app; app()"
    command = [sys.executable, "-c", without, "stream", "-w", str(ws.root), "--json", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "http://" not in done.stderr
    assert "kohort[kafka]" in done.stdout + done.stderr


def test_a_broker_that_is_there_again_is_no_problem_any_more_though_nothing_comes(broker: Any, topic: str) -> None:
    from kohort.live.kafka import KafkaSource
    from kohort.live.kafka_settings import KafkaSettings

    source = KafkaSource(KafkaSettings(broker.servers, (topic,), f"g-{topic}", instance=""))

    def until(what: Callable[[], bool]) -> None:
        end = time.monotonic() + 90
        while not what():
            assert time.monotonic() < end, source.problem
            source.take({}, 10)
            source.wait({}, 0.1)

    try:
        until(lambda: bool(source._next))
        broker.stop()
        until(lambda: bool(source.problem))
        broker.start()
        until(lambda: not source.problem)
        assert source.state().problem == ""
    finally:
        source.close()
