"""T1 and T15 together: a process that dies anywhere in an erasure leaves one that the next call finishes: nothing of her is
left, everything checks out, others keep everything, and the receipt counts each thing once."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import kohort

HER, OTHER = "customer-4711-ada", "customer-0001"
PLACES = {
    "noted, nothing done": "kohort.store.vault:Vault.erase:before",
    "keys destroyed": "kohort.store.vault:Vault.erase:after",
    "recent events moved": "kohort.store.log:EventLog.compact:after",
    "files written": "kohort.store.erasing:_make_true:before",
    "in the transaction": "kohort.store.requests:Requests.advance:purged",
    "before the Delta log is published": "kohort.store.erasing:clear:before",
    "old files deleted": "kohort.store.erasing:_shrink:before",
    "databases written anew": "kohort.trust.erasure:_remaining:before",
}
CHILD = """
import importlib, os, signal, sys
import kohort
root, her, place = sys.argv[1:]
def die(): os.kill(os.getpid(), signal.SIGKILL)
if place:
    module, path, when = place.split(":")
    owner = importlib.import_module(module)
    *classes, name = path.split(".")
    for one in classes:
        owner = getattr(owner, one)
    was = getattr(owner, name)
    def dies(*given, **more):
        if when == "before": die()
        found = was(*given, **more)
        if when == "after" or when in given: die()
        return found
    setattr(owner, name, dies)
    trust = importlib.import_module("kohort.trust.erasure")
    if hasattr(trust, name): setattr(trust, name, dies)
with kohort.open(root) as ws:
    print("begun", flush=True)
    ws.privacy.erase([her])
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("made")
    numbers = [HER, *(f"customer-{n:04}" for n in range(30))]
    lines = [f"o{n}-{who},{who},2026-01-{n + 1:02},tea,1,5" for who in numbers for n in range(9)]
    head = "order_id,customer_id,order_date,product,quantity,price"
    (folder / "orders.csv").write_text("\n".join([head, *lines, f"x,{HER},no date,tea,1,2"]))
    with kohort.create(folder / "ws") as ws:
        ws.ingest(folder / "orders.csv", kind="orders")
        ws.store.log.compact()
        ws.segments.add("buyer", "did('order_line')")
        ws.segments.run()
        return folder / "ws", int(ws.store.vault.known([HER])[0])


def dies(root: Path, place: str, *, after: float | None = None) -> bool:
    """Erases her in a process that dies; whether it did."""
    command = [sys.executable, "-c", CHILD, str(root), HER, place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        child.stdout.readline()
        if after is not None:
            try:
                child.wait(after)
            except subprocess.TimeoutExpired:
                child.kill()
        return child.wait(60) == -signal.SIGKILL


def finish(root: Path, her: int) -> None:
    with kohort.open(root) as ws:
        receipts = ws.privacy.finish()
        if not ws.store.requests.all():  # killed before it was noted
            ws.privacy.erase([HER])
        (request,) = ws.store.requests.all()
        assert receipts == [] or receipts[0]["request"] == "erasure-1"
        told = {name: request.receipt["stores"][name] for name in ("vault", "events", "rejected_rows", "memberships")}
        assert told == {"vault": 1, "events": 9, "rejected_rows": 1, "memberships": 1}
        found = ws.privacy.scan([HER], [her])
        assert (found.hits, found.proves) == ((), True)
        assert ws.store.verify() == []
        assert ws.store.log.count() == 30 * 9
        assert ws.store.members.current("buyer").num_rows == 30


@pytest.mark.parametrize("place", PLACES)
def test_it_is_finished_wherever_it_ended(made: tuple[Path, int], tmp_path: Path, place: str) -> None:
    root, her = made
    shutil.copytree(root, tmp_path / "ws")
    assert dies(tmp_path / "ws", PLACES[place])
    finish(tmp_path / "ws", her)


@pytest.mark.nightly
def test_it_is_finished_whenever_it_was_killed(made: tuple[Path, int], tmp_path: Path) -> None:
    root, her = made
    chance, killed = random.Random(15), 0
    for n in range(60):
        shutil.copytree(root, tmp_path / f"ws{n}")
        killed += dies(tmp_path / f"ws{n}", "", after=chance.uniform(0, 0.7))
        killed += dies(tmp_path / f"ws{n}", "", after=chance.uniform(0, 0.4))
        finish(tmp_path / f"ws{n}", her)
    assert killed > 40
