"""Run a command as a whole process and say what it cost, by the operating system's own account."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds (user and system), wall seconds and the peak resident memory of one finished process."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    output: str


def run(command: Sequence[str], **environment: str) -> Usage:
    """Run to the end and measure; a failing command ends the benchmark with its error output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(list(command), stdout=out, stderr=err, env={**os.environ, **environment})
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if process.returncode:
            err.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{err.read().decode()[-2000:]}")
        return Usage(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, out.read().decode())


def compare(ours: Sequence[str], peer: Sequence[str], *, runs: int = 3, **environment: str) -> tuple[Usage, Usage]:
    """Both commands in turn, ours first in odd rounds; the median run of each by CPU seconds."""
    mine, theirs = [], []
    for number in range(runs):
        pair = [(ours, mine), (peer, theirs)]
        for command, results in pair if number % 2 == 0 else reversed(pair):
            results.append(run(command, **environment))
    return _median(mine), _median(theirs)


def _median(usages: list[Usage]) -> Usage:
    middle = statistics.median_low([u.cpu_seconds for u in usages])
    return next(u for u in usages if u.cpu_seconds == middle)


def table(rows: dict[str, Usage]) -> str:
    """A Markdown table of usages, the last column as ratios to the last row."""
    last = list(rows.values())[-1]
    lines = ["| | CPU s | wall s | peak MB | CPU ratio |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {name} | {u.cpu_seconds:.1f} | {u.wall_seconds:.1f} | {u.peak_mb:.0f} "
        f"| {u.cpu_seconds / last.cpu_seconds:.2f} |"
        for name, u in rows.items()
    ]
    return "\n".join(lines)
