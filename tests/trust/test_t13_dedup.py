"""T13: every event once, for ever: replays, mixed order and restarts lose nothing and double nothing, with flat memory."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "dedup.py"


def dedup():
    spec = importlib.util.spec_from_file_location("dedup", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["dedup"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def check(found) -> None:
    assert found.doubled == 0
    assert found.dropped == 0
    assert found.conflicts_missed == 0
    assert found.replayed > 0
    assert found.conflicts > 0
    assert found.memory_mb <= 64


@pytest.mark.slow
def test_a_hundred_thousand_events_with_replays_and_restarts(tmp_path: Path) -> None:
    check(dedup().run(tmp_path, 100_000, batch=10_000))


@pytest.mark.nightly
def test_two_million_events_with_replays_and_restarts(tmp_path: Path) -> None:
    check(dedup().run(tmp_path, 2_000_000, batch=50_000))
