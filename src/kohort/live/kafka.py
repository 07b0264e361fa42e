"""Kafka topics as a source of the loop: every record counts exactly once, because its position is stored with its effect.

What Kafka itself knows of our position is never asked; it is told now and then, for those who watch the lag. The caller
says with every question where it is, and the source goes there: after a failure, a restart, or when a partition came from
another process. Whoever lost a partition without noticing cannot store anything, for the stored position is another one by
then (`store.ticks.Overtaken`).
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from kohort.errors import Busy, MissingExtra
from kohort.ingest.tracking.reasons import Poison
from kohort.ingest.tracking.records import arrival_of, arrival_of_value
from kohort.live.avro import NotAvro, Schemas, is_avro
from kohort.live.kafka_settings import KafkaSettings
from kohort.live.sources import SourceState, Taken
from kohort.model.arrival import Arrival
from kohort.model.source import RejectedRow

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

log = logging.getLogger("kohort.kafka")

GAP = "kafka_gap"
GAP_REASON = "Records of this partition were gone before they were read; reading goes on with the earliest there is."
MAX_VALUE_BYTES = 1024**2
"""A larger value is not even looked at; what one event may hold is less."""

_ASTRAY = -1
"""The client is not where the caller is, and nothing of this partition is handed out until it is."""

_OF_TOPICS = frozenset(["UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "TOPIC_AUTHORIZATION_FAILED"])
"""Problems that a connection does not end."""

_LOOK_SECONDS = 3.0
_TELL_SECONDS = 5.0
_ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that were gone before they were read, or a partition that begins anew.

    Attributes:
        at: The position that was to be read.
        earliest: Where reading went on.
        lost: Records that nobody can read any more, as far as can be known; 0 where the partition begins anew.
    """

    topic: str
    partition: int
    at: int
    earliest: int
    lost: int


