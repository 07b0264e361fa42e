"""Looks at the data in a process of its own, so that the pages find their documents ready.

Counting a million rows takes memory that a process seldom gives back. The page server starts this, waits with its first
page until the figures and the health report are stored, and stays small. After them come the looks at segments that
people define, one line each, without anybody waiting. What becomes outdated while a server keeps the workspace current is
asked for again, a line each way, and this process ends when nobody has asked for a while. Run as
`python -m kohort.web.warm FOLDER [again]`; what is stored already costs nothing. Whoever sends events comes first: this
process is nice to others, rests after what nobody waits for, and ends when its server does.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Condition, Event, Lock, Thread
from typing import IO, TYPE_CHECKING, Any

from kohort.model.log import say

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

log = logging.getLogger("kohort.web")

PATIENCE_SECONDS = 120.0
IDLE_SECONDS = 30.0
REST = 4.0
"""After something that nobody waits for it rests so many times as long as that took: a fifth of a core at most."""
LONGEST_REST = 60.0
READY = "ready"
AGAIN = "again"

Keep = Callable[[str, str, dict[str, Any]], None]
"""Takes the name of a definition, a stamp that says how long the look holds, and the look."""


class Warming:
    """The process that looks at the data of one workspace."""

    def __init__(self, folder: str, keep: Keep) -> None:
        self._command, self._keep = [sys.executable, "-m", "kohort.web.warm", folder], keep
        self._ready, self._lock = Event(), Lock()
        self._process: subprocess.Popen[str] | None = None
        self._asked: dict[str, bool] = {}
        self._begin()

    def wait(self) -> None:
        """Until the first documents are stored, or long enough: then the page counts for itself. How it ended does not
        matter."""
        self._ready.wait(PATIENCE_SECONDS)

    def document(self, name: str) -> bool:
        """Has a kept answer made anew, see `kohort.workspace.kept`; False where this cannot make it."""
        if name not in DOCUMENTS and not name.startswith(DIGEST):
            return False
        return self._ask(f"document {name}", urgent=False)

    def look(self, name: str, urgent: bool) -> bool:
        """Has a definition looked at anew; False where this cannot be done."""
        return self._ask(f"look {name}", urgent=urgent)

    def _ask(self, what: str, *, urgent: bool) -> bool:
        """Whether it will come: not where the process cannot be started."""
        with self._lock:
            if self._asked.get(what) in (True, urgent):
                return True
            self._asked[what] = urgent
            if self._process is None:
                self._begin(AGAIN)
            else:
                self._say(what)
            return self._process is not None

    def _begin(self, *how: str) -> None:
        """Starts the process. Where the machine has no room for one, nothing is asked for: whoever asks next tries anew."""
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [*self._command, *how], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
            )
        except OSError as error:
            say(log, logging.WARNING, "documents cannot be made ready beside the pages", error=type(error).__name__)
            self._asked.clear()
            self._ready.set()  # pages count for themselves
            return
        self._process = process
        for what in self._asked:
            self._say(what)
        Thread(target=self._listen, args=(process,), name="warming", daemon=True).start()

    def _say(self, what: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):  # it is ending: whoever listens to it begins anew
            self._process.stdin.write(json.dumps([what, self._asked[what]]) + "\n")
            self._process.stdin.flush()

    def _done(self, what: str) -> None:
        with self._lock:
            self._asked.pop(what, None)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        answered = False

        def done(what: str) -> None:
            nonlocal answered
            answered = True
            self._done(what)

        try:
            with process:
                assert process.stdout is not None
                hear(process.stdout, self._ready, self._keep, done)
        finally:
            self._ready.set()
            with self._lock:
                self._process = None
                if not answered:  # it fails at once: not again and again
                    self._asked.clear()
                if self._asked:
                    self._begin(AGAIN)


def hear(lines: IO[str], ready: Event, keep: Keep, done: Callable[[str], object] = lambda what: None) -> None:
    """Takes what the other process says, line by line, until it falls silent. A line cut short is left out."""
    for line in lines:
        if line.strip() == READY:
            ready.set()
            continue
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, str):
                done(told)
            else:
                keep(*told)


class Asked:
    """What a server asks this process for: what somebody waits for comes first, the rest after a rest."""

    def __init__(self) -> None:
        self._waited_for: list[str] = []
        self._others: list[str] = []
        self._changed = Condition()

    def listen(self, server: IO[str]) -> None:
        """Takes the server's lines, and ends this process when its end of the pipe is closed, however the server ended."""

        def all_lines() -> None:
            self.take(server)
            os._exit(0)  # every document is stored whole or not at all

        Thread(target=all_lines, name="server", daemon=True).start()

    def take(self, server: IO[str]) -> None:
        """Takes lines until there are no more."""
        for line in server:
            with suppress(ValueError), self._changed:
                what, urgent = json.loads(line)
                if urgent and what in self._others:
                    self._others.remove(what)  # asked for before: once is enough, and now somebody waits
                (self._waited_for if urgent else self._others).append(what)
                self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many were asked for and not begun."""
        return len(self._waited_for) + len(self._others)

    def each(self, idle: float = IDLE_SECONDS) -> Iterator[str]:
        """One after the other, until nobody has asked for so many seconds."""
        rest = 0.0
        while (what := self._next(rest, idle)) is not None:
            began = time.monotonic()
            yield what
            rest = min(REST * (time.monotonic() - began), LONGEST_REST)

    def _next(self, rest: float, idle: float) -> str | None:
        rested, end = time.monotonic() + rest, time.monotonic() + rest + idle
        with self._changed:
            while True:
                now = time.monotonic()
                if self._waited_for:
                    return self._waited_for.pop(0)
                if self._others and now >= rested:
                    return self._others.pop(0)
                if now >= end:
                    return None
                self._changed.wait((rested if self._others else end) - now)


def look(folder: str, out: IO[str]) -> None:
    """Have a workspace store its figures and its health report, as far as there is anything to look at; then look at
    every definition and say what was found."""
    from kohort.errors import KohortError
    from kohort.web.own import look_at, stamp
    from kohort.workspace.workspace import Workspace

    with Workspace.open(folder) as workspace:
        for document in (workspace.summary, workspace.health):
            with suppress(KohortError):
                document()
        print(READY, file=out, flush=True)
        with suppress(KohortError, BrokenPipeError):  # the server may have ended meanwhile
            # Once for all of them: each would read everybody's members.
            shared = workspace.segments.overlap() if workspace.config.segments else None
            for definition in workspace.config.segments:
                found = stamp(workspace), look_at(workspace, definition.name, shared)
                print(json.dumps([definition.name, *found]), file=out, flush=True)
        with suppress(KohortError):
            workspace.digest()


DIGEST = "digest."
DOCUMENTS: dict[str, Callable[[Workspace], object]] = {
    "summary": lambda ws: ws.summary(),
    "health": lambda ws: ws.health(),
    "profile": lambda ws: ws.contents(),
    "arrivals": lambda ws: ws.activity.arrivals(),
}
"""Kept answer → what makes it."""


def again(folder: str, asked: Iterator[str], out: IO[str]) -> None:
    """Make anew what is asked for, and say of each that it is done."""
    from kohort.errors import KohortError
    from kohort.web.own import look_at, stamp
    from kohort.workspace.workspace import Workspace

    with Workspace.open(folder) as workspace:
        for what in asked:
            kind, _, name = what.partition(" ")
            with suppress(KohortError):  # whoever asks when it is too old is told
                if kind == "look":
                    found = stamp(workspace), look_at(workspace, name)
                    print(json.dumps([name, *found]), file=out, flush=True)
                elif name.startswith(DIGEST):
                    workspace.digest(f"{name.removeprefix(DIGEST)}d")
                else:
                    DOCUMENTS[name](workspace)
            print(json.dumps(what), file=out, flush=True)


def main(folder: str, *how: str) -> None:
    os.nice(10)
    asked = Asked()
    asked.listen(sys.stdin)
    if AGAIN not in how:
        look(folder, sys.stdout)
    again(folder, asked.each(), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
