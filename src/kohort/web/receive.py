"""Files that a form sends (`multipart/form-data`): written to the disk as they arrive, never held in memory.

The word of the form has to come before the file: of a form that is none of ours nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email.message import Message
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import run_in_threadpool

from kohort.errors import BadInput, TooLarge, WrongUsage
from kohort.locale import mark
from kohort.web import forms

if TYPE_CHECKING:
    from kohort.store.uploads import Uploads

MOST_BYTES = 2 << 30
"""Of one file; larger ones are named by their path, or read in with `kohort ingest`."""
_MOST_HEAD = 8_192
_MOST_FIELDS = 4
_HEAD_END = b"\r\n\r\n"


async def receive(request: Request, uploads: Uploads) -> str:
    """Takes the file of a form and says its token.

    Raises:
        WrongUsage: The form is none of ours, or sends no file.
        TooLarge: The file is.
        BadInput: The form breaks off.
        CannotWrite: The disk does not take it.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > MOST_BYTES + _MOST_HEAD:
        raise _too_large()
    reading = _Parts(request.stream(), boundary)
    fields: dict[str, str] = {}
    while (head := await reading.head()) is not None:
        name, file = head
        if file is None:
            if len(fields) == _MOST_FIELDS:
                raise TooLarge(mark("The form has too many fields."))
            fields[name] = await _text(reading)
            continue
        forms.check(request, fields)
        if not file:
            raise WrongUsage(mark("No file was chosen."), hint=mark("Choose one, then send the form."))
        return await _kept(reading, uploads, file)
    raise WrongUsage(mark("The form sends no file."), hint=mark("Open the page again and repeat it there."))


async def _kept(reading: _Parts, uploads: Uploads, name: str) -> str:
    """Every touch of the disk is in a thread: a slow one makes nobody else wait."""
    async with contextmanager_in_threadpool(uploads.receive(name)) as (token, file):
        written = 0
        async for piece in reading.body():
            written += len(piece)
            if written > MOST_BYTES:
                raise _too_large()
            await run_in_threadpool(file.write, piece)
    return token


async def _text(reading: _Parts) -> str:
    found = b""
    async for piece in reading.body():
        found += piece
        if len(found) > forms.MOST_BYTES:
            raise TooLarge("A field of the form is too long.")
    return found.decode("utf-8", "replace")


class _Parts:
    """The parts of a body one after the other: `head`, then its `body` to the end, then the next `head`."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream, self._mark = stream, b"\r\n--" + boundary
        self._held = b"\r\n"  # so that the first mark looks like the others
        self._begun = False

    async def head(self) -> tuple[str, str | None] | None:
        """Name of the next part, and of its file (None = a field; empty = none was chosen); None = there is no more."""
        if not self._begun:
            self._begun = True
            async for _ in self.body():
                pass
        while len(self._held) < 2:
            await self._more()
        if self._held.startswith(b"--"):
            return None
        while _HEAD_END not in self._held:
            if len(self._held) > _MOST_HEAD:
                raise BadInput(mark("The form cannot be read."), hint=mark("Send it again."))
            await self._more()
        lines, self._held = self._held.split(_HEAD_END, 1)
        told = Message()
        for line in lines.decode("utf-8", "replace").splitlines():
            title, _, value = line.partition(":")
            if title.strip().lower() == "content-disposition":
                told["content-disposition"] = value.strip()
        name = told.get_param("name", "", "content-disposition")
        return str(name), _file_name(lines.decode("utf-8", "replace"))

    async def body(self) -> AsyncIterator[bytes]:
        """The content of the part, piece by piece."""
        while (end := self._held.find(self._mark)) < 0:
            safe = len(self._held) - len(self._mark)
            if safe > 0:
                piece, self._held = self._held[:safe], self._held[safe:]
                yield piece
            await self._more()
        piece, self._held = self._held[:end], self._held[end + len(self._mark) :]
        if piece:
            yield piece

    async def _more(self) -> None:
        async for piece in self._stream:
            if piece:
                self._held += piece
                return
        raise BadInput(mark("The form broke off on its way."), hint=mark("Send it again."))


def _boundary(kind: str) -> bytes:
    told = Message()
    told["content-type"] = kind
    found = told.get_boundary()
    if told.get_content_type() != "multipart/form-data" or not found or len(found) > 70:
        raise WrongUsage(mark("The form sends no file."), hint=mark("Open the page again and repeat it there."))
    return found.encode("latin-1", "replace")


def _file_name(head: str) -> str | None:
    """The name as browsers write it: quotes and line ends in it are escaped by percent signs, nothing else is."""
    found = re.search(r'filename="([^"\r\n]*)"', head)
    return None if found is None else found[1]


def _too_large() -> TooLarge:
    hint = "Put it on the machine of the server and give its path, or use: kohort ingest"
    return TooLarge(f"A file sent by the browser may have {MOST_BYTES >> 30} GB.", hint=hint)
