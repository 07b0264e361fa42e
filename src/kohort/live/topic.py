"""Writing to a Kafka topic, one message at a time, each confirmed by all replicas before it counts as sent."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from kohort.errors import MissingExtra

SECONDS = 15.0


class NotWritten(Exception):
    """Kafka did not confirm a message. The text is Kafka's own name of the error."""


class TopicWriter:
    """A producer of one topic. Safe to use from many threads.

    Args:
        servers: `host:port`, several with commas.

    Raises:
        MissingExtra: The Kafka client is not installed.
    """

    def __init__(self, servers: str, topic: str) -> None:
        try:
            from confluent_kafka import KafkaException, Producer
        except ImportError as error:
            raise MissingExtra("kafka", "Sending to Kafka") from error
        settings = {"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5}
        settings |= {"delivery.timeout.ms": int(SECONDS * 1_000), "log_level": 0}
        self._topic, self._failure, self._producer = topic, KafkaException, Producer(settings)

    def write(self, key: str, value: bytes, headers: Mapping[str, str]) -> None:
        """Writes and waits until it is confirmed. Messages of one key keep their order.

        Raises:
            NotWritten: It was not confirmed; it may have been written all the same.
        """
        ended, wrong = threading.Event(), list[str]()

        def told(error: object, _message: object) -> None:
            if error is not None:
                wrong.append(str(getattr(error, "name", lambda: "error")()))
            ended.set()

        pairs = [(name, text.encode()) for name, text in headers.items()]
        try:
            self._producer.produce(self._topic, value, key=key.encode(), headers=pairs, on_delivery=told)
        except (BufferError, self._failure) as error:
            raise NotWritten("queue full" if isinstance(error, BufferError) else "refused") from error
        while not ended.is_set():
            self._producer.poll(0.05)
        if wrong:
            raise NotWritten(wrong[0])

    def close(self) -> None:
        """Waits for what is under way."""
        self._producer.flush(SECONDS)
