"""Looks at the data once, in a process of its own, so that the pages find their documents stored.

Counting a million rows takes memory that a process seldom gives back. The page server starts this, waits with its first
page until it is done, and stays small. Run as `python -m kohort.web.warm FOLDER`; what is stored already costs nothing.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

PATIENCE_SECONDS = 120.0


class Warming:
    """The process that looks at the data of one workspace."""

    def __init__(self, folder: str) -> None:
        quiet = subprocess.DEVNULL
        command = [sys.executable, "-m", "kohort.web.warm", folder]
        self._process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)  # noqa: S603 - our own module

    def wait(self) -> None:
        """Until it is done, or long enough: then the page counts for itself. How it ended does not matter."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_SECONDS)


def look(folder: str) -> None:
    """Have a workspace store its figures and its health report, as far as there is anything to look at."""
    from kohort.errors import KohortError
    from kohort.workspace.workspace import Workspace

    with Workspace.open(folder) as workspace:
        for document in (workspace.summary, workspace.health):
            with suppress(KohortError):
                document()


if __name__ == "__main__":
    look(sys.argv[1])
