"""The process that keeps a workspace current beside its server: `python -m kohort.cli.apart FOLDER DESCRIPTOR`."""

from __future__ import annotations

import os
import signal
import sys

from kohort.cli.logs import LOG_VARIABLE, set_up


def main(folder: str, fd: int) -> None:
    """Ends with the server, which hears the signals that a terminal or a service manager sends to both."""
    from kohort.workspace.apart import keep_current

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    set_up("json" if os.environ.get(LOG_VARIABLE) == "json" else "text")
    keep_current(folder, fd)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
