"""Text files as bytes and as numbered lines: packed or not, in whatever encoding, of whatever size."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from kohort.errors import BadInput, KohortError, TooLarge, UnreadableFile
from kohort.ingest.files import SourceFile
from kohort.ingest.limits import FREE_UNPACKED_BYTES, MAX_RECORD_CHARS, MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO

_BLOCK = 4 * 1024 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MIXED_SHARE = 0.05


class _Counted(io.RawIOBase):
    """Bytes of a packed file, stopped where they become more than an honest file could hold."""

    def __init__(self, stream: BinaryIO, limit: int, name: str) -> None:
        self._stream, self._left, self._name = stream, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._stream.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge("The file unpacks to far more than its size.", place=self._name)
        view[: len(data)] = data
        return len(data)


@contextmanager
def open_bytes(file: SourceFile) -> Iterator[BinaryIO]:
    """The unpacked bytes of a text file.

    Raises:
        UnreadableFile: Opening or reading fails: a damaged archive, a disk error.
        TooLarge: It unpacks to more than it honestly could.
    """
    try:
        with file.path.open("rb") as raw:
            if not file.packed:
                yield io.BufferedReader(raw, _BLOCK)  # type: ignore[type-var,unused-ignore]
                return
            limit = min(MAX_UNPACKED_BYTES, max(FREE_UNPACKED_BYTES, file.path.stat().st_size * MAX_UNPACKED_RATIO))
            if file.packed == "gz":
                with gzip.open(raw, "rb") as stream:
                    yield io.BufferedReader(_Counted(stream, limit, file.name), _BLOCK)  # type: ignore[arg-type]
                return
            with zipfile.ZipFile(raw) as archive, archive.open(file.member) as member:
                yield io.BufferedReader(_Counted(member, limit, file.name), _BLOCK)  # type: ignore[arg-type]
    except KohortError:
        raise
    except PermissionError as error:
        raise UnreadableFile(
            "This user may not read the file.", place=file.name, hint="Give this user the right to read it."
        ) from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, KeyError, ValueError) as error:
        raise UnreadableFile(
            "The file is damaged or incomplete.", place=file.name, hint="Check that the copy is complete."
        ) from error


def find_encoding(file: SourceFile) -> str:
    """The encoding of a text file, after reading all of it. Reading to the end also proves that it can be read.

    A byte-order mark decides. Without one: UTF-8 where all of it is valid; Windows-1252 where nothing beyond ASCII is
    valid UTF-8. A file with both is UTF-8, and its invalid lines are refused one by one.
    """
    with open_bytes(file) as stream:
        head = stream.read(4096)
        for mark, encoding in _BOMS:
            if head.startswith(mark):
                _drain(stream)
                return encoding
        if wide := _wide(head):
            _drain(stream)
            return wide
        decoder = codecs.getincrementaldecoder("utf-8")()
        block = head
        while block:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return _single_byte_or_mixed(file)
            block = stream.read(_BLOCK)
    return "utf-8"


def known_encoding(encoding: str) -> str:
    """The encoding, checked.

    Raises:
        BadInput: Python does not know it as a text encoding.
    """
    try:
        "a".encode(encoding)
    except (LookupError, UnicodeError, TypeError, ValueError) as error:
        raise BadInput(
            f"{encoding!r} is not a text encoding.", code="unknown_encoding", hint="Use utf-8, cp1252, utf-16 …"
        ) from error
    return encoding


def lines(stream: BinaryIO, encoding: str) -> Iterator[str]:
    """Physical lines with their ends. Bytes that are no text become lone surrogates, which `is_text` finds.

    A line beyond MAX_RECORD_CHARS comes as its first part followed by nothing: the rest is skipped.
    """
    text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")
    try:
        while line := text.readline(MAX_RECORD_CHARS + 1):
            if len(line) > MAX_RECORD_CHARS:
                rest = line
                while rest and rest[-1] not in "\r\n":
                    rest = text.readline(MAX_RECORD_CHARS)
            yield line
    finally:
        text.detach()


def is_text(text: str) -> bool:
    """Whether every byte could be decoded."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str, limit: int = 10_000) -> str:
    """A damaged line as it can be kept and shown."""
    return text[:limit].encode("utf-8", "replace").decode().replace("\0", "�")


def _wide(head: bytes) -> str:
    """UTF-16 without a byte-order mark: nearly every second byte is zero."""
    if len(head) < 8:
        return ""
    even, odd = head[0::2], head[1::2]
    if odd.count(0) > 0.6 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > 0.6 * len(even) and odd.count(0) < 0.1 * len(odd) else ""


def _single_byte_or_mixed(file: SourceFile) -> str:
    valid = invalid = 0
    undefined = False
    with open_bytes(file) as stream:
        while line := stream.readline(_BLOCK):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                valid += 1
            except UnicodeDecodeError:
                invalid += 1
                undefined = undefined or any(b in line for b in b"\x81\x8d\x8f\x90\x9d")
    if valid > _MIXED_SHARE * invalid:
        return "utf-8"
    return "latin-1" if undefined else "cp1252"


def _drain(stream: BinaryIO) -> None:
    while stream.read(_BLOCK):
        pass
