"""Looks at the data once, in a process of its own, so that the pages find their documents ready.

Counting a million rows takes memory that a process seldom gives back. The page server starts this, waits with its first
page until the figures and the health report are stored, and stays small. After them come the looks at segments that
people define, one line each, without anybody waiting. Run as `python -m kohort.web.warm FOLDER`; what is stored already
costs nothing. Whoever sends events comes first: this process is nice to others, and ends when its server does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import IO, Any

PATIENCE_SECONDS = 120.0
READY = "ready"

Keep = Callable[[str, str, dict[str, Any]], None]
"""Takes the name of a definition, a stamp that says how long the look holds, and the look."""


class Warming:
    """The process that looks at the data of one workspace."""

    def __init__(self, folder: str, keep: Keep) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "kohort.web.warm", folder]
        process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
        )
        self._ready = Event()
        Thread(target=self._listen, args=(process, keep), name="warming", daemon=True).start()

    def wait(self) -> None:
        """Until the first documents are stored, or long enough: then the page counts for itself. How it ended does not
        matter."""
        self._ready.wait(PATIENCE_SECONDS)

    def _listen(self, process: subprocess.Popen[str], keep: Keep) -> None:
        try:
            with process:
                assert process.stdout is not None
                hear(process.stdout, self._ready, keep)
        finally:
            self._ready.set()


def hear(lines: IO[str], ready: Event, keep: Keep) -> None:
    """Takes what the other process says, line by line, until it falls silent. A line cut short is left out."""
    for line in lines:
        if line.strip() == READY:
            ready.set()
            continue
        with suppress(ValueError):
            keep(*json.loads(line))


def end_with(server: IO[str]) -> None:
    """Ends this process when the server's end of a pipe is closed, however the server ended."""

    def wait() -> None:
        server.read()
        os._exit(0)  # every document is stored whole or not at all

    Thread(target=wait, name="server", daemon=True).start()


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


if __name__ == "__main__":
    os.nice(10)
    end_with(sys.stdin)
    look(sys.argv[1], sys.stdout)
