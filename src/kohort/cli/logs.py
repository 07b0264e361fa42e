"""The server's log: lines on stderr, as text or one JSON object each. Nothing that a library says about a value gets in.

Lines of our own have a fixed text and facts from a list (`kohort.model.log`). Of lines of libraries only the constant part
of the text is kept, and only of the web server; what is filled in, and tracebacks, can repeat values.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

from kohort.model.log import FACTS, LONGEST

How = Literal["text", "json"]

LOG_VARIABLE = "KOHORT_LOG"
"""Environment variable by which a server tells the process that it starts how lines look."""

OURS = "kohort"
SERVER = "uvicorn"


def set_up(how: How) -> None:
    """From now on this process logs to stderr, and only so."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines() if how == "text" else Objects())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def told(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says: time (UTC), level, part of the program, event, facts."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    whose = record.name.split(".")[0]
    event = str(record.msg) if whose in {OURS, SERVER} and isinstance(record.msg, str) else "a library said something"
    facts = getattr(record, "facts", {}) if whose == OURS else {}
    if whose != OURS:
        facts = {"places": f"{record.module}:{record.lineno}"}
        if record.exc_info and record.exc_info[0] is not None:
            facts["error"] = record.exc_info[0].__name__
    return {
        "time": f"{moment}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "part": record.name,
        "event": " ".join(event.split()),
        **{name: _short(value) for name, value in facts.items() if name in FACTS},
    }


class Objects(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(told(record), ensure_ascii=False)


class Lines(logging.Formatter):
    """Short lines for people: `14:03:05 error tick failed code=busy`."""

    def format(self, record: logging.LogRecord) -> str:
        said = told(record)
        clock, level, _, event = (said.pop(name) for name in ("time", "level", "part", "event"))
        return " ".join([clock[11:19], level, event, *(f"{name}={value}" for name, value in said.items())])


def _short(value: Any) -> str | int | float:
    return value if isinstance(value, int | float) else str(value)[:LONGEST]
