"""Long work for programs: beginning it, how far it is, stopping it; and what was found. Pages begin the same work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path
from fastapi.responses import Response

from kohort.errors import NotEnough
from kohort.model.clock import iso
from kohort.model.segmentation import Segmentation
from kohort.web import begin
from kohort.web.api import work_models as models
from kohort.web.api.desk import Desk, answer
from kohort.web.job_kinds import kind_of
from kohort.web.jobs import Jobs
from kohort.workspace.found import found_last
from kohort.workspace.people import with_company_numbers

if TYPE_CHECKING:
    from kohort.model.job import Job
    from kohort.workspace.workspace import Workspace

TAG = "work"
Id = Annotated[str, Path(description="Number of a job.", max_length=20, examples=["17"])]
JOB: dict[str, Any] = {
    "id": "17",
    "kind": "discover",
    "title": "Finding groups",
    "state": "running",
    "arguments": {"algorithm": "auto", "k": None},
    "by": "the key deploy",
    "phase": "Comparing",
    "done": 3,
    "total": 8,
    "started_at": "2026-11-30T12:00:00Z",
    "ended_at": None,
    "result": None,
    "error": "",
}


def work(desk: Desk, ws: Workspace) -> None:
    """Adds them to the application."""

    @desk.add("GET", "/v1/jobs", TAG, models.Jobs)
    def list_jobs() -> Response:
        """Long work that is going on, and some that has ended; the latest first."""
        return answer({"jobs": [_told(job) for job in Jobs(ws).all()]})

    @desk.add("GET", "/v1/jobs/{id}", TAG, models.Job, "not_found", "bad_query", example=JOB)
    def job(id: Id) -> Response:  # noqa: A002
        """One piece of long work: how far it is, what came of it."""
        return answer(_told(Jobs(ws).get(id)))

    @desk.add(
        "POST",
        "/v1/jobs",
        TAG,
        models.Job,
        "not_found",
        "not_enough",
        "wrong_usage",
        "kept_current",
        example=JOB,
        changes=True,
    )
    def begin_job(body: models.Wanted) -> Response:
        """Begins long work and answers at once.

        Where the very same is under way already, that is the answer; where it is with other settings, `wrong_usage` says so. A few
        run at a time: then `busy`.
        """
        return answer(_told(Jobs(ws).get(_begun(ws, body))))

    @desk.add("POST", "/v1/jobs/{id}/stop", TAG, models.Job, "not_found", "wrong_usage", "bad_query", changes=True)
    def stop_job(id: Id) -> Response:  # noqa: A002
        """Ends a job. Nothing is stored by halves: what it has stored stays. Erasing and deleting cannot be stopped."""
        begin.stop(ws, id)
        return answer(_told(Jobs(ws).get(id)))

    @desk.add("GET", "/v1/discovery", "segmentations", Segmentation, "not_enough")
    def discovery() -> Response:
        """The groups that were found last, adopted or not; `map` is left empty."""
        found = found_last(ws)
        if found is None:
            raise NotEnough("Nothing was found yet.", hint='Begin with POST /v1/jobs {"kind": "discover"}.')
        return answer(replace(with_company_numbers(found, ws.store.vault), map=()).as_dict())


def _begun(ws: Workspace, body: models.Wanted) -> str:  # noqa: PLR0911 - one per kind
    """The number of the job that does what is asked for."""
    match body:
        case models.Discover():
            return begin.discover(ws, body.algorithm, body.k)
        case models.Adopt():
            return begin.adopt(ws, body.segmentation, body.name, body.only)
        case models.TakeBack():
            return begin.take_back(ws, body.name)
        case models.RunOne():
            return begin.run(ws, body.segment)
        case models.Train():
            costs = {} if body.missed is None else {"missed": body.missed, "alarm": body.alarm}
            return begin.predict(ws, "train", body.prediction, costs)
        case models.Predict():
            return begin.predict(ws, body.kind.removeprefix("predict-"), body.prediction)
        case models.Retry():
            return begin.retry(ws)
        case models.Value():
            return begin.value(ws, body.horizon)


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "title": kind_of(job).title,
        "state": job.state,
        "arguments": dict(job.arguments),
        "by": job.by,
        "phase": job.note,
        "done": job.done,
        "total": job.total,
        "started_at": iso(job.started_us),
        "ended_at": None if job.ended_us is None else iso(job.ended_us),
        "result": job.result,
        "error": job.error,
    }
