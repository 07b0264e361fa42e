"""The journal: the durable log of what came in, written before anybody is told that it was received.

`append` answers when the request is on disk. One thread writes: everything that waits goes into one sealed block and
one flush (`journal_segment.py` has the format). A failed flush is never tried again, for the kernel may have dropped the
data and would report success: the file is given up and the next request begins a new one, so a disk that works again
is all it takes.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from kohort.errors import Busy, CannotWrite, Damaged, TooLarge, WrongUsage
from kohort.store.files import flush_folder, private_folder
from kohort.store.journal_segment import Frame, JournalKey, Segment
from kohort.store.journal_shelf import Look, Shelf
from kohort.store.keys import MasterKey

_BLOCK_BYTES = 4 << 20
_LARGEST_BODY = 64 << 20
_IDLE_SECONDS = 0.05
_NO_SEGMENT = b"\0" * 16
_END_FILE = ".end-file"
_json = json.JSONEncoder(separators=(",", ":")).encode


class _Waiting(NamedTuple):
    meta: dict[str, Any]
    text: bytes
    body: bytes
    told: Future[int]


class Journal(Shelf):
    """The one writer of a journal, and the quickest reader. Use it in a `with` block, or call `close`.

    Threads may call anything at any time. Frames are numbered from 1 without gaps; a number is never used twice, not
    after a restart and not after `forget`.

    Args:
        folder: Made if it is not there; for this user alone.
        key: The workspace's master key: what is in the files opens with it only.
        at_least: The last frame that is known, from elsewhere, to have been confirmed. None: nobody knows.
        segment_bytes: Size of a file, about: `forget` removes whole files.
        recent_bytes: About so much of what came in last stays in memory, for readers that keep up.
        waiting_bytes: So many bytes of bodies may wait for the disk; more are refused with `Busy`.

    Raises:
        Busy: Another process, or another `Journal`, writes to this folder.
        Damaged: What is known to have been confirmed is missing or damaged.
        CannotWrite: The disk does not let us make the last frames safe.

    Example:
        >>> import tempfile
        >>> from kohort.store.keys import MasterKey
        >>> with Journal(Path(tempfile.mkdtemp()) / "journal", MasterKey(bytes(32), "file")) as journal:
        ...     number = journal.append(b'{"event": "order"}', {"source": "shop"}).result()
        ...     journal.read(number - 1, limit_bytes=1_000_000)
        [Frame(number=1, meta={'source': 'shop'}, body=b'{"event": "order"}')]
    """

    def __init__(
        self,
        folder: Path,
        key: MasterKey,
        *,
        at_least: int | None = None,
        segment_bytes: int = 64 << 20,
        recent_bytes: int = 32 << 20,
        waiting_bytes: int = 64 << 20,
    ) -> None:
        super().__init__(folder, key)
        self._segment_bytes, self._recent_limit, self._waiting_limit = segment_bytes, recent_bytes, waiting_bytes
        self._arrived, self._grown = threading.Condition(self._turn), threading.Condition(self._turn)
        self._pen = threading.Lock()
        """Held by whoever writes to files; taken before `_turn`."""
        self._waiting: deque[_Waiting] = deque()
        self._recent: deque[Frame] = deque()
        self._waiting_size = self._recent_size = 0
        self._closing = self._unsettled = False
        try:
            private_folder(folder)
            self._lock_fd = only_writer(folder)
        except OSError as error:
            raise _cannot_write(error) from error
        try:
            self._recover(at_least)
        except BaseException:
            os.close(self._lock_fd)
            raise
        self._thread = threading.Thread(target=self._write_on, name="kohort-journal", daemon=True)
        self._thread.start()

    @staticmethod
    def look(folder: Path, key: MasterKey) -> Look:
        """The journal as it stands, for reading and counting only, in any process; see `Look`.

        Raises:
            Damaged: A file is missing or does not check out.
        """
        return Look(folder, key)

    def append(self, body: bytes, meta: dict[str, Any]) -> Future[int]:
        """Takes a request in. The future's result is its number, and comes when the request is on disk, not before.

        The future's errors: `CannotWrite` when the disk did not take it. It may then be there or not after a restart:
        whoever repeats it needs an id of his own in it. Cancelling the future withdraws what is not yet being written.

        Args:
            body: The request as it came.
            meta: What is to be known about it: texts, numbers, and lists and dicts of them, as JSON has them.

        Raises:
            Busy: Too much is waiting for the disk.
            TooLarge: The body has more than 64 MB.
            WrongUsage: The journal is closed.
        """
        if len(body) > _LARGEST_BODY:
            raise TooLarge("A request is larger than 64 MB.", hint="Send it in several.")
        waiting = _Waiting(dict(meta), _json(meta).encode(), body, Future())
        with self._turn:
            if self._closing:
                raise WrongUsage("The journal is closed.")
            if self._waiting and self._waiting_size + len(body) > self._waiting_limit:
                raise Busy("More arrives than the disk takes.", hint="Try again in a second.")
            self._waiting.append(waiting)
            self._waiting_size += len(body)
            self._arrived.notify()
        return waiting.told

    def read(self, after: int, limit_bytes: int) -> list[Frame]:
        """See `Shelf.read`. What came in last is still in memory and is not read from disk."""
        with self._turn:
            if after >= self.last:
                return []
            if self._recent and after + 1 >= self._recent[0].number:
                found: list[Frame] = []
                for frame in islice(self._recent, after + 1 - self._recent[0].number, None):
                    limit_bytes -= len(frame.body)
                    if found and limit_bytes < 0:
                        break
                    found.append(frame)
                return found
        return super().read(after, limit_bytes)

    def wait(self, after: int, timeout: float | None) -> bool:
        """Sleeps until there is a durable frame above `after`, for `timeout` seconds at most; whether there is one.

        Closing the journal ends the sleep.
        """
        with self._turn:
            self._grown.wait_for(lambda: self.last > after or self._closing, timeout)
            return self.last > after

    def forget(self, up_to: int, *, roll: bool = False) -> int:
        """Removes the files that hold nothing above `up_to`, and destroys their keys first. Says how many they were.

        To be called now and then, whether or not there is more to forget: another process may have asked for a file to end.

        Args:
            up_to: The last frame that nobody needs any more.
            roll: Also ends the file being written, so that it can go if nothing in it is above `up_to`. Without this
                frames stay until their file is full.

        Raises:
            CannotWrite: The disk reports an error; what was not removed can be forgotten again.
        """
        removed = 0
        self._end_file_if_asked()
        with self._turn:
            while self._recent and self._recent[0].number <= up_to:
                self._recent_size -= _weight(self._recent.popleft())
        try:
            with self._pen:
                if roll and self._segments and self._segments[-1].first <= self.last <= up_to:
                    self._begin()
                while len(self._segments) > 1 and self._segments[1].first - 1 <= up_to:
                    self._segments[0].forget()
                    with self._turn:
                        del self._segments[0]
                    removed += 1
                if removed:
                    flush_folder(self.folder)
        except OSError as error:
            raise _cannot_write(error) from error
        return removed

    def _end_file_if_asked(self) -> None:
        """Ends the file being written where another process asked for it (`ask_to_end_file`), so that it can go once all in
        it was dealt with. Costs a look at the folder."""
        asked = self.folder / _END_FILE
        if not asked.exists():
            return
        try:
            with self._pen:
                if self._segments and self._segments[-1].first <= self.last:
                    self._begin()
            asked.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_write(error) from error

    def close(self) -> None:
        """Writes what waits, and ends. Twice is as good as once."""
        with self._turn:
            self._closing = True
            self._arrived.notify_all()
            self._grown.notify_all()
        self._thread.join()
        with self._turn:
            fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- parts -----------------------------------------------------------------------------------------------------

    def _recover(self, at_least: int | None) -> None:
        try:
            flush_folder(self.folder.parent)
            self._load()
            for path in (*self.folder.glob(".*.tmp"), *self.folder.glob("*.log")):
                if path not in {segment.path for segment in self._segments}:
                    path.unlink()  # begun or forgotten by half
            if self._segments:
                self._segments[-1].recover()
                self._mark.raise_to(self._segments[-1].first)
                self.last = self._segments[-1].last
        except OSError as error:
            raise _cannot_write(error) from error
        if at_least is not None and not self.first - 1 <= at_least <= self.last:
            raise Damaged(
                f"The journal holds requests {self.first} to {self.last}, but {at_least} were dealt with so far.",
                hint="Files of the journal are missing: restore them, or the workspace as a whole, from a backup.",
            )

    def _write_on(self) -> None:
        """The writing thread."""
        while (group := self._gather()) is not None:
            with self._pen:
                if group:
                    self._commit(group)
                else:
                    self._settle()
        with self._pen:
            self._settle()
            if self._segments:
                self._segments[-1].close()

    def _gather(self) -> list[_Waiting] | None:
        """All that waits, up to a block's size; nothing when it is time to settle, None when it is time to go."""
        with self._turn:
            idle = _IDLE_SECONDS if self._unsettled else None
            self._arrived.wait_for(lambda: self._waiting or self._closing, idle)
            if not self._waiting and self._closing:
                return None
            group: list[_Waiting] = []
            size = 0
            while self._waiting and (not group or size + len(self._waiting[0].body) <= _BLOCK_BYTES):
                waiting = self._waiting.popleft()
                self._waiting_size -= len(waiting.body)
                if waiting.told.set_running_or_notify_cancel():
                    group.append(waiting)
                    size += len(waiting.body)
            return group

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            self._open_segment().append([(waiting.text, waiting.body) for waiting in group])
        except Exception as error:  # whatever it is: those who wait must hear of it, and the thread must go on
            self._give_up()
            for waiting in group:
                waiting.told.set_exception(_cannot_write(error) if isinstance(error, OSError) else error)
            return
        numbers = range(self.last + 1, self.last + 1 + len(group))
        frames = [Frame(n, w.meta, w.body) for n, w in zip(numbers, group, strict=True)]
        with self._turn:
            self._unsettled = True
            self._remember(frames)
            self.last = numbers[-1]
            self._grown.notify_all()
        for waiting, number in zip(group, numbers, strict=True):
            waiting.told.set_result(number)

    def _remember(self, frames: Sequence[Frame]) -> None:
        self._recent.extend(frames)
        self._recent_size += sum(map(_weight, frames))
        while self._recent_size > self._recent_limit:
            self._recent_size -= _weight(self._recent.popleft())

    def _open_segment(self) -> Segment:
        newest = self._segments[-1] if self._segments else None
        if newest and newest.fd >= 0 and newest.end.offset < self._segment_bytes:
            return newest
        return self._begin()

    def _begin(self) -> Segment:
        """Begins a file. One in which nothing was confirmed is replaced: both would have the same first frame."""
        newest = self._segments[-1] if self._segments else None
        kept = self._segments
        if newest:
            newest.close()
            if newest.last < newest.first:
                kept = kept[:-1]
        previous = kept[-1].id if kept else newest.previous if newest else _NO_SEGMENT
        made = Segment.make(self.folder, self._key, self.last + 1, previous)
        try:
            self._mark.raise_to(made.first)
        except BaseException:
            made.close()
            raise
        with self._turn:
            self._segments = [*kept, made]
        return made

    def _settle(self) -> None:
        if self._unsettled and self._segments[-1].fd >= 0:
            try:
                self._segments[-1].settle()
            except OSError:
                self._give_up()
        self._unsettled = False

    def _give_up(self) -> None:
        if self._segments and self._segments[-1].fd >= 0:
            self._segments[-1].abandon()


