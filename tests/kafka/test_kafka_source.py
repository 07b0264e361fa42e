"""Kafka as a source, against a real broker: records come from where the caller is, whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kohort.errors import Busy
from kohort.ingest.tracking.reasons import Poison
from kohort.live.kafka import GAP, KafkaSource, partition_name
from kohort.live.kafka_settings import KafkaSettings
from kohort.live.sources import SourceState, Taken

pytestmark = pytest.mark.kafka


class Reader:
    """A caller that stores positions with what it took, as the loop does; `stored` is its disk."""

    def __init__(self, source: KafkaSource, stored: dict[str, int] | None = None) -> None:
        self.source = source
        self.stored: dict[str, int] = {} if stored is None else stored
        self.taken: list[Taken] = []

    def take(self, limit: int = 1_000) -> Taken:
        taken = self.source.take(self.stored, limit)
        self.stored.update(taken.positions)
        self.taken.append(taken)
        if not taken.more:
            self.source.wait(self.stored, 0.05)
        return taken

    @property
    def places(self) -> list[str]:
        return [arrival.place for taken in self.taken for arrival in taken.arrivals]

    def until(self, what: Callable[[], bool], seconds: float = 60.0, limit: int = 1_000) -> Reader:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, (self.places[-3:], self.stored, self.source.problem)
            self.take(limit)
        return self

    def got(self, number: int, **more: Any) -> Reader:
        return self.until(lambda: len(self.places) >= number, **more)


@pytest.fixture
def reader(broker: Any, topic: str) -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def make(stored: dict[str, int] | None = None, *, topics: tuple[str, ...] = (topic,), **more: Any) -> Reader:
        given = {"group": f"g-{topic}", "instance": "", "options": {"session.timeout.ms": "6000"}, **more}
        made.append(Reader(KafkaSource(KafkaSettings(broker.servers, topics, **given)), stored))
        return made[-1]

    yield make
    for one in made:
        one.source.close()


def records(first: int, last: int) -> list[tuple[str, bytes]]:
    return [(f"c{n % 7}", b'{"customer": "c%d", "event": "seen", "n": %d}' % (n % 7, n)) for n in range(first, last)]


def test_records_are_arrivals_with_their_place_and_the_moment_they_came(broker: Any, topic: str, reader: Any) -> None:
    before = time.time_ns() // 1_000
    broker.send(topic, *records(0, 3))
    one = reader().got(3)
    arrival = one.taken[-1].arrivals[0] if one.taken[-1].arrivals else one.taken[-2].arrivals[0]
    assert arrival.source == f"kafka:{topic}"
    assert one.places == [f"{topic}/0/{n}" for n in range(3)]
    assert before - 1_000 <= arrival.received_at <= time.time_ns() // 1_000
    assert arrival.payload["properties"] == {"n": int(arrival.place.rpartition("/")[2])}
    assert one.stored == {partition_name(topic, 0): 3}


def test_reading_goes_on_where_the_caller_is(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 50))
    one = reader().got(50, limit=7)
    assert all(len(taken.arrivals) <= 7 for taken in one.taken)
    one.source.close()
    broker.send(topic, *records(50, 60))
    assert reader({partition_name(topic, 0): 45}).got(15).places == [f"{topic}/0/{n}" for n in range(45, 60)]


def test_what_could_not_be_stored_is_handed_out_again(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 30))
    one = reader()
    one.until(lambda: bool(one.places), limit=10)
    one.until(lambda: len(one.places) >= 20, limit=10)
    one.stored[partition_name(topic, 0)] = 5  # the store says: everything later was rolled back
    one.taken.clear()
    assert one.got(25, limit=10).places == [f"{topic}/0/{n}" for n in range(5, 30)]
    one.stored.clear()  # even the first one
    one.taken.clear()
    assert one.got(30).places == [f"{topic}/0/{n}" for n in range(30)]


def test_more_says_whether_something_waits(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 20))
    one = reader()
    one.until(lambda: len(one.places) >= 10, limit=10)
    assert one.taken[-1].more
    one.got(20, limit=10)
    assert not one.taken[-1].more
    assert one.source.wait(one.stored, 0.01) is False
    broker.send(topic, *records(20, 21))
    assert one.source.wait(one.stored, 30) is True


def test_poison_stops_nothing(broker: Any, topic: str, reader: Any) -> None:
    good = b'{"customer": "c", "event": "seen"}'
    values = [good, None, b"", b"not json", b"[" * 100_000, b"\x00\x00\x00\x00\x01\xff\xff", b"\xc3\x01" + bytes(20)]
    values += [b"Obj\x01" + bytes(40), b"\xff\xfe", b'{"a": "' + b"x" * 900_000 + b'"}', b"7", b"\x00", good]
    broker.send(topic, *((None, value) for value in values))
    one = reader().got(len(values))
    payloads = [arrival.payload for taken in one.taken for arrival in taken.arrivals]
    codes = [p.code if isinstance(p, Poison) else None for p in payloads]
    assert codes[0] is None
    assert codes[-1] is None
    assert codes[1:9] == ["empty_record", *["bad_json"] * 3, *["bad_avro"] * 3, "bad_json"]
    assert codes[11] == "bad_avro"
    assert one.stored == {partition_name(topic, 0): len(values)}


def test_a_value_beyond_the_limit_is_not_looked_at(broker: Any, reader: Any) -> None:
    topic = broker.topic("large-values", max_message_bytes="4000000")
    broker.send(topic, ("c", b'{"a": "' + b"x" * 1_100_000 + b'"}'), ("c", b"{}"))
    one = reader(topics=(topic,)).got(2)
    assert next(a.payload for t in one.taken for a in t.arrivals) == Poison("too_large")


def test_a_truncated_topic_goes_on_at_the_earliest_and_says_what_is_lost(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 100))
    broker.delete_before(topic, 0, 60)
    one = reader({partition_name(topic, 0): 20}).got(40)
    assert one.places == [f"{topic}/0/{n}" for n in range(60, 100)]
    [gap] = one.source.gaps
    assert (gap.at, gap.earliest, gap.lost) == (20, 60, 40)
    assert one.source.state() == SourceState(f"kafka:{topic}", problem="", gaps=1, lost=40)
    [row] = [row for taken in one.taken for row in taken.rejected]
    assert (row.code, row.source, row.file, row.line) == (GAP, f"kafka:{topic}", f"{topic}/0", 20)
    assert row.raw == {"first": "20", "earliest": "60", "lost": "40"}


def test_truncation_while_reading_is_no_end(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 10))
    one = reader().got(10)
    broker.send(topic, *records(10, 100))
    broker.delete_before(topic, 0, 50)
    one.stored[partition_name(topic, 0)] = 10
    one.until(lambda: one.stored[partition_name(topic, 0)] == 100)
    later = [int(place.rpartition("/")[2]) for place in one.places[10:]]
    assert later == sorted(set(later))
    assert set(later) >= set(range(50, 100))
    lost = sum(gap.lost for gap in one.source.gaps)
    assert len(later) + lost == 90


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 20))
    first = reader().got(20)
    first.source.close()
    broker.delete_topic(topic)
    while topic in broker.admin().list_topics(timeout=10).topics:
        time.sleep(0.05)
    broker.topic(topic)
    broker.send(topic, *records(100, 105))
    one = reader(dict(first.stored)).got(5)
    assert one.places == [f"{topic}/0/{n}" for n in range(5)]
    assert one.stored == {partition_name(topic, 0): 5}
    assert [gap.lost for gap in one.source.gaps] == [0]


def test_offsets_that_are_no_records_are_passed_over(broker: Any, topic: str, reader: Any) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.servers, "transactional.id": topic})
    producer.init_transactions(30)
    for number in range(6):
        producer.begin_transaction()
        for key, value in records(number * 10, number * 10 + 3):
            producer.produce(topic, value, key=key)
        producer.flush()
        (producer.abort_transaction if number % 2 else producer.commit_transaction)()
    one = reader().got(9)
    one.take()
    numbers = [a.payload["properties"]["n"] for t in one.taken for a in t.arrivals]
    assert numbers == [0, 1, 2, 20, 21, 22, 40, 41, 42]  # what was aborted never was; markers take offsets
    one.source.close()
    again = reader({partition_name(topic, 0): 3}).got(6)
    assert [a.payload["properties"]["n"] for t in again.taken for a in t.arrivals] == [20, 21, 22, 40, 41, 42]


def test_gaps_of_compaction_are_none(broker: Any, reader: Any) -> None:
    fast = {"cleanup_policy": "compact", "segment_ms": "100", "min_cleanable_dirty_ratio": "0.01"}
    topic = broker.topic("compacted", max_compaction_lag_ms="100", min_compaction_lag_ms="0", **fast)
    for n in range(20):
        broker.send(topic, ("same", b'{"customer": "c", "event": "seen", "n": %d}' % n))
    time.sleep(0.2)
    broker.send(topic, ("other", b'{"customer": "c", "event": "last"}'))

    def left() -> list[str]:
        one = reader(topics=(topic,), group=f"look-{time.monotonic_ns()}")
        one.until(lambda: one.stored == {partition_name(topic, 0): 21})
        return one.places

    end = time.monotonic() + 90
    while len(places := left()) == 21:
        assert time.monotonic() < end
    assert places[-1] == f"{topic}/0/20"
    inside = reader({partition_name(topic, 0): 4}, topics=(topic,))  # a position whose record is gone, in the middle
    inside.until(lambda: inside.stored == {partition_name(topic, 0): 21})
    assert inside.source.gaps == []


def test_a_partition_read_from_its_end_does_not_forget_where_that_was(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 10))
    one = reader(begin="latest")
    one.until(lambda: one.stored == {partition_name(topic, 0): 10})  # although there was nothing to hand out
    assert one.places == []
    one.source.close()
    broker.send(topic, *records(10, 15))
    assert reader(dict(one.stored), begin="latest").got(5).places == [f"{topic}/0/{n}" for n in range(10, 15)]


def test_partitions_that_are_added_are_read(broker: Any, topic: str, reader: Any) -> None:
    from confluent_kafka.admin import NewPartitions

    broker.send(topic, *records(0, 3))
    one = reader(options={"topic.metadata.refresh.interval.ms": "500"}).got(3)
    admin = broker.admin()
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(60)
    broker.send(topic, *records(3, 6), partition=2)
    assert one.got(6).stored == {partition_name(topic, 0): 3, partition_name(topic, 2): 3}


def test_who_takes_a_place_in_the_group_ends_the_other(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 5))
    first = reader(instance="one").got(5)
    second = reader(dict(first.stored), instance="one")
    broker.send(topic, *records(5, 10))
    second.got(5)
    with pytest.raises(Busy):
        first.until(lambda: False, seconds=30)  # until Kafka says so it may read on: what it stores is what counts


def test_a_broker_that_cannot_be_reached_is_a_problem_and_no_failure(topic: str) -> None:
    source = KafkaSource(KafkaSettings("127.0.0.1:1", (topic,), "g"))
    one = Reader(source)
    one.until(lambda: bool(source.problem), seconds=30)
    assert one.places == []
    source.close()


def test_a_broker_that_goes_down_and_comes_back_costs_nothing(broker: Any, topic: str, reader: Any) -> None:
    broker.send(topic, *records(0, 50))
    one = reader().got(30, limit=10)
    broker.stop()
    one.until(lambda: bool(one.source.problem), seconds=30, limit=10)
    broker.start()
    broker.send(topic, *records(50, 60))
    one.got(60, limit=10)
    assert one.places == [f"{topic}/0/{n}" for n in range(60)]
    assert one.source.gaps == []
    assert one.source.problem == ""
