"""Jobs run beside the pages, say how far they are, can be stopped, and never claim to run when they do not."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kohort
from kohort.errors import Busy, CannotWrite, KohortError, NotFound, WrongUsage
from kohort.model.job import Job
from kohort.store.jobs import JobRecords
from kohort.web import jobs as module
from kohort.web.job import Reporter, say_last
from kohort.web.job_kinds import kind_of
from kohort.web.jobs import Jobs
from kohort.workspace.workspace import Workspace


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    with kohort.create(tmp_path / "ws") as made:
        yield made


def until(jobs: Jobs, number: str, fits: Callable[[Job], bool], seconds: float = 60) -> Job:
    """A job as soon as it is so; what other processes do is waited for, never guessed."""
    wait, end = threading.Event(), time.monotonic() + seconds
    while not fits(job := jobs.get(number)):
        assert time.monotonic() < end, job
        wait.wait(0.05)
    return job


def test_a_job_that_cannot_be_done_says_why_in_words(ws: Workspace) -> None:
    jobs = Jobs(ws)
    number = jobs.start("discover", {}, by="Ann")
    assert (jobs.get(number).by, jobs.get(number).kind) == ("Ann", "discover")
    assert jobs.start("discover", {}, by="Bob") == number, "the same work twice is done once"
    job = until(jobs, number, lambda job: not job.running)
    assert (job.state, job.result) == ("failed", None)
    assert job.error.startswith("There is nothing to describe customers by.")
    assert job.ended_us is not None
    assert job.ended_us > job.started_us
    assert jobs.running() == []
    assert [one.id for one in jobs.all()] == [number]


def test_a_job_whose_process_is_gone_is_stopped(ws: Workspace) -> None:
    jobs = Jobs(ws)
    number = jobs.start("discover", {}, by="Ann")
    (process,) = [p for file, p in module._ours.items() if file.is_relative_to(ws.root.resolve())]
    os.kill(process.pid, signal.SIGKILL)
    module._ours.clear()  # as if another server had started it
    assert until(jobs, number, lambda job: not job.running).state == "stopped"
    process.wait()


def test_a_job_can_be_stopped_and_stays_so(ws: Workspace) -> None:
    jobs = Jobs(ws)
    number = jobs.start("discover", {}, by="Ann")
    jobs.stop(number)
    assert jobs.get(number).state == "stopped"
    jobs.stop(number)
    ws.store.jobs.end(number, "done", result={"late": True})
    assert (jobs.get(number).state, jobs.get(number).result) == ("stopped", None)
    again = jobs.start("discover", {"k": 3}, by="Ann")
    assert [file.name for file in (ws.root / "jobs").iterdir()] == [f"{again}.lock"], "ended ones leave no file"
    mine = [file for file in module._ours if file.is_relative_to(ws.root.resolve())]
    assert [file.stem for file in mine] == [again], "nor a process that nobody asked how it ended"
    jobs.stop(again)


def test_two_who_ask_at_one_moment_get_one_job(ws: Workspace) -> None:
    jobs, together = Jobs(ws), threading.Barrier(2)

    def ask() -> str:
        together.wait()
        return jobs.start("discover", {}, by="Ann")

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask) for _ in range(2)]
    (number,) = {one.result() for one in asked}
    jobs.stop(number)


def test_a_job_leads_to_what_it_was_about() -> None:
    about = {"name": "back/tea & co", "whole": "back", "part": "tea & co"}
    trained = Job("7", "predict-train", about, "Ann", "done")
    assert kind_of(trained).address(trained) == "/predictions/back?part=tea%20%26%20co"
    read = Job("8", "ingest", {"upload": "0123456789abcdef", "kind": None}, "Ann", "done")
    assert kind_of(read).address(read) == "/start?read=8"
    failed = replace(read, state="failed")
    assert kind_of(failed).address(failed) == "/start/0123456789abcdef", "the file is still there to be tried again"
    other = Job("9", "of a later version", {}, "Ann", "done")
    assert kind_of(other).address(other) == "/"


def test_what_is_said_inside_a_transaction_waits_for_nothing(ws: Workspace) -> None:
    records = ws.store.jobs
    job = records.begin("discover", {}, by="Ann")
    reporter = Reporter(records, job.id)
    reporter.begin()
    with ws.store._database.write():
        reporter("Read", 3, 12)
    wait, end = threading.Event(), time.monotonic() + 20
    while (told := records.get(job.id)).note != "Read":
        assert time.monotonic() < end
        wait.wait(0.05)
    assert (told.done, told.total, told.share) == (3, 12, 0.25)
    reporter.end()


def test_a_full_disk_ends_no_report_and_takes_no_last_word(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    records = ws.store.jobs
    job, tried, full = records.begin("discover", {}, by="Ann"), threading.Event(), True

    def tell(*given: Any) -> None:
        tried.set()
        if full:
            raise CannotWrite("The disk is full.")
        JobRecords.tell(records, *given)

    monkeypatch.setattr(records, "tell", tell, raising=False)
    reporter = Reporter(records, job.id)
    reporter.begin()
    reporter("Read", 3, 12)
    assert tried.wait(20)
    full = False
    assert until(Jobs(ws), job.id, lambda job: job.note == "Read", 20).done == 3
    reporter.end()

    problems: list[KohortError] = [Busy("Another process is writing."), *[CannotWrite("The disk is full.")] * 30]
    waited: list[float] = []

    def end(*given: Any, **more: Any) -> None:
        if problems:
            raise problems.pop()
        JobRecords.end(records, *given, **more)

    monkeypatch.setattr(records, "end", end, raising=False)
    say_last(records, job.id, "done", {"segments": 3}, "", wait=waited.append)
    told = records.get(job.id)
    assert (told.state, told.result, len(waited)) == ("done", {"segments": 3}, 31)


def test_the_oldest_are_forgotten_and_running_ones_never(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    records = ws.store.jobs
    monkeypatch.setattr("kohort.store.jobs.KEPT", 2)
    first = records.begin("discover", {}, by="Ann")
    for _ in range(4):
        records.end(records.begin("discover", {}, by="Ann").id, "done")
    assert [job.id for job in records.all()] == ["5", "4", "3", first.id]
    for odd in ("2", "0", "x", "-1", "9" * 40):
        with pytest.raises(NotFound):
            records.get(odd)
    assert ws.store.verify() == []


def test_work_that_nobody_knows_does_not_begin(ws: Workspace) -> None:
    with pytest.raises(WrongUsage):
        Jobs(ws).start("dig", {}, by="Ann")
    assert Jobs(ws).all() == []
