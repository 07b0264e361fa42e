"""Routes that give lists out as files: segments, members, who is likely, what customers are worth, rows left out, the log.

Customers are in a file as whoever asks sees them on the page beside it, and that they were given out is written down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import Response

from kohort.errors import NotFound
from kohort.model.clock import iso
from kohort.views import own_words as say
from kohort.views.login import ACTS
from kohort.views.tables import MEDIA, TableKind, as_file
from kohort.web import sight
from kohort.web.login_pages import lines_of
from kohort.web.own import OwnSegments
from kohort.workspace.rejected import rows as rejected_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.segmentation import Segmentation
    from kohort.segments.listing import Description
    from kohort.workspace.workspace import Workspace

_ALL = 1 << 31


def export_pages(app: FastAPI, ws: Workspace, own: OwnSegments) -> None:
    """Adds them to the application."""

    @app.get("/segments.csv")
    def segments() -> Response:
        lines = [*_found(ws.segmentation()), *_defined(s.about for s in own.all().segments)]
        columns = {"segment": "t", "label": "t", "kind": "t", "status": "t", "members": "i", "share": "f", "as_of": "t"}
        return _file(_table(lines, columns), "csv", "segments")

    @app.get("/definitions/{name}/export/{kind}")
    def members(name: str, kind: str) -> Response:
        one, which = own.all().segment(name), _kind(kind)
        table = ws.members(name)
        return _file(table if one.about.kind == "accounts" else sight.table(table, ws.store.vault), which, name)

    @app.get("/segments/{segment_id}/export/{kind}")
    def found_members(segment_id: str, kind: str) -> Response:
        which = _kind(kind)
        some = sight.rows(ws.members_page(segment_id, limit=_ALL), ws.store.vault)
        features = {f.name: "t" if f.type == "text" else "f" for f in some["columns"]}
        rows = ({**row["features"], **row} for row in some["rows"])
        table = _table(rows, {"customer_id": "t", "since": "t", **features, "confidence": "f"})
        return _file(table, which, segment_id)

    @app.get("/predictions/{name}/export/{kind}")
    def chances(name: str, kind: str, part: str = "") -> Response:
        which, full = _kind(kind), f"{name}/{part}" if part else name
        return _file(sight.table(ws.predict.chances(full), ws.store.vault), which, full)

    @app.get("/value/export/{kind}")
    def worth(kind: str) -> Response:
        which = _kind(kind)
        some = sight.document(ws.predict.value.best(limit=_ALL), ws.store.vault)
        parts = ("value", "low", "high")
        rows = (
            {"customer_id": row["customer_id"]}
            | {f"{of}_{part}": row[of][part] for of in ("purchases", "value") if row[of] for part in parts}
            for row in some["rows"]
        )
        figures = {f"{of}_{part}": "f" for of in ("purchases", "value") for part in parts}
        return _file(_table(rows, {"customer_id": "t", **figures}), which, "value")

    @app.get("/data-health/rejected/export/{kind}")
    def rejected(kind: str, source: str = "", code: str = "") -> Response:
        which = _kind(kind)
        found = rejected_rows(ws, source=source or None, code=code or None, limit=_ALL)
        columns = ("source", "file", "line", "code", "reason", "column")
        rows = (
            {name: row[name] for name in columns} | {"row": json.dumps(row["row"], ensure_ascii=False, default=str)}
            for row in found
        )
        return _file(_table(rows, {**dict.fromkeys(columns, "t"), "line": "i", "row": "t"}), which, "rows-left-out")

    @app.get("/audit-log/export/{kind}")
    def audit_log(kind: str, by: str = "", act: str = "") -> Response:
        which = _kind(kind)
        lines = lines_of(ws, ws.store.audit_log.latest(_ALL, by=by, act=act))
        rows = (
            {
                "number": line.number,
                "at": iso(line.at_us),
                "by": line.by,
                "act": line.act,
                "did": ACTS.get(line.act, line.act),
                "about": line.about,
                "customer": line.customer,
            }
            for line in lines
        )
        columns = {"number": "i", **dict.fromkeys(("at", "by", "act", "did", "about", "customer"), "t")}
        return _file(_table(rows, columns), which, "audit-log")


def _found(found: Segmentation | None) -> list[dict[str, Any]]:
    if found is None:
        return []
    about = {"kind": "Found", "status": "Adopted" if found.name else "Not adopted", "as_of": found.as_of}
    return [{"segment": s.id, "label": s.name, "members": s.size, "share": s.share, **about} for s in found.segments]


def _defined(lines: Iterable[Description]) -> list[dict[str, Any]]:
    return [
        {
            "segment": s.name,
            "label": s.label,
            "kind": say.KINDS[s.kind],
            "status": say.STATES[say.state(s)][0],
            "members": s.size if s.version else None,
            "share": s.share if s.version else None,
            "as_of": s.status.as_of and iso(s.status.as_of),
        }
        for s in lines
    ]


def _kind(kind: str) -> TableKind:
    """
    Raises:
        NotFound: There is no such kind of file.
    """
    which: TableKind | None = next((k for k in MEDIA if k == kind), None)
    if which is None:
        raise NotFound("kind of file", kind, MEDIA)
    return which


def _table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pa.Table:
    """A table of rows.

    Args:
        columns: Name → what it holds: (t)ext, whole numbers (i), or numbers (f); what a row lacks is missing.
    """
    import pyarrow as pa

    listed = list(rows)
    kinds: dict[str, tuple[pa.DataType, Callable[[Any], Any]]] = {
        "t": (pa.string(), str),
        "i": (pa.int64(), int),
        "f": (pa.float64(), float),
    }

    def column(name: str, kind: str) -> pa.Array:
        type_, read = kinds[kind]
        return pa.array([None if row.get(name) is None else read(row[name]) for row in listed], type_)

    return pa.table({name: column(name, kind) for name, kind in columns.items()})


def _file(table: pa.Table, kind: TableKind, name: str) -> Response:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}.{kind}"'}
    return Response(as_file(table, kind), media_type=MEDIA[kind], headers=headers)