class KafkaSource:
    """See `kohort.live.sources.Source`. One thread uses it.

    Attributes:
        gaps: What was found missing since this process began.
        problem: Kafka's name of the last thing that went wrong; empty once records come in or the group works again.

    Raises:
        MissingExtra: The Kafka client is not installed.
        BadInput: A schema cannot be read.
    """

    def __init__(self, settings: KafkaSettings, *, clock: Callable[[], int] = lambda: time.time_ns() // 1_000) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise MissingExtra("kafka", "Reading from Kafka") from error
        self.settings, self.problem = settings, ""
        self.gaps: list[Gap] = []
        self._kafka, self._clock = confluent_kafka, clock
        self._schemas = Schemas.read(settings.schema)
        self._consumer: Consumer | None = None
        self._fenced = False  # the client is of no use any more
        self._at: Mapping[str, int] = {}
        self._next: dict[
            str, int | None
        ] = {}  # of assigned partitions: what the client hands out next; None = the first
        self._begun: dict[str, int] = {}  # where partitions begin that are not read from their first record
        self._waiting: deque[Message] = deque()
        self._told: tuple[float, Mapping[str, int]] = (0.0, {})

    # -- kohort.live.sources.Source --------------------------------------------------------------------------------

    def take(self, positions: Mapping[str, int], limit: int) -> Taken:
        """See `Source.take`. Records that are no events come along as arrivals that will be refused, each with its place.

        Raises:
            Busy: Another process took this one's place in the group.
        """
        self._go_to(positions)
        arrivals: list[Arrival] = []
        missed: list[RejectedRow] = []
        after: dict[str, int] = {}
        while len(arrivals) < limit:
            message = self._waiting.popleft() if self._waiting else self._poll(0)
            if message is None:
                break
            if message.error() is not None:
                missed += self._went_wrong(message, after)
            elif self._expected(message):
                arrivals.append(self._arrival(message))
                name = partition_name(message.topic(), message.partition())
                after[name] = self._next[name] = message.offset() + 1
        for name, at in self._begun.items():
            if name not in positions and name not in after:
                after[name] = at
        return Taken(arrivals, after, missed, more=self._more(len(arrivals) == limit))

    def wait(self, positions: Mapping[str, int], seconds: float) -> bool:
        """See `Source.wait`."""
        self._go_to(positions)
        if not self._waiting and (message := self._poll(seconds)) is not None:
            self._waiting.append(message)
        return bool(self._waiting)

    def stored(self, positions: Mapping[str, int]) -> None:
        """Tells Kafka how far we are, for those who watch; nothing depends on whether it hears."""
        own = {name: at for name, at in positions.items() if name in self._next}
        when, told = self._told
        if own == told or time.monotonic() < when + _TELL_SECONDS:
            return
        self._told = time.monotonic(), own
        self._tell(own, wait=False)

    def close(self) -> None:
        """Leaves the group."""
        if self._consumer is not None:
            self._tell({n: at for n, at in self._at.items() if n in self._next}, wait=True)
            self._drop()

    def state(self) -> SourceState:
        """See `kohort.live.sources.Telling`."""
        gaps = list(self.gaps)
        name = f"kafka:{','.join(self.settings.topics)}"
        return SourceState(name, self.problem, len(gaps), sum(gap.lost for gap in gaps))

    # -- going where the caller is ---------------------------------------------------------------------------------

    def _go_to(self, positions: Mapping[str, int]) -> None:
        """Makes every assigned partition go on where the caller is."""
        self._at = positions
        for name, coming in list(self._next.items()):
            wanted = positions.get(name, self._begun.get(name))
            if wanted != coming:
                self._seek(name, wanted)

    def _seek(self, name: str, offset: int | None) -> None:
        """Takes a partition up anew: seeking fails where the client has stopped reading it, this does not."""
        self._forget([name])
        self._next[name] = _ASTRAY
        try:
            self._client().incremental_unassign([self._partition(name, None)])
            self._client().incremental_assign([self._partition(name, offset)])
        except self._kafka.KafkaException as error:
            self._give_up(error.args[0].name(), "Kafka does not let us go where reading is to go on.")
        self._next[name] = offset

    def _assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Partitions came to us: they are read from where the caller is, whatever Kafka remembers."""
        for partition in partitions:
            name = partition_name(partition.topic, partition.partition)
            if name not in self._at and self.settings.begin == "latest":
                self._begun[name] = consumer.get_watermark_offsets(partition, timeout=_ASK_SECONDS)[1]
            self._next[name] = self._at.get(name, self._begun.get(name))
            partition.offset = self._offset(self._next[name])
        consumer.incremental_assign(list(partitions))

    def _revoked(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        names = [partition_name(p.topic, p.partition) for p in partitions]
        self._forget(names)
        for name in names:
            self._next.pop(name, None)

    def _forget(self, names: Sequence[str]) -> None:
        """What waits of some partitions is not to be handed out: it will be read again, by whoever has them."""
        kept = [m for m in self._waiting if partition_name(m.topic(), m.partition()) not in names]
        self._waiting = deque(kept)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _poll(self, seconds: float) -> Message | None:
        try:
            message = self._client().poll(seconds)
        except self._kafka.KafkaException as error:
            self._give_up(error.args[0].name(), "Kafka cannot be asked where its topics begin and end.")
        if message is not None and message.error() is not None:
            self._told_of(message.error())
        if self._fenced:
            self._give_up(self.problem, "Another process reads these Kafka topics in place of this one.")
        return message

    def _give_up(self, problem: str, message: str) -> NoReturn:
        """Begins anew with the next question."""
        self.problem = problem
        self._drop()
        raise Busy(message)

    def _expected(self, message: Message) -> bool:
        """Whether a record follows what was taken; one from before a change of partitions does not."""
        name = partition_name(message.topic(), message.partition())
        if name not in self._next:
            return False
        coming = self._next[name]
        return coming is None or (coming != _ASTRAY and message.offset() >= coming)

    def _arrival(self, message: Message) -> Arrival:
        self.problem = ""
        value = message.value()
        kind, milliseconds = message.timestamp()
        now = self._clock()
        known = kind != self._kafka.TIMESTAMP_NOT_AVAILABLE and milliseconds > 0
        place: dict[str, Any] = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp_us": min(milliseconds * 1_000, now) if known else now,
        }
        if value is not None and len(value) > MAX_VALUE_BYTES:
            return arrival_of_value(Poison("too_large"), **place)
        return arrival_of_record(value, self._schemas, **place)

    def _more(self, full: bool) -> bool:
        if full and not self._waiting and (message := self._poll(0)) is not None:
            self._waiting.append(message)
        return bool(self._waiting)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _went_wrong(self, message: Message, after: dict[str, int]) -> list[RejectedRow]:
        if message.error().code() == self._kafka.KafkaError._AUTO_OFFSET_RESET and message.topic() is not None:
            return self._missing(message.topic(), message.partition(), after)
        return []

    def _missing(self, topic: str, partition: int, after: dict[str, int]) -> list[RejectedRow]:
        """The position is not in the partition any more: it goes on at the earliest record, and says so loudly."""
        name = partition_name(topic, partition)
        at = self._next.get(name)
        if at is None or at == _ASTRAY:
            return []
        self._next[name] = _ASTRAY
        try:
            earliest, _ = self._client().get_watermark_offsets(self._partition(name, at), timeout=_ASK_SECONDS)
        except self._kafka.KafkaException as error:  # asked again when the caller asks again
            self.problem = error.args[0].name()
            return []
        gap = Gap(topic, partition, at, earliest, max(0, earliest - at))
        self._seek(name, earliest)
        after[name] = earliest
        if gap not in self.gaps:
            self.gaps.append(gap)
            log.error(
                "kafka: %s is gone at %d; reading goes on at %d, %d records are lost", name, at, earliest, gap.lost
            )
        raw = {"first": str(at), "earliest": str(earliest), "lost": str(gap.lost)}
        return [RejectedRow(f"kafka:{topic}", f"{topic}/{partition}", at, GAP, GAP_REASON, raw=raw)]

    def _looked(self, told: str) -> None:
        """How the client is, every few seconds: with a place in the group and a connection again, it has none the less."""
        if not self.problem or self.problem in _OF_TOPICS:
            return
        found = json.loads(told)
        group = found.get("cgrp", {})
        connected = any(b.get("state") == "UP" and b.get("nodeid", -1) >= 0 for b in found.get("brokers", {}).values())
        if connected and group.get("state") == "up" and group.get("join_state") == "steady":
            log.info("kafka: reachable again")
            self.problem = ""

    def _told_of(self, error: KafkaError) -> None:
        """The client says what is wrong with its connections; it goes on trying."""
        self._fenced = self._fenced or error.code() == self._kafka.KafkaError._FATAL
        if self.problem != error.name():
            self.problem = error.name()
            log.warning("kafka: %s", error.name())

    # -- the client ------------------------------------------------------------------------------------------------

    def _client(self) -> Consumer:
        if self._consumer is None:
            self._consumer = self._kafka.Consumer(
                {**_configured(self.settings), "error_cb": self._told_of, "stats_cb": self._looked}
            )
            self._consumer.subscribe(
                list(self.settings.topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
            )
        return self._consumer

    def _drop(self) -> None:
        assert self._consumer is not None
        self._consumer.close()
        self._consumer, self._fenced = None, False
        self._next.clear()
        self._waiting.clear()

    def _tell(self, positions: Mapping[str, int], *, wait: bool) -> None:
        offsets = [self._partition(name, at) for name, at in positions.items()]
        if offsets and self._consumer is not None:
            try:
                self._consumer.commit(offsets=offsets, asynchronous=not wait)
            except self._kafka.KafkaException as error:
                log.info("kafka: position not told: %s", error.args[0].name())

    def _partition(self, name: str, offset: int | None) -> TopicPartition:
        _, topic, partition = name.split(":")
        return self._kafka.TopicPartition(topic, int(partition), self._offset(offset))

    def _offset(self, offset: int | None) -> int:
        return self._kafka.OFFSET_BEGINNING if offset is None else offset


def arrival_of_record(value: bytes | None, schemas: Schemas, **place: Any) -> Arrival:
    """The arrival of a record in JSON or Avro. Never fails: what cannot be read is refused later, with its place.

    Args:
        place: As `kohort.ingest.tracking.records.arrival_of`.
    """
    if value is None or not is_avro(value):
        return arrival_of(value, **place)
    try:
        return arrival_of_value(schemas.object_of(value), **place)
    except NotAvro:
        if value[5:6] == b"{":  # a serialiser of JSON with the same framing
            return arrival_of(value[5:], **place)
        return arrival_of_value(Poison("bad_avro"), **place)


def partition_name(topic: str, partition: int) -> str:
    """A partition's name among the loop's positions, whose numbers are of the record to be read next.

    Example:
        >>> partition_name("orders", 3)
        'kafka:orders:3'
    """
    return f"kafka:{topic}:{partition}"


def _configured(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "client.id": "kohort",
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.max.messages.kbytes": 16 * 1024,  # per partition: memory stays bounded while the loop is behind
        "check.crcs": True,
        "log_level": 0,  # what matters comes as an error; the rest would be a line per attempt to connect
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 30_000,
        "statistics.interval.ms": int(_LOOK_SECONDS * 1_000),
        **settings.options,
        "bootstrap.servers": settings.servers,
        "group.id": settings.group,
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",  # what is missing is said, not skipped
    }
    if settings.instance:
        options["group.instance.id"] = settings.instance
    return options
