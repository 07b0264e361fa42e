"""Who is in which segment, with the company's own customer numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound
from kohort.model.clock import iso
from kohort.workspace.people import company_numbers

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.workspace.workspace import Workspace


def members(ws: Workspace, name: str, as_of: int | None) -> pa.Table:
    """See `Workspace.members`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    segmentation, wanted = _meant(ws, name)
    runs = ws.store.state.membership_runs(segmentation)
    if as_of is not None and runs and as_of < runs[0]["as_of"]:
        table = _placed(ws, segmentation, as_of)
    else:
        table = ws.store.state.memberships(segmentation, as_of)
    if wanted is not None:
        table = table.filter(pc.equal(table.column("segment"), wanted))
    found = ws.store.state.segmentation(segmentation)
    titles = {s.id: s.name for s in found.segments} if found else {}
    since = [None if t is None else iso(t) for t in table.column("since").to_pylist()]
    return pa.table(
        {
            "customer_id": pa.array(company_numbers(ws.store.vault, table.column("customer").to_numpy()), pa.string()),
            "segment": pa.array([titles.get(s, s) for s in table.column("segment").to_pylist()], pa.string()),
            "since": pa.array(since, pa.string()),
            "confidence": table.column("confidence"),
            "reason": table.column("reason"),
        }
    )


def members_page(ws: Workspace, segment_id: str, cursor: int, limit: int) -> dict[str, Any]:
    """See `Workspace.members_page`."""
    import pyarrow.compute as pc

    from kohort.workspace.found import people

    found = ws.store.state.segmentation()
    if found is None or segment_id not in {s.id for s in found.segments}:
        raise NotFound("segment", segment_id, [s.id for s in found.segments] if found else [])
    table, infos = people(ws, found.name)
    if found.name:
        rows = ws.store.state.memberships(found.name)
        rows = rows.rename_columns([f"_{name}" for name in rows.column_names])  # no feature's name begins with _
        table = rows.join(table, keys="_customer", join_type="left outer")
    table = table.filter(pc.equal(table.column("_segment"), segment_id))
    table = table.sort_by([("_confidence", "descending"), ("_customer", "ascending")]).slice(cursor, limit + 1)
    listed = table.slice(0, limit).to_pylist()
    numbers = company_numbers(ws.store.vault, [row["_customer"] for row in listed])
    return {
        "rows": [
            {
                "customer_id": number,
                "since": None if row.get("_since") is None else iso(row["_since"]),
                "confidence": row["_confidence"],
                "features": {f.name: row.get(f.name) for f in infos},
            }
            for number, row in zip(numbers, listed, strict=True)
        ],
        "next": cursor + limit if table.num_rows > limit else None,
        "columns": list(infos),
    }


def _meant(ws: Workspace, name: str) -> tuple[str, str | None]:
    """The segmentation meant by a name, and the segment if the name is a segment's."""
    adopted = [row["name"] for row in ws.segmentations() if row["adopted"]]
    if name in adopted:
        return name, None
    titles: list[str] = []
    for segmentation in dict.fromkeys(reversed(adopted)):
        found = ws.store.state.segmentation(segmentation)
        for segment in found.segments if found else ():
            if name.lower() in {segment.name.lower(), f"{segmentation}/{segment.id}".lower()}:
                return segmentation, segment.id
            titles.append(segment.name)
    raise NotFound(
        "adopted segmentation or segment", name, [*adopted, *titles], hint="Adopt one with: kohort segments adopt Main"
    )


def _placed(ws: Workspace, name: str, as_of: int) -> pa.Table:
    """Where the adopted definition puts everybody at a moment before its first run."""
    import pyarrow as pa

    from kohort.discovery.assign import assigner_from_bytes
    from kohort.segments import adopted

    definition = adopted(ws.store, name)
    table = ws.pseudonymous_features(as_of)
    segments, confidence = definition.place(table, assigner_from_bytes)
    inside = segments != ""
    return pa.table(
        {
            "customer": table.ids.filter(pa.array(inside)),
            "segment": pa.array(segments[inside].tolist(), pa.string()),
            "since": pa.nulls(int(inside.sum()), pa.int64()),
            "confidence": pa.array(confidence[inside]),
            "reason": pa.array(["the adopted definition, on the data as it was then"] * int(inside.sum()), pa.string()),
        }
    )
