"""T1, for changes of traits: a process killed while it ticks and makes deliveries leaves none out and makes none twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kohort.store import create_store, open_store

EVENTS = 400

WORKER = """
import random, sys
from pathlib import Path
from kohort.actions.plan import Planner, Rules
from kohort.definitions.segments import SegmentSettings
from kohort.definitions.triggers import TraitsChanged, Trigger
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import iso
from kohort.store import open_store

root, events = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(events)
script = Script()
for n in range(events):
    at = 1_750_000_000_000_000 + chance.randrange(10_000) * 1_000_000
    traits = {chance.choice(["plan", "city"]): chance.choice("vwxyz")}
    call = {"type": "identify", "userId": chance.choice("abcdef"), "messageId": f"m{n:04}", "timestamp": iso(at)}
    script.add(Arrival(call | {"traits": traits}, at, "shop", str(n)))
said = Given("1", (), {}, (), SegmentSettings(), "UTC", "EUR", traits=("t_city", "t_plan"))
rules = Rules((Trigger("plan", TraitsChanged(("t_city", "t_plan")), ("topic",)),), (), "UTC")
with open_store(root) as store:
    loop = Loop(store, lambda: said, [script], pace=Pace(batch=4))
    planner = Planner(store)
    print("ready", flush=True)
    sys.stdin.readline()
    while loop.tick().more or planner.step(rules, 1).looked_at:
        planner.step(rules, 1)
print("done", flush=True)
"""


def expected() -> dict[tuple[str, str], str]:
    chance, said = random.Random(EVENTS), []
    for n in range(EVENTS):
        at = chance.randrange(10_000)
        trait, value = chance.choice(["plan", "city"]), chance.choice("vwxyz")
        said.append((at, n, chance.choice("abcdef"), trait, value))
    return {(who, f"t_{trait}"): value for _, _, who, trait, value in sorted(said)}


def work(root: Path, kill_after: float | None) -> bool:
    """Runs a worker, and kills it after so many seconds; says whether it ended by itself."""
    command = [sys.executable, "-c", WORKER, str(root), str(EVENTS)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        if kill_after is not None:
            time.sleep(kill_after)  # the moment is the point: it may be any
            os.kill(process.pid, signal.SIGKILL)
        return process.wait(150) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.nightly)])
def test_deliveries_folded_are_the_values_whenever_it_was_killed(tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    with create_store(tmp_path / "w", buckets=2) as store:
        store.deliveries.begin()
    killed = sum(not work(tmp_path / "w", chance.uniform(0.01, 4.0 / kills)) for _ in range(kills))
    assert work(tmp_path / "w", None)
    assert killed >= 1
    told: dict[tuple[str, str], str | None] = {}
    with open_store(tmp_path / "w") as store:
        assert store.verify() == []
        assert store.trait_changes.waiting(1) == []
        made = sorted(store.deliveries.some(limit=10_000), key=lambda d: d.number)
        names = dict(zip((d.customer for d in made), store.vault.refs([d.customer for d in made]), strict=True))
        for delivery in made:
            before, after = json.loads(delivery.other), json.loads(delivery.segment)
            for column, value in after.items():
                key = str(names[delivery.customer]), column
                assert before[column] == told.get(key) != value
                told[key] = value
    assert len({d.id for d in made}) == len(made) > 12
    assert told == expected()
