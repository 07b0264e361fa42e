"""The process that keeps a workspace current beside its server: `python -m kohort.cli.apart FOLDER DESCRIPTOR`."""

from __future__ import annotations

import logging
import os
import signal
import sys

from kohort.cli.logs import LOG_VARIABLE, set_up
from kohort.errors import KohortError
from kohort.model.log import say

log = logging.getLogger("kohort.live")


def main(folder: str, fd: int) -> None:
    """Ends with the server, which hears the signals that a terminal or a service manager sends to both."""
    from kohort.live.apart import say_why
    from kohort.workspace.apart import keep_current

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    set_up("json" if os.environ.get(LOG_VARIABLE) == "json" else "text")
    try:
        keep_current(folder, fd)
    except Exception as error:  # messages of others, and tracebacks, can repeat values
        known = isinstance(error, KohortError)
        code = error.code if isinstance(error, KohortError) else "unexpected"
        say(log, logging.ERROR, "the loop's process could not begin", code=code, error=type(error).__name__)
        say_why(fd, f"{code}: {error}" if known else type(error).__name__)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
