"""T15 and T16 under fire: somebody is erased while a server takes in events about her and others. Nothing of her is left, what
still arrives about her is refused, nobody else's event is lost, and live stays what batch finds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

import kohort
from kohort.workspace.live import audit_of

HER = "person-to-be-erased"


@pytest.mark.slow
def test_erasing_while_events_come_in(fire, sender) -> None:
    server = fire.start()
    others, hers = sender(1, fire.key, events=5), sender(2, fire.key, events=3)
    hers.who, hers.pause, others.pause = {"userId": HER}, 0.02, 0.02
    fire.send(others, hers)
    waited(lambda: len(hers.confirmed) > 20 and len(others.confirmed) > 50)
    with kohort.open(fire.root) as ws:
        waited(lambda: ws.store.vault.known([HER]).all())
        (key,) = (int(found) for found in ws.store.vault.known([HER]))

    command = [sys.executable, "-m", "kohort", "privacy", "erase", HER, "--json", "-w", str(fire.root)]
    began = time.perf_counter()
    receipt = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    assert time.perf_counter() - began < 60
    assert receipt["people"] == 1
    assert receipt["stores"]["events"] > 0
    assert "journal" not in {one["what"] for one in receipt["remaining"]}, "the server let go of its requests"

    sent = len(hers.confirmed)
    waited(lambda: len(hers.confirmed) > sent + 20)
    fire.finish()
    server.wait_until_current()
    assert server.get(f"/v1/customers/{HER}")[0] in (401, 404)
    server.end(signal.SIGTERM)
    with kohort.open(fire.root) as ws:
        assert not ws.store.vault.known([HER]).any()
        assert ws.store.state.rejected_counts()["shop", "erased"] > 20
        assert audit_of(ws).sound
        assert ws.store.verify() == []
        assert ws.store.log.count() == len(others.confirmed - others.refused)
        ws.privacy.erase(["u1"])  # no server writes the journal now: what came in about her since goes with its file
        found = ws.privacy.scan([HER], [key])
        assert (found.hits, found.proves) == ((), True)


def waited(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
