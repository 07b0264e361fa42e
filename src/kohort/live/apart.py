"""A loop in a process of its own, beside the one that answers: neither waits until the other lets it run.

Python runs one thread of a process at a time. With the loop beside the door in one process each took twice as long as
alone, on a machine with a second core that had nothing to do. So `kohort serve` starts another process for the loop and its
housekeeping (`kohort.live.beside`). Requests become durable here and are handed over through a pipe; back come the
position that has had its effect, that there were entries and exits, and answers about single customers.

The other process ends with this one, however this one ends: nothing is stored by halves, so it may end anywhere.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError
from kohort.live.beside import take
from kohort.live.fed import Fed
from kohort.live.service import Inbox, Running
from kohort.live.sources import JOURNAL
from kohort.live.watched import STARTING
from kohort.model.log import say

if TYPE_CHECKING:
    from kohort.live.loop import Done
    from kohort.live.profile import Profile
    from kohort.store.store import Store

log = logging.getLogger("kohort.live")

AHEAD_BYTES = 16 << 20
"""Requests that are handed over before they have had their effect: what the other process holds of them in memory."""
_PORTION_BYTES = 1 << 20
_ANSWER_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
_ENDED = "The process that keeps members current ended; it is started again."

START, FRAMES, ASK, STOP = "start", "frames", "ask", "stop"
STORED, ANSWER, PROBLEM = "stored", "answer", "problem"


class Line:
    """One end of what connects the two: whole messages, each a tuple whose first item says what it is."""

    def __init__(self, fd: int) -> None:
        self._connection, self._turn = Connection(fd), threading.Lock()

    def send(self, *message: Any) -> None:
        """Raises:
        OSError: There is nobody at the other end any more.
        """
        with self._turn:
            self._connection.send(message)

    def receive(self) -> tuple[Any, ...]:
        """The next message.

        Raises:
            EOFError: There is nobody at the other end any more.
        """
        try:
            found: tuple[Any, ...] = self._connection.recv()
        except OSError as error:
            raise EOFError from error
        return found

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()


class NotThere(Exception):
    """The other process is not there, or does not answer."""


class Apart:
    """Keeps one workspace current in another process until it is stopped.

    Args:
        store: The workspace's, for its journal; closed in the end.
        command: Of the other process, see `kohort.live.beside.take`. It calls `serve_apart`.

    Attributes:
        inbox: Takes requests.
        moved: Called when entries and exits were stored; for whoever tells of them.
        process: The number of the other process; None while there is none.

    Raises:
        Busy: Another process keeps this workspace current.
    """

    def __init__(self, store: Store, command: Sequence[str]) -> None:
        self._store, self._command = store, tuple(command)
        self._journal = store.journal()
        self._position = store.ticks.position().sources.get(JOURNAL, 0)
        self.inbox = Inbox(self._journal, lambda: self._position)
        self.moved: Callable[[], object] = lambda: None
        self.profiles = _Profiles(self)
        self._begun, self._stopping = threading.Event(), threading.Event()
        self._line: Line | None = None
        self.process: int | None = None
        self._problem = self._unreadable = self._last_words = ""
        self._asked: dict[int, Future[Any]] = {}
        self._numbers = count(1)
        self._handed: deque[tuple[int, int]] = deque()
        self._ahead = 0
        self._credit = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="kohort-live", daemon=True)

    def start(self, when: Callable[[], bool] = lambda: True) -> None:
        """Begins, as soon as there is something to keep current.

        Args:
            when: Asked once a second until it says yes.
        """
        self._when = when
        self._thread.start()

    def stop(self, seconds: float = 20.0) -> None:
        """Ends after the tick that is going on; what came in and waits stays in the journal.

        A tick that takes longer is cut off, and what it did not store the next loop does.
        """
        self._stopping.set()
        with suppress(NotThere):
            self._tell(STOP)
        with self._credit:
            self._credit.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        line = self._line
        if line is not None:
            line.close()  # which ends the other process
        self._journal.close()
        if not self._thread.is_alive():
            self._store.close()

    # -- what others ask -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """For `GET /ready`; see `kohort.live.watched.Watched.state`."""
        waiting = {"waiting_bytes": self.inbox.waiting()}
        if problem := self._problem or self._unreadable:
            return {**STARTING, "state": "failing", **waiting, "problem": problem}
        if not self._begun.is_set():
            return {**STARTING, "state": "idle", **waiting}
        try:
            return {**self.ask("state"), **waiting}
        except NotThere:
            return {**STARTING, **waiting}

    def measured(self) -> bytes:
        """For `GET /metrics`: what the loop did, and where it is now; nothing while it is not there."""
        try:
            return bytes(self.ask("measured", self.inbox.waiting()))
        except NotThere:
            return b""

    def ask(self, name: str, *args: Any) -> Any:
        """What the other process answers.

        Raises:
            NotThere: It does not, or cannot.
        """
        number, told = next(self._numbers), Future[Any]()
        self._asked[number] = told
        try:
            self._tell(ASK, number, name, args)
            return told.result(_ANSWER_SECONDS)
        except NotInTime as error:
            raise NotThere from error
        finally:
            self._asked.pop(number, None)

    # -- the other process -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._wanted() and not self._stopping.wait(1.0):
            pass
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._live()
            except Exception as error:
                say(log, logging.ERROR, "the loop's process could not be started", error=type(error).__name__)
            if self._stopping.is_set():
                return
            self._problem, self._last_words = self._last_words or _ENDED, ""
            say(log, logging.ERROR, "the loop's process ended")
            pause = _FIRST_PAUSE if time.monotonic() - started > _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
            self._stopping.wait(pause)

    def _wanted(self) -> bool:
        try:
            return self._when()
        except KohortError as error:
            say(log, logging.ERROR, "nobody can say whether anything is to be kept current", code=error.code)
            return False

    def _live(self) -> None:
        """Starts the other process, feeds it and hears it until it ends."""
        beside = take(self._command)
        self._line, self.process = (line := Line(beside.line.detach())), beside.process.pid
        self._begun.set()
        feeder = threading.Thread(target=self._feed, args=(line,), name="kohort-feeding", daemon=True)
        try:
            self._handed.clear()
            self._ahead = 0
            with suppress(OSError):  # it is gone already, which is heard next
                line.send(START)
            while True:
                self._hear(line.receive())
                if feeder.ident is None and not self._last_words:  # the first thing said is where it stands
                    self._after = self._position
                    feeder.start()
        except EOFError:
            pass
        finally:
            self._line = self.process = None
            line.close()
            with self._credit:
                self._credit.notify_all()
            for told in list(self._asked.values()):
                with suppress(InvalidStateError):
                    told.set_exception(NotThere())
            beside.process.wait()

    def _hear(self, message: tuple[Any, ...]) -> None:
        match message:
            case (str() as kind, int() as position, bool() as moved) if kind == STORED:
                self._problem = ""
                with self._credit:
                    self._position = position
                    while self._handed and self._handed[0][0] <= position:
                        self._ahead -= self._handed.popleft()[1]
                    self._credit.notify_all()
                self._journal.forget(position)
                if moved:
                    self.moved()
            case (str() as kind, str() as problem) if kind == PROBLEM:
                self._last_words = problem
            case (str() as kind, int() as number, bool() as good, answer) if kind == ANSWER:
                told = self._asked.get(number)
                if told is not None:
                    with suppress(InvalidStateError):
                        told.set_result(answer) if good else told.set_exception(NotThere())

    def _feed(self, line: Line) -> None:
        """Hands on what came in, as far as there is room over there."""
        after = self._after
        with suppress(OSError):
            while self._line is line and not self._stopping.is_set():
                with self._credit:
                    self._credit.wait_for(lambda: self._room() or self._line is not line or self._stopping.is_set())
                try:
                    frames = self._journal.read(after, _PORTION_BYTES) if self._journal.wait(after, 1.0) else []
                    self._unreadable = ""
                except KohortError as error:  # tried again: somebody may restore what is missing
                    self._unreadable = f"{error.code}: {error.message}"
                    say(log, logging.ERROR, "what came in cannot be read", code=error.code)
                    self._stopping.wait(_LONGEST_PAUSE)
                    continue
                if not frames:
                    self._journal.forget(self._position)
                    continue
                after = frames[-1].number
                with self._credit:
                    self._handed.extend((frame.number, len(frame.body)) for frame in frames)
                    self._ahead += sum(len(frame.body) for frame in frames)
                line.send(FRAMES, frames)

    def _room(self) -> bool:
        return self._ahead < AHEAD_BYTES

    def _tell(self, *message: Any) -> None:
        line = self._line
        try:
            if line is None:
                raise NotThere
            line.send(*message)
        except OSError as error:
            raise NotThere from error


class _Profiles:
    """As `kohort.live.profile.Profiles`, asked over there."""

    def __init__(self, apart: Apart) -> None:
        self._apart = apart

    def of(self, customer: int) -> Profile | None:
        """A customer as she is at the loop's moment; None where the loop is not there to be asked."""
        try:
            found: Profile | None = self._apart.ask("profile", customer)
        except NotThere:
            return None
        return found


