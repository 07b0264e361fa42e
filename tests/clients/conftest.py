"""A real server with an inbox that can be told to fail, and the real clients, each in an environment of its own.

Clients come from their package indexes into a cache folder, once. Where an index cannot be reached the tests say so and
are skipped; continuous integration runs them all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import kohort
from kohort.errors import Busy
from kohort.web.app import create
from kohort.web.tracking import DEFAULTS, Limits

collect_ignore = ["programs"]  # they run beside the clients that they import, not here

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kohort-dev" / "clients"
PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
CI = os.environ.get("CI") == "true"


class Inbox:
    """Frames are durable a moment after they come. It can be full, or fail, for the next few requests."""

    def __init__(self) -> None:
        self.frames, self.full, self.busy, self.late = [], 0, 0, 0
        self._disk = ThreadPoolExecutor(1)

    def room(self) -> bool:
        self.full -= 1
        return self.full < 0

    def append(self, body, meta) -> Future[int]:
        self.busy -= 1
        if self.busy >= 0:
            raise Busy("state.db is locked.")
        return self._disk.submit(self._write, body, meta)

    def _write(self, body, meta) -> int:
        self.frames.append((json.loads(body), meta))
        self.late -= 1
        if self.late >= 0:  # it is on disk, and the answer says that it is not
            raise Busy("state.db is locked.")
        return len(self.frames)

    @property
    def events(self):
        found = []
        for body, _ in self.frames:
            found += body.get("batch", [body])
        return found


class Pages:
    name, is_demo = "Corner shop", False

    def summary(self):
        return {}

    def health(self, refresh=False):
        return None

    def segmentation(self, name=None):
        return None

    def members_page(self, segment_id, cursor=0, limit=50):
        return {}


class Site:
    """A server on this machine: where it is, what it took, and what it answered."""

    def __init__(self, keys, key: str, limits: Limits) -> None:
        import uvicorn

        self.key = key
        self.inbox, self.statuses = Inbox(), Counter()
        self.app = create(Pages(), inbox=self.inbox, keys=keys, limits=limits)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = uvicorn.Config(self._counted, host="127.0.0.1", port=self.port, log_level="error", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        end = time.monotonic() + 20
        while not self._server.started and time.monotonic() < end:
            self._thread.join(0.02)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _counted(self, scope, receive, send) -> None:
        async def noted(message) -> None:
            if message["type"] == "http.response.start" and scope["method"] != "OPTIONS":
                self.statuses[message["status"]] += 1
            await send(message)

        await self.app(scope, receive, noted)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Keys of a real workspace, and the text of one."""
    with kohort.create(tmp_path_factory.mktemp("keys") / "shop") as ws:
        yield ws.keys, ws.keys.add("shop", "ingest")


@pytest.fixture
def site(keys):
    """Makes servers: `site()`, or with limits."""
    made = []

    def make(limits: Limits = DEFAULTS) -> Site:
        made.append(Site(*keys, limits))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _installed(name: str, install) -> Path:
    """A folder of the cache, filled once."""
    place = CACHE / name
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            install(place)
        except (subprocess.SubprocessError, OSError) as error:
            if CI:
                raise
            pytest.skip(f"{name} cannot be installed here: {type(error).__name__}")
        (place / "done").touch()
    return place


def _run(*command: object, cwd: Path | None = None) -> None:
    subprocess.run([str(c) for c in command], cwd=cwd, check=True, timeout=300, capture_output=True)


@pytest.fixture(scope="session")
def python_with():
    """A Python that has just this requirement."""

    def make(requirement: str) -> Path:
        def install(place: Path) -> None:
            _run(sys.executable, "-m", "venv", "--without-pip", place / "venv")
            uv = shutil.which("uv") or ROOT / ".tools" / "bin" / "uv"
            _run(uv, "pip", "install", "--quiet", "--python", place / "venv" / "bin" / "python", requirement)

        return _installed(requirement.replace("==", "-"), install) / "venv" / "bin" / "python"

    return make


@pytest.fixture(scope="session")
def node_with():
    """A folder of node modules with just this package."""

    def make(package: str) -> Path:
        def install(place: Path) -> None:
            (place / "package.json").write_text('{"private": true}')
            _run("npm", "install", "--no-audit", "--no-fund", "--silent", package, cwd=place)

        return _installed("npm-" + hashlib.sha256(package.encode()).hexdigest()[:12], install)

    return make


@pytest.fixture(scope="session")
def client(python_with, node_with):
    """Runs a program with a client against a site: `client(("segment_python", "segment-analytics-python==2.4.0"), site)`."""

    def run(which, site, *, key="", rounds=1, pad="", seconds=120, **more):
        program, package = which
        wanted = {"WRITE_KEY": key or site.key, "HOST": site.url, "ROUNDS": str(rounds), "PAD": pad, **more}
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **wanted}
        if program.endswith("node"):
            folder = node_with(package)
            place = folder / f"{program}.js"
            shutil.copy(PROGRAMS / place.name, place)
            command = ["node", str(place)]
        else:
            command = [str(python_with(package)), str(PROGRAMS / f"{program}.py")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, done.stderr[-2_000:]
        return json.loads(done.stdout.strip().splitlines()[-1])["errors"]

    return run
