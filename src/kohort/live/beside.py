"""The process for the loop beside a server's. To begin it takes as long as the server itself, so both can begin together.

Imports next to nothing: a server calls `start_early` before anything else, and `take` once it knows that it needs it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOOP_VARIABLE = "KOHORT_LOOP"


@dataclass(frozen=True, slots=True)
class Beside:
    """A process that waits to be told to begin.

    Attributes:
        process: To be waited for in the end.
        line: The connection to it; it ends when this is closed.
    """

    process: subprocess.Popen[bytes]
    line: socket.socket


_early: dict[tuple[str, ...], Beside] = {}


def in_a_process() -> bool:
    """Whether a server is to keep its loop in a process of its own; `KOHORT_LOOP=thread` says no."""
    return os.environ.get(LOOP_VARIABLE, "process") == "process"


def command(folder: Path) -> tuple[str, ...]:
    """What starts the process for a workspace; the number of an open file descriptor is added to it."""
    return sys.executable, "-m", "kohort.cli.apart", str(folder.resolve())


def start_early(folder: Path) -> None:
    """Starts it where it will probably be needed: events came in here before."""
    if in_a_process() and any((folder / "journal").glob("*")):
        asked = command(folder)
        _early[asked] = start(asked)


def take(asked: Sequence[str]) -> Beside:
    """The process that was started early for this command, once; otherwise another one."""
    return _early.pop(tuple(asked), None) or start(asked)


def start(asked: Sequence[str]) -> Beside:
    """Starts a process with one end of a new connection."""
    mine, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*asked, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
    return Beside(process, mine)
