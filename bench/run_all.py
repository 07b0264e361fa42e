"""Every benchmark, one after the other, at sizes a laptop finishes in some minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ALL = {
    "start-up and memory at rest": ["start.py"],
    "the whole demo": ["demo.py"],
    "groups over time": ["evolving.py"],
    "features, 10 million events": ["features.py"],
    "discovery, 1 million customers": ["discovery.py"],
    "requests made durable": ["journal.py"],
}


def main() -> None:
    for title, command in ALL.items():
        print(f"\n## {title}\n", flush=True)
        subprocess.run([sys.executable, str(HERE / command[0]), *command[1:], *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
