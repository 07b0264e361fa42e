"""Deliveries as messages of a Kafka topic: the customer's number is the key, so that her changes keep their order."""

from __future__ import annotations

from kohort.actions.outbound import Answer, NotSent
from kohort.definitions.triggers import Destination, Format
from kohort.live.topic import NotWritten, TopicWriter

_CONFIRMED = 200
_TYPES: dict[Format, str] = {"json": "application/json", "avro": "avro/binary"}


class Topic:
    """See `kohort.actions.channel.Channel`.

    Raises:
        MissingExtra: The Kafka client is not installed.
    """

    def __init__(self, destination: Destination) -> None:
        self._writer = TopicWriter(destination.servers, destination.topic)
        self._type = _TYPES[destination.format]

    def send(self, id: str, body: bytes, now: int, key: str) -> Answer:  # noqa: A002
        """See `Channel.send`; what Kafka confirms is told as status 200."""
        try:
            self._writer.write(key, body, {"id": id, "content-type": self._type})
        except NotWritten as error:
            raise NotSent(f"kafka: {error}") from error
        return Answer(_CONFIRMED)

    def close(self) -> None:
        """Waits for what is under way."""
        self._writer.close()
