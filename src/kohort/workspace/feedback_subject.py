"""What people talk about when they say what they think: a definition, an adopted segmentation, or what was found last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kohort.errors import NotEnough, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.segments import SegmentDefinition
    from kohort.workspace.workspace import Workspace

FOUND = "found"
"""Name of what `discover` found last and nobody adopted. Votes about it are kept under the id of that result."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is talked about.

    Attributes:
        name: As it is kept: `found` stands as `found:ID`.
        parts: Key of each part → what people read.
        definition: None of what was found.
    """

    name: str
    parts: Mapping[str, str]
    version: int
    definition: SegmentDefinition | None


def subject_of(ws: Workspace, name: str) -> Subject:
    """What a name means to those who talk about it.

    Raises:
        NotFound: No segment has this name.
        NotEnough: It is "found", and nothing was found yet.
    """
    store, config = ws.store, ws.config
    definition = next((d for d in config.segments if d.name == name), None)
    if definition is not None:
        from kohort.definitions.segments_text import title

        parts = {p.key: title(p.key, p.label) for p in definition.parts}
        status = store.status.all().get(name)
        return Subject(name, parts, status.version if status else 0, definition)
    if name == FOUND or name.startswith(f"{FOUND}:"):
        found = store.state.segmentation("", id=name.partition(":")[2] or None)
        if found is None:
            raise NotEnough("Nothing was found yet.", hint="Run: kohort discover")
        return Subject(f"{FOUND}:{found.id}", {s.id: s.name for s in found.segments}, 0, None)
    found = store.state.segmentation(name) if name else None
    if found is None:
        known = [row["name"] for row in ws.segmentations() if row["adopted"]]
        raise NotFound("segment", name, [*(d.name for d in config.segments), *known])
    status = store.status.all().get(name)
    return Subject(name, {s.id: s.name for s in found.segments}, status.version if status else 0, None)


def members_of(ws: Workspace, subject: Subject) -> pa.Table:
    """Members now: customer, segment, and since and reason where they are known."""
    if not subject.name.startswith(f"{FOUND}:"):
        try:
            return ws.store.members.current(subject.name)
        except NotFound:  # nobody was placed yet
            return _nobody()
    from kohort.workspace.found import people

    kept = ws.store.state.get("found")
    if kept is None or f"{FOUND}:{kept['segmentation']}" != subject.name:
        return _nobody()
    table, _ = people(ws, "")
    return table.select(["_customer", "_segment"]).rename_columns(["customer", "segment"])


def _nobody() -> pa.Table:
    import pyarrow as pa

    return pa.table({"customer": pa.array([], pa.int64()), "segment": pa.array([], pa.string())})
