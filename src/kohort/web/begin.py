"""Long work as pages and programs begin it: what is asked for is looked at first, and that it began is written down."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from kohort.errors import KeptCurrent, NotFound, WrongUsage
from kohort.locale import mark
from kohort.model.access import Act
from kohort.views.discover import LONGEST_NAME
from kohort.web import who
from kohort.web.job_kinds import kind_of
from kohort.web.jobs import Jobs
from kohort.web.noting import note
from kohort.web.running import as_job
from kohort.workspace.found import found_last

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

PREDICTING: dict[str, Act] = {
    "train": "trained",
    "retrain": "trained",
    "check": "checked_prediction",
    "tell": "worked_out_chances",
    "signals": "checked_prediction",
}
"""What can be done with a prediction → how it stands in the log of who did what. Jobs of it are called predict-train, …"""
VALUE = "predict-value"
HORIZONS = ("30 days", "90 days", "26 weeks", "52 weeks")
_DELETING = ("erase", "expire")
"""Jobs of which one goes on at a time."""


def demo(ws: Workspace) -> str:
    """Reads the demo shop in, and says the number of the job."""
    return _start(ws, "demo", {}, "work_started", "demo")


def ingest(ws: Workspace, upload: str, kind: str | None, answers: Mapping[str, Any]) -> str:
    """Reads a file in that was brought, as `kind` with `answers`."""
    return _start(ws, "ingest", {"upload": upload, "kind": kind, "answers": answers}, "work_started", "ingest")


def discover(ws: Workspace, algorithm: str = "auto", k: int | None = None) -> str:
    """Looks for groups. Where somebody does in the same way already, it is that job.

    Raises:
        WrongUsage: Somebody does in another way.
    """
    return _once(ws, "discover", {"algorithm": algorithm, "k": k}, "work_started", "discover")


def adopt(ws: Workspace, segmentation: str, name: str, only: Collection[str] | None = None) -> str:
    """Adopts what was found last under a name.

    Args:
        segmentation: Its id, so that nobody adopts what somebody else found meanwhile.
        only: Ids of the groups to keep; None = all.

    Raises:
        WrongUsage: It is another one, or no group or no name is given.
        NotFound: There is no such group.
    """
    found = found_last(ws)
    if found is None or found.id != segmentation:
        raise WrongUsage(mark("Other groups were found meanwhile."), hint=mark("Look at those, then adopt them."))
    known, called = [one.id for one in found.segments], " ".join(name.split())
    if unknown := sorted(set(only or ()) - set(known)):
        raise NotFound("group", unknown[0], known)
    chosen = [id_ for id_ in known if only is None or id_ in only]
    if not chosen or not 1 <= len(called) <= LONGEST_NAME:
        raise WrongUsage(mark("Choose at least one group, and say in few words what they are called together."))
    arguments = {"segmentation": found.id, "name": called, "only": chosen}
    return _start(ws, "adopt", arguments, "work_started", f"adopt: {called}")


def take_back(ws: Workspace, name: str) -> str:
    """Takes the last adoption under a name back.

    Raises:
        WrongUsage: Nothing is adopted under it.
    """
    if name not in {row["name"] for row in ws.segmentations() if row["adopted"]}:
        raise WrongUsage(mark("Nothing is adopted under this name."), hint=mark("It may have been taken back already."))
    return _start(ws, "take_back", {"name": name}, "work_started", f"take_back: {name}")


def predict(ws: Workspace, do: str, name: str, costs: Mapping[str, float] | None = None) -> str:
    """Does one of `PREDICTING` with a prediction. Where the very same is done with it already, it is that job.

    Args:
        costs: Of training: what `missed` and `alarm` cost.

    Raises:
        WrongUsage: It is being trained with other costs.
        NotFound: There is no such prediction.
        NotEnough: There is nothing to be predicted.
    """
    full = ws.predict.target(name).name
    whole, _, part = full.partition("/")
    arguments: dict[str, Any] = {"name": full, "whole": whole, "part": part, **(costs or {})}
    if do == "retrain":
        arguments["anyway"] = True  # somebody asks: what is tried takes over only where it is surely better
    return _once(ws, f"predict-{do}", arguments, PREDICTING[do], full)


def value(ws: Workspace, horizon: str) -> str:
    """Works out what customers will be worth within one of `HORIZONS`.

    Raises:
        WrongUsage: That is being worked out for another one.
    """
    return _once(ws, VALUE, {"horizon": horizon}, "worked_out_value", "value")


def run(ws: Workspace, name: str) -> str:
    """Places everybody by one definition.

    Raises:
        NotFound: There is no such definition.
        KeptCurrent: A server sees to it.
    """
    ws.segments.definition(name)
    if ws.store.kept_current() is not None:
        raise KeptCurrent
    number = as_job(ws, Jobs(ws), name)
    note(ws, "segment_run", name)
    return number


def retry(ws: Workspace) -> str:
    """Reads rows again that were left out. What came of it is written down by the work itself."""
    return _once(ws, "retry", {}, "work_started", "retry")


def erase(ws: Workspace, number: int) -> str:
    """Erases whom a request is about, and settles it. See `_delete`."""
    return _delete(ws, "erase", {"number": number}, f"erase: request {number}")


def expire(ws: Workspace) -> str:
    """Deletes what is older than `retention:` says. See `_delete`."""
    return _delete(ws, "expire", {}, "expire")


def stop(ws: Workspace, id: str) -> None:  # noqa: A002
    """Ends a job half way.

    Raises:
        NotFound: There is none of this number.
        WrongUsage: It is of a kind that nobody may stop.
    """
    jobs = Jobs(ws)
    job = jobs.get(id)
    if not kind_of(job).stops:
        raise WrongUsage(mark("This is not stopped half way."), hint=mark("Wait until it has ended."))
    jobs.stop(id)
    note(ws, "work_stopped", job.kind)


def _delete(ws: Workspace, kind: str, arguments: Mapping[str, Any], about: str) -> str:
    """Begins what deletes for good, one at a time.

    Raises:
        WrongUsage: Other data is being deleted.
    """
    if any(job.kind in _DELETING and (job.kind, job.arguments) != (kind, arguments) for job in Jobs(ws).running()):
        raise WrongUsage(mark("Other data is being deleted at this moment."), hint=mark("Do this once that has ended."))
    return _start(ws, kind, arguments, "work_started", about)


def _once(ws: Workspace, kind: str, arguments: Mapping[str, Any], act: Act, about: str) -> str:
    """Begins work of which there is one at a time about the same thing.

    Whoever asks for what is under way gets that job. Whoever asks for it in another way would take it for an answer to her
    own question, so she does not.

    Raises:
        WrongUsage: It is being done in another way.
    """
    for job in Jobs(ws).running():
        if job.kind == kind and job.arguments.get("name") == arguments.get("name"):
            if job.arguments != arguments:
                raise WrongUsage(
                    f"{kind_of(job).title} is under way already, with other settings.",
                    hint="Do this once that has ended, or stop it first.",
                )
            return job.id
    return _start(ws, kind, arguments, act, about)


def _start(ws: Workspace, kind: str, arguments: Mapping[str, Any], act: Act, about: str) -> str:
    number = Jobs(ws).start(kind, arguments, by=who.now().by)
    note(ws, act, about)
    return number
