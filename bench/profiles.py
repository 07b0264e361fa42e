"""How long a profile takes, over real HTTP: 50 features and 31 segments, next change by time included.

    python bench/profiles.py                      20,000 customers, 400,000 events; made once, or taken from --dir
    python bench/profiles.py --customers 1000000

A server of its own process keeps the workspace current; one client asks for customers at random, one after the other, on one
connection; then again while events come in. Milliseconds from the request to the whole answer. Goal: p99 under 20.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random

import httpx
import live_world  # type: ignore[import-not-found]
import numpy as np

import kohort

WARM = 50


def served(folder: Path, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server of the workspace, once it is current."""
    command = [sys.executable, "-m", "kohort", "serve", "-w", str(folder), "--port", "0", "--log", "json"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stderr=out, stdout=out)
    while not (found := re.search(r'"address": "(http://[^"]+)"', log.read_text())):
        if process.poll() is not None:
            sys.exit(log.read_text())
        time.sleep(0.2)
    while httpx.get(f"{found[1]}/ready", timeout=60).status_code != 200:
        time.sleep(0.5)
    return process, found[1]


def asked(address: str, key: str, people: list[str], rounds: int) -> np.ndarray:
    """Milliseconds of each answer."""
    rng, took = Random(1), []
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        for n in range(rounds + WARM):
            started = time.perf_counter()
            answer = client.get(f"/v1/customers/{rng.choice(people)}")
            if n >= WARM:
                took.append(1_000 * (time.perf_counter() - started))
            assert answer.status_code == 200, answer.text
            assert answer.json()["live"]
    return np.array(took)


def busy(address: str, key: str, people: list[str], rate: float, stop: threading.Event) -> None:
    """Single events at a steady rate."""
    rng, n = Random(2), 0
    with httpx.Client(base_url=address, auth=(key, ""), timeout=60) as client:
        while not stop.wait(1 / rate):
            n += 1
            event = {"event": "page", "userId": rng.choice(people), "messageId": f"profile-{time.time_ns()}-{n}"}
            client.post("/v1/track", json=event)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-live")
    options = parser.parse_args()
    folder = live_world.world(options.dir, options.customers)
    write = json.loads((folder.parent / "keys.json").read_text())[0]
    with kohort.open(folder) as shop:
        key = shop.keys.add(f"profiles {time.time_ns()}", "read")
    people = [f"u{n}" for n in range(min(live_world.PEOPLE, options.customers // 2))]
    process, address = served(folder, options.dir / "profile.log")
    try:
        for told in ("nothing else", f"{options.rate:.0f} events a second"):
            stop = threading.Event()
            load = threading.Thread(target=busy, args=(address, write, people, options.rate, stop))
            if told != "nothing else":
                load.start()
            took = asked(address, key, people, options.rounds)
            stop.set()
            p50, p99 = np.percentile(took, [50, 99])
            print(
                f"{told:<22} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   worst {took.max():6.1f} ms   {len(took):,} answers"
            )
            if load.is_alive():
                load.join()
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
