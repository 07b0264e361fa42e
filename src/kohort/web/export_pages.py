"""Routes that give lists out as files: the segments that people define, and the members of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import Response

from kohort.errors import NotFound
from kohort.model.clock import iso
from kohort.views import own_words as say
from kohort.views.tables import MEDIA, TableKind, as_file
from kohort.web import sight
from kohort.web.own import OwnSegments

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.workspace.workspace import Workspace


def export_pages(app: FastAPI, ws: Workspace, own: OwnSegments) -> None:
    """Adds them to the application."""

    @app.get("/segments.csv")
    def segments() -> Response:
        import pyarrow as pa

        lines = [s.about for s in own.all().segments]
        table = pa.table(
            {
                "segment": pa.array([s.name for s in lines], pa.string()),
                "label": pa.array([s.label for s in lines], pa.string()),
                "kind": pa.array([say.KINDS[s.kind] for s in lines], pa.string()),
                "status": pa.array([say.STATES[say.state(s)][0] for s in lines], pa.string()),
                "members": pa.array([s.size if s.version else None for s in lines], pa.int64()),
                "share": pa.array([s.share if s.version else None for s in lines], pa.float64()),
                "as_of": pa.array([s.status.as_of and iso(s.status.as_of) for s in lines], pa.string()),
            }
        )
        return _file(table, "csv", "segments")

    @app.get("/definitions/{name}/export/{kind}")
    def members(name: str, kind: str) -> Response:
        one = own.all().segment(name)
        which: TableKind | None = next((k for k in MEDIA if k == kind), None)
        if which is None:
            raise NotFound("kind of file", kind, MEDIA)
        table = ws.members(name)
        return _file(table if one.about.kind == "accounts" else sight.table(table, ws.store.vault), which, name)


def _file(table: pa.Table, kind: TableKind, name: str) -> Response:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}.{kind}"'}
    return Response(as_file(table, kind), media_type=MEDIA[kind], headers=headers)
