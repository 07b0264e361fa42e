"""A process with its children: CPU seconds, the peak of their memory, pausing and ending them (Linux)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
LOOK = 0.25


def fields(pid: int) -> list[str]:
    """Of `/proc/PID/stat`, from the state on; [] = it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def pids(first: int) -> list[int]:
    """A process, then its children, and theirs."""
    parents = {int(p.name): fields(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit()}
    found = [first]
    for pid in found:
        found += [child for child, said in parents.items() if said and int(said[1]) == pid]
    return found


class Tree:
    """A process that was started and everything it started; looks at their memory four times a second.

    Attributes:
        peak_mb: PSS of all together at most. Pages that several share are counted once.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.peak_mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        return self._process.poll() is None

    def pids(self) -> list[int]:
        """Itself first, then its children, and theirs."""
        return pids(self._process.pid)

    def cpu(self) -> float:
        """Seconds, of user and system, of those that run and of those that ended and were waited for."""
        return sum(int(ticks) for pid in self.pids() for ticks in fields(pid)[11:15]) / TICKS

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Asks, and does not ask twice. What it started is ended with it."""
        self._over.set()
        self._thread.join(10)
        pids = self.pids()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            pids += self.pids()
            self._process.kill()
            self._process.wait()
        for pid in set(pids[1:]):
            if fields(pid) and os.getsid(pid) == self._process.pid:
                os.kill(pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            os.kill(pid, number)

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            self.peak_mb = max(self.peak_mb, sum(pss_mb(pid) for pid in self.pids()))


def pss_mb(pid: int) -> float:
    """Memory of a process; a page that several have is shared out among them. 0 = it is gone."""
    return memory_mb(pid)[0]


def memory_mb(pid: int) -> tuple[float, float]:
    """The same, and how much of it is the process's own: not mapped from a file."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0, 0.0
    found = {name: int(kb) / 1024 for name, kb in re.findall(r"^(Pss|Pss_Anon):\s+(\d+)", text, re.MULTILINE)}
    return found.get("Pss", 0.0), found.get("Pss_Anon", 0.0)
