"""When a change of membership could first be seen: in a topic, or in Kohort's store; used by bench/live_peers.py."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAUSE = 0.002


class Seen(threading.Thread):
    """Looks until it is left.

    Attributes:
        at: Wall time of the first sight of (customer, entered or left).
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.at: dict[tuple[str, str], float] = {}
        self._over, self._begun = threading.Event(), threading.Event()

    def __enter__(self) -> Seen:
        self.start()
        assert self._begun.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(60)

    def wait(self, customers: set[str], change: str, seconds: float, alive: Callable[[], bool]) -> set[str]:
        """Waits until the change of all of them was seen.

        Returns:
            Those of whom it was not.

        Raises:
            BrokenPipeError: The contestant is not running any more.
        """
        left, end = set(customers), time.monotonic() + seconds
        while left := {who for who in left if (who, change) not in self.at}:
            if time.monotonic() > end or not self.is_alive():
                break
            if not alive():
                raise BrokenPipeError
            time.sleep(0.02)
        return left


class TopicSeen(Seen):
    """Reads the records that were committed."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        super().__init__()
        self._servers, self._topic, self._partitions = servers, topic, partitions

    def run(self) -> None:
        from confluent_kafka import Consumer, TopicPartition

        settings = {"bootstrap.servers": self._servers, "group.id": f"seen-{self._topic}", "enable.auto.commit": False}
        consumer = Consumer({**settings, "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(self._topic, number, 0) for number in range(self._partitions)])
        self._begun.set()
        while not self._over.is_set():
            messages, now = consumer.consume(1_000, 0.002), time.time()
            for message in messages:
                if message.error() is None:
                    said: dict[str, Any] = json.loads(message.value())
                    self.at.setdefault((said["customer"], said["change"]), now)
        consumer.close()


class StoreSeen(Seen):
    """Reads the transitions of a segment in the store as any other process may."""

    def __init__(self, shop: Path, segment: str) -> None:
        super().__init__()
        self._shop, self._segment = shop, segment

    def run(self) -> None:
        import kohort

        with kohort.open(self._shop) as shop:
            members, last = shop.store.members, 0
            self._begun.set()
            while not self._over.is_set():
                reached, now = members.last_transition(), time.time()
                while last < reached and (page := members.transitions(self._segment, after=last)):
                    refs = shop.store.vault.refs(page["customer"].to_pylist())
                    for ref, change in zip(refs, page["change"].to_pylist(), strict=True):
                        self.at.setdefault((str(ref), change), now)
                    last = page["seq"][-1].as_py()
                last = max(last, reached)
                time.sleep(PAUSE)
