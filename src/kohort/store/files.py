"""Files that are either whole or absent, and that are on disk when we say so."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path


def flush_folder(folder: Path) -> None:
    """Makes new and renamed entries of a folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def flush_file(path: Path) -> None:
    """Makes the content of a file survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def private_folder(path: Path) -> None:
    """Makes a folder that only this user can look into; one that is there already is left as it is."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


def private_file(path: Path) -> None:
    """Makes an empty file that only this user can read; one that is there already is left as it is.

    SQLite gives its log and its index the rights of the database, so this is enough for all three.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Writes a file for this user alone through a temporary name, flushed: nobody ever sees half of it.

    The caller flushes the folder.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Verified:
    """Remembers which files this process has compared with their digest, until they change on disk."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int, int]] = {}

    def matches(self, path: Path, size: int, sha256: str) -> bool:
        """Whether the file has this size and a SHA-256 that begins with these hex digits. Content is read once."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != size:
            return False
        now = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if self._seen.get(str(path)) != now:
            if not sha256_of(path).startswith(sha256):
                return False
            self._seen[str(path)] = now
        return True

    def know(self, path: Path) -> None:
        """Remembers a file that this process has just written and computed the digest of."""
        stat = path.stat()
        self._seen[str(path)] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
