"""Kafka at both ends of a workspace: a topic is read because the environment says so, and deliveries are written to one."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kohort.live.topic import NotWritten, TopicWriter
from kohort.workspace.live import service, wanted
from kohort.workspace.workspace import Workspace

pytestmark = pytest.mark.kafka

SEGMENTS = """
segments:
  buyers: {rule: "did('bought')"}
"""


def test_a_topic_in_the_environment_keeps_a_workspace_current(
    broker: Any, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.create(tmp_path / "shop")
    with (tmp_path / "shop" / "kohort.yaml").open("a") as out:
        out.write(SEGMENTS)
    assert not wanted(ws)
    monkeypatch.setenv("KOHORT_KAFKA_SERVERS", broker.servers)
    monkeypatch.setenv("KOHORT_KAFKA_TOPICS", topic)
    assert wanted(ws)
    broker.send(topic, *((None, json.dumps({"customer": f"c{n}", "event": "bought"}).encode()) for n in range(5)))
    live = service(ws)
    live.start()
    try:
        end = time.monotonic() + 60
        while live.loop.position.sources != {f"kafka:{topic}:0": 5}:
            assert time.monotonic() < end, live.state()
            time.sleep(0.05)
    finally:
        live.stop()
    assert len(ws.store.members.current("buyers")) == 5
    ws.close()


def read_all(broker: Any, topic: str, number: int) -> list[Any]:
    from confluent_kafka import Consumer

    consumer = Consumer(
        {"bootstrap.servers": broker.servers, "group.id": f"r-{topic}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[Any] = []
    end = time.monotonic() + 60
    while len(found) < number and time.monotonic() < end:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found.append(message)
    assert consumer.poll(0.5) is None
    consumer.close()
    return found


def test_deliveries_of_one_customer_keep_their_order_and_carry_their_id(broker: Any, tmp_path: Path) -> None:
    topic = broker.topic(f"deliveries-{tmp_path.name}", 3)
    writer = TopicWriter(broker.servers, topic)

    def write(customer: str) -> None:
        for n in range(25):
            writer.write(customer, b"%d" % n, {"id": f"{customer}-{n}"})

    threads = [threading.Thread(target=write, args=(f"c{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    writer.close()
    messages = read_all(broker, topic, 100)
    assert len(messages) == 100
    for customer in ("c0", "c1", "c2", "c3"):
        own = [m for m in messages if m.key() == customer.encode()]
        assert [m.value() for m in own] == [b"%d" % n for n in range(25)]
        assert [dict(m.headers())["id"] for m in own] == [f"{customer}-{n}".encode() for n in range(25)]
        assert len({m.partition() for m in own}) == 1


def test_what_no_broker_confirms_is_not_written(broker: Any, topic: str) -> None:
    for servers, name in (("127.0.0.1:1", topic), (broker.servers, "no-such-topic")):
        writer = TopicWriter(servers, name)
        begun = time.monotonic()
        with pytest.raises(NotWritten):
            writer.write("c", b"x", {})
        assert time.monotonic() - begun < 40
