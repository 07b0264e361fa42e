"""The bundled files of a real shop, and reading them into a workspace that holds nothing yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import WrongUsage
from kohort.model.progress import Progress, silent

if TYPE_CHECKING:
    from kohort.model.source import IngestReport
    from kohort.workspace.workspace import Workspace

FILES = ("year_2009_2010.parquet", "year_2010_2011.parquet")
ZONE, CURRENCY = "Europe/London", "GBP"


@contextmanager
def bundled() -> Iterator[list[Path]]:
    """Paths of the bundled files, unpacked where the package lies in an archive."""
    data = files("kohort") / "data" / "online_retail_ii"
    with as_file(data / FILES[0]) as first, as_file(data / FILES[1]) as second:
        yield [first, second]


def fill(ws: Workspace, *, progress: Progress = silent) -> IngestReport:
    """Read the demo shop into a workspace, which takes over its zone and currency.

    Raises:
        WrongUsage: The workspace holds data of its own: nobody could tell the two apart afterwards.
    """
    if not is_empty(ws):
        raise WrongUsage("This workspace holds data already.", hint="Make a new one for the demo: kohort demo")
    ws.change(lambda config: replace(config, timezone=ZONE, currency=CURRENCY))
    with bundled() as paths:
        return ws.ingest(*paths, progress=progress)


def is_empty(ws: Workspace) -> bool:
    """Whether nothing was ever read in or taken in."""
    return not ws.store.log.count()