def set_aside(folder: Path, key: MasterKey, *, after: int) -> Path:
    """For a journal that does not check out and that nobody can restore: keeps its files under another name, for whoever
    wants to look into them, and begins an empty one. Confirmed requests that were not dealt with yet are given up.

    Args:
        folder: Where the journal is, and the new one will be.
        key: The workspace's master key.
        after: The last frame that was dealt with; numbers go on from there.

    Returns:
        Where the old files are now.

    Raises:
        Busy: Somebody writes to it.
        CannotWrite: The disk reports an error.
    """
    try:
        fd = only_writer(folder)
        try:
            taken = {path.name for path in folder.parent.iterdir()}
            names = (f"{folder.name}.damaged-{n}" for n in count(1))
            aside = folder.with_name(next(name for name in names if name not in taken))
            folder.rename(aside)
            private_folder(folder)
            Segment.make(folder, JournalKey(key), after + 1, _NO_SEGMENT).close()
            flush_folder(folder.parent)
        finally:
            os.close(fd)
    except OSError as error:
        raise _cannot_write(error) from error
    return aside


def _weight(frame: Frame) -> int:
    """About what a frame takes in memory."""
    return len(frame.body) + 1_000


def ask_to_end_file(folder: Path) -> None:
    """Asks whoever writes this journal to begin a new file: what is in the present one then goes with it."""
    (folder / _END_FILE).touch(mode=0o600)


def being_written(folder: Path) -> bool:
    """Whether a process has this journal open for writing now."""
    try:
        fd = os.open(folder / ".lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def only_writer(folder: Path) -> int:
    """A file descriptor that makes this process the one that may write a journal, until it is closed.

    Raises:
        Busy: Another one does.
    """
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    for again in (True, True, False):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if again:  # somebody may just be looking, see `being_written`
                time.sleep(0.01)
    os.close(fd)
    raise Busy(
        "Another process is taking in events for this workspace.",
        hint="Only one can: stop the other one first. Reading is always possible.",
    )


def _cannot_write(error: OSError) -> CannotWrite:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return CannotWrite(
            "The journal cannot be written: the disk is full.", hint="Free some space; it goes on by itself."
        )
    name = errno.errorcode.get(error.errno or 0, "an error")
    return CannotWrite(
        f"The journal cannot be written: the disk reports {name}.", hint="Look at the disk, then try again."
    )
