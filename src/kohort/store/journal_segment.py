"""One file of the journal: a header, two marks, then sealed blocks, each of them one group of requests.

```
0      header   magic, version, key id, segment id, id of the segment before, first frame, wrapped data key, CRC32
1024   mark     blocks and frames confirmed, CRC32          (even block counts)
1536   mark     the same                                    (odd block counts)
4096   block    magic, CRC32 of what follows, length, block number, first frame, frames, AES-256-GCM text and tag
…      block
```

A file is written by one process during one opening and a block number is used once, so the number is the nonce. Ids and
numbers are authenticated: a block of another place or another file does not open. Integers are little endian.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kohort.errors import Damaged
from kohort.store.files import flush_folder, write_whole
from kohort.store.keys import MasterKey, seal, unseal

_MAGIC = b"KOHJRNL1"
_FORGOTTEN = b"KOHGONE1"
_HEADER = struct.Struct("<8s8s16s16sQ61s")
_MARK = struct.Struct("<QQ")
_BLOCK = struct.Struct("<4sIIQQI")
_BLOCK_MAGIC = b"KBLK"
_ABOUT_BLOCK = slice(8, _BLOCK.size)
"""What of a block's head is covered by its CRC32 and authenticated: all but the magic and the CRC32 itself."""
_FRAME = struct.Struct("<II")
_CRC = struct.Struct("<I")
_MARKS = (1024, 1536)
"""Where the two marks lie: in disk sectors of their own, so that a torn write spoils the older one at most."""
_START = 4096
_TAG = 16
_PLACE_BYTES = 256 * 1024
"""How far apart the places are that a segment remembers for later jumps."""


class Frame(NamedTuple):
    """One request as it came in."""

    number: int
    meta: dict[str, Any]
    body: bytes


class Place(NamedTuple):
    """Where a block begins, and which block and frame that is."""

    frame: int
    block: int
    offset: int


class JournalKey:
    """What wraps the data keys of segments: derived from the master key for this purpose alone."""

    def __init__(self, master: MasterKey) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"journal").derive(master.secret)
        self.cipher = AESGCM(derived)
        self.id = hashlib.sha256(derived).digest()[:8]


