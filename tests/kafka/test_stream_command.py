"""`kohort stream` keeps a workspace current from a topic until it is told to stop, and begins where it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kohort.workspace.workspace import Workspace

pytestmark = pytest.mark.kafka

SEGMENTS = """
segments:
  buyers: {rule: "did('bought')"}
"""


def test_a_stream_without_pages(broker: Any, topic: str, tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "shop") as ws:
        with (tmp_path / "shop" / "kohort.yaml").open("a") as out:
            out.write(SEGMENTS)
        for n in range(2):
            broker.send(topic, (None, json.dumps({"customer": f"c{n}", "event": "bought"}).encode()))
            command = [sys.executable, "-m", "kohort", "stream", "-w", str(ws.root), "--json"]
            command += ["--kafka", broker.servers, "--topic", topic, "--port", "0"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            end = time.monotonic() + 120
            while ws.store.ticks.position().sources.get(f"kafka:{topic}:0") != n + 1:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            out_text, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            assert json.loads(out_text)["as_of"] > 0
            assert "keeps segments current" in errors
        assert len(ws.store.members.current("buyers")) == 2


def test_a_stream_without_topics_is_refused(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "shop").close()
    command = [sys.executable, "-m", "kohort", "stream", "-w", str(tmp_path / "shop"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={})
    assert done.returncode != 0
    assert json.loads(done.stdout or done.stderr.splitlines()[-1])["error"]["code"] == "wrong_usage"
