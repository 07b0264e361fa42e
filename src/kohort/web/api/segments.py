"""Segments for programs: looking at them, changing them, running them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query, Request
from fastapi.responses import Response

from kohort.model.access import Act
from kohort.web.api import models
from kohort.web.api import segment_models as told
from kohort.web.api.desk import Desk, answer
from kohort.web.api.door import program
from kohort.workspace import programs

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

TAG = "segments"
Name = Annotated[str, Path(description="Name of a segment.", max_length=200, examples=["loyal"])]
AsOf = Annotated[str | None, Query(description="A moment; now where not given.", examples=["2026-11-30"])]
REFUSED = ("refused_definition", "wrong_usage", "bad_body", "body_too_large")
_PART = {"part": "loyal", "label": "Loyal", "size": 812, "share": 0.19, "rule": "did(*, at_least => 5)"}
SEGMENT: dict[str, Any] = {
    "segment": "loyal",
    "label": "Loyal",
    "description": "",
    "kind": "rule",
    "evaluation": "with every run",
    "paused": False,
    "purpose": "marketing",
    "size": 812,
    "share": 0.19,
    "parts": [{**_PART, "sentence": "did anything at least 5 times", "keep": None}],
    "version": 2,
    "as_of": "2026-11-30T12:00:00Z",
    "evaluated_at": "2026-11-30T12:00:01Z",
    "error": "",
    "depends_on": [],
    "used_by": ["win_back"],
    "definition": {"rule": "did(*, at_least => 5)", "purpose": "marketing"},
}


def looking(desk: Desk, ws: Workspace) -> None:
    """What a key of scope read is for."""

    @desk.add("GET", "/v1/segments/{name}", TAG, told.Segment, "not_found", "bad_query", example=SEGMENT)
    def segment(name: Name) -> Response:
        """One segment: its rules, its size, what it depends on."""
        return answer(programs.segment(ws, name))

    @desk.add("POST", "/v1/segments/preview", TAG, told.Preview, "not_found", "not_enough", "bad_time", *REFUSED)
    def preview_segment(body: models.PreviewBody) -> Response:
        """What a rule would hold, condition by condition, before it is saved.

        `sample` has a few members by the company's numbers.
        """
        unsaved = body.segment is None or (body.rule, body.definition) != (None, None)
        given = programs.rule_body(body.rule, body.definition) if unsaved else None
        found = ws.segments.preview(body.segment, rule=given, as_of=body.as_of, language=body.language)
        return answer(found.as_dict())

    @desk.add(
        "GET",
        "/v1/segments/{name}/movement",
        TAG,
        told.Movement,
        "not_found",
        "not_enough",
        "wrong_usage",
        "bad_time",
        "bad_query",
    )
    def segment_movement(name: Name, since: AsOf = None, until: AsOf = None, by: models.Each = "month") -> Response:
        """Who moved between parts: from each period to the next, or between two dates."""
        return answer({"movements": [m.as_dict() for m in ws.segments.movement(name, since, until, by=by)]})

    @desk.add(
        "GET",
        "/v1/segments/{name}/overlap",
        TAG,
        told.Overlap,
        "not_found",
        "not_enough",
        "wrong_usage",
        "bad_time",
        "bad_query",
    )
    def segment_overlap(name: Name, as_of: AsOf = None) -> Response:
        """How a segment overlaps with the others, the most alike first.

        A pair names its segments by their places in `groups`; a lift of 1 is what chance gives.
        """
        return answer(ws.segments.overlap(name, as_of=as_of).as_dict())

    @desk.add(
        "GET",
        "/v1/segments/{name}/why",
        TAG,
        told.Why,
        "not_found",
        "unknown_customer",
        "not_enough",
        "wrong_usage",
        "bad_time",
        "bad_query",
    )
    def segment_why(
        request: Request,
        name: Name,
        customer: Annotated[str, Query(description="Her number, or the code that stands for her.", max_length=200)],
        part: str | None = None,
        as_of: AsOf = None,
    ) -> Response:
        """Why a customer is in a segment or is not: every condition, what is missing, what time will do."""
        found = ws.segments.why(name, customer, part=part, as_of=as_of).as_dict()
        note_customer(ws, request, "looked_at_customer", name, customer)
        return answer(found)


def changing(desk: Desk, ws: Workspace) -> None:
    """What a key of scope admin is for. Members follow a change with the next run, or at once where a server keeps them."""
    note = noting(ws)

    @desk.add(
        "PUT",
        "/v1/segments/{name}",
        TAG,
        told.Saved,
        "refused_definition",
        "wrong_usage",
        example=SEGMENT,
        changes=True,
    )
    def save_segment(request: Request, name: Name, body: models.SegmentBody) -> Response:
        """Adds a segment, or puts another rule in the place of the one it has. What is not said is not kept."""
        known = {d.name for d in ws.config.segments}
        saved = ws.segments.add(name, programs.rule_body(body.rule, body.definition), by=program(request))
        note(request, "segment_saved", name)
        more = {"created": name not in known, "never_observed": ws.segments.never_observed(saved)}
        return answer({**programs.segment(ws, name), **more})

    @desk.add(
        "DELETE",
        "/v1/segments/{name}",
        TAG,
        told.Removed,
        "not_found",
        "wrong_usage",
        "needed_by_others",
        "bad_query",
        example={"removed": "loyal"},
        changes=True,
    )
    def remove_segment(request: Request, name: Name) -> Response:
        """Takes a segment out; everybody leaves it, its history stays."""
        ws.segments.remove(name, by=program(request))
        note(request, "segment_removed", name)
        return answer({"removed": name})

    def pausing(request: Request, name: str, paused: bool) -> Response:
        (ws.segments.pause if paused else ws.segments.resume)(name, by=program(request))
        note(request, "segment_paused" if paused else "segment_resumed", name)
        return answer(programs.segment(ws, name))

    @desk.add(
        "POST", "/v1/segments/{name}/pause", TAG, told.Segment, "not_found", "wrong_usage", "bad_query", changes=True
    )
    def pause_segment(request: Request, name: Name) -> Response:
        """Lets the members of a segment stay as they are until it is resumed."""
        return pausing(request, name, True)

    @desk.add(
        "POST", "/v1/segments/{name}/resume", TAG, told.Segment, "not_found", "wrong_usage", "bad_query", changes=True
    )
    def resume_segment(request: Request, name: Name) -> Response:
        """Lets a segment follow its rule again."""
        return pausing(request, name, False)

    @desk.add(
        "POST",
        "/v1/segments/run",
        TAG,
        told.Run,
        "not_found",
        "kept_current",
        "not_enough",
        "wrong_usage",
        "bad_time",
        changes=True,
    )
    def run_segments(request: Request, body: models.RunBody) -> Response:
        """Places everybody by the rules as they are now.

        Where a server keeps the segments current there is nothing to run: `kept_current`.
        """
        report = ws.segments.run(body.segments, as_of=body.as_of)
        note(request, "segment_run", f"{len(report.outcomes)} segments")
        return answer(report.as_dict())


def noting(ws: Workspace) -> Callable[[Request, Act, str], None]:
    """Writes down which program changed what."""

    def note(request: Request, act: Act, about: str) -> None:
        ws.store.audit_log.note(act, by=program(request), about=about)

    return note


def note_customer(ws: Workspace, request: Request, act: Act, about: str, *numbers: str) -> None:
    """Writes down which program saw or changed what of a customer."""
    from kohort.workspace.people import customer_keys

    keys = customer_keys(ws.store.vault, numbers)
    ws.store.audit_log.note(act, by=program(request), about=about, customers=keys)
