"""`kohort.yaml` and the files beside it as they are now: anybody may change them while a workspace is open."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kohort.definitions.workspace_file import WorkspaceConfig
    from kohort.model.event import ColumnType

Which = tuple[tuple[str, int, int, int], ...]


class Settings:
    """One `kohort.yaml` and its `segments/*.yaml`, read again whenever a file is another one than at the last look.

    Args:
        columns: What the log has by now: features may name what events brought along, beside what the sources declare.
    """

    def __init__(self, file: Path, columns: Callable[[], Mapping[str, ColumnType]]) -> None:
        self.file, self._columns = file, columns
        self._read: tuple[Which | None, WorkspaceConfig, str, str] | None = None

    def now(self) -> WorkspaceConfig:
        """What it says; a segment that cannot be read is told apart (`unread`) and stops nothing else.

        Raises:
            NoWorkspace: The file is gone.
            RefusedDefinition: Somebody made another mistake in it.
        """
        return self._look()[0]

    def stamp(self) -> str:
        """A digest of all that answers about the data depend on: segments do not change what the data is."""
        return self._look()[1]

    def whole(self) -> str:
        """A digest of all that it says, segments too."""
        return self._look()[2]

    def change(self, change: Callable[[WorkspaceConfig], WorkspaceConfig]) -> None:
        """Write it anew from what it says now. The caller holds the write lock, so that nobody's change is lost.

        Raises:
            RefusedDefinition: Something in it cannot be read, and would be lost.
        """
        from kohort.definitions.workspace_file import load, save

        save(change(load(self.file, columns=self._columns())), self.file)

    def _look(self) -> tuple[WorkspaceConfig, str, str]:
        from kohort.definitions.workspace_file import load_readable, write

        which = _which(self.file)
        if self._read is None or which is None or self._read[0] != which:
            config = load_readable(self.file, columns=self._columns())
            text = write(replace(config, segments=()))
            stamp, whole = (hashlib.sha256(said.encode()).hexdigest()[:16] for said in (text, repr(config)))
            self._read = which, config, stamp, whole
        return self._read[1:]


def _which(file: Path) -> Which | None:
    """What tells one state of the files from another, without reading them; None = the first is gone."""
    from kohort.definitions.workspace_file import segment_files

    try:
        looked_at = [(f.name, f.stat()) for f in (file, *segment_files(file.parent))]
    except FileNotFoundError:
        return None
    return tuple((name, at.st_ino, at.st_mtime_ns, at.st_size) for name, at in looked_at)
