"""What rows are fetched from in tests: an API of our own on this machine's loopback, and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status, {k.replace("_", "-"): v for k, v in headers.items()}, raw


class Api:
    """Answers as a test says, and remembers what it was asked: (path, parameters, headers)."""

    answer = staticmethod(answer)

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.says: Callable[[str, dict[str, str]], Answer | None] = lambda path, params: answer([])
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                params = {k: v[0] for k, v in parse_qs(parts.query).items()}
                api.asked.append((parts.path, params, dict(self.headers)))
                said = api.says(parts.path, params)
                if said is None:  # breaks off
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, headers, body = said
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def another(self) -> Api:
        """A second server."""
        return Api()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.close()


def _programs() -> Path | None:
    """Where PostgreSQL's programs are: those of Debian lie in a folder of their own."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a PostgreSQL of our own: one process, on loopback, gone afterwards."""
    programs = _programs()
    if programs is None:
        if os.environ.get("CI") == "true":
            raise pytest.UsageError("CI must run every test, but PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    # It refuses to run as root.
    names = [u.pw_name for u in pwd.getpwall()]
    user = next((n for n in ("postgres", "nobody") if n in names), None) if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="kohort-postgres-"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    quiet = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    secret = folder / "password"
    secret.write_text("s3cret-word")
    secret.chmod(0o644)
    init = [
        "-D",
        folder / "data",
        "-U",
        "kohort",
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run([programs / "initdb", *init], check=True, timeout=120, **quiet)
    options = f"-F -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    control = [programs / "pg_ctl", "-D", folder / "data", "-w", "-t", "60"]
    subprocess.run([*control, "-o", options, "-l", folder / "log", "start"], check=True, timeout=120, **quiet)
    try:
        yield f"postgresql://kohort:s3cret-word@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, timeout=60, **quiet)
        shutil.rmtree(folder, ignore_errors=True)
