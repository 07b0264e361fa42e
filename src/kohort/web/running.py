"""Placing everybody by a definition: at once where that is quick, as a job where it is not, not at all where a server sees to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kohort.web import who
from kohort.web.own import stamp
from kohort.workspace.scores import asked_by

if TYPE_CHECKING:
    from kohort.web.jobs import Jobs
    from kohort.workspace.workspace import Workspace

QUICK_CUSTOMERS, QUICK_EVENTS = 20_000, 300_000
"""Up to here a run is over in about a second."""


def place(ws: Workspace, jobs: Jobs, name: str) -> str | None:
    """Lets members follow a definition as it is now.

    Returns:
        The number of the job that does it; empty where it is done already; None where nothing is to do: a server keeps
        members current, or it is paused.

    Raises:
        KohortError: It cannot be run now.
    """
    if ws.store.kept_current() is not None or ws.segments.definition(name).paused:
        return None
    if is_quick(ws, name):
        ws.segments.run(name)
        return ""
    return as_job(ws, jobs, name)


def as_job(ws: Workspace, jobs: Jobs, name: str) -> str:
    """Lets members follow however long that takes; says the number of the job."""
    # What a run depends on is among the arguments: whatever changes while one is under way gets a run of its own.
    return jobs.start("run", {"name": name, "of": stamp(ws)}, by=who.now().by)


def is_quick(ws: Workspace, name: str) -> bool:
    """Whether a run is over before somebody wonders where the page is."""
    there = ws.contents()
    few = there.customers <= QUICK_CUSTOMERS and sum(there.events.values()) <= QUICK_EVENTS
    return few and ws.config.engine != "spark" and not asked_by(ws, [name])
