"""Details of an unforeseen error, without a value of anybody's data: versions, kind of error, places in the code."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path


def write_details(error: BaseException, *, command: str) -> Path:
    """Write the details to a file of our own and return its path.

    The message of the error and the lines of code stay out: both can repeat values.
    """
    from kohort import __version__

    lines = [
        f"kohort {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        f"command: {command or '(none)'}",
        f"at: {datetime.now(UTC).isoformat(timespec='seconds')}",
    ]
    cause: BaseException | None = error
    while cause is not None:
        lines.append(f"error: {type(cause).__module__}.{type(cause).__qualname__}")
        frames = traceback.extract_tb(cause.__traceback__)
        lines += [f"  {_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return _write("\n".join(lines) + "\n")


def _write(text: str) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    for folder in (Path(home) / "kohort", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="kohort-error-", suffix=".txt", dir=folder)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return Path(name)
    sys.stderr.write(text)
    return Path("the lines above")


def _short(filename: str) -> str:
    """The path below the folder of packages: where Kohort is installed is nobody's business."""
    parts = Path(filename).parts
    for anchor in ("site-packages", "src"):
        if anchor in parts:
            return str(Path(*parts[len(parts) - parts[::-1].index(anchor) :]))
    return parts[-1] if parts else filename
