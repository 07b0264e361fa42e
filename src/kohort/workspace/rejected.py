"""Rows that could not be used, as a person may look at them: why, where from, and nothing that says who it was about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.workspace.cleaning import judged_by

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

FEW = 20


def reasons(ws: Workspace, most: int | None = None) -> list[dict[str, Any]]:
    """Why rows wait, the most frequent first: `{"source", "code", "rows", "reason"}`, the reason in a sentence, without the value, as the
    oldest such row has it."""
    state = ws.store.state
    counted = sorted(state.rejected_counts().items(), key=lambda one: (-one[1], one[0]))
    return [
        {
            "source": source,
            "code": code,
            "rows": rows,
            "reason": next((row.reason for row in state.rejected(source, code=code, limit=1)), ""),
        }
        for (source, code), rows in counted[:most]
    ]


def rows(
    ws: Workspace, *, source: str | None = None, code: str | None = None, limit: int = FEW
) -> list[dict[str, Any]]:
    """The oldest rows that wait: `{"id", "source", "file", "line", "code", "reason", "column", "row"}`, `row` without direct identifiers,
    customer and text."""
    found = ws.store.state.rejected(source, code=code, limit=limit)
    return [
        {
            "id": row.id,
            "source": row.source,
            "file": row.file,
            "line": row.line,
            "code": row.code,
            "reason": row.reason,
            "column": row.column,
            "row": judged_by(ws, row),
        }
        for row in found
    ]