@dataclass(slots=True)
class Segment:
    """A file of the journal whose header checks out. `end` and `last` tell how far it is known to be good."""

    path: Path
    id: bytes
    previous: bytes
    first: int
    cipher: AESGCM
    end: Place
    places: list[Place]
    fd: int = -1

    # -- making and opening ----------------------------------------------------------------------------------------

    @classmethod
    def make(cls, folder: Path, key: JournalKey, first: int, previous: bytes) -> Self:
        """A new file, on disk under its name, ready to be written; one of this name without a frame is replaced.

        Raises:
            OSError: It could not be written.
        """
        id_, data_key = secrets.token_bytes(16), secrets.token_bytes(32)
        wrapped = seal(key.cipher, data_key, _about(id_, previous, first))
        head = _HEADER.pack(_MAGIC, key.id, id_, previous, first, wrapped)
        path = folder / name_of(first)
        write_whole(path, (head + _CRC.pack(zlib.crc32(head))).ljust(_START, b"\0"))
        flush_folder(folder)
        start = Place(first, 0, _START)
        fd = os.open(path, os.O_RDWR)
        return cls(path, id_, previous, first, AESGCM(data_key), start, [start], fd)

    @classmethod
    def open(cls, path: Path, key: JournalKey) -> Self | None:
        """A file that is there, nothing of it read but its header; None where it was being forgotten.

        Raises:
            Damaged: The header does not check out, or the master key is another one.
            FileNotFoundError: There is none.
        """
        with path.open("rb") as file:
            data = file.read(_HEADER.size + _CRC.size)
        if data.startswith(_FORGOTTEN):
            return None
        head = data[: _HEADER.size]
        if len(data) < _HEADER.size + _CRC.size or data[_HEADER.size :] != _CRC.pack(zlib.crc32(head)):
            raise damaged(path, "its header does not check out")
        magic, key_id, id_, previous, first, wrapped = _HEADER.unpack(head)
        if magic != _MAGIC or name_of(first) != path.name:
            raise damaged(path, "its header belongs to another file")
        if key_id != key.id:
            raise Damaged(f"{path.name} was sealed with another master key.", hint="Put the right key back.")
        data_key = unseal(key.cipher, wrapped, _about(id_, previous, first))
        start = Place(first, 0, _START)
        return cls(path, id_, previous, first, AESGCM(data_key), start, [start])

    @property
    def last(self) -> int:
        """The last frame that is known to be good; `first - 1` where there is none."""
        return self.end.frame - 1

    def length(self) -> int:
        """Bytes of the file, 0 once it is gone."""
        try:
            return self.end.offset if self.end.block else self.path.stat().st_size
        except FileNotFoundError:
            return 0

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, frames: Sequence[tuple[bytes, bytes]]) -> None:
        """Writes (meta, body) pairs as one block; on return they are on disk. One attempt: never call it again after
        an error, a second flush would report success for data that the kernel has dropped.

        Raises:
            OSError: Nothing of it is confirmed.
        """
        plain = b"".join(part for meta, body in frames for part in (_FRAME.pack(len(meta), len(body)), meta, body))
        about = (len(plain) + _TAG, self.end.block, self.end.frame, len(frames))
        head = _BLOCK.pack(_BLOCK_MAGIC, 0, *about)[_ABOUT_BLOCK]
        text = self.cipher.encrypt(_nonce(self.end.block), plain, self.id + head)
        block = _BLOCK.pack(_BLOCK_MAGIC, zlib.crc32(text, zlib.crc32(head)), *about) + text
        self._write(block, self.end.offset)
        os.fdatasync(self.fd)
        end = Place(self.end.frame + len(frames), self.end.block + 1, self.end.offset + len(block))
        self._put_mark(end)
        self._good(end)

    def settle(self) -> None:
        """Brings the mark of the last block to disk, where otherwise the next block would take it along.

        Raises:
            OSError: It could not; nothing may be appended to this file any more.
        """
        os.fdatasync(self.fd)

    def abandon(self) -> None:
        """Closes the file after an error and takes away what was not confirmed, as far as the disk lets us."""
        try:
            os.ftruncate(self.fd, self.end.offset)
        except OSError:
            pass  # the next segment's first frame says where this one ends
        finally:
            self.close()

    def close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def forget(self) -> None:
        """Destroys the file's key on disk, then removes the file: what a disk keeps of it opens for nobody.

        Raises:
            OSError: It could not.
        """
        self.close()
        fd = os.open(self.path, os.O_RDWR)
        try:
            os.pwrite(fd, _FORGOTTEN.ljust(_MARKS[0], b"\0"), 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        self.path.unlink()

    # -- reading ---------------------------------------------------------------------------------------------------

    def marked(self) -> tuple[int, int]:
        """(blocks, last frame) that were confirmed for certain; what came in the last moment may be missing here.

        Raises:
            Damaged: Neither mark checks out, or the file ends before its first block would begin.
        """
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < _START:
                raise damaged(self.path, "it is cut off")
            found, spoilt = [(0, self.first - 1)], 0
            for offset in _MARKS:
                file.seek(offset)
                data = file.read(_MARK.size + _CRC.size)
                body, crc = data[: _MARK.size], data[_MARK.size :]
                if crc == _CRC.pack(zlib.crc32(self.id + body)):
                    found.append(_MARK.unpack(body))
                else:
                    spoilt += any(data)
        if spoilt == len(_MARKS):
            raise damaged(self.path, "its marks do not check out")
        return max(found)

    def recover(self) -> None:
        """Finds the end of the newest file after any kind of stop, and makes sure that what it holds is on disk.

        What lies behind the last whole block was never confirmed and is cut off.

        Raises:
            Damaged: A confirmed block is missing or damaged.
            OSError: The disk does not take it.
        """
        blocks, _ = self.marked()
        with self.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            behind = self.end
            for place in _whole_blocks(data, self.end):
                self._good(place)
                if place.block <= blocks:
                    behind = place
            unsure, size = data[behind.offset : self.end.offset], len(data)
        if self.end.block < blocks:
            raise damaged(self.path, "confirmed requests are missing in it")
        if unsure or size != self.end.offset:
            self._rewrite(behind.offset, unsure)

    def frames(self, place: Place, last: int) -> Iterator[tuple[Place, list[Frame]]]:
        """Blocks from a place up to the one with frame `last`: (place behind the block, its frames).

        Raises:
            Damaged: A block is missing, damaged or from elsewhere.
        """
        with self.path.open("rb") as file:
            file.seek(place.offset)
            while place.frame <= last:
                found = self._next(file, place)
                if found is None:
                    raise damaged(self.path, f"the requests from number {place.frame} on do not check out")
                place, block = found
                self._remember(place)
                yield place, self._unsealed(place, block)

    def nearest(self, frame: int) -> Place:
        """The last remembered place that is not behind a frame."""
        return next((p for p in reversed(self.places) if p.frame <= frame), self.places[0])

    # -- parts -----------------------------------------------------------------------------------------------------

    def _next(self, file: BinaryIO, place: Place) -> tuple[Place, bytes] | None:
        """The block that begins here, whole and unchanged, and the place behind it; None if there is no such block."""
        head = file.read(_BLOCK.size)
        if len(head) < _BLOCK.size:
            return None
        magic, crc, length, number, first, count = _BLOCK.unpack(head)
        if (magic, number, first) != (_BLOCK_MAGIC, place.block, place.frame):
            return None
        text = file.read(length)
        if len(text) < length or zlib.crc32(text, zlib.crc32(head[_ABOUT_BLOCK])) != crc:
            return None
        return Place(first + count, number + 1, place.offset + _BLOCK.size + length), head + text

    def _unsealed(self, behind: Place, block: bytes) -> list[Frame]:
        *_, count = _BLOCK.unpack_from(block)
        head, text = block[_ABOUT_BLOCK], block[_BLOCK.size :]
        try:
            plain = self.cipher.decrypt(_nonce(behind.block - 1), text, self.id + head)
        except InvalidTag:
            raise damaged(self.path, "a block does not open") from None
        found, at = [], 0
        for number in range(behind.frame - count, behind.frame):
            meta, body = _FRAME.unpack_from(plain, at)
            at += _FRAME.size
            found.append(Frame(number, json.loads(plain[at : at + meta].decode()), plain[at + meta : at + meta + body]))
            at += meta + body
        return found

    def _write(self, data: bytes, offset: int) -> None:
        # A regular file takes less than it was given only where a second try would fail: the disk or a limit is full.
        if os.pwrite(self.fd, data, offset) != len(data):
            raise OSError(errno.ENOSPC, "short write")

    def _put_mark(self, end: Place) -> None:
        """Not flushed: the flush of the next block, or `settle`, takes it along."""
        body = _MARK.pack(end.block, end.frame - 1)
        self._write(body + _CRC.pack(zlib.crc32(self.id + body)), _MARKS[end.block % 2])

    def _rewrite(self, offset: int, unsure: bytes) -> None:
        """Blocks behind the mark may have been read from memory that a failed flush never brought to disk."""
        self.fd = os.open(self.path, os.O_RDWR)
        try:
            if unsure:
                self._write(unsure, offset)
            os.ftruncate(self.fd, self.end.offset)
            os.fdatasync(self.fd)
            if self.end.block:
                self._put_mark(self.end)
                os.fdatasync(self.fd)
        finally:
            self.close()

    def _good(self, place: Place) -> None:
        self.end = place
        self._remember(place)

    def _remember(self, place: Place) -> None:
        if place.offset - self.places[-1].offset >= _PLACE_BYTES:
            self.places.append(place)


def _whole_blocks(data: mmap, place: Place) -> Iterator[Place]:
    """The places behind one whole, unchanged block after the other; ends where there is none."""
    frame, block, offset = place
    with memoryview(data) as view:
        while offset + _BLOCK.size <= len(view):
            magic, crc, length, number, first, count = _BLOCK.unpack_from(view, offset)
            end = offset + _BLOCK.size + length
            if magic != _BLOCK_MAGIC or number != block or first != frame or end > len(view):
                return
            with view[offset + _ABOUT_BLOCK.start : end] as covered:
                if zlib.crc32(covered) != crc:
                    return
            frame, block, offset = first + count, number + 1, end
            yield Place(frame, block, offset)


def seal_header(path: Path, old: JournalKey, new: JournalKey) -> bool:
    """Wraps a file's data key with another key, in place; its blocks stay as they are. Says whether it had to: a file that was being
    forgotten holds nothing any more, and one that was sealed so already is left alone.

    The header lies in one sector of the disk, like a mark, and is written at once. Nobody may write the file meanwhile.

    Raises:
        Damaged: The header does not check out, or a third key sealed it.
    """
    with path.open("rb") as file:
        if file.read(_HEADER.size)[len(_MAGIC) : len(_MAGIC) + len(new.id)] == new.id:
            return False
    segment = Segment.open(path, old)
    if segment is None:
        return False
    with path.open("r+b") as file:
        _, _, id_, previous, first, wrapped = _HEADER.unpack(file.read(_HEADER.size))
        about = _about(id_, previous, first)
        wrapped = seal(new.cipher, unseal(old.cipher, wrapped, about), about)
        head = _HEADER.pack(_MAGIC, new.id, id_, previous, first, wrapped)
        os.pwrite(file.fileno(), head + _CRC.pack(zlib.crc32(head)), 0)
        os.fsync(file.fileno())
    return True


def name_of(first: int) -> str:
    """The file whose first frame has this number."""
    return f"{first:020d}.log"


def damaged(path: Path, text: str) -> Damaged:
    """An error about one file of the journal."""
    return Damaged(f"{path.name} is damaged: {text}.", hint="Run kohort doctor, or restore the journal from a backup.")


def _about(id_: bytes, previous: bytes, first: int) -> bytes:
    return b"journal" + id_ + previous + first.to_bytes(8, "little")


def _nonce(block: int) -> bytes:
    return block.to_bytes(12, "little")
