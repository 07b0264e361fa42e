"""The loop of a workspace in a process of its own; `kohort.cli.apart` is that process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kohort.live.apart import Apart, serve_apart
from kohort.live.beside import command
from kohort.live.fed import Fed
from kohort.live.service import Running
from kohort.live.sources import JOURNAL
from kohort.workspace.live import look, topics

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace


def apart(ws: Workspace) -> Apart:
    """A loop beside this process, not yet begun; see `kohort.live.apart.Apart`.

    Raises:
        Busy: Another process keeps this workspace current.
        WrongUsage: What the environment says of Kafka cannot be meant.
        MissingExtra: It names topics, and the Kafka client is not installed.
    """
    from kohort.workspace.workspace import Workspace

    for source in topics(ws):  # what is wrong with them is said here, where somebody sees it
        source.close()
    own = Workspace.open(ws.root)
    try:
        return Apart(own.store, command(ws.root))
    except BaseException:
        own.close()
        raise


def keep_current(folder: str, fd: int) -> None:
    """Is the other process: keeps the workspace current until the server ends.

    Args:
        fd: Of the connection to the server.
    """
    from kohort.workspace.workspace import Workspace

    ws = Workspace.open(folder)
    fed = Fed(ws.store.ticks.position().sources.get(JOURNAL, 0))
    serve_apart(fd, Running(ws.store, look(ws), fed, sources=topics(ws)), fed)
