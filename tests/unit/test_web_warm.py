"""The process beside the pages that looks at the data: where it cannot be started, and what is asked for twice."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import kohort
from kohort.web import warm
from kohort.web.own import OwnSegments, look_at
from kohort.web.warm import Asked, Warming


class Quiet:
    """A process that was started, hears everything and says nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.stdin, self.stdout = io.StringIO(), io.StringIO()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Whether the machine has room for another process; `began` holds those that it started."""
    room: dict[str, Any] = {"full": False, "began": []}

    def start(*given: Any, **more: Any) -> Quiet:
        if room["full"]:
            raise OSError("Cannot allocate memory")
        room["began"].append(Quiet())
        return room["began"][-1]

    monkeypatch.setattr(warm.subprocess, "Popen", start)
    monkeypatch.setattr(Warming, "_listen", lambda self, process: None)
    return room


def test_what_cannot_be_made_beside_is_not_awaited_for_ever(machine: dict[str, Any]) -> None:
    machine["full"] = True
    one = Warming("shop", lambda *_: None)
    one._ready.wait(0)
    assert one._ready.is_set(), "the first page counts for itself"
    assert not one.look("loyal", urgent=True)
    assert not one.document("summary")
    machine["full"] = False
    assert one.look("loyal", urgent=True), "it is tried anew"
    (process,) = machine["began"]
    assert [json.loads(line) for line in process.stdin.getvalue().splitlines()] == [["look loyal", True]]


def test_a_page_looks_itself_where_nobody_else_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "o.csv").write_text(
        "order_id,customer_id,order_date,product,quantity,price\no1,K1,2026-01-01,tea,1,5\n"
    )
    with kohort.create(tmp_path / "ws") as ws:
        ws.ingest(tmp_path / "o.csv", kind="orders")
        ws.segments.add("all", "did(*)")
        ws.segments.run()
        now = ws.as_of()
        monkeypatch.setattr(type(ws.store), "kept_current", lambda self: now)
        refused, taken = (OwnSegments(ws, ask=lambda *_, comes=comes: comes) for comes in (False, True))
        assert refused.look("all") == look_at(ws, "all")
        assert taken.look("all")["waits"], "there it will come"


def test_what_is_asked_for_again_by_somebody_who_waits_is_made_once() -> None:
    asked = Asked()
    lines = [["look a", False], ["document summary", False], ["look a", True]]
    asked.take(io.StringIO("".join(json.dumps(line) + "\n" for line in lines)))
    assert list(asked.each(idle=0.0)) == ["look a", "document summary"]