def say_why(fd: int, problem: str) -> None:
    """The other process cannot begin; the server shows this until it can."""
    with suppress(OSError):
        Line(fd).send(PROBLEM, problem)


def serve_apart(fd: int, service: Running, fed: Fed) -> None:
    """Is the other process: keeps the workspace current until it is told to end, or there is nobody to tell it.

    Args:
        fd: Of the connection; see `Apart`.
        service: Reads what is fed.
        fed: Holds nothing yet.
    """
    line = Line(fd)
    said = fed.last
    known: object = None

    def stored(done: Done) -> None:
        nonlocal said, known
        if known is not (known := service.loop.glance):
            # What it holds it holds for long: looking through it for garbage again and again held up every fifth large tick
            # for a quarter of a second.
            gc.collect()
            gc.freeze()
        position = service.reached()
        if position != said or done.moves:
            said = position
            with suppress(OSError):  # nobody is there: this process ends in a moment
                line.send(STORED, position, bool(done.moves))

    service.stored = stored
    answers: dict[str, Callable[..., Any]] = {
        "state": service.state,
        "measured": service.measured,
        "profile": service.profiles.of,
    }

    def answer(number: int, name: str, args: tuple[Any, ...]) -> None:
        try:
            found = True, answers[name](*args)
        except Exception as error:
            say(log, logging.ERROR, "a question could not be answered", error=type(error).__name__)
            found = False, None
        with suppress(OSError):
            line.send(ANSWER, number, *found)

    try:
        line.receive()  # to start
        line.send(STORED, said, False)
    except (EOFError, OSError):
        os._exit(0)  # the server is gone already, or there is nothing to be kept current
    service.start()
    with ThreadPoolExecutor(2, "answering") as pool:
        while True:
            try:
                message = line.receive()
            except EOFError:
                os._exit(0)  # the server is gone; nothing is stored by halves
            match message:
                case (str() as kind, frames) if kind == FRAMES:
                    fed.give(frames)
                case (str() as kind, number, name, args) if kind == ASK:
                    pool.submit(answer, number, name, args)
                case _:
                    break
    service.stop()
    os._exit(0)  # threads that do not end by themselves have nothing to lose
