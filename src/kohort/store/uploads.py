"""Files that people brought and nobody has read in yet. They lie here as they came, for a day at most."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from kohort.errors import CannotWrite, NotFound
from kohort.store.files import private_folder

KEPT_SECONDS = 24 * 3_600
_TOKEN = re.compile(r"[0-9a-f]{16}")
_ELSEWHERE = ".elsewhere"
"""Holds the path of a file that was named and not sent."""


class Uploads:
    """What was brought to one workspace, each under a token that nobody guesses."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "uploads"

    @contextmanager
    def receive(self, name: str) -> Iterator[tuple[str, BinaryIO]]:
        """A token, and a new file to write; where that is interrupted, nothing stays.

        Args:
            name: What the file is called at home; only its last part counts, and odd characters become "_".

        Raises:
            CannotWrite: The disk does not take it, also what is written to the file inside the block.
        """
        with _translated():
            self.clear(older_than_seconds=KEPT_SECONDS)
            token = self._new()
            try:
                fd = os.open(self.folder / token / plain_name(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(fd, "wb") as file:
                    yield token, file
            except BaseException:
                self.drop(token)
                raise

    def name(self, path: str) -> str:
        """A token for files that lie elsewhere on this machine: a path, a folder or a pattern.

        Raises:
            CannotWrite: The disk does not take it.
        """
        with _translated():
            self.clear(older_than_seconds=KEPT_SECONDS)
            token = self._new()
            (self.folder / token / _ELSEWHERE).write_text(path, encoding="utf-8")
            return token

    def path(self, token: str) -> Path:
        """Where the file of a token lies.

        Raises:
            NotFound: There is none, or not any more.
        """
        folder = self.folder / token
        found = sorted(folder.iterdir()) if _TOKEN.fullmatch(token) and folder.is_dir() else []
        if not found:
            raise NotFound(
                "file", "of this page", hint="It was read in, taken away or is older than a day: bring it again."
            )
        if found[0].name == _ELSEWHERE:
            return Path(found[0].read_text(encoding="utf-8"))
        return found[0]

    def drop(self, token: str) -> None:
        """Deletes what a token stands for; a file that lies elsewhere stays there."""
        if _TOKEN.fullmatch(token):
            shutil.rmtree(self.folder / token, ignore_errors=True)

    def clear(self, *, older_than_seconds: float = -1) -> int:
        """Deletes what is old; everything where no age is given. Says how many there were."""
        before, gone = time.time() - older_than_seconds, 0
        for one in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(FileNotFoundError):  # somebody else was quicker
                if one.stat().st_mtime < before:
                    shutil.rmtree(one, ignore_errors=True)
                    gone += 1
        return gone

    def _new(self) -> str:
        private_folder(self.folder)
        token = secrets.token_hex(8)
        private_folder(self.folder / token)
        return token


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotWrite("The file could not be stored.", hint="Look whether the disk is full.") from error


def plain_name(name: str) -> str:
    """The last part of a file's name, in characters that mean nothing to a file system.

    Example:
        >>> plain_name("../../etc/passwd"), plain_name(r"C:\\orders\\März 2026.csv"), plain_name("...")
        ('passwd', 'März 2026.csv', 'file')
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^\w .()+-]", "_", last).strip(". ")
    return plain[-100:].lstrip(". ") or "file"
