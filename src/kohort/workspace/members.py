"""Who is in which segment, with the company's own customer numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.workspace.definitions import rule_features
from kohort.workspace.people import company_numbers

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.segments import SegmentDefinition
    from kohort.model.feature import FeatureInfo
    from kohort.workspace.workspace import Workspace


def members(ws: Workspace, name: str, as_of: int | None) -> pa.Table:
    """See `Workspace.members`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole, wanted = _meant(ws, name)
    definition = next((d for d in ws.config.segments if d.name == whole), None)
    table = _members(ws, whole, definition, as_of)
    if wanted is not None:
        table = table.filter(pc.equal(table.column("segment"), wanted))
    titles = _titles(ws, whole, definition)
    keys = table.column("customer")
    shown = company_numbers(ws.store.vault, keys.to_numpy()) if pa.types.is_int64(keys.type) else keys.to_pylist()
    if definition is not None and definition.kind == "accounts" and pa.types.is_int64(keys.type):
        from kohort.segments.accounts import account_names

        shown = [found or "" for found in account_names(ws.store, keys.to_numpy())]
    since = [None if t is None else iso(t) for t in table.column("since").to_pylist()]
    return pa.table(
        {
            "customer_id": pa.array(shown, pa.string()),
            "segment": pa.array([titles.get(s, s) for s in table.column("segment").to_pylist()], pa.string()),
            "since": pa.array(since, pa.string()),
            "confidence": table.column("confidence"),
            "reason": table.column("reason"),
        }
    )


