"""Where data comes from: files that are read, and the last time each brought something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.model.clock import iso

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace


def listed(ws: Workspace) -> list[dict[str, Any]]:
    """Every source of files below `sources:` in kohort.yaml.

    Returns:
        `{"name", "kind", "last", "file", "read", "stored", "duplicate", "rejected"}` each: what became of the rows of its latest file,
        None where it has none yet.
    """
    last = ws.store.state.last_batches()
    found = []
    for mapping in ws.config.sources:
        at, report = last.get(mapping.name, (None, None))
        counts = {n: getattr(report, n) if report else None for n in ("read", "stored", "duplicate", "rejected")}
        when = None if at is None else iso(at)
        found.append(
            {"name": mapping.name, "kind": mapping.kind, "last": when, "file": report and report.file, **counts}
        )
    return found
