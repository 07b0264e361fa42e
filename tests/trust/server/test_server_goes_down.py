"""Told to end, a server ends soon and loses nothing: also under load, and where somebody does not finish asking."""

from __future__ import annotations

import contextlib
import signal
import socket
import time

import pytest

from kohort.cli.serving import HALF_SECONDS

GENEROUS_SECONDS = 10.0
"""Two are the goal, on a machine that has nothing else to do."""


@contextlib.contextmanager
def half_a_request(port: int):
    """A client that sends a part of a body, and another that keeps its connection open."""
    with socket.create_connection(("127.0.0.1", port)) as half, socket.create_connection(("127.0.0.1", port)) as kept:
        half.sendall(b"POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert kept.recv(100).startswith(b"HTTP/1.1 200")
        yield


@pytest.mark.slow
def test_a_server_under_load_ends_soon_and_loses_nothing(fire, sender, record_property):
    took = []
    fire.send(*(sender(n, fire.key) for n in range(3)))
    for how in (signal.SIGTERM, signal.SIGINT):
        server = fire.start()
        while server.state()["as_of"] is None:
            time.sleep(0.02)
        time.sleep(1.0)
        with half_a_request(server.port):
            took.append(server.end(how))
    record_property("seconds", [round(t, 2) for t in took])
    print("ended after", took)
    server = fire.start()
    fire.finish()
    server.wait_until_current()
    server.end(signal.SIGTERM)
    assert fire.check()["confirmed"] > 100
    assert max(took) < GENEROUS_SECONDS
    assert "Traceback" not in (fire.root.parent / "server.log").read_text()


@pytest.mark.slow
def test_half_a_request_holds_up_nobody(fire, record_property):
    """Beside the same server without one: what half a body costs is told apart from what ending takes anyway."""
    took = {False: [], True: []}
    for half in (False, True, False, True):
        server = fire.start()
        while server.state()["as_of"] is None:
            time.sleep(0.02)
        with half_a_request(server.port) if half else contextlib.nullcontext():
            took[half].append(server.end(signal.SIGTERM))
    record_property("seconds", took)
    print("ended after", took)
    assert min(took[True]) < min(took[False]) + HALF_SECONDS + 0.5


@pytest.mark.slow
def test_a_server_that_is_still_starting_ends_soon(fire):
    server = fire.start()
    assert server.end(signal.SIGINT) < GENEROUS_SECONDS
    assert "Traceback" not in (fire.root.parent / "server.log").read_text()
