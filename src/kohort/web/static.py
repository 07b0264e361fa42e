"""The files that pages are made up with: few and small, so they are read and compressed once, when the server starts.

Pages name them with a digest of their content (`kohort.views.paper.asset`). Such an address never stands for other content,
so browsers keep it for good; asked for without a digest, a file is kept too, and browsers ask whether it is still the same.
"""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kohort.views.paper import digest

FOR_GOOD = "public, max-age=31536000, immutable"
ASK = "no-cache"


@dataclass(frozen=True, slots=True)
class _File:
    media: str
    digest: str
    body: bytes
    packed: bytes


class Files:
    """Every file of one folder, as a mounted application."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: _read(path) for path in folder.iterdir() if path.is_file()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        file = self._files.get(scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/"))
        if file is None:
            raise HTTPException(404)
        asked, headers = parse_qs(scope["query_string"].decode("latin-1")), Headers(scope=scope)
        tag = f'W/"{file.digest}"'
        told = {
            "Cache-Control": FOR_GOOD if asked.get("v") == [file.digest] else ASK,
            "ETag": tag,
            "Vary": "Accept-Encoding",
        }
        if tag.removeprefix("W/") in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=told)
        if "gzip" in headers.get("accept-encoding", "") and len(file.packed) < len(file.body):
            return Response(file.packed, headers={**told, "Content-Encoding": "gzip"}, media_type=file.media)
        return Response(file.body, headers=told, media_type=file.media)


def _read(path: Path) -> _File:
    body = path.read_bytes()
    media = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0] or "text/plain"
    return _File(media, digest(path.name), body, gzip.compress(body, mtime=0))
