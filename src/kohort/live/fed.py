"""What came in, handed on by the process that took it: the end of the journal that the loop of another process reads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from kohort.store.journal_segment import Frame


class Frames(Protocol):
    """Where the loop reads requests: a `kohort.store.journal.Journal`, or what is fed from one."""

    @property
    def last(self) -> int: ...
    def read(self, after: int, limit_bytes: int) -> list[Frame]: ...
    def wait(self, after: int, timeout: float | None) -> bool: ...
    def forget(self, up_to: int) -> int: ...
    def backlog_bytes(self, after: int) -> int: ...
    def close(self) -> None: ...


class Fed:
    """Frames in memory, in order without a gap, from the one after `after` until they are forgotten.

    Who gives them sees to it that they are durable, and that they are not too many at a time.
    """

    def __init__(self, after: int) -> None:
        self.last = after
        self._frames: deque[Frame] = deque()
        self._grown = threading.Condition()
        self._closed = False

    def give(self, frames: Sequence[Frame]) -> None:
        """Takes the frames that follow."""
        with self._grown:
            self._frames.extend(frames)
            self.last = frames[-1].number
            self._grown.notify_all()

    def read(self, after: int, limit_bytes: int) -> list[Frame]:
        """See `kohort.store.journal_shelf.Shelf.read`."""
        found: list[Frame] = []
        with self._grown:
            if not self._frames:
                return found
            for frame in islice(self._frames, max(0, after + 1 - self._frames[0].number), None):
                limit_bytes -= len(frame.body)
                if found and limit_bytes < 0:
                    break
                found.append(frame)
        return found

    def wait(self, after: int, timeout: float | None) -> bool:
        """See `kohort.store.journal.Journal.wait`."""
        with self._grown:
            self._grown.wait_for(lambda: self.last > after or self._closed, timeout)
            return self.last > after

    def forget(self, up_to: int) -> int:
        """Lets go of what nobody needs any more, up to a frame; says how many they were."""
        gone = 0
        with self._grown:
            while self._frames and self._frames[0].number <= up_to:
                self._frames.popleft()
                gone += 1
        return gone

    def backlog_bytes(self, after: int) -> int:
        """Bytes of the bodies after a frame."""
        with self._grown:
            return sum(len(frame.body) for frame in self._frames if frame.number > after)

    def close(self) -> None:
        """Ends every wait."""
        with self._grown:
            self._closed = True
            self._grown.notify_all()