def member_keys(ws: Workspace, name: str) -> pa.ChunkedArray:
    """Pseudonyms (int64) of the members of a segment or a part of one, as the latest run left them.

    Raises:
        WrongUsage: Its members are accounts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    whole, wanted = _meant(ws, name)
    definition = next((d for d in ws.config.segments if d.name == whole), None)
    if definition is not None and definition.kind == "accounts":
        raise WrongUsage("The members of this segment are accounts, which write nothing.")
    table = _members(ws, whole, definition, None)
    if wanted is not None:
        table = table.filter(pc.equal(table.column("segment"), wanted))
    return table.column("customer").cast(pa.int64())


def run_shown(ws: Workspace, name: str, as_of: int | None) -> int | None:
    """The moment of the run that `members` tells of; None where they are worked out, as no run is that old."""
    whole, _ = _meant(ws, name)
    runs = ws.store.members.runs(whole) if whole in ws.store.members.names() else []
    return next((int(run["as_of"]) for run in reversed(runs) if as_of is None or run["as_of"] <= as_of), None)


def members_page(ws: Workspace, segment_id: str, cursor: int, limit: int) -> dict[str, Any]:
    """See `Workspace.members_page`."""
    from kohort.model.event import SENTIMENT

    found = ws.store.state.segmentation()
    if found is None or segment_id not in {s.id for s in found.segments}:
        raise NotFound("segment", segment_id, [s.id for s in found.segments] if found else [])
    roll = ws.rolls.get(found.name)
    if roll is not None:
        every, (listed, size) = roll.infos, roll.page(segment_id, cursor, limit)
    else:
        every, listed, size = _page_of_all(ws, found.name, segment_id, cursor, limit)
    infos = tuple(f for f in every if SENTIMENT not in f.definition)  # a mood is too often wrong to show of one person
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
        "next": cursor + limit if size > cursor + limit else None,
        "columns": list(infos),
    }


def _page_of_all(
    ws: Workspace, name: str, segment_id: str, cursor: int, limit: int
) -> tuple[tuple[FeatureInfo, ...], list[dict[str, Any]], int]:
    """The same rows out of everybody, where no roll tells them in order."""
    import pyarrow.compute as pc

    from kohort.workspace.found import people

    table, infos = people(ws, name)
    if name:
        rows = ws.store.members.current(name)
        rows = rows.rename_columns([f"_{name}" for name in rows.column_names])  # no feature's name begins with _
        table = rows.join(table, keys="_customer", join_type="left outer")
    table = table.filter(pc.equal(table.column("_segment"), segment_id))
    order = [("_confidence", "descending"), ("_customer", "ascending")]
    return infos, table.sort_by(order).slice(cursor, limit).to_pylist(), table.num_rows


def _meant(ws: Workspace, name: str) -> tuple[str, str | None]:
    """The definition or segmentation meant by a name, and the key of its part if the name is a part's.

    Raises:
        NotFound: Nothing is called that.
        WrongUsage: Parts of several definitions are.
    """
    from kohort.definitions.segments_text import title

    defined = {d.name: {p.key: title(p.key, p.label) for p in d.parts} for d in ws.config.segments}
    adopted = [row["name"] for row in ws.segmentations() if row["adopted"]]
    stored = ws.store.members.names()
    if name in {*defined, *adopted, *stored}:
        return name, None
    parts = defined | {n: _titles(ws, n, None) for n in dict.fromkeys(reversed(adopted))}
    wanted = name.lower()
    meant = [(w, k) for w, titles in parts.items() for k in titles if wanted == f"{w}/{k}".lower()]
    meant = meant or [(w, k) for w, titles in parts.items() for k, shown in titles.items() if wanted == shown.lower()]
    if len(meant) > 1:
        hint = f"Write one of: {', '.join(f'{whole}/{key}' for whole, key in meant)}."
        raise WrongUsage(f"{len(meant)} parts are called {name!r}.", hint=hint)
    if meant:
        return meant[0]
    known = [*parts, *(shown for titles in parts.values() for shown in titles.values())]
    hint = "Make one with: kohort segments add, or kohort discover --adopt Main"
    raise NotFound("segment", name, dict.fromkeys(known), hint=hint)


def _titles(ws: Workspace, name: str, definition: SegmentDefinition | None) -> dict[str, str]:
    """Key of each part → what people read."""
    from kohort.definitions.segments_text import title

    if definition is not None:
        if len(definition.parts) == 1:
            return {definition.parts[0].key: title(name, definition.label)}
        return {p.key: title(p.key, p.label) for p in definition.parts}
    found = ws.store.state.segmentation(name)
    return {s.id: s.name for s in found.segments} if found else {}


def _members(ws: Workspace, name: str, definition: SegmentDefinition | None, as_of: int | None) -> pa.Table:
    """Members by key: customer (int64, or the name of an account), segment, since, confidence, reason."""
    known = name in ws.store.members.names()
    if as_of is None:
        if not known:
            raise NotEnough(f"{name!r} was not run yet.", hint=f"Run: kohort segments run {name!r}")
        return ws.store.members.current(name)
    runs = ws.store.members.runs(name) if known else []
    if runs and as_of >= runs[0]["as_of"]:
        return ws.store.members.at(name, as_of)
    return _adopted(ws, name, as_of) if definition is None else _evaluated(ws, definition, as_of)


def _adopted(ws: Workspace, name: str, as_of: int) -> pa.Table:
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


def _evaluated(ws: Workspace, definition: SegmentDefinition, as_of: int) -> pa.Table:
    """Where the definition of now puts everybody at a moment before its first run."""
    import pyarrow as pa

    from kohort.segments.dependencies import with_needed
    from kohort.segments.evaluate import Question, by_hand, duckdb_evaluator, standing

    question = Question(as_of, ws.zone, ws.currency, rule_features(ws), ws.config.segment_settings, ws.threads)
    evaluate = duckdb_evaluator(ws.store, ws.store.log.snapshot(), question, lambda *_: None)
    needed = [d for d in with_needed(ws.config.segments, [definition.name]) if not d.paused]
    if definition.paused:
        raise NotEnough(f"{definition.name!r} is paused and was not run yet.", hint="Take `paused` out and run it.")
    found = evaluate(needed, by_hand=by_hand(ws.store, needed), standing=standing(ws.store, needed, as_of))
    placed = found.placed[definition.name]
    return pa.table(
        {
            "customer": placed.column(0),
            "segment": placed.column("segment"),
            "since": pa.nulls(placed.num_rows, pa.int64()),
            "confidence": placed.column("confidence"),
            "reason": placed.column("reason"),
        }
    )
