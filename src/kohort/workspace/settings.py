"""`kohort.yaml` as it is now: a person or another process may change it while a workspace is open."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kohort.definitions.workspace_file import WorkspaceConfig


class Settings:
    """One `kohort.yaml`, read again whenever the file is another one than at the last look."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read: tuple[tuple[int, int, int] | None, WorkspaceConfig, str] | None = None

    def now(self) -> WorkspaceConfig:
        """What it says.

        Raises:
            NoWorkspace: The file is gone.
            RefusedDefinition: Somebody made a mistake in it.
        """
        return self._look()[0]

    def stamp(self) -> str:
        """A digest of what it says; how it is written does not matter."""
        return self._look()[1]

    def change(self, change: Callable[[WorkspaceConfig], WorkspaceConfig]) -> None:
        """Write it anew from what it says now. The caller holds the write lock, so that nobody's change is lost."""
        from kohort.definitions.workspace_file import save

        save(change(self.now()), self.file)

    def _look(self) -> tuple[WorkspaceConfig, str]:
        from kohort.definitions.workspace_file import load, write

        which = _which(self.file)
        if self._read is None or which is None or self._read[0] != which:
            config = load(self.file)
            self._read = which, config, hashlib.sha256(write(config).encode()).hexdigest()[:16]
        return self._read[1:]


def _which(file: Path) -> tuple[int, int, int] | None:
    """What tells one state of a file from another, without reading it; None = it is gone."""
    try:
        at = file.stat()
    except FileNotFoundError:
        return None
    return at.st_ino, at.st_mtime_ns, at.st_size
