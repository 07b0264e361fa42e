"""Make the generated parts of docs/ anew: the page on the interface for programs, tables of discovery worlds, pictures of every page.

python scripts/make_docs.py [api] [worlds] [screenshots]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def api() -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "api_docs.py"), "--write"], check=True)


def worlds() -> None:
    subprocess.run([sys.executable, str(ROOT / "bench" / "worlds.py"), "--write"], check=True)


def screenshots() -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "screenshots.py")], check=True)


PARTS = {"api": api, "worlds": worlds, "screenshots": screenshots}


def main() -> None:
    wanted = sys.argv[1:] or list(PARTS)
    for name in wanted:
        if name not in PARTS:
            sys.exit(f"{name!r} is not one of {', '.join(PARTS)}.")
        PARTS[name]()


if __name__ == "__main__":
    main()
