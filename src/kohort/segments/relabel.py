"""A segmentation under other segment ids and names: everything that mentions them changes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kohort.model.segmentation import Segment, Segmentation


def relabel(found: Segmentation, ids: Mapping[str, str], names: Mapping[str, str]) -> Segmentation:
    """The same segmentation with new ids and names.

    Args:
        ids: Present id → new id, for every segment.
        names: Present id → new name, for those whose name changes.

    Returns:
        The order of segments stays (largest revenue first), so places in `tree` keep their meaning.
    """
    renamed = {s.name: names.get(s.id, s.name) for s in found.segments}
    segments = tuple(_segment(s, ids, names, renamed) for s in found.segments)
    old_names = {s.id: s.name for s in found.segments}
    micro = tuple(_slice(m, ids, old_names, renamed) for m in found.micro)
    points = tuple(replace(p, segment=ids.get(p.segment, p.segment)) for p in found.map)
    return replace(found, segments=segments, micro=micro, map=points, labels=_labels(found.labels, ids, renamed))


def _segment(s: Segment, ids: Mapping[str, str], names: Mapping[str, str], renamed: Mapping[str, str]) -> Segment:
    edge = tuple(
        {**row, "other": ids.get(str(row["other"]), row["other"]), "why": _between(row.get("why", ""), renamed)}
        for row in s.edge
    )
    return replace(s, id=ids.get(s.id, s.id), name=names.get(s.id, s.name), edge=edge)


def _slice(m: Segment, ids: Mapping[str, str], old_names: Mapping[str, str], renamed: Mapping[str, str]) -> Segment:
    parent = m.parent or ""
    old, new = old_names.get(parent, ""), renamed.get(old_names.get(parent, ""), "")
    rule = replace(m.rule, text=m.rule.text.replace(old, new, 1)) if m.rule and old else m.rule
    return replace(
        m,
        id=m.id.replace(parent, ids.get(parent, parent), 1),
        parent=ids.get(parent, parent),
        name=m.name.replace(old, new, 1) if old else m.name,
        description=m.description.replace(old, new, 1) if old else m.description,
        rule=rule,
    )


def _between(text: str, renamed: Mapping[str, str]) -> str:
    """The sentence with every name replaced at once, longest first, so that no new name is replaced again."""
    marks = {name: f"\0{i}\0" for i, name in enumerate(sorted(renamed, key=len, reverse=True))}
    for name, mark in marks.items():
        text = text.replace(name, mark)
    for name, mark in marks.items():
        text = text.replace(mark, renamed[name])
    return text


def _labels(labels: dict[str, Any], ids: Mapping[str, str], renamed: Mapping[str, str]) -> dict[str, Any]:
    """The comparison with the company's own labels under the new ids and names."""
    if not labels:
        return labels

    def told(part: dict[str, Any]) -> dict[str, Any]:
        changed = {**part, "text": _between(part["text"], renamed)}
        if "segment" in part:
            changed["segment"] = ids.get(part["segment"], part["segment"])
        if "parts" in part:
            changed["parts"] = [{**p, "segment": ids.get(p["segment"], p["segment"])} for p in part["parts"]]
        return changed

    return {
        **labels,
        "table": [
            {**row, "segments": {ids.get(s, s): n for s, n in row["segments"].items()}} for row in labels["table"]
        ],
        "splits": [told(x) for x in labels["splits"]],
        "merges": [told(x) for x in labels["merges"]],
        "proposals": [_between(x, renamed) for x in labels["proposals"]],
    }
