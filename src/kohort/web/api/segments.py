"""Segments for programs: looking at them, changing them, running them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query
from fastapi.responses import Response

from kohort.model.clock import iso
from kohort.web import who
from kohort.web.api import models
from kohort.web.api import segment_models as told
from kohort.web.api.desk import Desk, answer
from kohort.web.noting import note
from kohort.workspace import programs

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

TAG = "segments"
Name = Annotated[str, Path(description="Name of a segment.", max_length=200, examples=["loyal"])]
AsOf = Annotated[str | None, Query(description="A moment; now where not given.", examples=["2026-11-30"])]
REFUSED = ("refused_definition", "wrong_usage")
LOOKED_AT = ("not_found", "not_enough", "wrong_usage", "bad_time", "bad_query")
TAKEN = ("not_found", "wrong_usage", "bad_query")
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

    @desk.add("GET", "/v1/removed-segments", TAG, told.RemovedSegments)
    def removed_segments() -> Response:
        """What was removed in the last 90 days and can be brought back, the latest first."""
        rows = [
            {"segment": one.name, "label": one.label, "size": one.members, "by": one.by, "at": iso(one.at)}
            for one in ws.segments.removed()
        ]
        return answer({"removed": rows})

    @desk.add("POST", "/v1/segments/preview", TAG, told.Preview, "not_found", "not_enough", "bad_time", *REFUSED)
    def preview_segment(body: models.PreviewBody) -> Response:
        """What a rule would hold, condition by condition, before it is saved.

        `sample` has a few members by the company's numbers.
        """
        unsaved = body.segment is None or (body.rule, body.definition) != (None, None)
        given = programs.rule_body(body.rule, body.definition) if unsaved else None
        found = ws.segments.preview(body.segment, rule=given, as_of=body.as_of, language=body.language)
        return answer(found.as_dict())

    @desk.add("GET", "/v1/segments/{name}/movement", TAG, told.Movement, *LOOKED_AT)
    def segment_movement(name: Name, since: AsOf = None, until: AsOf = None, by: models.Each = "month") -> Response:
        """Who moved between parts: from each period to the next, or between two dates."""
        return answer({"movements": [m.as_dict() for m in ws.segments.movement(name, since, until, by=by)]})

    @desk.add("GET", "/v1/segments/{name}/overlap", TAG, told.Overlap, *LOOKED_AT)
    def segment_overlap(name: Name, as_of: AsOf = None) -> Response:
        """How a segment overlaps with the others, the most alike first.

        A pair names its segments by their places in `groups`; a lift of 1 is what chance gives.
        """
        return answer(ws.segments.overlap(name, as_of=as_of).as_dict())

    @desk.add("GET", "/v1/segments/{name}/why", TAG, told.Why, "unknown_customer", *LOOKED_AT)
    def segment_why(
        name: Name,
        customer: Annotated[str, Query(description="Her number, or the code that stands for her.", max_length=200)],
        part: str | None = None,
        as_of: AsOf = None,
    ) -> Response:
        """Why a customer is in a segment or is not: every condition, what is missing, what time will do."""
        found = ws.segments.why(name, customer, part=part, as_of=as_of).as_dict()
        note(ws, "looked_at_customer", name, [customer])
        return answer(found)


def changing(desk: Desk, ws: Workspace) -> None:
    """What a key of scope admin is for. Members follow a change with the next run, or at once where a server keeps them."""

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
    def save_segment(name: Name, body: models.SegmentBody) -> Response:
        """Adds a segment, or puts another rule in the place of the one it has. What is not said is not kept."""
        known = {d.name for d in ws.config.segments}
        saved = ws.segments.add(name, programs.rule_body(body.rule, body.definition), by=who.now().by)
        note(ws, "segment_saved", name)
        more = {"created": name not in known, "never_observed": ws.segments.never_observed(saved)}
        return answer({**programs.segment(ws, name), **more})

    @desk.add(
        "DELETE",
        "/v1/segments/{name}",
        TAG,
        told.Removed,
        "needed_by_others",
        *TAKEN,
        example={"removed": "loyal"},
        changes=True,
    )
    def remove_segment(name: Name) -> Response:
        """Takes a segment out; everybody leaves it, its history stays."""
        ws.segments.remove(name, by=who.now().by)
        note(ws, "segment_removed", name)
        return answer({"removed": name})

    def pausing(name: str, paused: bool) -> Response:
        (ws.segments.pause if paused else ws.segments.resume)(name, by=who.now().by)
        note(ws, "segment_paused" if paused else "segment_resumed", name)
        return answer(programs.segment(ws, name))

    @desk.add("POST", "/v1/segments/{name}/pause", TAG, told.Segment, *TAKEN, changes=True)
    def pause_segment(name: Name) -> Response:
        """Lets the members of a segment stay as they are until it is resumed."""
        return pausing(name, True)

    @desk.add("POST", "/v1/segments/{name}/resume", TAG, told.Segment, *TAKEN, changes=True)
    def resume_segment(name: Name) -> Response:
        """Lets a segment follow its rule again."""
        return pausing(name, False)

    @desk.add(
        "POST",
        "/v1/segments/{name}/restore",
        TAG,
        told.Segment,
        "refused_definition",
        *TAKEN,
        changes=True,
    )
    def restore_segment(name: Name) -> Response:
        """Brings back a segment that was removed in the last 90 days.

        Its members come back with the next run; what was decided by hand about single customers does not.
        """
        ws.segments.restore(name, by=who.now().by)
        note(ws, "segment_restored", name)
        return answer(programs.segment(ws, name))

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
    def run_segments(body: models.RunBody) -> Response:
        """Places everybody by the rules as they are now.

        Where a server keeps the segments current there is nothing to run: `kept_current`.
        """
        report = ws.segments.run(body.segments, as_of=body.as_of)
        note(ws, "segment_run", f"{len(report.outcomes)} segments")
        return answer(report.as_dict())
