"""The high-water mark beside a database: what has been acknowledged must still be there.

SQLite drops a damaged tail of its write-ahead log without a word: acknowledged changes vanish silently. So every
transaction raises a counter inside the database, and the same figure is put into a small file of its own before the
change is acknowledged. A database that is behind its mark has lost something.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import zlib
from pathlib import Path

from kohort.errors import Damaged

_FORMAT = struct.Struct("<8sQI")
_MAGIC = b"KOHMARK1"


class Mark:
    """One counter in one file, raised with a flush to disk and never lowered."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> int:
        """The last acknowledged figure; 0 where no mark was ever set.

        Raises:
            Damaged: The file does not check out.
        """
        try:
            return self._parse(self.path.read_bytes())
        except FileNotFoundError:
            return 0

    def raise_to(self, figure: int) -> None:
        """Sets the mark unless it is higher already. On return the figure is on disk."""
        body = struct.pack("<8sQ", _MAGIC, figure)
        data = body + struct.pack("<I", zlib.crc32(body))
        if not self.path.exists():
            self._begin(data)
        fd = os.open(self.path, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            old = os.pread(fd, _FORMAT.size + 1, 0)
            if not old or self._parse(old) < figure:
                os.pwrite(fd, data, 0)
                os.fsync(fd)
        finally:
            os.close(fd)

    def _begin(self, data: bytes) -> None:
        """Makes the file with its first figure in it: a reader may look at any instant, and an empty one is damaged."""
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            os.link(new, self.path)
        except FileExistsError:
            pass  # another process was faster
        except OSError:  # a file system without links
            new.replace(self.path)
        finally:
            new.unlink(missing_ok=True)

    def _parse(self, data: bytes) -> int:
        if len(data) == _FORMAT.size:
            magic, figure, crc = _FORMAT.unpack(data)
            if magic == _MAGIC and crc == zlib.crc32(data[:16]):
                return int(figure)
        raise Damaged(
            f"{self.path.name} is damaged.", hint=f"Run kohort doctor; delete it once {self.path.stem}.db checks out."
        )
