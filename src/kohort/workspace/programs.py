"""What programs and assistants are told of a workspace, in plain values: the same words over HTTP and to an assistant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.definitions.triggers import is_hidden
from kohort.errors import NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.workspace.people import company_numbers

if TYPE_CHECKING:
    from kohort.segments.listing import Description
    from kohort.store.audit_log import Entry
    from kohort.workspace.definitions import Body
    from kohort.workspace.workspace import Workspace


def rule_body(rule: object = None, definition: object = None) -> Body:
    """What somebody wants a segment to be, for `ws.segments.add` and `preview`.

    Args:
        rule: A rule: its text, or its JSON (docs/rules.md).
        definition: Instead, what `kohort.yaml` has under a segment's name: tiers, stages, buckets, a label, a purpose.

    Raises:
        WrongUsage: Neither or both are given.
        RefusedDefinition: The JSON of a rule cannot be read.
    """
    from kohort.definitions.rules import format_rule, rule_from_json

    if (rule is None) == (definition is None):
        raise WrongUsage("Give either a rule or a definition.", hint='Send {"rule": "did(\'Order Completed\')"}.')
    if isinstance(definition, Mapping):
        return definition
    if isinstance(rule, str):
        return rule
    if rule is None:
        raise WrongUsage("A definition is an object.", hint='Send {"definition": {"rule": "did(*)"}}.')
    return format_rule(rule_from_json(rule))


def segment(ws: Workspace, name: str) -> dict[str, Any]:
    """One segment: what it is, how many are in it, what its rules are, what it depends on.

    Returns:
        `{"segment", "label", "description", "kind", "evaluation", "paused", "purpose", "size", "share", "parts", "version",
        "as_of", "evaluated_at", "error", "depends_on", "used_by", "definition"}`; a part is `{"part", "label", "size",
        "share", "rule", "sentence", "keep"}`, and `definition` what `kohort.yaml` has under its name, None where it has none.

    Raises:
        NotFound: There is none, or it belongs to a trigger.
    """
    if is_hidden(name):
        raise NotFound("segment", name, hint="See the list of segments.")
    about = ws.segments.describe(name)
    status = about.as_dict()["status"]
    return {
        "segment": about.name,
        "label": about.label,
        "description": about.description,
        "kind": about.kind,
        "evaluation": about.evaluation,
        "paused": about.evaluation == "paused",
        "purpose": about.purpose,
        "size": about.size,
        "share": about.share,
        "parts": _parts(ws, about),
        "version": about.version,
        "as_of": status["as_of"],
        "evaluated_at": status["evaluated_at"],
        "error": status["error"],
        "depends_on": list(about.depends_on),
        "used_by": [user for user in about.used_by if not is_hidden(user)],
        "definition": _written(ws, name),
    }


def segmentations(ws: Workspace) -> list[dict[str, Any]]:
    """What was found and adopted, oldest first: `{"id", "name", "version", "as_of", "k", "adopted"}`."""
    return [{key: row[key] for key in ("id", "name", "version", "as_of", "k", "adopted")} for row in ws.segmentations()]


def segmentation(ws: Workspace, name: str) -> dict[str, Any]:
    """One segmentation as it was found (docs/interfaces.md), without the points of its map.

    Raises:
        NotFound: Nothing is adopted under this name.
    """
    found = ws.segmentation(name)
    if found is None:
        known = [row["name"] for row in ws.segmentations() if row["adopted"]]
        raise NotFound("segmentation", name, known, hint="Adopt one with: kohort discover --adopt Main")
    return {**found.as_dict(), "map": []}


def features(ws: Workspace) -> list[dict[str, Any]]:
    """What customers are described by: `{"name", "label", "type", "unit", "idea", "definition", "missing"}`.

    Raises:
        NotEnough: There is no data to describe customers by.
    """
    columns = ws.store.log.columns()
    return [definition.info(columns).as_dict() for definition in ws.definitions()]


def health(ws: Workspace) -> dict[str, Any]:
    """The report on the data (`ws.health`), without samples of rows: those belong to single customers."""
    report = ws.health().as_dict()
    return {**report, "findings": [{k: v for k, v in f.items() if k != "sample"} for f in report["findings"]]}


def logged(ws: Workspace, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries of the audit log: `{"number", "at", "by", "act", "about", "customer_id", "erased"}`; customers by the company's numbers."""
    keys = [entry.customer for entry in entries if entry.customer is not None]
    numbers = dict(zip(keys, company_numbers(ws.store.vault, keys), strict=True))
    return [
        {
            "number": e.number,
            "at": iso(e.at_us),
            "by": e.by,
            "act": e.act,
            "about": e.about,
            "customer_id": None if e.customer is None else numbers[e.customer],
            "erased": e.erased,
        }
        for e in entries
    ]


def _parts(ws: Workspace, about: Description) -> list[dict[str, Any]]:
    from kohort.segments.explain import said

    defined = next((d for d in ws.config.segments if d.name == about.name), None)
    rules = {part.key: part for part in defined.parts} if defined else {}
    rows = []
    for size in about.parts:
        part = rules.get(size.key)
        rule = part.rule.text if part and part.rule else None
        rows.append(
            {
                "part": size.key,
                "label": size.label,
                "size": size.size,
                "share": size.share,
                "rule": rule,
                "sentence": None if rule is None else said(rule, "en", ()),
                "keep": part.keep.text if part and part.keep else None,
            }
        )
    return rows


def _written(ws: Workspace, name: str) -> dict[str, Any] | None:
    from kohort.definitions.yaml_text import read_yaml

    if not any(d.name == name for d in ws.config.segments):
        return None
    found = read_yaml(ws.segments.text(name), "the definition").data[name]
    return {"rule": found} if isinstance(found, str) else found
