"""The server's log: lines of our own with facts from a list; of libraries never what is filled in."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path

import pytest

from kohort.cli.logs import Lines, Objects
from kohort.model.log import FACTS, say

SECRET = "ana.canary@shop.example"


def written(name: str, how: type[logging.Formatter], *, level: int = logging.ERROR, **more: object) -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(how())
    logger = logging.Logger(name)
    logger.addHandler(handler)
    if "event" in more:
        say(logger, level, **more)  # type: ignore[arg-type]
    else:
        try:
            raise ValueError(SECRET)
        except ValueError:
            logger.exception("it failed for %s", SECRET, extra={"facts": {"code": SECRET}})
    return out.getvalue()


def test_a_line_is_one_object_with_an_event_and_facts() -> None:
    line = written("kohort.live", Objects, event="tick failed", code="busy", error="Busy", seconds=1.5, mail=SECRET)
    assert line.count("\n") == 1
    said = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("time"))
    assert said == {
        "level": "error",
        "part": "kohort.live",
        "event": "tick failed",
        "code": "busy",
        "error": "Busy",
        "seconds": 1.5,
    }


def test_a_line_for_people_is_short() -> None:
    line = written("kohort.live", Lines, event="tick failed", code="busy")
    assert re.fullmatch(r"\d\d:\d\d:\d\d error tick failed code=busy\n", line)


@pytest.mark.parametrize("how", [Objects, Lines])
@pytest.mark.parametrize("name", ["sqlalchemy.engine", "asyncio", "uvicorn.error"])
def test_nothing_that_a_library_fills_in_is_written(name: str, how: type[logging.Formatter]) -> None:
    line = written(name, how)
    assert SECRET not in line
    assert "ValueError" in line
    assert line.count("\n") == 1


def test_every_fact_stands_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert {fact for fact in FACTS if f"`{fact}`" not in text} == set()
