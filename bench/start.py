"""How fast Kohort starts and how little `serve` holds at rest.

    python bench/start.py [--workspace DIR]

Goals: `import kohort` under 150 ms, `kohort --help` under 300 ms, `serve` at rest under 250 MB.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from measure import run


def wall(command: list[str], runs: int = 7) -> float:
    return statistics.median(run(command).wall_seconds for _ in range(runs)) * 1000


def serve_memory(workspace: Path) -> float:
    """Resident MB of the server after every page was shown once and it came to rest."""
    port = "8799"
    process = subprocess.Popen(
        [sys.executable, "-m", "kohort", "serve", "-w", str(workspace), "--port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        for page in ("/", "/segments", "/map", "/data-health"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=20).read()
        time.sleep(1)
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, help="a finished demo workspace; made when not given")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    bare = wall([sys.executable, "-c", "pass"])
    print(f"python alone:    {bare:6.0f} ms")
    print(f"import kohort:   {wall([sys.executable, '-c', 'import kohort']) - bare:6.0f} ms more (goal 150)")
    print(f"kohort --help:   {wall([sys.executable, '-m', 'kohort', '--help']):6.0f} ms (goal 300)")
    folder = options.workspace or Path(tempfile.mkdtemp(prefix="kohort-bench-")) / "shop"
    if options.workspace is None:
        run([sys.executable, "-m", "kohort", "demo", "--no-serve", "--dir", str(folder)])
    print(f"serve at rest:   {serve_memory(folder):6.0f} MB (goal 250)")
    if options.workspace is None:
        shutil.rmtree(folder.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
